//! A whole fleet in one thread: the real cores of controller and agents, simulated service managers,
//! helpers and links, one clock and one queue of events. The same seed gives the same run.

mod action;
mod agent;
mod client;
mod controller;
mod helper;
mod jobs;
mod manager;
mod net;

use std::{collections::BTreeMap, time::Duration};

use fleet::{PeerId, Settings};
use node::{CallId, FromHelper, FromManager, LinkId, Request, Waiter};
use proto::{
    model::{JobId, NodeStatus, Token},
    name::{NodeName, UnitName},
    time::Moment,
};
use tests::rng::Rng;

use crate::{
    check::{Oracle, Rule},
    systemd::{Spec, State, Systemd, Wake},
};

pub(crate) use action::Action;
pub(crate) use agent::Agent;
pub(crate) use controller::Controller;
pub(crate) use helper::Helper;
pub(crate) use manager::{carry_out, from_signal, snapshot};
pub(crate) use net::{Conn, End, Net};

/// What a world is made of.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) settings: Settings,
    pub(crate) machines: Vec<MachinePlan>,
    /// Whether the controller's socket is there while it is not (unitlink-controller.socket).
    pub(crate) controller_socket: bool,
    /// Milliseconds that a message takes.
    pub(crate) latency: (u64, u64),
    /// Milliseconds that a service manager gathers changes.
    pub(crate) flush: (u64, u64),
}

#[derive(Clone, Debug)]
pub(crate) struct MachinePlan {
    pub(crate) name: NodeName,
    pub(crate) files: BTreeMap<UnitName, Spec>,
    pub(crate) pinned: bool,
    /// Another machine that thinks it has this name; it comes only when it is told to.
    pub(crate) twin: bool,
}

/// One machine.
pub(crate) struct Machine {
    pub(crate) name: NodeName,
    pub(crate) up: bool,
    /// Counts its boots.
    pub(crate) boot: u64,
    pub(crate) systemd: Systemd,
    /// The file of records in `/run`.
    pub(crate) records: Option<String>,
    /// The notes of jobs in `/run`.
    pub(crate) notes: BTreeMap<JobId, String>,
    /// Of requests that were made since this all are among them.
    pub(crate) notes_since: Moment,
    /// The agent's process.
    pub(crate) agent: Option<Agent>,
    /// Whether systemd starts the agent again by itself.
    pub(crate) agent_wanted: bool,
    pub(crate) helpers: BTreeMap<u64, Helper>,
    pub(crate) net: Net,
    /// Its connection breaks after so many more messages.
    pub(crate) cut_after: Option<usize>,
    /// How long each of its messages is on the way.
    pub(crate) slow: Duration,
    /// Until when it sleeps.
    pub(crate) asleep: Moment,
    /// For how long it has slept: its clocks are behind by so much.
    pub(crate) lag: Duration,
}

#[derive(Debug, Hash)]
pub(crate) enum Event {
    Systemd {
        at: usize,
        boot: u64,
        wake: Wake,
    },
    /// The agent has reached its service manager.
    Session {
        at: usize,
        run: u64,
    },
    Manager {
        at: usize,
        run: u64,
        session: u64,
        input: FromManager,
    },
    Call {
        at: usize,
        run: u64,
        session: u64,
        call: CallId,
        request: Request,
    },
    AgentStarts {
        at: usize,
        boot: u64,
    },
    AgentDeadline {
        at: usize,
        run: u64,
        stamp: u64,
    },
    HelperAsks {
        at: usize,
        boot: u64,
        helper: u64,
    },
    HelperGone {
        at: usize,
        run: u64,
        waiter: Waiter,
    },
    HelperGivesUp {
        at: usize,
        boot: u64,
        helper: u64,
        stamp: u64,
    },
    HelperEnds {
        at: usize,
        boot: u64,
        proxy: UnitName,
        token: Token,
        up: bool,
    },
    ControllerStarts,
    /// The controller is told to read its configuration again.
    Configured,
    ControllerDeadline {
        run: u64,
        stamp: u64,
    },
    Connect {
        at: usize,
        run: u64,
        link: LinkId,
        /// How long until the next packet, if this one is lost.
        again: Duration,
    },
    Deliver {
        conn: u64,
        to: End,
    },
    /// One side notices that a connection is broken.
    Broken {
        conn: u64,
        to: End,
    },
    /// Whoever has not said hello in time is dropped.
    HelloDue {
        peer: PeerId,
        run: u64,
    },
    Boots {
        at: usize,
        boot: u64,
    },
    Do(Action),
}

