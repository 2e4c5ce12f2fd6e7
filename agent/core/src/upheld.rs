//! Proxies that are down although an active unit upholds them, and that systemd has overlooked.
//!
//! systemd starts what is upheld (`Upholds=`) as soon as it is down, where a unit that upholds it is active and has no job
//! (`unit_is_upheld_by_active()`). Where such a unit has one at that moment, as a second `start` that waits
//! for another node, it is passed over, and nobody looks again when that job has ended: the proxy stays down, and with it
//! the unit that it stands for, on another node, for good.
//!
//! Whether a proxy is to be started stays systemd's to say: it is only made to look again, and does so by its own rule, with its
//! own limits. So a look that comes late, early or for nothing does no harm, and none fights with systemd.
//!
//! | who upholds a proxy that is down | true in it | leaves it |
//! |---|---|---|
//! | unknown | nobody was asked; only a job that was queued when the proxy ended can have hidden it | such a job ends: systemd is asked who upholds it |
//! | some | the end of a job of one of them may have left it overlooked | – |
//! | nobody | it is down for a good reason | – |
//!
//! All of them are forgotten when the proxy is up, has a job or is not loaded any more. Few ends come while another job is queued
//! that outlives them; all others cost nothing.

use std::collections::BTreeMap;

use proto::{
    name::{ProxyName, UnitName},
    time::Moment,
};

use crate::{
    ActiveState,
    call::{Cx, Purpose},
    input::{Answer, CallId, ManagerError},
    limits::{UPHELD_SETTLE, UPHOLDERS_MAX},
    output::{Event, Request},
    unit::{ManagerJob, UnitState, Units},
};

/// See the module.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Upheld {
    /// The proxies of the view that are down, so that there are not more of them than of these.
    down: BTreeMap<UnitName, Down>,
    /// The last job that was heard of. systemd counts them up, also over a `daemon-reexec`.
    last: Option<ManagerJob>,
    asked: Option<Asked>,
    /// The job by which systemd was made to look last. It does nothing, and ends at once.
    look: Option<ManagerJob>,
    is_over: bool,
}

/// What systemd is asked; one thing at a time.
#[derive(Clone, Debug, Hash)]
enum Asked {
    /// Who upholds this proxy.
    Who(CallId, UnitName),
    /// To look at it. The job for that is told before the answer, and is none that will start it.
    Look(CallId, UnitName),
}

/// A proxy that is down.
#[derive(Clone, Debug, Hash)]
struct Down {
    by: By,
    /// When systemd is to be asked, or to look.
    due: Option<Moment>,
}

/// Who upholds a proxy.
#[derive(Clone, Debug, Hash)]
enum By {
    /// It ended when this was the last job that was heard of.
    Unknown(Option<ManagerJob>),
    Some(Vec<UnitName>),
    Nobody,
}

impl Down {
    /// Whether the end of this job of another unit may have left it overlooked.
    fn concerns(&self, job: ManagerJob, unit: &UnitName) -> bool {
        match &self.by {
            By::Unknown(last) => Some(job) <= *last,
            By::Some(units) => units.contains(unit),
            By::Nobody => false,
        }
    }

    /// Takes in who upholds it.
    fn take(
        &mut self,
        result: Result<Answer, ManagerError>,
        last: Option<ManagerJob>,
        cx: &mut Cx<'_>,
    ) {
        match result {
            Ok(Answer::Units(units)) if units.is_empty() => {
                (self.by, self.due) = (By::Nobody, None);
            }
            Ok(Answer::Units(mut units)) => {
                if units.len() > UPHOLDERS_MAX {
                    units.truncate(UPHOLDERS_MAX);
                    let what = "units that uphold a proxy";
                    cx.event(Event::Limit { what });
                }
                (self.by, self.due) = (By::Some(units), Some(cx.now));
            }
            // A systemd that is too busy to answer: the end of another job is another occasion.
            Ok(
                Answer::Job(_)
                | Answer::Restarting(_)
                | Answer::Done
                | Answer::Unit(_)
                | Answer::Description(_)
                | Answer::Waits(_),
            )
            | Err(_) => self.by = By::Unknown(last),
        }
    }
}

impl Upheld {
    /// A job was queued.
    pub(crate) fn job_new(&mut self, job: ManagerJob) {
        self.last = self.last.max(Some(job));
    }

    /// A job has ended.
    pub(crate) fn job_ended(&mut self, job: ManagerJob, unit: &UnitName, now: Moment) {
        let others = self.down.iter_mut().filter(|(proxy, _)| *proxy != unit);
        for (_, down) in others.filter(|(_, down)| down.concerns(job, unit)) {
            down.due.get_or_insert(now.plus(UPHELD_SETTLE));
        }
    }

