//! The shell of an agent: carries out what its core asks for, on a simulated machine.

use std::{collections::BTreeMap, time::Duration};

use node::{
    ActiveState, Answer, CallId, Description, FromHelper, FromLink, FromManager, Input, LinkId,
    Live, ManagerError, ManagerJob, Node, Output, Records, Request, Snapshot, UnitState, Waiter,
};
use proto::{
    message::{ToAgent, ToController},
    name::UnitName,
    time::Moment,
};

use super::{End, Event, World};
use crate::{
    check::Oracle,
    systemd::{CallError, Effect, Signal, State, Verb, View},
};

/// The process of an agent.
pub(crate) struct Agent {
    pub(crate) core: Node,
    pub(crate) run: u64,
    /// The connection that its core has asked for last, and it once it stands.
    pub(crate) link: Option<LinkId>,
    pub(crate) conn: Option<(LinkId, u64)>,
    /// Its connection to the service manager: its number, and when the last thing on it arrives.
    session: Option<u64>,
    stream: Moment,
    stamp: u64,
    pub(crate) frozen: Option<Moment>,
    /// It is killed after so many more outputs.
    pub(crate) dies_after: Option<usize>,
    pub(crate) waiters: BTreeMap<Waiter, u64>,
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
        CallError::Destructive => ("TransactionIsDestructive", "it is destructive".to_owned()),
        CallError::NoSuchJob => ("NoSuchJob", "there is no such job".to_owned()),
        CallError::NotApplicable => ("JobTypeNotApplicable", "it cannot do that".to_owned()),
    };
    ManagerError {
        name: format!("org.freedesktop.systemd1.{name}"),
        text,
    }
}

impl World {
    pub(super) fn agent_starts(&mut self, at: usize, boot: u64) {
        let heartbeat = self.plan.settings.heartbeat;
        let seed = self.rng.next();
        let run = self.new_run();
        let now = self.now;
        let Some(machine) = self.machine(at, boot) else {
            return;
        };
        if machine.agent.is_some() || !machine.agent_wanted {
            return;
        }
        let records = machine.records.as_deref().map(Records::parse);
        let settings = node::Settings {
            node: machine.name.clone(),
            version: "simulated".to_owned(),
            boot_id: format!("{at}-{}", machine.boot),
            incarnation: run,
            live: Live {
                controllers: vec!["tcp:host=controller,port=842".to_owned()],
                heartbeat_interval: heartbeat.interval,
                heartbeat_threshold: heartbeat.threshold,
            },
        };
        machine.agent = Some(Agent {
            core: Node::new(settings, records.unwrap_or_default(), now, seed),
            run,
            link: None,
            conn: None,
            session: None,
            stream: now,
            stamp: 0,
            frozen: None,
            dies_after: None,
            waiters: BTreeMap::new(),
        });
        let waiting: Vec<u64> = machine.helpers.keys().copied().collect();
        let name = machine.name.clone();
        self.log(|| format!("{name}: agent starts, run {run}"));
        let wait = self.rng.millis(1, 10);
        self.after(wait, Event::Session { at, run });
        for helper in waiting {
            let wait = self.rng.millis(0, 5);
            self.after(wait, Event::HelperAsks { at, boot, helper });
        }
        self.agent_works(at);
    }

    /// The process is gone; systemd starts it again after a while.
    pub(super) fn agent_dies(&mut self, at: usize, away: Duration) {
        let Some(machine) = self.machines.get_mut(at).filter(|m| m.up) else {
            return;
        };
        let Some(agent) = machine.agent.take() else {
            return;
        };
        let boot = machine.boot;
        let name = machine.name.clone();
        self.log(|| format!("{name}: agent dies, run {}", agent.run));
        if let Some((_, conn)) = agent.conn {
            self.close(conn, End::Agent);
        }
        for helper in agent.waiters.into_values() {
            let wait = self.rng.millis(20, 1000);
            self.after(wait, Event::HelperAsks { at, boot, helper });
        }
        self.after(away, Event::AgentStarts { at, boot });
    }

