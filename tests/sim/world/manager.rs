//! Between an agent and its service manager: calls and answers, signals, connections.

use node::{
    ActiveState, Answer, CallId, Description, FromManager, Input, ManagerError, ManagerJob,
    Request, Restarting, Snapshot, UnitState, Waited,
};
use proto::{
    model::{JobMode, JobResult},
    name::{HoldName, ProxyName, UnitName},
    time::Moment,
};

use super::{Event, World};
use crate::{
    check::Oracle,
    systemd::{CallError, Effect, Restarted, Signal, State, Systemd, Verb, View, Wake},
};

impl World {
    /// The agent has a connection to its service manager.
    pub(super) fn session(&mut self, at: usize, run: u64) {
        let session = self.new_run();
        let now = self.now;
        let Some(machine) = self.machines.get_mut(at) else {
            return;
        };
        let Some(agent) = machine.agent.as_mut().filter(|agent| agent.run == run) else {
            return;
        };
        agent.session = Some(session);
        agent.stream = now;
        self.tell_all(at, FromManager::Connected);
    }

    /// `systemctl mask`, or `unmask`, which has the service manager read its units again.
    pub(super) fn masks(&mut self, at: usize, unit: &UnitName, masked: bool) {
        if let Some(machine) = self.awake(at) {
            machine.systemd.mask(unit, masked);
            self.reloads(at);
        }
    }

    /// `systemctl daemon-reload`: how everything is now is told in one.
    pub(super) fn reloads(&mut self, at: usize) {
        self.reads_again(at);
        if self.machines.get(at).is_some_and(|m| m.up) {
            self.tell_all(at, FromManager::Reloaded);
        }
    }

    /// A service manager reads its units again.
    pub(super) fn reads_again(&mut self, at: usize) {
        let now = self.now;
        if let Some(machine) = self.machines.get_mut(at).filter(|m| m.up) {
            machine.systemd.read_again(now);
            self.drain(at);
        }
    }

    /// How everything is now, and then which holds are bound to nothing.
    fn tell_all(&mut self, at: usize, told: fn(Snapshot) -> FromManager) {
        let Some(machine) = self.machines.get(at) else {
            return;
        };
        let snapshot = snapshot(&machine.systemd);
        let unbound = machine.systemd.all_unbound();
        self.tell(at, told(snapshot));
        for unit in unbound {
            self.tell(at, FromManager::Unbound(unit));
        }
    }

    /// The service manager executes itself: connections end, everything else stays.
    pub(super) fn reexec(&mut self, at: usize) {
        let Some(agent) = self.awake(at).and_then(|m| m.agent.as_mut()) else {
            return;
        };
        if agent.session.is_none() {
            return;
        }
        let run = agent.run;
        // What was told before still arrives before the end.
        let when = agent.stream;
        let session = agent.session.take().unwrap_or_default();
        let input = FromManager::Disconnected;
        let event = Event::Manager {
            at,
            run,
            session,
            input,
        };
        self.at(when, event);
        let wait = self.rng.millis(5, 500);
        let again = when.max(self.now).plus(wait);
        self.at(again, Event::Session { at, run });
    }

    /// Something arrives at the agent after everything that was told before.
    fn tell(&mut self, at: usize, input: FromManager) {
        let wait = self.rng.millis(0, 1);
        let now = self.now;
        let Some(agent) = self.machines.get_mut(at).and_then(|m| m.agent.as_mut()) else {
            return;
        };
        let Some(session) = agent.session else {
            return;
        };
        agent.stream = agent.stream.max(now.plus(wait));
        let (when, run) = (agent.stream, agent.run);
        self.at(
            when,
            Event::Manager {
                at,
                run,
                session,
                input,
            },
        );
    }

    pub(super) fn manager_says(&mut self, at: usize, run: u64, session: u64, input: FromManager) {
        let ended = input == FromManager::Disconnected;
        if self
            .agent_run(at, run)
            .is_some_and(|agent| ended || agent.session == Some(session))
        {
            self.agent_input(at, Input::Manager(input));
        }
    }

