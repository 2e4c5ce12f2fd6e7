use std::collections::{BTreeMap, BTreeSet};

use proto::{message::ClaimKey, model::JobId, name::NodeName, time::Moment};

use crate::input::{PeerId, RequestId};

/// What a moment is waited for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Timer {
    /// When to say to an agent that the controller is alive.
    Heartbeat(PeerId),
    /// When an agent may have been silent for too long.
    Silence(PeerId),
    /// When a node is offline whose agent has not come back.
    Resume(NodeName),
    /// When the claims of a node that is away are given up.
    Grace(NodeName),
    /// When a claim whose target is out of sight is given up.
    Loss(NodeName, ClaimKey),
    /// When an agent must have said that a job is queued.
    Queued(JobId),
    /// When a job must have ended.
    Job(JobId),
    /// When a call must have been answered.
    Call(RequestId),
}

impl Timer {
    fn why(&self) -> &'static str {
        match self {
            Self::Heartbeat(_) => "heartbeat",
            Self::Silence(_) => "silence of an agent",
            Self::Resume(_) => "return of an agent",
            Self::Grace(_) => "grace of a source",
            Self::Loss(..) => "grace of a lost target",
            Self::Queued(_) => "answer about a job",
            Self::Job(_) => "end of a job",
            Self::Call(_) => "answer to a call",
        }
    }
}

/// The moments that are waited for; each timer has at most one.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Timers {
    by_time: BTreeSet<(Moment, Timer)>,
    by_timer: BTreeMap<Timer, Moment>,
}

impl Timers {
    /// Sets a timer, and moves it if it was set already.
    pub(crate) fn set(&mut self, timer: Timer, at: Moment) {
        if let Some(before) = self.by_timer.insert(timer.clone(), at) {
            self.by_time.remove(&(before, timer.clone()));
        }
        self.by_time.insert((at, timer));
    }

    /// The same, unless it is set for later already.
    pub(crate) fn set_or_later(&mut self, timer: Timer, at: Moment) {
        let before = self.by_timer.get(&timer).copied();
        self.set(timer, before.map_or(at, |before| before.max(at)));
    }

    pub(crate) fn cancel(&mut self, timer: Timer) {
        if let Some(at) = self.by_timer.remove(&timer) {
            self.by_time.remove(&(at, timer));
        }
    }

    /// The next moment, and why it is waited for.
    pub(crate) fn next(&self) -> Option<(Moment, &'static str)> {
        self.by_time.first().map(|(at, timer)| (*at, timer.why()))
    }

    /// The next timer whose moment has come; it is not set any more.
    pub(crate) fn pop(&mut self, now: Moment) -> Option<(Moment, Timer)> {
        if self.by_time.first()?.0 > now {
            return None;
        }
        let (at, timer) = self.by_time.pop_first()?;
        self.by_timer.remove(&timer);
        Some((at, timer))
    }

    /// The moment of a timer, if it is set.
    pub(crate) fn at(&self, timer: &Timer) -> Option<Moment> {
        self.by_timer.get(timer).copied()
    }

    pub(crate) fn is_set(&self, timer: &Timer) -> bool {
        self.by_timer.contains_key(timer)
    }

    /// Every timer that is set.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Timer> {
        self.by_timer.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(seconds: u64) -> Moment {
        Moment::at(Duration::from_secs(seconds))
    }

    #[test]
    fn a_timer_fires_once_at_the_moment_it_was_set_to_last() {
        let mut timers = Timers::default();
        timers.set(Timer::Job(JobId(1)), at(1));
        timers.set(Timer::Job(JobId(1)), at(3));
        timers.set(Timer::Job(JobId(2)), at(2));
        assert_eq!(timers.next(), Some((at(2), "end of a job")));
        assert_eq!(timers.pop(at(1)), None);
        timers.cancel(Timer::Job(JobId(2)));
        assert_eq!(timers.pop(at(5)), Some((at(3), Timer::Job(JobId(1)))));
        assert_eq!(timers.pop(at(99)), None);
    }
}