    /// A unit is loaded, has changed, or is gone.
    pub(crate) fn unit_changed(&mut self, unit: &UnitName, units: &Units) {
        if !ProxyName::is_proxy(unit) || self.looks_at(unit) {
            return;
        }
        if units.get(unit).is_some_and(|state| self.is_down(state)) {
            let down = Down {
                by: By::Unknown(self.last),
                due: None,
            };
            self.down.entry(unit.clone()).or_insert(down);
        } else {
            self.down.remove(unit);
        }
    }

    /// The service manager is reached with these units. What ended meanwhile was not heard of: an upheld proxy that is down may be
    /// overlooked, whatever has ended since.
    pub(crate) fn manager_reached(&mut self, units: &Units, jobs: &[ManagerJob], now: Moment) {
        self.down.clear();
        self.asked = None;
        self.look = None;
        self.last = None;
        self.manager_reloaded(units, jobs);
        for down in self.down.values_mut() {
            down.due = Some(now.plus(UPHELD_SETTLE));
        }
    }

    /// It has read its units again, with these; others may uphold a proxy now. systemd itself has looked at all that are down.
    pub(crate) fn manager_reloaded(&mut self, units: &Units, jobs: &[ManagerJob]) {
        self.last = self.last.max(jobs.iter().max().copied());
        let mut before = std::mem::take(&mut self.down);
        for name in units.names().filter(|name| ProxyName::is_proxy(name)) {
            if units.get(name).is_some_and(|state| self.is_down(state)) {
                let due = before.remove(name).and_then(|down| down.due);
                let by = By::Unknown(self.last);
                self.down.insert(name.clone(), Down { by, due });
            }
        }
    }

    /// What it was asked, it will not answer.
    pub(crate) fn manager_lost(&mut self) {
        self.asked = None;
    }

    /// The agent stops, and asks for nothing any more.
    pub(crate) fn stop(&mut self) {
        *self = Self::default();
        self.is_over = true;
    }

    pub(crate) fn deadline(&self, units: &Units) -> Option<(Moment, &'static str)> {
        if !self.may_ask(units) {
            return None;
        }
        let due = self.down.values().filter_map(|down| down.due).min()?;
        Some((due, "have proxies looked at that may be upheld"))
    }

    pub(crate) fn settle(&mut self, cx: &mut Cx<'_>) {
        if !self.may_ask(cx.units) {
            return;
        }
        let is_due = |down: &Down| down.due.is_some_and(|due| due <= cx.now);
        let Some((proxy, down)) = self.down.iter_mut().find(|(_, down)| is_due(down)) else {
            return;
        };
        down.due = None;
        let proxy = proxy.clone();
        self.asked = match down.by {
            By::Unknown(_) => {
                let call = cx.call(Purpose::Upheld, Request::UpheldBy(proxy.clone()));
                Some(Asked::Who(call, proxy))
            }
            By::Some(_) => {
                let event = proxy.clone();
                cx.event(Event::Overlooked { proxy: event });
                let call = cx.call(Purpose::Upheld, Request::LookUpheld(proxy.clone()));
                Some(Asked::Look(call, proxy))
            }
            By::Nobody => None,
        };
    }

    /// systemd has answered, or failed to.
    pub(crate) fn answered(
        &mut self,
        call: CallId,
        result: Result<Answer, ManagerError>,
        cx: &mut Cx<'_>,
    ) {
        match self.asked.take() {
            Some(Asked::Who(asked, proxy)) if asked == call => {
                if let Some(down) = self.down.get_mut(&proxy) {
                    down.take(result, self.last, cx);
                }
            }
            Some(Asked::Look(asked, proxy)) if asked == call => {
                // It has looked; or does not even do that, because the proxy is masked.
                if let Ok(Answer::Job(job)) = result {
                    self.look = Some(job);
                }
                self.unit_changed(&proxy, cx.units);
            }
            other => self.asked = other,
        }
    }

    /// What must be true between two inputs; see [`crate::Node::check`].
    pub(crate) fn check(&self, units: &Units) -> Result<(), String> {
        if !units.connected || self.is_over {
            return Ok(());
        }
        let settled = |name: &&UnitName| ProxyName::is_proxy(name) && !self.looks_at(name);
        let seen = units.names().filter(settled);
        let seen = seen.filter(|name| units.get(name).is_some_and(|it| self.is_down(it)));
        if seen.ne(self.down.keys().filter(settled)) {
            return Err("the proxies that are down are not those that are seen so".to_owned());
        }
        Ok(())
    }

    fn may_ask(&self, units: &Units) -> bool {
        units.connected && self.asked.is_none() && !self.is_over
    }

    fn looks_at(&self, unit: &UnitName) -> bool {
        matches!(&self.asked, Some(Asked::Look(_, proxy)) if proxy == unit)
    }

    /// Whether a proxy is down and nobody is about to start it.
    fn is_down(&self, state: &UnitState) -> bool {
        let is_down = match state.active {
            ActiveState::Inactive | ActiveState::Failed => true,
            ActiveState::Active | ActiveState::Activating | ActiveState::Deactivating => false,
        };
        is_down && (state.job.is_none() || state.job == self.look)
    }
}
