//! What can happen to a small fleet, and what follows.

use fleet::{Fleet, Gone, Input, Origin, PeerId, Transport};
use node::{FromHelper, FromLink, FromManager, Live, Node, Records, Waiter};
use proto::{
    message::ToController,
    model::{JobId, JobMode},
    name::NodeName,
    time::Moment,
};

use super::{
    check,
    small::{
        Choice, Fault, ForAgent, ForController, Grain, Helper, Operator, Small, source, target,
    },
};
use crate::{
    systemd::{Effect, Verb},
    world::{from_signal, snapshot},
};

impl Small {
    /// What can happen next.
    pub(super) fn choices(&self) -> Vec<Choice> {
        let mut choices = Vec::new();
        if self.faults > 0 {
            choices.extend(self.plan.kinds.iter().copied().map(Choice::Fault));
        }
        if self.operators < self.plan.operators.len() {
            choices.push(Choice::Operator);
        }
        for (at, place) in self.places.iter().enumerate() {
            choices.extend((0..place.wakes.len()).map(|wake| Choice::Wake(at, wake)));
            if !place.told.is_empty() {
                choices.push(Choice::Manager(at));
            }
            if !place.helpers.is_empty() {
                choices.push(Choice::Helper(at));
            }
        }
        for (id, wire) in &self.wires {
            if !wire.to_agent.is_empty() {
                choices.push(Choice::ToAgent(*id));
            }
            if !wire.to_controller.is_empty() {
                choices.push(Choice::ToController(*id));
            }
        }
        // Time passes when nothing else happens, or else it is a fault.
        let timers = self.timers();
        if choices.iter().all(Choice::is_fault) {
            choices.extend(timers.into_iter().map(|(due, _)| due));
        } else if self.faults > 0 && self.plan.early {
            let early = timers.into_iter().map(|(_, early)| early);
            choices.extend(early.map(Choice::Fault));
        }
        choices
    }

    /// What is waited for by time, as far as a walk knows of it: as it comes, and as it comes early.
    fn timers(&self) -> Vec<(Choice, Fault)> {
        let mut timers = Vec::new();
        if let Some((_, "grace of a source" | "grace of a lost target")) = self.fleet.deadline() {
            timers.push((Choice::Controller, Fault::ControllerTime));
        }
        for (at, place) in self.places.iter().enumerate() {
            let deadline = place.node.deadline().map(|(_, why)| why);
            let never = [
                "start timeout",
                "heartbeat",
                "controller is silent",
                "connecting",
                "registration",
            ];
            if deadline.is_some_and(|why| !never.contains(&why)) {
                timers.push((Choice::Agent(at), Fault::AgentTime(at)));
            }
        }
        timers
    }

    /// Lets it happen.
    pub(super) fn take(&mut self, choice: Choice) {
        self.came_by = Some(choice);
        self.happens(choice);
        match self.plan.grain {
            Grain::All => {}
            Grain::Machines => {
                while let Some(choice) = self.within_a_machine() {
                    self.happens(choice);
                }
            }
        }
    }

    /// The next thing that passes on one machine.
    fn within_a_machine(&self) -> Option<Choice> {
        let mut places = self.places.iter().enumerate();
        places.find_map(|(at, place)| {
            let told = (!place.told.is_empty()).then_some(Choice::Manager(at));
            told.or_else(|| (!place.helpers.is_empty()).then_some(Choice::Helper(at)))
        })
    }

    fn happens(&mut self, choice: Choice) {
        self.log(|| format!("--- {choice:?}"));
        match choice {
            Choice::Manager(at) => {
                let told = self.places.get_mut(at).and_then(|p| p.told.pop_front());
                if let Some(told) = told {
                    self.agent_hears(at, node::Input::Manager(told));
                }
            }
            Choice::Wake(at, wake) => {
                if let Some(place) = self.places.get_mut(at) {
                    let wake = place.wakes.remove(wake);
                    place.systemd.wake(place.clock, wake);
                    self.drain(at);
                }
            }
            Choice::Helper(at) => self.helper(at),
            Choice::ToAgent(id) => self.at_agent(id),
            Choice::ToController(id) => self.at_controller(id),
            Choice::Agent(at) => self.agent_time(at),
            Choice::Controller => self.controller_time(),
            Choice::Operator => {
                if let Some(operator) = self.plan.operators.get(self.operators).copied() {
                    self.operators += 1;
                    self.operate(operator);
                }
            }
            Choice::Fault(fault) => {
                self.faults -= 1;
                self.befall(fault);
            }
        }
        for place in &mut self.places {
            let systemd = &place.systemd;
            place.wakes.retain(|wake| systemd.is_due(wake));
        }
        check::witness(self);
        self.wires.retain(|_, wire| {
            let silent = wire.to_agent.is_empty() && wire.to_controller.is_empty();
            !(wire.agent_gone && wire.controller_gone && silent)
        });
    }

