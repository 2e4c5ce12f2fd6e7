//! What comes from the service manager, and whom it concerns.

use proto::{
    name::{HoldName, UnitName},
    time::Moment,
};

use crate::{
    Answer, CallId, Event, FromManager, ManagerError, Node, Output, Snapshot, UnitState,
    call::{Cx, Purpose},
    cx,
};

impl Node {
    pub(crate) fn on_manager(&mut self, now: Moment, input: FromManager) {
        match input {
            FromManager::Connected(snapshot) => {
                if self.units.connected {
                    self.manager_lost(now);
                }
                self.manager_reached(now, snapshot);
            }
            FromManager::Reloaded(snapshot) => {
                if self.units.connected {
                    self.take_snapshot(now, snapshot.units);
                    self.upheld.manager_reloaded(&self.units, &snapshot.jobs);
                }
            }
            FromManager::Disconnected => {
                if self.units.connected {
                    self.batch.push(Output::Event(Event::ManagerLost));
                    self.manager_lost(now);
                }
            }
            // Without a connection there can be no change; this one is late.
            FromManager::Changed(_)
            | FromManager::Gone(_)
            | FromManager::Unbound(_)
            | FromManager::JobNew { .. }
            | FromManager::JobRunning(_)
            | FromManager::JobRemoved { .. }
                if !self.units.connected => {}
            FromManager::Changed(state) => self.unit_changed(now, state),
            FromManager::Gone(unit) => {
                self.units.gone(&unit);
                self.upheld.unit_changed(&unit, &self.units);
                self.claims.unit_gone(&unit, &mut self.batch);
                self.hold_changed(&unit);
            }
            FromManager::Unbound(unit) => self.holds.unbound(&unit, cx!(self, now)),
            FromManager::JobNew { job, unit } => {
                self.upheld.job_new(job);
                if let Some(state) = self.units.job_new(&unit, job) {
                    self.unit_changed(now, state);
                }
            }
            FromManager::JobRunning(job) => {
                for purpose in self.calls.followers(job).to_vec() {
                    match purpose {
                        Purpose::Job(id) => self.jobs.running(id, job, cx!(self, now)),
                        Purpose::Cancel
                        | Purpose::Followers
                        | Purpose::Hold(_)
                        | Purpose::Proxy(_)
                        | Purpose::Again(_)
                        | Purpose::Waits
                        | Purpose::Needless
                        | Purpose::Upheld => {}
                    }
                }
            }
            FromManager::JobRemoved { job, unit, result } => {
                self.holds.unit_job_ended(&unit, result, cx!(self, now));
                self.needless.job_ended(&unit, result, now);
                self.upheld.job_ended(job, &unit, now);
                if let Some(state) = self.units.job_removed(&unit, job) {
                    self.unit_changed(now, state);
                }
                for purpose in self.calls.ended(job, result) {
                    match purpose {
                        Purpose::Job(id) => self.jobs.ended(id, job, result, cx!(self, now)),
                        Purpose::Hold(unit) => {
                            self.holds.ended(&unit, job, result, cx!(self, now));
                        }
                        Purpose::Proxy(unit) => {
                            self.claims.ended(&unit, job, result, cx!(self, now));
                        }
                        Purpose::Cancel
                        | Purpose::Followers
                        | Purpose::Again(_)
                        | Purpose::Waits
                        | Purpose::Needless
                        | Purpose::Upheld => {}
                    }
                }
            }
            FromManager::Answered(call, result) => {
                self.restarting(call, &result);
                match self.calls.answered(call) {
                    Some(Purpose::Job(id)) => self.jobs.answered(id, call, result, cx!(self, now)),
                    Some(Purpose::Hold(unit)) => {
                        if let Ok(hold) = HoldName::of(&unit) {
                            self.looked(hold.name(), &result);
                        }
                        self.holds.answered(&unit, call, result, cx!(self, now));
                    }
                    Some(Purpose::Proxy(unit)) => self.proxy_answered(now, &unit, call, result),
                    Some(Purpose::Again(unit)) => {
                        self.claims.again(&unit, call, result, cx!(self, now));
                    }
                    Some(Purpose::Waits) => {
                        let (claims, holds) = (&self.claims, &self.holds);
                        let cx: &mut Cx<'_> = cx!(self, now);
                        self.waits.answered(call, result, claims, holds, cx);
                    }
                    Some(Purpose::Needless) => {
                        self.needless.answered(call, result, cx!(self, now));
                    }
                    Some(Purpose::Upheld) => self.upheld.answered(call, result, cx!(self, now)),
                    Some(Purpose::Cancel | Purpose::Followers) | None => {}
                }
                self.calls.tidy();
            }
        }
    }

