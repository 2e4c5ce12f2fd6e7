//! What operators and fate do to the world.

use std::time::Duration;

use proto::{
    model::{JobKind, JobMode},
    name::UnitName,
};

use super::{Event, Net, World};
use crate::{check::Oracle, systemd::Verb};

/// Something that an operator or fate does.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// `systemctl VERB UNIT` on the machine itself.
    Unit(usize, Verb, UnitName),
    /// `ctl KIND NODE UNIT`.
    Ctl(usize, JobKind, UnitName),
    /// `systemctl cancel` of a job that is in the queue.
    CancelJob(usize),
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
    FreezeController(Duration),
    /// The link of a machine breaks or is silent.
    Net(usize, Net),
    /// Its present connection is reset; a new one can be made.
    Reset(usize),
    /// Power off, and on after a while.
    Crash(usize, Duration),
    /// `systemctl daemon-reexec`.
    Reexec(usize),
    /// `systemctl daemon-reload`.
    Reload(usize),
    /// The configuration of the controller changes: units of this node may depend on no other any
    /// more, or again on those that it was planned with.
    Deny(usize),
    Allow(usize),
    /// A machine with the name of another one is plugged in, or out.
    TwinComes(usize),
    TwinGoes(usize),
}

impl World {
    pub(super) fn boots(&mut self, at: usize, boot: u64) {
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
        machine.agent_wanted = true;
        let boot = machine.boot;
        let name = machine.name.clone();
        self.log(|| format!("{name}: boots"));
        let wait = self.rng.millis(20, 300);
        self.after(wait, Event::AgentStarts { at, boot });
        self.drain(at);
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
                if let Some(machine) = self.machines.get_mut(at).filter(|m| m.up) {
                    // An operator gets the error; the world goes on.
                    let _ = machine.systemd.queue(now, verb, &unit, JobMode::Replace);
                    self.drain(at);
                }
            }
            Action::Ctl(at, kind, unit) => self.ctl(at, kind, unit),
            Action::CancelJob(at) => {
                let now = self.now;
                if let Some(machine) = self.machines.get_mut(at).filter(|m| m.up) {
                    let (_, jobs) = machine.systemd.snapshot();
                    if let Some(job) = self.rng.pick(&jobs) {
                        let _ = machine.systemd.cancel(now, *job);
                    }
                    self.drain(at);
                }
            }
            Action::KillUnit(at, unit) => {
                let now = self.now;
                if let Some(machine) = self.machines.get_mut(at).filter(|m| m.up) {
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
        for at in 0..self.machines.len() {
            self.set_net(at, Net::Open);
            self.set_allowed(at, true);
            if self.plan.machines.get(at).is_some_and(|plan| plan.twin) {
                self.power_off(at);
            }
            if let Some(machine) = self.machines.get_mut(at) {
                machine.agent_wanted = true;
                machine.systemd.heal();
                if let Some(agent) = &mut machine.agent {
                    agent.dies_after = None;
                }
            }
        }
    }

    fn set_allowed(&mut self, at: usize, allowed: bool) {
        let Some(name) = self.machines.get(at).map(|m| m.name.clone()) else {
            return;
        };
        let planned = self.plan.settings.nodes.get(&name);
        let planned = planned.map(|node| node.depends_on.clone());
        let depends_on = planned.filter(|_| allowed).unwrap_or_default();
        if let Some(node) = self.settings.nodes.get_mut(&name)
            && node.depends_on != depends_on
        {
            node.depends_on = depends_on;
            self.after(Duration::ZERO, Event::Configured);
        }
    }
}