    pub(super) fn log(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(line());
        }
    }

    fn operate(&mut self, operator: Operator) {
        let (at, verb, unit) = match operator {
            Operator::Start(at) => (at, Verb::Start, source()),
            Operator::Stop(at) => (at, Verb::Stop, source()),
            Operator::StopTarget(at) => (at, Verb::Stop, target()),
            Operator::RestartTarget(at) => (at, Verb::Restart, target()),
            Operator::KillTarget(at) => {
                if let Some(place) = self.places.get_mut(at) {
                    place.systemd.kill(place.clock, &target());
                }
                return self.drain(at);
            }
            Operator::Deny(at) => {
                let mut settings = self.plan.settings.clone();
                let name = self.places.get(at).map(|place| &place.name);
                if let Some(node) = name.and_then(|name| settings.nodes.get_mut(name)) {
                    node.depends_on = fleet::DependsOn::default();
                }
                check::excuse_all(self);
                return self.controller_hears(Input::Settings(settings));
            }
        };
        if let Some(place) = self.places.get_mut(at) {
            let _ = place
                .systemd
                .queue(place.clock, verb, &unit, JobMode::Replace);
        }
        self.drain(at);
    }

    fn agent_time(&mut self, at: usize) {
        if let Some(place) = self.places.get_mut(at)
            && let Some((when, _)) = place.node.deadline()
        {
            place.clock = place.clock.max(when);
            place.node.handle_timeout(place.clock);
            self.agent_works(at);
        }
    }

    fn controller_time(&mut self) {
        if let Some((when, _)) = self.fleet.deadline() {
            self.clock = self.clock.max(when);
            check::excuse_all(self);
            self.fleet.handle_timeout(self.clock);
            self.controller_works();
        }
    }

    fn befall(&mut self, fault: Fault) {
        match fault {
            Fault::AgentTime(at) => self.agent_time(at),
            Fault::ControllerTime => self.controller_time(),
            Fault::Cut(at) => {
                let wire = self.places.get(at).and_then(|place| place.wire);
                if let Some(wire) = wire.and_then(|id| self.wires.get_mut(&id)) {
                    wire.to_agent.clear();
                    wire.to_controller.clear();
                    if !wire.agent_gone {
                        wire.to_agent.push_back(ForAgent::Closed);
                    }
                    if !wire.controller_gone {
                        wire.to_controller.push_back(ForController::Closed);
                    }
                }
            }
            Fault::RestartAgent(at) => self.restart_agent(at),
            Fault::RestartController => {
                self.controllers += 1;
                let first = JobId(self.controllers * 1000);
                self.fleet = Fleet::new(self.plan.settings.clone(), self.clock, first);
                for wire in self.wires.values_mut() {
                    wire.to_controller.clear();
                    if !wire.agent_gone && !wire.controller_gone {
                        wire.to_agent.push_back(ForAgent::Closed);
                    }
                    wire.controller_gone = true;
                }
            }
            Fault::Reload(at) => self.tell_snapshot(at, FromManager::Reloaded),
            Fault::Reexec(at) => {
                if let Some(place) = self.places.get_mut(at) {
                    place.told.push_back(FromManager::Disconnected);
                }
                self.tell_snapshot(at, FromManager::Connected);
            }
        }
    }

    fn restart_agent(&mut self, at: usize) {
        let Some(place) = self.places.get(at) else {
            return;
        };
        let (name, incarnation) = (place.name.clone(), place.incarnation + 1);
        let node = self.agent(&name, incarnation, place.records.as_deref(), place.clock);
        let Some(place) = self.places.get_mut(at) else {
            return;
        };
        place.node = node;
        place.incarnation = incarnation;
        place.told.clear();
        let waiting = std::mem::take(&mut place.waiting).into_values();
        let again = waiting.map(|(proxy, token)| Helper::Asks(proxy, token));
        place.helpers.extend(again);
        if let Some(id) = place.wire.take() {
            self.hang_up(id);
        }
        self.greet(at);
    }

    /// An agent that begins.
    pub(super) fn agent(
        &self,
        name: &NodeName,
        incarnation: u64,
        records: Option<&str>,
        now: Moment,
    ) -> Node {
        let heartbeat = self.plan.settings.heartbeat;
        let settings = node::Settings {
            node: name.clone(),
            version: "simulated".to_owned(),
            boot_id: "1".to_owned(),
            incarnation,
            live: Live {
                controllers: vec!["unix:path=controller".to_owned()],
                heartbeat_interval: heartbeat.interval,
                heartbeat_threshold: heartbeat.threshold,
                reconnect: node::limits::RECONNECT,
            },
        };
        Node::new(
            settings,
            records.map(Records::parse).unwrap_or_default(),
            now,
            1,
        )
    }

    /// An agent reaches its service manager.
    pub(super) fn greet(&mut self, at: usize) {
        self.tell_snapshot(at, FromManager::Connected);
        self.agent_works(at);
    }

    fn tell_snapshot(&mut self, at: usize, how: fn(node::Snapshot) -> FromManager) {
        if let Some(place) = self.places.get_mut(at) {
            let snapshot = snapshot(&place.systemd);
            place.told.push_back(how(snapshot));
        }
    }

    /// Does what a service manager asks for.
    fn drain(&mut self, at: usize) {
        let Some(place) = self.places.get_mut(at) else {
            return;
        };
        while let Some(effect) = place.next_effect() {
            match effect {
                Effect::After(_, wake) => place.await_wake(wake),
                Effect::Tell(signal) => place.told.push_back(from_signal(signal)),
                Effect::HelperStarts { proxy, token } => {
                    place.helpers.push_back(Helper::Asks(proxy, token));
                }
                Effect::HelperKilled { proxy } => {
                    place
                        .helpers
                        .retain(|helper| !matches!(helper, Helper::Asks(its, _) if *its == proxy));
                    let gone = place.waiting.extract_if(.., |_, (its, _)| *its == proxy);
                    let gone: Vec<Waiter> = gone.map(|(waiter, _)| waiter).collect();
                    for waiter in gone {
                        let gone = node::Input::Helper(waiter, FromHelper::Gone);
                        place.node.handle(place.clock, gone);
                    }
                }
            }
        }
        self.agent_works(at);
    }

    fn helper(&mut self, at: usize) {
        let Some(place) = self.places.get_mut(at) else {
            return;
        };
        match place.helpers.pop_front() {
            Some(Helper::Asks(proxy, token)) => {
                place.waiters += 1;
                let waiter = Waiter(place.waiters);
                place.waiting.insert(waiter, (proxy.clone(), token));
                let asks = FromHelper::Asks {
                    proxy: proxy.to_string(),
                    token: token.to_string(),
                };
                self.agent_hears(at, node::Input::Helper(waiter, asks));
            }
            Some(Helper::Ends(proxy, token, up)) => {
                place.systemd.helper_ended(place.clock, &proxy, token, up);
                self.drain(at);
            }
            None => {}
        }
    }

    fn at_agent(&mut self, id: u64) {
        let Some(wire) = self.wires.get_mut(&id) else {
            return;
        };
        let (at, link) = (wire.at, wire.link);
        let Some(packet) = wire.to_agent.pop_front().filter(|_| !wire.agent_gone) else {
            return;
        };
        let said = match packet {
            ForAgent::Connected => FromLink::Connected,
            ForAgent::Said(message) => FromLink::Said(message),
            ForAgent::Closed => {
                wire.agent_gone = true;
                FromLink::Closed("closed".to_owned())
            }
        };
        self.agent_hears(at, node::Input::Link(link, said));
    }

    fn at_controller(&mut self, id: u64) {
        let Some(wire) = self.wires.get_mut(&id) else {
            return;
        };
        let Some(packet) = wire
            .to_controller
            .pop_front()
            .filter(|_| !wire.controller_gone)
        else {
            return;
        };
        let peer = PeerId(id);
        let input = match packet {
            ForController::Said(ToController::Hello(hello)) if !wire.greeted => {
                wire.greeted = true;
                let origin = Origin {
                    address: "10.0.0.1:1".to_owned(),
                    transport: Transport::Tcp,
                    encrypted: false,
                };
                Input::Hello {
                    peer,
                    hello,
                    origin,
                }
            }
            ForController::Said(message) => Input::Message { peer, message },
            ForController::Closed => {
                wire.controller_gone = true;
                let why = Gone::Closed;
                Input::Gone { peer, why }
            }
        };
        self.controller_hears(input);
    }
}
