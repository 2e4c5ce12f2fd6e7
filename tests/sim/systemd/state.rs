//! States of units: what starting and stopping does, and what a change of state sets off.

use std::time::Duration;

use proto::{
    model::{JobMode, JobResult, Token},
    name::UnitName,
    time::Moment,
};

use super::{
    Behaviour, Effect, JobType, START_TIMEOUT, Service, Start, State, Systemd, Turn, Verb, Wake,
};

/// `DefaultStartLimitBurst`-like limit of units that are started or stopped on their own
/// (`auto_start_stop_ratelimit` of systemd).
const UPHELD_BURST: usize = 16;
const UPHELD_INTERVAL: Duration = Duration::from_secs(10);

/// Stopping a hold runs `/bin/true`, killing a helper takes as long.
const SHORT: Duration = Duration::from_millis(2);

impl Systemd {
    /// Works until there is nothing left to do at this moment.
    pub(super) fn settle(&mut self, now: Moment) {
        loop {
            if let Some(unit) = self.check_upheld.pop_first() {
                if self.is_upheld(&unit) && self.may_uphold(now, &unit) {
                    // What is refused (a masked unit) is not tried again before something changes.
                    if self.submit(Verb::Start, &unit, JobMode::Fail).is_err() {
                        self.unstarted.insert(unit);
                    }
                }
            } else if let Some(unit) = self.check_bound.pop_first() {
                if self.is_bound_by_inactive(&unit) {
                    let _ = self.submit(Verb::Stop, &unit, JobMode::Replace);
                }
            } else if let Some(unit) = self.check_unneeded.pop_first() {
                self.unstopped.remove(&unit);
                self.refused.remove(&unit);
                // What is refused, because something that would stop with it is just being started, is
                // not tried again either.
                if self.is_unneeded(&unit) && self.submit(Verb::Stop, &unit, JobMode::Fail).is_err()
                {
                    self.refused.insert(unit);
                }
            } else if self.run_queue.is_empty() {
                self.collect();
                return;
            } else {
                self.run_jobs();
            }
        }
    }

    pub(crate) fn is_unneeded(&self, unit: &UnitName) -> bool {
        let Some(u) = self.units.get(unit) else {
            return false;
        };
        u.spec.stop_when_unneeded
            && u.state == State::Active
            && u.job.is_none()
            && self
                .needing(unit)
                .iter()
                .all(|other| !self.has_job(other) && self.state(other).is_down())
    }

    /// Whether a unit is to be started because another one upholds it. One that has a job at this
    /// moment does not count, and nobody looks again when that job ends: such a unit is overlooked.
    fn is_upheld(&mut self, unit: &UnitName) -> bool {
        self.unstarted.remove(unit);
        let down = |u: &super::Unit| u.state.is_down() && u.job.is_none();
        if !self.units.get(unit).is_some_and(down) {
            return false;
        }
        let by = self
            .units
            .values()
            .filter(|other| other.spec.upholds.contains(unit) && other.state == State::Active);
        let (busy, idle): (Vec<bool>, Vec<bool>) =
            by.map(|other| other.job.is_some()).partition(|busy| *busy);
        if idle.is_empty() && !busy.is_empty() {
            self.unstarted.insert(unit.clone());
        }
        !idle.is_empty()
    }

    fn is_bound_by_inactive(&self, unit: &UnitName) -> bool {
        let Some(u) = self.units.get(unit) else {
            return false;
        };
        u.state == State::Active
            && u.job.is_none()
            && u.spec
                .binds_to
                .iter()
                .any(|other| !self.has_job(other) && self.state(other).is_down())
    }

    fn may_uphold(&mut self, now: Moment, unit: &UnitName) -> bool {
        let Some(u) = self.units.get_mut(unit) else {
            return false;
        };
        while u
            .upheld
            .front()
            .is_some_and(|at| now.since(*at) >= UPHELD_INTERVAL)
        {
            u.upheld.pop_front();
        }
        if u.upheld.len() < UPHELD_BURST {
            u.upheld.push_back(now);
            return true;
        }
        let first = u.upheld.front().copied().unwrap_or(now);
        let wait = UPHELD_INTERVAL.saturating_sub(now.since(first));
        self.effects
            .push_back(Effect::After(wait, Wake::Upheld(unit.clone())));
        false
    }