    /// A call of the agent arrives at the service manager.
    pub(super) fn call(
        &mut self,
        at: usize,
        run: u64,
        session: u64,
        call: CallId,
        request: Request,
    ) {
        let now = self.now;
        let here = self
            .agent_run(at, run)
            .is_some_and(|a| a.session == Some(session));
        let Some(machine) = self.machines.get_mut(at).filter(|m| m.up && here) else {
            return;
        };
        let systemd = &mut machine.systemd;
        if let Request::Queue { verb, unit, .. } = &request
            && *verb == node::Verb::Stop
            && HoldName::parse(unit).is_some()
        {
            let run = systemd.view(unit).and_then(|view| view.invocation);
            self.oracle.released(run);
        }
        let answer = carry_out(systemd, now, request);
        let queued = match &answer {
            Ok(Answer::Job(job) | Answer::Restarting(Restarting { job, .. })) => Some(job.0),
            Ok(
                Answer::Done
                | Answer::Unit(_)
                | Answer::Description(_)
                | Answer::Waits(_)
                | Answer::Units(_),
            )
            | Err(_) => None,
        };
        let answer = FromManager::Answered(call, answer);
        // The answer follows the news of the job, which may have ended by then, and the ends of those
        // whose place it has taken.
        let announced = |effect: &Effect| match effect {
            Effect::Tell(Signal::JobNew(job, _)) => Some(*job) == queued,
            Effect::Tell(Signal::JobRemoved(_, _, JobResult::Canceled)) => queued.is_some(),
            Effect::Tell(_)
            | Effect::After(..)
            | Effect::HelperStarts { .. }
            | Effect::HelperKilled { .. } => false,
        };
        let place = machine.systemd.effects.iter().rposition(announced);
        let early = self.rng.percent(50);
        match place {
            Some(place) if early => {
                self.drain_some(at, place + 1);
                self.tell(at, answer);
                self.drain(at);
            }
            Some(_) | None => {
                self.drain(at);
                self.tell(at, answer);
            }
        }
    }

    pub(super) fn systemd_wakes(&mut self, at: usize, boot: u64, wake: Wake) {
        let now = self.now;
        if let Some(machine) = self.machine(at, boot) {
            machine.systemd.wake(now, wake);
            self.drain(at);
        }
    }

    /// Does what the service manager asks for.
    pub(super) fn drain(&mut self, at: usize) {
        self.drain_some(at, usize::MAX);
        Oracle::units(self, at);
    }

    fn drain_some(&mut self, at: usize, most: usize) {
        for _ in 0..most {
            let Some(machine) = self.machines.get_mut(at) else {
                return;
            };
            let boot = machine.boot;
            let Some(effect) = machine.systemd.effects.pop_front() else {
                return;
            };
            let name = machine.name.clone();
            match effect {
                Effect::After(wait, wake) => self.after(wait, Event::Systemd { at, boot, wake }),
                Effect::Tell(signal) => {
                    self.changed = self.now;
                    let ends = ends_unbound(&machine.systemd, &signal);
                    self.log(|| format!("{name} systemd: {signal:?}"));
                    self.tell(at, from_signal(signal));
                    if let Some(unit) = ends {
                        self.tell(at, FromManager::Unbound(unit));
                    }
                }
                Effect::HelperStarts { proxy, token } => self.helper_starts(at, proxy, token),
                Effect::HelperKilled { proxy } => self.helper_killed(at, &proxy),
            }
        }
    }
}

/// Has a service manager do what its agent asks for.
pub(crate) fn carry_out(
    systemd: &mut Systemd,
    now: Moment,
    request: Request,
) -> Result<Answer, ManagerError> {
    let answer = match request {
        Request::Queue { verb, unit, mode } => {
            let verb = match verb {
                node::Verb::Start => Ok(Verb::Start),
                node::Verb::Stop => Ok(Verb::Stop),
                node::Verb::Restart => Ok(Verb::Restart),
                node::Verb::TryRestart => Ok(Verb::TryRestart),
                node::Verb::Reload => Err(CallError::NotApplicable),
            };
            let job = verb.and_then(|verb| systemd.queue(now, verb, &unit, mode));
            job.map(|job| Answer::Job(ManagerJob(job)))
        }
        Request::Restart {
            unit,
            starts,
            spared,
        } => {
            let restarted = systemd.restart(now, &unit, starts, &spared);
            restarted.map(|Restarted { job, alone, holds }| {
                let holds = holds.into_iter().map(|(unit, job)| (unit, ManagerJob(job)));
                Answer::Restarting(Restarting {
                    job: ManagerJob(job),
                    alone,
                    holds: holds.collect(),
                })
            })
        }
        // No unit of the simulation has StopPropagatedFrom=.
        Request::StopAlone(unit) => {
            let job = systemd.queue(now, Verb::Stop, &unit, JobMode::IgnoreRequirements);
            job.map(|job| Answer::Job(ManagerJob(job)))
        }
        Request::ReloadFollowers(_) => Ok(Answer::Done),
        Request::Cancel(job) => systemd.cancel(now, job.0).map(|()| Answer::Done),
        Request::Look(unit) => Ok(Answer::Unit(systemd.view(&unit).map(unit_state))),
        Request::Describe(unit) => Ok(Answer::Description(describe(systemd, &unit))),
        Request::WaitsOf(jobs) => Ok(Answer::Waits(waits(systemd, &jobs))),
        Request::LookAgain(units) => {
            let job = systemd.look_again(now, units);
            Ok(Answer::Job(ManagerJob(job)))
        }
        Request::UpheldBy(unit) => Ok(Answer::Units(systemd.upheld_by(&unit))),
        Request::LookUpheld(unit) => {
            let job = systemd.look_upheld(now, &unit);
            job.map(|job| Answer::Job(ManagerJob(job)))
        }
    };
    answer.map_err(manager_error)
}

