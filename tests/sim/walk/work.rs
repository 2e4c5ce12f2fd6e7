//! What the daemons of a small fleet ask for is done.

use fleet::{Input, Output};
use node::{FromManager, HelperAnswer, LinkId};

use super::{
    check,
    small::{ForAgent, ForController, Helper, Small, Wire},
};
use crate::{
    systemd::Effect,
    world::{carry_out, from_signal},
};

impl Small {
    pub(super) fn agent_hears(&mut self, at: usize, input: node::Input) {
        let Some(place) = self.places.get_mut(at) else {
            return;
        };
        let line = format!("{} <- {input:?}", place.name);
        place.node.handle(place.clock, input);
        self.log(|| line);
        self.agent_works(at);
    }

    pub(super) fn agent_works(&mut self, at: usize) {
        while let Some(output) = self.places.get_mut(at).and_then(|p| p.node.poll_output()) {
            self.agent_does(at, output);
        }
    }

    fn agent_does(&mut self, at: usize, output: node::Output) {
        let Some(place) = self.places.get_mut(at) else {
            return;
        };
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{} -> {output:?}", place.name));
        }
        match output {
            node::Output::Persist(text) => place.records = Some(text),
            // There are no jobs of operators here.
            node::Output::KeepJob { .. } | node::Output::ForgetJobs => {}
            // No helper runs at a stop.
            node::Output::KeepReason { .. } => {}
            node::Output::Connect { link, .. } => self.connect(at, link),
            node::Output::Send { message, .. } => {
                let wire = place.wire.and_then(|id| self.wires.get_mut(&id));
                if let Some(wire) = wire.filter(|wire| !wire.controller_gone) {
                    wire.to_controller.push_back(ForController::Said(message));
                }
            }
            node::Output::Disconnect(_) => {
                if let Some(id) = place.wire.take() {
                    self.hang_up(id);
                }
            }
            node::Output::Call { call, request } => {
                let wrong = check::call(self, at, &request);
                self.violation = self.violation.take().or(wrong);
                let Some(place) = self.places.get_mut(at) else {
                    return;
                };
                let answer = carry_out(&mut place.systemd, place.clock, request);
                self.drain_told(at);
                if let Some(place) = self.places.get_mut(at) {
                    place.told.push_back(FromManager::Answered(call, answer));
                }
            }
            node::Output::Helper { waiter, answer } => {
                let up = match answer {
                    HelperAnswer::Wait { .. } => return,
                    HelperAnswer::Up | HelperAnswer::Done => true,
                    HelperAnswer::Failed(_) => false,
                };
                if let Some((proxy, token)) = place.waiting.remove(&waiter) {
                    let wrong = up.then(|| check::told_up(self, &proxy, token)).flatten();
                    self.violation = self.violation.take().or(wrong);
                    if let Some(place) = self.places.get_mut(at) {
                        place.helpers.push_back(Helper::Ends(proxy, token, up));
                    }
                }
            }
            node::Output::Event(
                event @ (node::Event::Breach { .. }
                | node::Event::Limit { .. }
                | node::Event::RecordDamaged { .. }),
            ) => self.violation = Some(format!("{event:?} between correct peers")),
            node::Output::Event(_) => {}
        }
    }

    /// What follows from a call, without going back to the agent that has made it.
    fn drain_told(&mut self, at: usize) {
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
                Effect::HelperKilled { .. } => {}
            }
        }
    }

    fn connect(&mut self, at: usize, link: LinkId) {
        self.connections += 1;
        let wire = Wire {
            at,
            link,
            to_agent: [ForAgent::Connected].into(),
            to_controller: [].into(),
            greeted: false,
            agent_gone: false,
            controller_gone: false,
        };
        self.wires.insert(self.connections, wire);
        if let Some(place) = self.places.get_mut(at) {
            place.wire = Some(self.connections);
        }
    }

    /// The agent's end is gone; what it has said before still arrives.
    pub(super) fn hang_up(&mut self, id: u64) {
        if let Some(wire) = self.wires.get_mut(&id) {
            wire.agent_gone = true;
            wire.to_agent.clear();
            if !wire.controller_gone {
                wire.to_controller.push_back(ForController::Closed);
            }
        }
    }

    pub(super) fn controller_hears(&mut self, input: Input) {
        self.log(|| format!("controller <- {input:?}"));
        self.fleet.handle(self.clock, input);
        self.controller_works();
    }

    pub(super) fn controller_works(&mut self) {
        while let Some(output) = self.fleet.poll_output() {
            if let Some(trace) = &mut self.trace {
                trace.push(format!("controller -> {output:?}"));
            }
            match output {
                Output::Send { peer, message } => {
                    if let Some(wire) = self.wires.get_mut(&peer.0).filter(|w| !w.agent_gone) {
                        wire.to_agent.push_back(ForAgent::Said(message));
                    }
                }
                Output::Disconnect { peer, why } => {
                    if let fleet::Disconnect::Breach(breach) = &why {
                        self.violation = Some(format!("{breach:?} between correct peers"));
                    }
                    if let Some(wire) = self.wires.get_mut(&peer.0) {
                        wire.controller_gone = true;
                        wire.to_controller.clear();
                        if !wire.agent_gone {
                            wire.to_agent.push_back(ForAgent::Closed);
                        }
                    }
                }
                Output::Answer { .. }
                | Output::Forward { .. }
                | Output::Transient { .. }
                | Output::Watch { .. }
                | Output::Monitor { .. }
                | Output::NodeAdded(_)
                | Output::NodeRemoved(_)
                | Output::NodeStatus { .. }
                | Output::FleetStatus(_)
                | Output::JobNew(_)
                | Output::JobState { .. }
                | Output::JobRemoved { .. }
                | Output::Log(_) => {}
            }
        }
    }
}