pub(crate) struct World {
    pub(crate) now: Moment,
    queue: BTreeMap<(Moment, u64), Event>,
    seq: u64,
    pub(crate) rng: Rng,
    pub(crate) plan: Plan,
    /// The configuration of the controller as it is now.
    pub(crate) settings: Settings,
    pub(crate) machines: Vec<Machine>,
    pub(crate) controller: Controller,
    conns: BTreeMap<u64, Conn>,
    /// The jobs that any run of the controller has announced.
    pub(crate) jobs: jobs::AllJobs,
    /// Whoever has asked for jobs.
    pub(crate) clients: client::Clients,
    /// What the controller has said of nodes.
    pub(crate) reports: Vec<(NodeName, NodeStatus)>,
    runs: u64,
    pub(crate) oracle: Oracle,
    /// What has happened, if somebody wants to read it.
    pub(crate) trace: Option<Vec<String>>,
    /// What must never have been, with its moment.
    pub(crate) violation: Option<String>,
    pub(crate) events: u64,
    /// When a service manager last had something to tell.
    pub(crate) changed: Moment,
}

impl World {
    pub(crate) fn new(plan: Plan, traced: bool) -> Self {
        let mut rng = Rng::new(plan.seed ^ 0x77_6f72_6c64);
        let machines = plan.machines.iter().map(|machine| {
            let mut systemd = Systemd::new(machine.files.clone(), machine.pinned, rng.fork());
            systemd.flush = plan.flush;
            Machine {
                name: machine.name.clone(),
                up: false,
                boot: 0,
                systemd,
                records: None,
                notes: BTreeMap::new(),
                notes_since: Moment::default(),
                agent: None,
                agent_wanted: true,
                helpers: BTreeMap::new(),
                net: Net::Open,
                cut_after: None,
                slow: Duration::ZERO,
                asleep: Moment::default(),
                lag: Duration::ZERO,
            }
        });
        let machines: Vec<Machine> = machines.collect();
        let mut world = Self {
            now: Moment::default(),
            queue: BTreeMap::new(),
            seq: 0,
            oracle: Oracle::new(machines.len()),
            machines,
            controller: Controller::default(),
            conns: BTreeMap::new(),
            jobs: BTreeMap::new(),
            clients: BTreeMap::new(),
            reports: Vec::new(),
            runs: 0,
            rng,
            settings: plan.settings.clone(),
            plan,
            trace: traced.then(Vec::new),
            violation: None,
            events: 0,
            changed: Moment::default(),
        };
        world.after(Duration::from_millis(10), Event::ControllerStarts);
        for (at, machine) in world.plan.machines.clone().iter().enumerate() {
            if !machine.twin {
                world.after(Duration::from_millis(5), Event::Boots { at, boot: 0 });
            }
        }
        world
    }

    pub(crate) fn at(&mut self, when: Moment, event: Event) {
        self.seq += 1;
        self.queue.insert((when.max(self.now), self.seq), event);
    }

    pub(crate) fn after(&mut self, wait: Duration, event: Event) {
        self.at(self.now.plus(wait), event);
    }

    pub(crate) fn new_run(&mut self) -> u64 {
        self.runs += 1;
        self.runs
    }