    pub(super) fn agent_run(&mut self, at: usize, run: u64) -> Option<&mut Agent> {
        let machine = self.machines.get_mut(at)?;
        machine.agent.as_mut().filter(|agent| agent.run == run)
    }

    pub(super) fn agent_input(&mut self, at: usize, input: Input) {
        let now = self.now;
        let Some(machine) = self.machines.get_mut(at) else {
            return;
        };
        let Some(agent) = &mut machine.agent else {
            return;
        };
        let beat = matches!(input, Input::Link(_, FromLink::Said(ToAgent::Heartbeat)));
        let line =
            (!beat && self.trace.is_some()).then(|| format!("{} <- {input:?}", machine.name));
        agent.core.handle(now, input);
        if let Some(line) = line {
            self.log(|| line);
        }
        self.agent_works(at);
    }

    pub(super) fn agent_deadline(&mut self, at: usize, run: u64, stamp: u64) {
        let now = self.now;
        if let Some(agent) = self.agent_run(at, run).filter(|agent| agent.stamp == stamp) {
            agent.core.handle_timeout(now);
            self.agent_works(at);
        }
    }

    /// Carries out what the core asks for, and looks up its deadline.
    fn agent_works(&mut self, at: usize) {
        loop {
            let Some(agent) = self.machines.get_mut(at).and_then(|m| m.agent.as_mut()) else {
                return;
            };
            match &mut agent.dies_after {
                Some(0) => {
                    let away = self.rng.millis(20, 3000);
                    return self.agent_dies(at, away);
                }
                Some(outputs) => *outputs -= 1,
                None => {}
            }
            let Some(output) = agent.core.poll_output() else {
                break;
            };
            self.carry_out(at, output);
        }
        let name = self.machines.get(at).map(|m| m.name.clone());
        let Some(agent) = self.machines.get_mut(at).and_then(|m| m.agent.as_mut()) else {
            return;
        };
        agent.stamp += 1;
        let (run, stamp, deadline) = (agent.run, agent.stamp, agent.core.deadline());
        let checked = agent.core.check();
        if let Some((when, _)) = deadline {
            self.at(when, Event::AgentDeadline { at, run, stamp });
        }
        if let (Err(what), Some(name)) = (checked, name) {
            self.violated(format!("agent of {name}: {what}"));
        }
    }

