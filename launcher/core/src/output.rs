use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::input::{Exit, GenerationId, ProcessId, ReloadNumber, WorkerNumber};

/// What the owner has to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// Read the settings, and answer with [`crate::Input::Settings`].
    ReadSettings,
    /// What was read last are the settings of this generation.
    Open(GenerationId),
    /// Start a worker. Its end, also where it cannot be started, is an [`crate::Input::Exited`].
    Spawn(Spawn),
    /// Ask the worker again and again whether it is ready.
    Probe(ProcessId),
    /// Send a signal to a worker, and to it alone.
    Signal(ProcessId, Signal),
    /// Kill a worker with everything it has started.
    Kill(ProcessId),
    /// The public names lead to this generation from now on.
    Publish(GenerationId),
    /// Nothing of this generation is left.
    Close(GenerationId),
    /// Tell the service manager that the service is up.
    Ready,
    /// Tell the service manager that the service is about to end.
    Stopping,
    /// Tell the service manager that all workers live.
    Alive,
    /// Ask the service manager for more time.
    Extend(Duration),
    /// A reload is over.
    Reloaded(ReloadNumber, Outcome),
    /// A line for the journal.
    Note(Note),
    /// It is over; the exit code.
    End(u8),
}

/// A worker to be started.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Spawn {
    /// What it will be known as.
    pub process: ProcessId,
    /// Whose settings it has.
    pub generation: GenerationId,
    /// Which of them it is.
    pub worker: WorkerNumber,
    /// Of how many.
    pub workers: u32,
    /// What for.
    pub reason: Reason,
}

/// What a worker is started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// The service starts.
    Start,
    /// A reload.
    Reload,
    /// One before it has ended.
    Respawn,
}

/// A signal to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Drain, and end.
    Term,
    /// End with a core dump.
    Abort,
    /// Another one, by its number.
    Number(i32),
}

/// How a reload has ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// A new generation serves. It was ready after this time.
    Done {
        /// Which one.
        generation: GenerationId,
        /// From the wish to the readiness of all workers.
        ready_in: Duration,
    },
    /// The workers were told to read what may change while they run.
    Told {
        /// How many.
        workers: u32,
    },
    /// The settings are not valid, and nothing was changed.
    Rejected(String),
    /// The new generation has failed, and the old one serves.
    Failed(Failure),
    /// The service ends.
    Stopped,
}

/// Why a generation has failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Failure {
    /// Which generation.
    pub generation: GenerationId,
    /// Because of which worker.
    pub worker: WorkerNumber,
    /// What it did.
    pub cause: Cause,
}

/// What a worker did that a generation failed of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Cause {
    /// It ended before it was ready.
    BeforeReady(Exit),
    /// It was ready, and ended while the old generation was still there.
    AfterReady(Exit),
    /// It was not ready in time.
    NotReady(Duration),
    /// It was ready, and then silent.
    Silent(Duration),
}

/// A line for the journal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Note {
    /// All workers of the first generation are ready.
    Started(GenerationId, u32),
    /// A reload begins.
    Reloading(ReloadNumber),
    /// A reload has ended; said once for each.
    Reloaded(ReloadNumber, Outcome),
    /// The first generation has failed.
    StartFailed(Failure),
    /// A failed reload will be tried again.
    Retry(Duration),
    /// A worker of the generation in service has ended, and is started again after a while.
    Crashed(GenerationId, WorkerNumber, Exit, Duration),
    /// A worker has done its work.
    Finished(GenerationId, WorkerNumber),
    /// There were too many crashes.
    GaveUp(u32, Duration),
    /// A worker was silent, and is aborted.
    Silent(GenerationId, WorkerNumber, Duration),
    /// A worker was not ready in time, and is killed.
    NotReady(GenerationId, WorkerNumber, Duration),
    /// A worker had not ended by its limit, and what it was doing is cut.
    Cut(GenerationId, WorkerNumber, Duration),
    /// A generation is killed because too many drain.
    TooManyOld(GenerationId, u32),
    /// A worker that was told to drain ended badly.
    DrainedBadly(GenerationId, WorkerNumber, Exit),
    /// It was asked for what cannot be now.
    Ignored(&'static str),
    /// The service ends.
    Stopping(&'static str),
}

/// How a line of the journal is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// A change that an operator cares about.
    Info,
    /// Worth a look.
    Warning,
    /// Something was lost or did not come about.
    Error,
}

impl Outcome {
    /// The exit code of whoever waited for the reload.
    pub fn code(&self) -> u8 {
        match self {
            Self::Done { .. } | Self::Told { .. } => 0,
            Self::Rejected(_) => 3,
            Self::Failed(failure) => match failure.cause {
                Cause::NotReady(_) => 5,
                Cause::BeforeReady(_) | Cause::AfterReady(_) | Cause::Silent(_) => 4,
            },
            Self::Stopped => 4,
        }
    }
}

