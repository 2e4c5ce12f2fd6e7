//! Calls that systemd has not answered, each with its deadline. All have the same time, so the one
//! that was made first is the first to be late.

use std::collections::{BTreeMap, VecDeque};

use host::link::CallSerial;
use node::{CallId, ManagerJob};
use proto::name::UnitName;
use tokio::{sync::oneshot, time::Instant};

use super::{Answer, session::restart::Sparing, watch::Scope};
use crate::limits::CALL_TIMEOUT;

/// What an answer is for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// The session begins; an error ends it.
    Setup(Setup),
    /// How a unit of ours is, because it is there or was looked at.
    Unit(Asked),
    /// The same, and the run that it is in.
    Run(Asked),
    /// The core wants a job.
    Job(CallId),
    /// The core wants a unit stopped alone: what its stop is propagated to.
    Followers(CallId, UnitName),
    /// The core wants reloaded what a reload is propagated to.
    ReloadFollowers,
    /// The core wants a proxy restarted, without some of those that are restarted with it.
    Dependents(Box<Sparing>),
    /// One of the others is restarted.
    Part(CallId),
    /// The proxy is restarted.
    Restart(CallId),
    /// Nobody waits for the answer.
    Ignored,
    /// The core only wants to know that it is done.
    Done(CallId),
    /// The core looks at a unit: where it is.
    Look(CallId),
    /// The core asks why: where the unit is.
    Find(CallId),
    /// The core asks why: the properties.
    Describe(CallId),
    /// The controller wants to hear of units: these.
    Watch(Scope),
    /// The core asks what jobs wait for: what this one does.
    Walk(CallId, ManagerJob),
    /// The core asks who upholds a unit.
    Upholders(CallId),
    /// The core wants a unit looked at, by a job that does nothing.
    Nop(CallId),
    /// Somebody else asks.
    Raw(oneshot::Sender<Answer>),
}

/// A unit that is asked for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) name: UnitName,
    /// The look of the core that it answers.
    pub(super) look: Option<CallId>,
    /// Whether the snapshot waits for it.
    pub(super) counted: bool,
}

/// A step of the beginning of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setup {
    /// `Hello`, `AddMatch`, `Subscribe`: nothing is to be read from the answer.
    Plain,
    Units,
    Jobs,
}

/// Calls that are not answered.
#[derive(Debug, Default)]
pub(super) struct Pending {
    calls: BTreeMap<CallSerial, Purpose>,
    late: VecDeque<(Instant, CallSerial)>,
}

impl Pending {
    pub(super) fn add(&mut self, serial: CallSerial, purpose: Purpose) {
        self.calls.insert(serial, purpose);
        self.late.push_back((Instant::now() + CALL_TIMEOUT, serial));
    }

    /// Whom an answer is for; nobody, if it is late.
    pub(super) fn answered(&mut self, serial: CallSerial) -> Option<Purpose> {
        let purpose = self.calls.remove(&serial);
        while let Some((_, first)) = self.late.front()
            && !self.calls.contains_key(first)
        {
            self.late.pop_front();
        }
        purpose
    }

    /// When the next one is late.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.late.front().map(|(at, _)| *at)
    }

    /// One that is late now.
    pub(super) fn expired(&mut self) -> Option<Purpose> {
        let (at, serial) = *self.late.front()?;
        if at > Instant::now() {
            return None;
        }
        self.answered(serial)
    }

    /// Everything, at the end.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Purpose> + use<> {
        self.late.clear();
        std::mem::take(&mut self.calls).into_values()
    }
}