    fn carry_out(&mut self, at: usize, output: Output) {
        let Some(machine) = self.machines.get_mut(at) else {
            return;
        };
        let Some(agent) = &mut machine.agent else {
            return;
        };
        let run = agent.run;
        let line = format!("{} -> {output:?}", machine.name);
        match output {
            Output::Persist(text) => machine.records = Some(text),
            Output::Connect { link, .. } => {
                agent.link = Some(link);
                agent.conn = None;
                let wait = self.latency();
                let again = Duration::from_secs(1);
                self.after(
                    wait,
                    Event::Connect {
                        at,
                        run,
                        link,
                        again,
                    },
                );
            }
            Output::Send { link, message } => {
                if let Some((here, conn)) = agent.conn
                    && here == link
                {
                    if !matches!(message, ToController::Heartbeat) {
                        self.log(|| line);
                    }
                    self.send_to_controller(conn, message);
                    return;
                }
                self.violated(format!("{line}: there is no such connection"));
                return;
            }
            Output::Disconnect(link) => {
                agent.link = None;
                if let Some((_, conn)) = agent.conn.take_if(|(here, _)| *here == link) {
                    self.close(conn, End::Agent);
                }
            }
            Output::Call { call, request } => {
                let session = agent.session.unwrap_or_default();
                self.log(|| line);
                Oracle::call(self, at, &request);
                let wait = self.rng.millis(0, 1);
                let event = Event::Call {
                    at,
                    run,
                    session,
                    call,
                    request,
                };
                self.after(wait, event);
                return;
            }
            Output::Helper { waiter, answer } => self.helper_told(at, waiter, answer),
            Output::Event(
                event @ (node::Event::Breach { .. }
                | node::Event::Limit { .. }
                | node::Event::RecordDamaged { .. }),
            ) => self.violated(format!("{line}: {event:?} between correct peers")),
            Output::Event(_) => {}
        }
        self.log(|| line);
    }

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
        let (units, jobs) = machine.systemd.snapshot();
        let snapshot = Snapshot {
            units: units.into_iter().map(unit_state).collect(),
            jobs: jobs.into_iter().map(ManagerJob).collect(),
        };
        self.tell(at, FromManager::Connected(snapshot));
    }

    /// The service manager executes itself: connections end, everything else stays.
    pub(super) fn reexec(&mut self, at: usize) {
        let Some(agent) = self.machines.get_mut(at).and_then(|m| m.agent.as_mut()) else {
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
        let mut queued = None;
        let systemd = &mut machine.systemd;
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
                queued = job.as_ref().ok().copied();
                job.map(|job| Answer::Job(ManagerJob(job)))
            }
            Request::Cancel(job) => systemd.cancel(now, job.0).map(|()| Answer::Done),
            Request::Look(unit) => Ok(Answer::Unit(systemd.view(&unit).map(unit_state))),
            Request::Describe(unit) => Ok(Answer::Description(describe(systemd, &unit))),
        };
        let answer = FromManager::Answered(call, answer.map_err(manager_error));
        // The answer follows the news of the job; the job may have ended by then.
        let announced = |effect: &Effect| match effect {
            Effect::Tell(Signal::JobNew(job, _)) => Some(*job) == queued,
            Effect::Tell(_)
            | Effect::After(..)
            | Effect::HelperStarts { .. }
            | Effect::HelperKilled { .. } => false,
        };
        let place = machine.systemd.effects.iter().position(announced);
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

    pub(super) fn systemd_wakes(&mut self, at: usize, boot: u64, wake: crate::systemd::Wake) {
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
                    self.log(|| format!("{name} systemd: {signal:?}"));
                    self.tell(at, from_signal(signal));
                }
                Effect::HelperStarts { proxy, token } => self.helper_starts(at, proxy, token),
                Effect::HelperKilled { proxy } => self.helper_killed(at, &proxy),
            }
        }
    }

    /// A helper says something to the agent.
    pub(super) fn helper_says(&mut self, at: usize, waiter: Waiter, said: FromHelper) {
        self.agent_input(at, Input::Helper(waiter, said));
    }

    /// The agent hears of a connection, if that is still the one it wants.
    pub(super) fn link_says(&mut self, at: usize, run: u64, link: LinkId, said: FromLink) {
        let ended = matches!(said, FromLink::Closed(_) | FromLink::Failed(_));
        let Some(agent) = self.agent_run(at, run).filter(|a| a.link == Some(link)) else {
            return;
        };
        if ended {
            agent.link = None;
            agent.conn = None;
        }
        self.agent_input(at, Input::Link(link, said));
    }
}

fn from_signal(signal: Signal) -> FromManager {
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

fn describe(systemd: &crate::systemd::Systemd, unit: &UnitName) -> Description {
    let state = match systemd.state(unit) {
        State::Inactive => "inactive",
        State::Activating => "activating",
        State::Active => "active",
        State::Deactivating => "deactivating",
        State::Failed => "failed",
    };
    let result = systemd.units.get(unit).map_or("success", |u| u.result);
    Description {
        load: if systemd.exists(unit) {
            "loaded"
        } else {
            "not-found"
        }
        .to_owned(),
        load_error: String::new(),
        active: state.to_owned(),
        result: result.to_owned(),
        exec_code: i32::from(result == "exit-code"),
        exec_status: i32::from(result == "exit-code"),
        condition_failed: false,
    }
}
