//! Proxies that nobody needs any more, and that systemd leaves running.
//!
//! systemd looks whether a unit with `StopWhenUnneeded=yes` is still needed when a unit that needs it
//! becomes inactive, and when it becomes active itself. A unit that never was active makes no such change:
//! where its start is called off or fails while it waits for one proxy, the others that are up already stay
//! up, and so do the units that they stand for, on other nodes, for good.
//!
//! Whether a proxy is needed stays systemd's to say: it is only made to look again.

use proto::{
    model::JobResult,
    name::{HoldName, ProxyName, UnitName},
    time::Moment,
};

use crate::{
    ActiveState,
    call::{Cx, Purpose},
    input::{Answer, CallId, ManagerError},
    limits::{NEEDLESS_GAP, NEEDLESS_SETTLE},
    output::{Event, LOOK_AGAIN, Request},
    unit::Units,
};

/// See the module.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Needless {
    due: Option<Moment>,
    asked: Option<CallId>,
    is_over: bool,
    /// When systemd was made to look last.
    last: Option<Moment>,
}

impl Needless {
    /// A job of any unit has ended.
    pub(crate) fn job_ended(&mut self, unit: &UnitName, result: JobResult, now: Moment) {
        let is_ours = unit.as_str() == LOOK_AGAIN
            || ProxyName::is_proxy(unit)
            || HoldName::parse(unit).is_some();
        // One that was done or skipped has left its unit as it was, or has changed its state.
        let is_over = match result {
            JobResult::Done | JobResult::Skipped => false,
            JobResult::Canceled
            | JobResult::Timeout
            | JobResult::Failed
            | JobResult::Dependency
            | JobResult::Invalid
            | JobResult::Assert
            | JobResult::Unsupported
            | JobResult::Collected
            | JobResult::Once
            | JobResult::Frozen => true,
        };
        if is_over && !is_ours {
            self.want(now);
        }
    }

    /// What was called off meanwhile was not heard of.
    pub(crate) fn manager_reached(&mut self, units: &Units, now: Moment) {
        if candidates(units).next().is_some() {
            self.want(now);
        }
    }

    /// The agent stops, and asks for nothing any more.
    pub(crate) fn stop(&mut self) {
        *self = Self::default();
        self.is_over = true;
    }

    /// What it was asked, it will not answer.
    pub(crate) fn manager_lost(&mut self) {
        self.asked = None;
    }

    pub(crate) fn deadline(&self, units: &Units) -> Option<(Moment, &'static str)> {
        let due = self.due.filter(|_| units.connected && self.asked.is_none());
        due.map(|at| (at, "have proxies looked at that may not be needed"))
    }

    pub(crate) fn settle(&mut self, cx: &mut Cx<'_>) {
        if !cx.units.connected || self.asked.is_some() || self.due.is_none_or(|due| due > cx.now) {
            return;
        }
        self.due = None;
        let proxies: Vec<UnitName> = candidates(cx.units).cloned().collect();
        if !proxies.is_empty() {
            self.last = Some(cx.now);
            self.asked = Some(cx.call(Purpose::Needless, Request::LookAgain(proxies)));
        }
    }

    /// systemd has answered, or failed to.
    pub(crate) fn answered(
        &mut self,
        call: CallId,
        result: Result<Answer, ManagerError>,
        cx: &mut Cx<'_>,
    ) {
        if self.asked.take_if(|asked| *asked == call).is_none() {
            return;
        }
        if let (Err(error), Ok(unit)) = (result, LOOK_AGAIN.parse()) {
            // The one before may not have gone yet.
            let why = error.text;
            cx.event(Event::Retrying { unit, why });
            self.want(cx.now);
        }
    }

    fn want(&mut self, now: Moment) {
        if self.is_over {
            return;
        }
        let settled = now.plus(NEEDLESS_SETTLE);
        let at = self
            .last
            .map_or(settled, |last| last.plus(NEEDLESS_GAP).max(settled));
        self.due.get_or_insert(at);
    }
}

/// The proxies that are up, and that nobody is about to stop.
fn candidates(units: &Units) -> impl Iterator<Item = &UnitName> {
    units.names().filter(|name| {
        ProxyName::is_proxy(name)
            && units
                .get(name)
                .is_some_and(|state| state.active == ActiveState::Active && state.job.is_none())
    })
}