    pub(crate) fn log(&mut self, line: impl FnOnce() -> String) {
        let now = self.now.since_beginning();
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>11.6} {}", now.as_secs_f64(), line()));
        }
    }

    pub(crate) fn violated(&mut self, rule: Rule, what: String) {
        self.log(|| format!("VIOLATION of {rule}: {what}"));
        if self.violation.is_none() {
            let now = self.now.since_beginning().as_secs_f64();
            self.violation = Some(format!("{rule} at {now:.6} s: {what}"));
        }
    }

    /// Something is done at this time after the beginning.
    pub(crate) fn plan_action(&mut self, when: Duration, action: Action) {
        self.at(Moment::at(when), Event::Do(action));
    }

    /// Lets the world go on until this moment, or until something is wrong.
    pub(crate) fn run_until(&mut self, end: Moment) {
        while self.violation.is_none() {
            match self.queue.first_key_value() {
                Some(((when, _), _)) if *when <= end => {}
                Some(_) | None => break,
            }
            if let Some(((when, seq), event)) = self.queue.pop_first() {
                self.now = self.now.max(when);
                self.events += 1;
                self.dispatch(seq, event);
            }
        }
        self.now = self.now.max(end);
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        self.run_until(self.now.plus(time));
    }

    fn dispatch(&mut self, seq: u64, event: Event) {
        if let Some(until) = self.frozen(&event) {
            // What is told after it still comes after it.
            if let Event::Manager { at, run, .. } = &event
                && let Some(agent) = self.agent_run(*at, *run)
            {
                agent.stream = agent.stream.max(until);
            }
            self.queue.insert((until, seq), event);
            return;
        }
        match event {
            Event::Systemd { at, boot, wake } => self.systemd_wakes(at, boot, wake),
            Event::Session { at, run } => self.session(at, run),
            Event::Manager {
                at,
                run,
                session,
                input,
            } => self.manager_says(at, run, session, input),
            Event::Call {
                at,
                run,
                session,
                call,
                request,
            } => {
                self.call(at, run, session, call, request);
            }
            Event::AgentStarts { at, boot } => self.agent_starts(at, boot),
            Event::AgentDeadline { at, run, stamp } => self.agent_deadline(at, run, stamp),
            Event::HelperAsks { at, boot, helper } => self.helper_asks(at, boot, helper),
            Event::HelperGone { at, run, waiter } => {
                if self.agent_run(at, run).is_some() {
                    self.helper_says(at, waiter, FromHelper::Gone);
                }
            }
            Event::HelperGivesUp {
                at,
                boot,
                helper,
                stamp,
            } => {
                self.helper_gives_up(at, boot, helper, stamp);
            }
            Event::HelperEnds {
                at,
                boot,
                proxy,
                token,
                up,
            } => {
                let now = self.now;
                if let Some(machine) = self.machine(at, boot) {
                    machine.systemd.helper_ended(now, &proxy, token, up);
                    self.drain(at);
                }
            }
            Event::ControllerStarts => self.controller_starts(),
            Event::Configured => self.controller_configured(),
            Event::ControllerDeadline { run, stamp } => self.controller_deadline(run, stamp),
            Event::Connect {
                at,
                run,
                link,
                again,
            } => self.connect(at, run, link, again),
            Event::Deliver { conn, to } => self.deliver(conn, to),
            Event::Broken { conn, to } => self.broken(conn, to),
            Event::HelloDue { peer, run } => self.hello_due(peer, run),
            Event::Boots { at, boot } => self.boots(at, boot),
            Event::Do(action) => self.act(action),
        }
    }

    /// Until when whoever this event is for does not run: its process is stopped, or its machine
    /// sleeps.
    fn frozen(&self, event: &Event) -> Option<Moment> {
        let machine = |at: usize| self.machines.get(at);
        let asleep = |at: usize| machine(at).map(|machine| machine.asleep);
        let agent = |at: usize| machine(at)?.agent.as_ref()?.frozen.max(asleep(at));
        let until = match event {
            Event::Session { at, .. }
            | Event::Manager { at, .. }
            | Event::AgentDeadline { at, .. }
            | Event::HelperAsks { at, .. }
            | Event::HelperGone { at, .. }
            | Event::Connect { at, .. } => agent(*at),
            Event::Deliver { conn, to } | Event::Broken { conn, to } => match to {
                End::Agent => agent(self.conns.get(conn)?.at),
                End::Controller => self.controller.frozen,
            },
            Event::Configured | Event::ControllerDeadline { .. } | Event::HelloDue { .. } => {
                self.controller.frozen
            }
            Event::Systemd { at, .. }
            | Event::Call { at, .. }
            | Event::AgentStarts { at, .. }
            | Event::HelperGivesUp { at, .. }
            | Event::HelperEnds { at, .. } => asleep(*at),
            Event::ControllerStarts | Event::Boots { .. } | Event::Do(_) => None,
        };
        until.filter(|until| *until > self.now)
    }

    /// What is about to happen on a machine happens so much later, and in the same order. What comes
    /// from elsewhere waits until the machine wakes up.
    pub(crate) fn postpone(&mut self, here: usize, time: Duration) {
        let its = |event: &Event| match event {
            Event::Systemd { at, .. }
            | Event::Session { at, .. }
            | Event::Manager { at, .. }
            | Event::Call { at, .. }
            | Event::AgentStarts { at, .. }
            | Event::AgentDeadline { at, .. }
            | Event::HelperAsks { at, .. }
            | Event::HelperGone { at, .. }
            | Event::HelperGivesUp { at, .. }
            | Event::HelperEnds { at, .. }
            | Event::Connect { at, .. } => *at == here,
            Event::Deliver { .. }
            | Event::Broken { .. }
            | Event::ControllerStarts
            | Event::Configured
            | Event::ControllerDeadline { .. }
            | Event::HelloDue { .. }
            | Event::Boots { .. }
            | Event::Do(_) => false,
        };
        let due: Vec<_> = self.queue.extract_if(.., |_, event| its(event)).collect();
        for ((when, seq), event) in due {
            self.queue.insert((when.plus(time), seq), event);
        }
    }

    /// The time on the clock of a machine.
    pub(crate) fn clock(&self, at: usize) -> Moment {
        let lag = self.machines.get(at).map_or(Duration::ZERO, |m| m.lag);
        Moment::at(self.now.since_beginning().saturating_sub(lag))
    }

    /// A machine that still is in this boot.
    pub(crate) fn machine(&mut self, at: usize, boot: u64) -> Option<&mut Machine> {
        self.machines.get_mut(at).filter(|m| m.up && m.boot == boot)
    }

    pub(crate) fn index(&self, name: &NodeName) -> Option<usize> {
        self.machines.iter().position(|m| m.name == *name)
    }

    pub(crate) fn state(&self, at: usize, unit: &UnitName) -> State {
        let machine = self.machines.get(at).filter(|m| m.up);
        machine.map_or(State::Inactive, |m| m.systemd.state(unit))
    }
}