pub(crate) fn snapshot(systemd: &Systemd) -> Snapshot {
    let (units, jobs) = systemd.snapshot();
    Snapshot {
        units: units.into_iter().map(unit_state).collect(),
        jobs: jobs.into_iter().map(ManagerJob).collect(),
    }
}

fn unit_state(view: View) -> UnitState {
    UnitState {
        name: view.name,
        active: match view.state {
            State::Inactive => ActiveState::Inactive,
            State::Activating => ActiveState::Activating,
            State::Active => ActiveState::Active,
            State::Deactivating => ActiveState::Deactivating,
            State::Failed => ActiveState::Failed,
        },
        job: view.job.map(ManagerJob),
        invocation: view.invocation,
    }
}

fn manager_error(error: CallError) -> ManagerError {
    let (name, text) = match error {
        CallError::NoSuchUnit(unit) => ("NoSuchUnit", format!("Unit {unit} not found.")),
        CallError::Masked(unit) => ("UnitMasked", format!("Unit {unit} is masked.")),
        CallError::Destructive => ("TransactionIsDestructive", "it is destructive".to_owned()),
        CallError::NoSuchJob => ("NoSuchJob", "there is no such job".to_owned()),
        CallError::NotApplicable => ("JobTypeNotApplicable", "it cannot do that".to_owned()),
    };
    ManagerError {
        name: format!("org.freedesktop.systemd1.{name}"),
        text,
    }
}

/// The unit that is told to be down while its hold unit is bound to nothing.
fn ends_unbound(systemd: &Systemd, signal: &Signal) -> Option<UnitName> {
    match signal {
        Signal::Changed(view) if view.state.is_down() => {
            systemd.unbound(HoldName::of(&view.name).ok()?.name())
        }
        Signal::Changed(_)
        | Signal::Gone(_)
        | Signal::JobNew(..)
        | Signal::JobRunning(_)
        | Signal::JobRemoved(..) => None,
    }
}

pub(crate) fn from_signal(signal: Signal) -> FromManager {
    match signal {
        Signal::Changed(view) => FromManager::Changed(unit_state(view)),
        Signal::Gone(unit) => FromManager::Gone(unit),
        Signal::JobNew(job, unit) => FromManager::JobNew {
            job: ManagerJob(job),
            unit,
        },
        Signal::JobRunning(job) => FromManager::JobRunning(ManagerJob(job)),
        Signal::JobRemoved(job, unit, result) => FromManager::JobRemoved {
            job: ManagerJob(job),
            unit,
            result,
        },
    }
}

fn waits(systemd: &Systemd, jobs: &[ManagerJob]) -> Vec<Waited> {
    let proxies = jobs.iter().flat_map(|job| {
        let waits = systemd.waits(job.0).into_iter();
        waits.map(|(proxy, via)| Waited {
            job: *job,
            proxy,
            via,
        })
    });
    proxies.collect()
}

fn describe(systemd: &Systemd, unit: &UnitName) -> Description {
    let state = match systemd.state(unit) {
        State::Inactive => "inactive",
        State::Activating => "activating",
        State::Active => "active",
        State::Deactivating => "deactivating",
        State::Failed => "failed",
    };
    let result = systemd.units.get(unit).map_or("success", |u| u.result);
    let requires = systemd.units.get(unit).map(|u| &u.spec);
    let requires = requires.map(|spec| spec.requires.iter().chain(&spec.binds_to));
    let proxies = requires
        .into_iter()
        .flatten()
        .filter(|name| ProxyName::is_proxy(name));
    Description {
        reload: String::new(),
        status: String::new(),
        proxies: proxies.cloned().collect(),
        load: match systemd.exists(unit) {
            _ if systemd.is_masked(unit) => "masked",
            true => "loaded",
            false => "not-found",
        }
        .to_owned(),
        load_error: String::new(),
        active: state.to_owned(),
        result: result.to_owned(),
        restarts: systemd.restarts(unit),
        job: systemd.has_job(unit),
        exec_code: i32::from(result == "exit-code"),
        exec_status: i32::from(result == "exit-code"),
        condition_failed: false,
        once: systemd.only_runs(unit),
    }
}
