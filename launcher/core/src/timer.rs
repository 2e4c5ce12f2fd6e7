use std::collections::BTreeMap;

use proto::time::Moment;
use serde::{Deserialize, Serialize};

use crate::input::{GenerationId, ProcessId, WorkerNumber};

/// What a moment is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Timer {
    /// When everything that was killed must be gone.
    Quit,
    /// When a worker that says nothing counts as ready.
    WarmUp(ProcessId),
    /// When a worker must have become ready.
    ReadyTimeout(ProcessId),
    /// When a new worker has lived long enough for an old one to go.
    Confirm(ProcessId),
    /// When a worker must have said that it lives.
    Silence(ProcessId),
    /// When a worker must have ended.
    Limit(ProcessId),
    /// When a generation that was replaced is told to go.
    Settle(GenerationId),
    /// When a worker is started again.
    Respawn(GenerationId, WorkerNumber),
    /// When a failed reload is tried again.
    Retry,
    /// When the service manager is asked for more time.
    Extend,
}

/// The moments that are waited for; each timer has at most one. There are a few for each worker, so
/// looking for the first costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<(Timer, Moment)>", into = "Vec<(Timer, Moment)>")]
pub(crate) struct Timers(BTreeMap<Timer, Moment>);

impl Timers {
    /// Sets a timer, and moves it if it was set already.
    pub(crate) fn set(&mut self, timer: Timer, at: Moment) {
        self.0.insert(timer, at);
    }

    pub(crate) fn cancel(&mut self, timer: Timer) {
        self.0.remove(&timer);
    }

    /// Nothing is waited for of this process any more.
    pub(crate) fn forget(&mut self, process: ProcessId) {
        for timer in [
            Timer::WarmUp(process),
            Timer::ReadyTimeout(process),
            Timer::Confirm(process),
            Timer::Silence(process),
            Timer::Limit(process),
        ] {
            self.cancel(timer);
        }
    }

    pub(crate) fn next(&self) -> Option<(Moment, Timer)> {
        self.0.iter().map(|(timer, at)| (*at, *timer)).min()
    }

    /// The next timer whose moment has come; it is not set any more.
    pub(crate) fn pop(&mut self, now: Moment) -> Option<Timer> {
        let (at, timer) = self.next()?;
        if at > now {
            return None;
        }
        self.cancel(timer);
        Some(timer)
    }

    pub(crate) fn at(&self, timer: Timer) -> Option<Moment> {
        self.0.get(&timer).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Timer> {
        self.0.keys().copied()
    }
}

impl Timer {
    pub(crate) fn why(self) -> &'static str {
        match self {
            Self::Quit => "end of what was killed",
            Self::WarmUp(_) => "warm-up of a worker",
            Self::ReadyTimeout(_) => "readiness of a worker",
            Self::Confirm(_) => "probation of a worker",
            Self::Silence(_) => "sign of life of a worker",
            Self::Limit(_) => "end of a worker",
            Self::Settle(_) => "settling of a published name",
            Self::Respawn(..) => "start of a worker that ended",
            Self::Retry => "next try of a reload",
            Self::Extend => "asking for more time",
        }
    }
}

impl From<Vec<(Timer, Moment)>> for Timers {
    fn from(list: Vec<(Timer, Moment)>) -> Self {
        Self(list.into_iter().collect())
    }
}

impl From<Timers> for Vec<(Timer, Moment)> {
    fn from(timers: Timers) -> Self {
        timers.0.into_iter().collect()
    }
}
