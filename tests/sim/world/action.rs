//! What operators and fate do to the world.

use std::time::Duration;

use fleet::DependsOn;
use proto::{
    model::{JobKind, JobMode},
    name::{NodeName, UnitName},
    time::Moment,
};

use super::{Event, Machine, Net, World};
use crate::{
    check::{Oracle, places},
    systemd::Verb,
};

/// Something that an operator or fate does.
#[derive(Clone, Debug, Hash)]
pub(crate) enum Action {
    /// `systemctl VERB UNIT` on the machine itself.
    Unit(usize, Verb, UnitName),
    /// `ctl KIND NODE UNIT`.
    Ctl(usize, JobKind, UnitName),
    /// `ctl cancel` of the job that was announced last.
    CancelCtl,
    /// `systemctl cancel` of a job that is in the queue.
    CancelJob(usize),
    /// `systemctl mask UNIT`, or `unmask`.
    Mask(usize, UnitName, bool),
    /// The main process of a service dies.
    KillUnit(usize, UnitName),
    /// SIGKILL to the agent; it is back after a while.
    KillAgent(usize, Duration),
    /// The agent is stopped as systemd does it, and started after a while.
    StopAgent(usize, Duration),
    /// The agent dies in the middle of what it is about to do next.
    KillAgentAmid(usize, usize),
    /// SIGSTOP to the agent, SIGCONT after a while.
    FreezeAgent(usize, Duration),
    KillController(Duration),
    /// The controller dies in the middle of what it is about to do next.
    KillControllerAmid(usize),
    FreezeController(Duration),
    /// The link of a machine breaks or is silent.
    Net(usize, Net),
    /// Its present connection is reset; a new one can be made.
    Reset(usize),
    /// The same after so many more messages, at whichever end they arrive.
    CutAmid(usize, usize),
    /// So long is each message on its way to this machine or from it: it reads slowly, or somebody
    /// between reads slowly.
    Slow(usize, Duration),
    /// The machine sleeps: nothing runs on it, and its clocks stand still (`CLOCK_MONOTONIC`).
    Suspend(usize, Duration),
    /// Power off, and on after a while.
    Crash(usize, Duration),
    /// `systemctl daemon-reexec`, or a restart of the bus: the agent's connection ends.
    Reexec(usize),
    /// `systemctl daemon-reload`.
    Reload(usize),
    /// The configuration of the controller changes: units of this node may depend on no other any
    /// more, or again on those that it was planned with.
    Deny(usize),
    Allow(usize),
    /// The first may depend on the second, or not any more.
    Edge(usize, usize, bool),
    /// The configuration names this node, or not any more.
    Named(usize, bool),
    /// A machine with the name of another one is plugged in, or out.
    TwinComes(usize),
    TwinGoes(usize),
}

impl World {
    pub(super) fn boots(&mut self, at: usize, boot: u64) {
        let clock = self.clock(at);
        let Some(machine) = self
            .machines
            .get_mut(at)
            .filter(|m| m.boot == boot && !m.up)
        else {
            return;
        };
        machine.up = true;
        machine.boot += 1;
        machine.systemd.boot();
        machine.records = None;
        machine.notes.clear();
        machine.notes_since = clock;
        machine.agent_wanted = true;
        let boot = machine.boot;
        let name = machine.name.clone();
        self.log(|| format!("{name}: boots"));
        let wait = self.rng.millis(20, 300);
        self.after(wait, Event::AgentStarts { at, boot });
        self.drain(at);
    }

    /// A machine on which somebody can do something.
    pub(super) fn awake(&mut self, at: usize) -> Option<&mut Machine> {
        let now = self.now;
        let machine = self.machines.get_mut(at);
        machine.filter(|machine| machine.up && machine.asleep <= now)
    }

    fn crashes(&mut self, at: usize, off: Duration) {
        let Some(boot) = self.machines.get(at).filter(|m| m.up).map(|m| m.boot) else {
            return;
        };
        self.power_off(at);
        self.after(off, Event::Boots { at, boot });
    }

