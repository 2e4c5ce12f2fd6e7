use std::fmt;

use serde::{Deserialize, Serialize};

use crate::settings::Settings;

/// The number of a generation; a later one is higher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GenerationId(pub u64);

/// The number of a worker within its generation, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WorkerNumber(pub u32);

/// A process that was asked for. It is no pid: it is given before there is one, and never again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcessId(pub u64);

/// The number of a reload, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReloadNumber(pub u64);

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Somebody wants a reload: a `SIGHUP`, or a client. [`crate::Launcher::covering`] says which
    /// reload will be the answer.
    Reload,
    /// The answer to [`crate::Output::ReadSettings`]; the error is text for people.
    Settings(Result<Read, String>),
    /// A worker is ready: it said so, or a probe succeeded.
    Ready(ProcessId, Herald),
    /// A worker says that it lives.
    Alive(ProcessId),
    /// A worker has ended, or could not be started.
    Exited(ProcessId, Exit),
    /// Somebody wants an end.
    Stop(Stop),
    /// One worker more, until the next reload.
    OneMore,
    /// One worker less, until the next reload.
    OneLess,
}

/// Settings that were read for a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The settings.
    pub settings: Settings,
    /// What must be done for them to count.
    pub change: Change,
}

/// What must be done for settings to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new generation.
    Generation,
    /// A signal to the workers, who read what may change while they run.
    Mutable {
        /// Its number.
        signal: i32,
    },
}

/// Who says that a worker is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Herald {
    /// The worker, with `READY=1`.
    Worker,
    /// The owner's probe.
    Probe,
}

/// How a process has ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Exit {
    /// By itself.
    Code(u8),
    /// By a signal.
    Signal(u8),
    /// It never began: the program is not there (`missing`), or cannot be run. The text says why.
    NeverRan {
        /// Whether the program is not there.
        missing: bool,
        /// Why, for people.
        why: String,
    },
    /// It ended out of sight, and nobody can tell how: it was adopted.
    Unknown,
}

/// A wish to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stop {
    /// Drain within the limit, and end.
    Term,
    /// Drain without a limit, and end.
    Quit,
    /// End now.
    Interrupt,
}

impl Exit {
    /// The code with which a shell would show it.
    pub fn code(&self) -> u8 {
        match self {
            Self::Code(code) => *code,
            Self::Signal(signal) => signal.saturating_add(128),
            Self::NeverRan { missing: true, .. } => 127,
            Self::NeverRan { missing: false, .. } => 126,
            Self::Unknown => 1,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit {code}"),
            Self::Signal(signal) => write!(f, "killed by signal {signal}"),
            Self::NeverRan { why, .. } => f.write_str(why),
            Self::Unknown => f.write_str("ended"),
        }
    }
}

impl fmt::Display for GenerationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gen {}", self.0)
    }
}

impl fmt::Display for WorkerNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {}", self.0)
    }
}