    /// Runs a start job.
    pub(super) fn start(&mut self, unit: &UnitName) {
        let Some(u) = self.units.get(unit) else {
            return;
        };
        match u.state {
            State::Active => return self.finish(unit, JobResult::Done, true),
            // It is on its way already, or waits for `RestartSec=`, and this job with it.
            State::Activating if u.auto_restart => return self.wait_again(unit),
            State::Activating => return,
            State::Deactivating => return self.wait_again(unit),
            State::Inactive | State::Failed => {}
        }
        let mut bound = u.spec.binds_to.iter().chain(&u.spec.requisite);
        if bound.any(|other| self.state(other) != State::Active) {
            return self.finish(unit, JobResult::Dependency, true);
        }
        if self.lacking.remove(unit) {
            self.unreached.insert(unit.clone());
        } else {
            self.unreached.remove(unit);
        }
        let token = Token(self.invocations.id());
        let behaviour = u.spec.behaviour.clone();
        if let Some(u) = self.units.get_mut(unit) {
            u.invocation = Some(token);
            u.result = "success";
        }
        self.set(unit, State::Activating);
        match behaviour {
            Behaviour::Hold => self.set(unit, State::Active),
            Behaviour::Proxy => self.effects.push_back(Effect::HelperStarts {
                proxy: unit.clone(),
                token,
            }),
            Behaviour::Service(Service {
                start, start_takes, ..
            }) => match start {
                Start::Works | Start::Fails => self.later(unit, start_takes),
                Start::Hangs => self.later(unit, START_TIMEOUT),
            },
        }
    }

    /// Runs a stop job, or the first half of a restart.
    pub(super) fn stop(&mut self, unit: &UnitName) {
        let Some(u) = self.units.get(unit) else {
            return;
        };
        let (state, behaviour) = (u.state, u.spec.behaviour.clone());
        match (state, behaviour) {
            (State::Inactive | State::Failed, _) => self.finish(unit, JobResult::Done, true),
            (State::Deactivating, _) => {}
            (State::Activating, _) if u.auto_restart => self.set(unit, State::Inactive),
            (State::Activating, Behaviour::Proxy) => {
                self.effects.push_back(Effect::HelperKilled {
                    proxy: unit.clone(),
                });
                self.set(unit, State::Deactivating);
                self.later(unit, SHORT);
            }
            (_, Behaviour::Proxy) => self.set(unit, State::Inactive),
            (_, Behaviour::Hold) => {
                self.set(unit, State::Deactivating);
                self.later(unit, SHORT);
            }
            (_, Behaviour::Service(service)) => {
                self.set(unit, State::Deactivating);
                self.later(unit, service.stop_takes);
            }
        }
    }

    /// The programs of a unit have got to where they were going.
    pub(super) fn progress(&mut self, unit: &UnitName) {
        let Some(u) = self.units.get_mut(unit) else {
            return;
        };
        let (state, behaviour) = (u.state, u.spec.behaviour.clone());
        match (state, behaviour) {
            (State::Deactivating, Behaviour::Proxy) => {
                u.result = "signal";
                self.set(unit, State::Failed);
            }
            (State::Deactivating, Behaviour::Hold | Behaviour::Service(_)) => {
                self.set(unit, State::Inactive);
            }
            // `RestartSec=` is over.
            (State::Activating, Behaviour::Service(_)) if u.auto_restart => {
                if self.submit(Verb::Restart, unit, JobMode::Replace).is_err() {
                    self.set(unit, State::Failed);
                }
            }
            (State::Activating, Behaviour::Service(service)) => match service.start {
                Start::Works if service.once => {
                    *self.ran.entry(unit.clone()).or_default() += 1;
                    self.set(unit, State::Inactive);
                }
                Start::Works => {
                    self.set(unit, State::Active);
                    if let Some((runs, _)) = service.runs {
                        self.later(unit, runs);
                    }
                }
                Start::Fails => self.fail(unit, "exit-code"),
                Start::Hangs => self.fail(unit, "timeout"),
            },
            (State::Active, Behaviour::Service(service)) => match service.runs {
                Some((_, false)) => self.fail(unit, "exit-code"),
                Some((_, true)) | None => self.end(unit, State::Inactive),
            },
            (State::Inactive | State::Failed, _)
            | (State::Activating | State::Active, Behaviour::Hold | Behaviour::Proxy) => {}
        }
    }