    fn power_off(&mut self, at: usize) {
        Oracle::machine_dies(self, at);
        let Some(machine) = self.machines.get_mut(at).filter(|m| m.up) else {
            return;
        };
        machine.up = false;
        machine.agent = None;
        machine.helpers.clear();
        machine.records = None;
        machine.notes.clear();
        machine.asleep = Moment::default();
        machine.lag = Duration::ZERO;
        machine.systemd.boot();
        machine.systemd.effects.clear();
        self.conns_die(at);
    }

    /// Does something to the world.
    pub(crate) fn act(&mut self, action: Action) {
        self.log(|| format!("--- {action:?}"));
        match action {
            Action::Unit(at, verb, unit) => {
                let now = self.now;
                if let Some(machine) = self.awake(at) {
                    // An operator gets the error; the world goes on.
                    let _ = machine.systemd.queue(now, verb, &unit, JobMode::Replace);
                    self.drain(at);
                }
            }
            Action::Ctl(at, kind, unit) => self.ctl(at, kind, unit),
            Action::CancelJob(at) => {
                let now = self.now;
                let jobs = self.awake(at).map(|machine| machine.systemd.snapshot().1);
                let job = self.rng.pick(&jobs.unwrap_or_default()).copied();
                if let (Some(machine), Some(job)) = (self.awake(at), job) {
                    let _ = machine.systemd.cancel(now, job);
                    self.drain(at);
                }
            }
            Action::KillUnit(at, unit) => {
                let now = self.now;
                if let Some(machine) = self.awake(at) {
                    machine.systemd.kill(now, &unit);
                    self.drain(at);
                }
            }
            Action::KillAgent(at, away) => self.agent_dies(at, away),
            Action::StopAgent(at, away) => {
                let agent = self.machines.get(at).and_then(|m| m.agent.as_ref());
                if agent.is_some_and(|agent| agent.frozen.is_none_or(|t| t <= self.now)) {
                    self.agent_input(at, node::Input::Stop);
                }
                self.agent_dies(at, away);
            }
            Action::KillAgentAmid(at, outputs) => {
                if let Some(agent) = self.machines.get_mut(at).and_then(|m| m.agent.as_mut()) {
                    agent.dies_after = Some(outputs);
                }
            }
            Action::FreezeAgent(at, time) => {
                let until = self.now.plus(time);
                if let Some(agent) = self.machines.get_mut(at).and_then(|m| m.agent.as_mut()) {
                    // Never shorter than before: what waits for the thaw keeps its order.
                    agent.frozen = agent.frozen.max(Some(until));
                }
            }
            Action::KillController(away) => self.controller_dies(away),
            Action::FreezeController(time) => {
                self.controller.frozen = self.controller.frozen.max(Some(self.now.plus(time)));
            }
            Action::KillControllerAmid(outputs) => {
                self.controller.dies_after = Some(outputs);
            }
            Action::CutAmid(at, messages) => {
                if let Some(machine) = self.machines.get_mut(at) {
                    machine.cut_after = Some(messages);
                }
            }
            Action::Slow(at, time) => {
                if let Some(machine) = self.machines.get_mut(at) {
                    machine.slow = time;
                }
            }
            Action::Suspend(at, time) => self.suspend(at, time),
            Action::CancelCtl => self.cancel_ctl(),
            Action::Mask(at, unit, masked) => self.masks(at, &unit, masked),
            Action::Edge(from, to, allowed) => self.set_edge(from, to, allowed),
            Action::Named(at, named) => self.set_named(at, named),
            Action::Net(at, net) => self.set_net(at, net),
            Action::Reset(at) => self.reset(at),
            Action::Crash(at, off) => self.crashes(at, off),
            Action::Reexec(at) => self.reexec(at),
            Action::Reload(at) => self.reloads(at),
            Action::TwinComes(at) => {
                let machine = self.machines.get(at);
                if let Some((boot, name)) = machine.map(|m| (m.boot, m.name.clone())) {
                    self.oracle.twin(&name);
                    self.after(Duration::ZERO, Event::Boots { at, boot });
                }
            }
            Action::TwinGoes(at) => self.power_off(at),
            Action::Deny(at) => self.set_allowed(at, false),
            Action::Allow(at) => self.set_allowed(at, true),
        }
    }

