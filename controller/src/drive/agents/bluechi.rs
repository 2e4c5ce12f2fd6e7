//! Agents that only know BlueChi's protocol: what [`Bluechi`] wants done about them.

use std::time::Duration;

use fleet::{Choice, Input, PeerId, UnitNews};
use host::{
    clock,
    link::{self, Method},
};
use proto::{
    dbus::internal,
    message::{ToAgent, Welcome},
    name::{NodeName, UnitName},
    time::Moment,
};
use tracing::{error, warn};
use zbus::{Message, message::Type};

use super::{Agents, News, Waiting};
use crate::{
    peers::{
        bluechi::{Act, Answered, Bluechi, Question, Terms, Told},
        codec,
    },
    public::UnitRow,
};

impl Agents {
    /// How long what is held for nobody is left alone on a node that connects.
    pub(in crate::drive) fn set_grace(&mut self, grace: Duration) {
        self.grace = grace;
    }

    /// Something that was said on behalf of an agent.
    pub(in crate::drive) fn next_input(&mut self) -> Option<Input> {
        self.inbox.pop_front()
    }

    /// An agent is registered.
    pub(super) fn adapt(&mut self, now: Moment, id: PeerId, welcome: &Welcome) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        if !peer.legacy {
            self.bluechi.remove(&peer.node);
            return;
        }
        peer.adapted = true;
        let unique = clock::random_u64().unwrap_or_else(|why| {
            // Only what is told apart by it over a restart of ours is at stake.
            warn!(error = %why, "no randomness for the attempts of an agent, counting instead");
            id.0
        });
        let node = peer.node.clone();
        let terms = Terms {
            unique,
            start_timeout: welcome.start_timeout,
            grace: self.grace,
        };
        let bluechi = self.bluechi.entry(node.clone());
        let bluechi = bluechi.or_insert_with(|| Bluechi::new(node));
        bluechi.connected(now, terms);
        self.act(id);
    }

    /// The connection of an agent is gone.
    pub(super) fn unadapt(&mut self, id: PeerId, node: &NodeName) {
        if let Some(bluechi) = self.bluechi.get_mut(node) {
            bluechi.disconnected();
        }
        self.turns.over(id);
        self.ask_for_units();
    }

    /// A node is not one of the fleet any more.
    pub(in crate::drive) fn forget_node(&mut self, node: &NodeName) {
        self.bluechi.remove(node);
    }

    /// Whether what the core tells this agent goes through here, and nowhere else.
    pub(super) fn tell_adapted(&mut self, now: Moment, id: PeerId, message: &ToAgent) -> bool {
        let Some(bluechi) = self.adapted(id) else {
            return false;
        };
        let is_ours = match message {
            ToAgent::ClaimStates(_) | ToAgent::Holds(_) | ToAgent::Acknowledged(..) => {
                if let Err(why) = bluechi.told(message) {
                    error!(error = %why, "the sets of an agent of BlueChi's are out of step");
                }
                true
            }
            ToAgent::Heartbeat => {
                bluechi.tick(now);
                self.turns.beat(id);
                self.ask_for_units();
                false
            }
            ToAgent::Welcome(_)
            | ToAgent::Rejected(_)
            | ToAgent::Job { .. }
            | ToAgent::CancelJob(_)
            | ToAgent::JobHeard(_)
            | ToAgent::Reloaded(_)
            | ToAgent::StartTimeouts(_)
            | ToAgent::Ordered { .. } => false,
        };
        self.act(id);
        is_ours
    }

    /// An agent tells of a unit. What nobody but we wanted to hear is not for the core.
    pub(super) fn heard_of_unit(
        &mut self,
        id: PeerId,
        unit: UnitName,
        news: UnitNews,
        message: Message,
    ) -> Option<News> {
        if let Some(bluechi) = self.adapted(id) {
            bluechi.unit(&unit, &news);
            self.act(id);
            let watched = &self.peers.get(&id)?.watched;
            if !watched.contains(&Choice::All) && !watched.contains(&Choice::One(unit.clone())) {
                return None;
            }
        }
        self.said = Some(message);
        let peer = id;
        Some(News::Decide(Input::Unit { peer, unit, news }))
    }

    /// An agent says that it lives.
    pub(super) fn heartbeat_of(&mut self, id: PeerId) {
        if let Some(bluechi) = self.adapted(id) {
            bluechi.heartbeat();
            self.act(id);
        }
    }

    /// An agent announces a proxy.
    pub(super) fn proxy_new(&mut self, now: Moment, id: PeerId, names: (&str, &str), path: &str) {
        if let Some(bluechi) = self.adapted(id) {
            bluechi.proxy_new(now, names.0, names.1, path);
            self.act(id);
        }
    }

    /// A proxy is gone.
    pub(super) fn proxy_removed(&mut self, id: PeerId, node: &str, unit: &str) {
        if let Some(bluechi) = self.adapted(id) {
            bluechi.proxy_removed(node, unit);
            self.act(id);
        }
    }

    /// An agent has answered. One that cannot answer is as good as one that has nothing to say.
    pub(super) fn answered_us(&mut self, id: PeerId, question: Question, answer: &Message) {
        let answered = match question {
            Question::There => Answered::There,
            Question::Watched(unit) => Answered::Watched(unit),
            Question::Units => {
                self.turns.over(id);
                self.ask_for_units();
                Answered::Units(active_units(answer))
            }
        };
        if let Some(bluechi) = self.adapted(id) {
            bluechi.answered(&answered);
            self.act(id);
        }
    }

    /// Notes what the core wants to hear of. Whether the agent is to be asked, after it was asked to
    /// stop: it tells of what is there only to those who begin.
    pub(super) fn watch_adapted(
        &mut self,
        id: PeerId,
        unit: &Choice<UnitName>,
        on: bool,
    ) -> (bool, bool) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return (false, false);
        };
        if on {
            peer.watched.insert(unit.clone());
        } else {
            peer.watched.remove(unit);
        }
        let ours = match (unit, self.adapted(id)) {
            (Choice::One(unit), Some(bluechi)) => bluechi.wants(unit),
            (Choice::All, _) | (_, None) => false,
        };
        (on || !ours, ours && on)
    }

    fn adapted(&mut self, id: PeerId) -> Option<&mut Bluechi> {
        let peer = self.peers.get(&id).filter(|peer| peer.adapted)?;
        self.bluechi.get_mut(&peer.node)
    }

    /// Does what is to be done about an agent.
    fn act(&mut self, id: PeerId) {
        while let Some(act) = self.adapted(id).and_then(Bluechi::next_act) {
            self.do_one(id, act);
        }
    }

    fn do_one(&mut self, id: PeerId, act: Act) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        match act {
            Act::Say(message) => self.inbox.push_back(Input::Message { peer: id, message }),
            Act::Dep { unit, start } => {
                let member = if start { "StartDep" } else { "StopDep" };
                self.tell(id, member, &unit.as_str());
            }
            Act::Watch { unit, on } => {
                if !peer.watched.contains(&Choice::One(unit.clone())) {
                    let member = if on { "Subscribe" } else { "Unsubscribe" };
                    self.tell(id, member, &unit.as_str());
                }
            }
            Act::Proxy { path, tell } => {
                let serial = peer.sender.next_serial();
                let method = |member| Method {
                    destination: None,
                    path: &path,
                    interface: internal::PROXY,
                    member,
                };
                let call = match tell {
                    Told::Error(text) => link::call_quietly(serial, method("Error"), &text),
                    Told::State(active, sub, reason) => {
                        let body = (active, sub, reason);
                        link::call_quietly(serial, method("TargetStateChanged"), &body)
                    }
                };
                peer.send_built(call.map(Some));
            }
            Act::Ask(Question::Units) => {
                self.turns.want(id);
                self.ask_for_units();
            }
            Act::Ask(question @ (Question::There | Question::Watched(_))) => {
                if let Question::Watched(unit) = &question
                    && peer.watched.contains(&Choice::One(unit.clone()))
                {
                    // It tells of what is there only to those who begin.
                    let unit = unit.as_str().to_owned();
                    self.tell(id, "Unsubscribe", &unit);
                }
                self.ask(id, question);
            }
        }
    }

    /// Asks those whose turn it is.
    fn ask_for_units(&mut self) {
        while let Some(id) = self.turns.next() {
            self.ask(id, Question::Units);
        }
    }

    fn ask(&mut self, id: PeerId, question: Question) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        let serial = peer.sender.next_serial();
        let ping = Method {
            interface: "org.freedesktop.DBus.Peer",
            ..codec::agent("Ping")
        };
        let call = match &question {
            Question::There => link::call(serial, ping, &()),
            Question::Units => link::call(serial, codec::agent("ListUnits"), &()),
            Question::Watched(unit) => {
                link::call(serial, codec::agent("Subscribe"), &unit.as_str())
            }
        };
        peer.ask(serial, Waiting::Bluechi(question), call.map(Some));
    }
}

/// The names of active units in an answer to `ListUnits`.
fn active_units(answer: &Message) -> Vec<String> {
    if answer.message_type() == Type::Error {
        return Vec::new();
    }
    let body = answer.body();
    let rows: Vec<UnitRow<'_>> = body.deserialize().unwrap_or_default();
    let active = rows.into_iter().filter(|row| row.3 == "active");
    active.map(|row| row.0.to_owned()).collect()
}