impl Failure {
    /// The exit code of a service whose first generation fails like this.
    pub(crate) fn code(&self) -> u8 {
        match &self.cause {
            Cause::NotReady(_) | Cause::Silent(_) => crate::EXIT_NOT_READY,
            // A worker that ends well before it is ready has not started, whatever it thinks.
            Cause::BeforeReady(exit) | Cause::AfterReady(exit) => match exit.code() {
                0 => crate::EXIT_NOT_READY,
                code => code,
            },
        }
    }
}

impl Note {
    /// How it is meant.
    pub fn level(&self) -> Level {
        match self {
            Self::Started(..) | Self::Reloading(_) | Self::Finished(..) | Self::Stopping(_) => {
                Level::Info
            }
            Self::Reloaded(_, Outcome::Done { .. } | Outcome::Told { .. } | Outcome::Stopped) => {
                Level::Info
            }
            Self::Reloaded(_, Outcome::Rejected(_) | Outcome::Failed(_))
            | Self::StartFailed(_)
            | Self::GaveUp(..) => Level::Error,
            Self::Retry(_)
            | Self::Crashed(..)
            | Self::Silent(..)
            | Self::NotReady(..)
            | Self::Cut(..)
            | Self::TooManyOld(..)
            | Self::DrainedBadly(..)
            | Self::Ignored(_) => Level::Warning,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.generation, self.worker)?;
        match &self.cause {
            Cause::BeforeReady(Exit::NeverRan { why, .. }) => {
                write!(f, "could not be started: {why}")
            }
            Cause::BeforeReady(exit) => write!(f, "{exit} before it was ready"),
            Cause::AfterReady(exit) => write!(f, "{exit} soon after it was ready"),
            Cause::NotReady(time) => write!(f, "was not ready within {time:?}"),
            Cause::Silent(time) => write!(f, "was silent for {time:?}"),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done {
                generation,
                ready_in,
            } => {
                let millis = ready_in.as_secs_f64() * 1000.0;
                write!(f, "{generation} serves, ready in {millis:.1} ms")
            }
            Self::Told { workers } => {
                write!(
                    f,
                    "{workers} workers were told, no new generation was needed"
                )
            }
            Self::Rejected(why) => write!(f, "settings rejected: {why}"),
            Self::Failed(failure) => failure.fmt(f),
            Self::Stopped => f.write_str("the service ends"),
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started(generation, workers) => {
                write!(f, "{generation} serves with {workers} workers")
            }
            Self::Reloading(number) => write!(f, "reload {} begins", number.0),
            Self::Reloaded(number, outcome) => {
                let how = match outcome {
                    Outcome::Done { .. } | Outcome::Told { .. } => "done",
                    Outcome::Rejected(_) | Outcome::Failed(_) => {
                        "FAILED, the old generation serves"
                    }
                    Outcome::Stopped => "called off",
                };
                write!(f, "reload {} {how}: {outcome}", number.0)
            }
            Self::StartFailed(failure) => write!(f, "start failed: {failure}"),
            Self::Retry(wait) => write!(f, "the reload is tried again in {wait:?}"),
            Self::Crashed(generation, worker, exit, wait) => write!(
                f,
                "{generation} {worker}: {exit}; started again in {wait:?}"
            ),
            Self::Finished(generation, worker) => {
                write!(f, "{generation} {worker} has done its work")
            }
            Self::GaveUp(count, within) => {
                write!(
                    f,
                    "{count} crashes within {within:?} are too many, giving up"
                )
            }
            Self::Silent(generation, worker, time) => write!(
                f,
                "{generation} {worker} was silent for {time:?}, aborting it"
            ),
            Self::NotReady(generation, worker, time) => write!(
                f,
                "{generation} {worker} was not ready within {time:?}, killing it"
            ),
            Self::Cut(generation, worker, time) => write!(
                f,
                "{generation} {worker} had not ended {time:?} after TERM, killing it; what it was doing is cut"
            ),
            Self::TooManyOld(generation, most) => write!(
                f,
                "more than {most} generations drain, killing {generation}; what it was doing is cut"
            ),
            Self::DrainedBadly(generation, worker, exit) => {
                write!(f, "{generation} {worker} was told to drain: {exit}")
            }
            Self::Ignored(what) => write!(f, "{what}, ignoring"),
            Self::Stopping(why) => write!(f, "stopping: {why}"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::Reload => "reload",
            Self::Respawn => "respawn",
        })
    }
}