    /// The helper of a proxy has ended.
    pub(crate) fn helper_ended(&mut self, now: Moment, unit: &UnitName, token: Token, up: bool) {
        let here = self.units.get(unit);
        if here.is_none_or(|u| u.state != State::Activating || u.invocation != Some(token)) {
            return;
        }
        if up {
            self.set(unit, State::Active);
        } else {
            self.fail(unit, "exit-code");
        }
        self.settle(now);
    }

    /// The main process of a service dies.
    pub(crate) fn kill(&mut self, now: Moment, unit: &UnitName) {
        let is_service = |u: &super::Unit| matches!(u.spec.behaviour, Behaviour::Service(_));
        if self.state(unit) == State::Active && self.units.get(unit).is_some_and(is_service) {
            self.fail(unit, "signal");
            self.settle(now);
        }
    }

    fn fail(&mut self, unit: &UnitName, result: &'static str) {
        if let Some(u) = self.units.get_mut(unit) {
            u.result = result;
        }
        self.end(unit, State::Failed);
    }

    /// The programs of a unit have ended by themselves; `Restart=` may start them again.
    fn end(&mut self, unit: &UnitName, to: State) {
        let Some(u) = self.units.get(unit) else {
            return;
        };
        let stops = u.job.as_ref().is_some_and(|job| job.kind != JobType::Start);
        let restart = match &u.spec.behaviour {
            Behaviour::Service(service) if !stops => service.restart,
            Behaviour::Service(_) | Behaviour::Proxy | Behaviour::Hold => None,
        };
        self.set(unit, to);
        if let Some(wait) = restart {
            self.set(unit, State::Activating);
            if let Some(u) = self.units.get_mut(unit) {
                u.auto_restart = true;
            }
            self.later(unit, wait);
        }
    }

    fn later(&mut self, unit: &UnitName, wait: Duration) {
        self.turns.0 += 1;
        let turn = self.turns;
        if let Some(u) = self.units.get_mut(unit) {
            u.turn = turn;
        }
        let wake = Wake::Unit {
            unit: unit.clone(),
            turn,
        };
        self.effects.push_back(Effect::After(wait, wake));
    }

    /// A unit changes its state, with all that follows from it (`unit_notify()`).
    fn set(&mut self, unit: &UnitName, to: State) {
        let Some(u) = self.units.get_mut(unit) else {
            return;
        };
        let from = std::mem::replace(&mut u.state, to);
        u.turn = Turn::default();
        u.auto_restart = false;
        let job = u.job.clone();
        if to == State::Active {
            self.ended.remove(unit);
        }
        self.touch(unit);
        let mut unexpected = job.is_none();
        if let Some(job) = job {
            self.enqueue(unit);
            match job.kind {
                JobType::Start if to == State::Active => self.finish(unit, JobResult::Done, true),
                JobType::Start if job.running && to != State::Activating => {
                    unexpected = true;
                    match to {
                        State::Failed => self.finish(unit, JobResult::Failed, true),
                        State::Inactive => self.finish(unit, JobResult::Done, true),
                        State::Activating | State::Active | State::Deactivating => {}
                    }
                }
                JobType::Stop | JobType::Restart if to.is_down() => {
                    self.finish(unit, JobResult::Done, true);
                }
                JobType::Stop | JobType::Restart if job.running && to != State::Deactivating => {
                    unexpected = true;
                    self.finish(unit, JobResult::Failed, true);
                }
                JobType::Start | JobType::Stop | JobType::Restart => {}
            }
        }
        let was_up = matches!(from, State::Active | State::Activating);
        if unexpected && was_up && (to.is_down() || to == State::Deactivating) {
            for other in self.find(|spec| spec.binds_to.contains(unit)) {
                if !(self.state(&other).is_down() || self.state(&other) == State::Deactivating) {
                    let _ = self.submit(Verb::Stop, &other, JobMode::Replace);
                }
            }
        }
        if to.is_down() {
            let spec = self.units.get(unit).map(|u| u.spec.clone());
            let needed = spec.iter().flat_map(|spec| spec.needed());
            self.check_unneeded.extend(needed.cloned());
            for other in self.find(|spec| spec.binds_to.contains(unit)) {
                self.check_bound.insert(other);
            }
            self.check_upheld.insert(unit.clone());
        }
        if to == State::Active {
            let upholds = self.units.get(unit).map(|u| u.spec.upholds.clone());
            self.check_upheld.extend(upholds.into_iter().flatten());
            self.check_unneeded.insert(unit.clone());
            self.check_bound.insert(unit.clone());
        }
    }
}