    /// A proxy was asked about or worked on.
    fn proxy_answered(
        &mut self,
        now: Moment,
        unit: &UnitName,
        call: CallId,
        result: Result<Answer, ManagerError>,
    ) {
        self.looked(unit, &result);
        self.claims.answered(unit, call, result, cx!(self, now));
    }

    /// Notes the restarts of hold units that follow from that of a proxy.
    fn restarting(&mut self, call: CallId, result: &Result<Answer, ManagerError>) {
        if let (Some(wave), Ok(Answer::Restarting(restarting))) = (self.calls.wave(call), result) {
            let open = restarting.holds.iter();
            for (hold, job) in open.filter(|(_, job)| !self.calls.is_early(*job)) {
                self.holds.restarts(hold, *job, &wave);
            }
        }
    }

    /// What a look has seen is how the unit is.
    fn looked(&mut self, unit: &UnitName, result: &Result<Answer, ManagerError>) {
        match result {
            Ok(Answer::Unit(Some(state))) => {
                self.units.put(state.clone());
            }
            Ok(Answer::Unit(None)) => self.units.gone(unit),
            Ok(
                Answer::Job(_)
                | Answer::Restarting(_)
                | Answer::Done
                | Answer::Description(_)
                | Answer::Waits(_)
                | Answer::Units(_),
            )
            | Err(_) => {}
        }
        self.upheld.unit_changed(unit, &self.units);
    }

    fn manager_reached(&mut self, now: Moment, snapshot: Snapshot) {
        let units = snapshot.units.len();
        self.batch
            .push(Output::Event(Event::ManagerReached { units }));
        for (job, purpose) in self.calls.connected(&snapshot.jobs) {
            match purpose {
                Purpose::Job(id) => self.jobs.job_lost(id, job, cx!(self, now)),
                Purpose::Hold(unit) => self.holds.job_lost(&unit, job),
                Purpose::Proxy(unit) => self.claims.job_lost(&unit, job),
                Purpose::Cancel
                | Purpose::Followers
                | Purpose::Again(_)
                | Purpose::Waits
                | Purpose::Needless
                | Purpose::Upheld => {}
            }
        }
        self.jobs.manager_reached(&snapshot.jobs, cx!(self, now));
        self.take_snapshot(now, snapshot.units);
        self.needless.manager_reached(&self.units, now);
        self.upheld
            .manager_reached(&self.units, &snapshot.jobs, now);
        self.link.start(cx!(self, now));
    }

    /// These are all units of ours that there are.
    fn take_snapshot(&mut self, now: Moment, units: Vec<UnitState>) {
        self.units.connected();
        for state in units {
            self.take_unit(state);
        }
        self.claims.manager_reached(cx!(self, now));
        self.holds.mark_all(&self.units);
    }

    fn manager_lost(&mut self, now: Moment) {
        self.units.connected = false;
        for (call, purpose) in self.calls.disconnected() {
            match purpose {
                Purpose::Job(id) => self.jobs.call_lost(id, call, cx!(self, now)),
                Purpose::Cancel
                | Purpose::Followers
                | Purpose::Hold(_)
                | Purpose::Proxy(_)
                | Purpose::Again(_)
                | Purpose::Waits
                | Purpose::Needless
                | Purpose::Upheld => {}
            }
        }
        self.waits.manager_lost();
        self.needless.manager_lost();
        self.upheld.manager_lost();
        self.claims.manager_lost();
        self.holds.manager_lost();
    }

    fn unit_changed(&mut self, now: Moment, state: UnitState) {
        if self.take_unit(state.clone()) {
            self.upheld.unit_changed(&state.name, &self.units);
            self.claims.unit_changed(&state, false, cx!(self, now));
            self.hold_changed(&state.name);
        }
    }

    /// Keeps the state of a unit that matters.
    fn take_unit(&mut self, state: UnitState) -> bool {
        let matters =
            proto::name::ProxyName::is_proxy(&state.name) || HoldName::parse(&state.name).is_some();
        if !matters {
            return false;
        }
        let fits = self.units.put(state);
        if !fits {
            self.batch.push(Output::Event(Event::Limit {
                what: "proxies and holds in view",
            }));
        }
        fits
    }

    fn hold_changed(&mut self, unit: &UnitName) {
        if let Some(hold) = HoldName::parse(unit) {
            self.holds.unit_changed(&hold);
        }
    }
}