    /// Everything works again: links, machines, daemons, units that are to start.
    pub(crate) fn heal(&mut self) {
        self.log(|| "=== healed".to_owned());
        self.controller.dies_after = None;
        for at in 0..self.machines.len() {
            self.set_net(at, Net::Open);
            self.set_named(at, true);
            self.set_allowed(at, true);
            if self.plan.machines.get(at).is_some_and(|plan| plan.twin) {
                self.power_off(at);
            }
            if let Some(machine) = self.machines.get_mut(at) {
                machine.agent_wanted = true;
                machine.cut_after = None;
                machine.slow = Duration::ZERO;
                machine.systemd.heal();
                if let Some(agent) = &mut machine.agent {
                    agent.dies_after = None;
                }
            }
            self.reads_again(at);
        }
    }

    /// Somebody starts every service there is.
    pub(crate) fn start_all(&mut self) {
        self.log(|| "=== everything is started".to_owned());
        for (at, unit) in places(self) {
            self.act(Action::Unit(at, Verb::Start, unit));
        }
    }

    /// Puts what a node may depend on back to what was planned, or forbids it everything.
    fn set_allowed(&mut self, at: usize, allowed: bool) {
        let Some(name) = self.machines.get(at).map(|m| m.name.clone()) else {
            return;
        };
        let planned = self.plan.settings.nodes.get(&name);
        let planned = planned.map(|node| node.depends_on.clone());
        let depends_on = planned.filter(|_| allowed).unwrap_or_default();
        self.depend(&name, depends_on);
    }

    fn set_edge(&mut self, from: usize, to: usize, allowed: bool) {
        let names = self.machines.get(from).zip(self.machines.get(to));
        let Some((from, to)) = names.map(|(from, to)| (from.name.clone(), to.name.clone())) else {
            return;
        };
        let now = self.settings.nodes.get(&from).map(|node| &node.depends_on);
        if let Some(DependsOn::These(names)) = now {
            let mut names = names.clone();
            if allowed {
                names.insert(to);
            } else {
                names.remove(&to);
            }
            self.depend(&from, DependsOn::These(names));
        }
    }

    fn depend(&mut self, name: &NodeName, depends_on: DependsOn) {
        if let Some(node) = self.settings.nodes.get_mut(name)
            && node.depends_on != depends_on
        {
            node.depends_on = depends_on;
            self.after(Duration::ZERO, Event::Configured);
        }
    }

    /// The configuration names a node, as it was planned, or does not any more.
    fn set_named(&mut self, at: usize, named: bool) {
        let Some(name) = self.machines.get(at).map(|m| m.name.clone()) else {
            return;
        };
        if self.settings.nodes.contains_key(&name) == named {
            return;
        }
        match self.plan.settings.nodes.get(&name).cloned() {
            Some(node) if named => {
                self.settings.nodes.insert(name, node);
            }
            Some(_) | None => {
                self.settings.nodes.remove(&name);
            }
        }
        self.after(Duration::ZERO, Event::Configured);
    }

    /// A machine sleeps: whatever was about to happen on it happens so much later.
    fn suspend(&mut self, at: usize, time: Duration) {
        let now = self.now;
        let Some(machine) = self.machines.get_mut(at).filter(|m| m.up) else {
            return;
        };
        machine.lag = machine.lag.saturating_add(time);
        machine.asleep = machine.asleep.max(now).plus(time);
        if let Some(agent) = &mut machine.agent {
            agent.stream = agent.stream.plus(time);
        }
        self.postpone(at, time);
    }
}
