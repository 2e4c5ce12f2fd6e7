//! Agents that only know BlueChi's internal protocol, as the core sees agents: with sets of claims
//! and of holds. So a fleet can be moved node by node, and nothing behind this knows of it.
//!
//! | BlueChi's agent | the core |
//! |---|---|
//! | `ProxyNew`, `ProxyRemoved` | a claim of its node begins, ends |
//! | `TargetStateChanged`, `Error` of the proxy object | how the claim stands |
//! | `StartDep`, `StopDep` | a unit of its node is held, is not any more |
//! | `UnitStateChanged`, `UnitRemoved` of that unit | how the hold stands |
//!
//! It decides like an agent and does nothing: what is to be done is taken from
//! [`Bluechi::next_act`]. It outlives the connections of its node, as an agent outlives them.
//!
//! What cannot be the same as with our agents: only services can be held, a one-shot must remain
//! active to be held, and a restart of the unit stops whoever needs it.

mod source;
mod target;
#[cfg(test)]
mod tests;

use std::{collections::VecDeque, time::Duration};

use fleet::UnitNews;
use proto::{
    message::{Stream, ToAgent, ToController},
    name::{NodeName, UnitName},
    sync::Generation,
    time::Moment,
};

use source::Source;
use target::Target;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Tell the core, as if the agent had said it.
    Say(ToController),
    /// Start what holds a unit, or stop it. The agents do not answer this.
    Dep { unit: UnitName, start: bool },
    /// Hear of a unit, or not any more.
    Watch { unit: UnitName, on: bool },
    /// Tell a proxy object.
    Proxy { path: String, tell: Told },
    /// Ask something whose answer comes back to [`Bluechi::answered`].
    Ask(Question),
}

/// What a proxy object is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// It will not be up. Only for one that waits to be; BlueChi's agents end when another is told.
    Error(String),
    /// The states of its unit, and the reason.
    State(&'static str, &'static str, &'static str),
}

/// What the agent is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// Whether it is there: it has announced its proxies when it answers.
    There,
    /// Its units.
    Units,
    /// Hear of a unit: its state comes before the answer.
    Watched(UnitName),
}

/// An answer of the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    There,
    /// Names of active units.
    Units(Vec<String>),
    Watched(UnitName),
}

/// What holds for a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// A number that no connection before has had.
    pub(crate) unique: u64,
    /// How long a claim may take to be up.
    pub(crate) start_timeout: Duration,
    /// How long what is held for nobody is left alone: sources may be about to say that they need
    /// it.
    pub(crate) grace: Duration,
}

/// One node's agent.
#[derive(Debug)]
pub(crate) struct Bluechi {
    source: Source,
    target: Target,
    acts: VecDeque<Act>,
}

impl Bluechi {
    pub(crate) fn new(node: NodeName) -> Self {
        Self {
            source: Source::default(),
            target: Target::new(node),
            acts: VecDeque::new(),
        }
    }

    /// The agent has registered.
    pub(crate) fn connected(&mut self, now: Moment, terms: Terms) {
        self.acts.clear();
        self.acts.push_back(Act::Ask(Question::There));
        self.acts.push_back(Act::Ask(Question::Units));
        self.source.connected(terms);
        self.target.connected(now, terms, &mut self.acts);
        self.tell_sets();
    }

    /// The connection is gone.
    pub(crate) fn disconnected(&mut self) {
        self.acts.clear();
        self.source.disconnected();
        self.target.disconnected();
    }

    /// Something to do, in this order.
    pub(crate) fn next_act(&mut self) -> Option<Act> {
        self.acts.pop_front()
    }

    /// The agent says that it lives: what it had it has announced before.
    pub(crate) fn heartbeat(&mut self) {
        self.source.begin();
        self.tell_sets();
    }

    /// Some time has passed: to be told at least as often as heartbeats are sent.
    pub(crate) fn tick(&mut self, now: Moment) {
        self.source.tick(now, &mut self.acts);
        self.target.tick(now, &mut self.acts);
        self.tell_sets();
    }

    /// The core tells the agent of its sets. What else it tells goes to the agent as it is.
    ///
    /// # Errors
    ///
    /// Fails when a message does not follow the one before; the core does not do that.
    pub(crate) fn told(&mut self, message: &ToAgent) -> Result<(), proto::sync::SyncError> {
        match message {
            ToAgent::ClaimStates(delta) => {
                self.acknowledge(Stream::ClaimStates, delta.generation);
                self.source.states(delta, &mut self.acts);
            }
            ToAgent::Holds(delta) => {
                self.acknowledge(Stream::Holds, delta.generation);
                self.target.holds(delta.clone(), &mut self.acts)?;
            }
            ToAgent::Acknowledged(stream, generation) => match stream {
                Stream::Claims => self.source.acknowledged(*generation)?,
                Stream::HoldStates => self.target.acknowledged(*generation)?,
                Stream::ClaimStates | Stream::Holds | Stream::Waits => {}
            },
            ToAgent::Welcome(_)
            | ToAgent::Rejected(_)
            | ToAgent::Heartbeat
            | ToAgent::Job { .. }
            | ToAgent::CancelJob(_)
            | ToAgent::JobHeard(_)
            | ToAgent::Reloaded(_)
            | ToAgent::StartTimeouts(_)
            | ToAgent::Ordered { .. } => {}
        }
        self.tell_sets();
        Ok(())
    }

    /// The agent announces a proxy.
    pub(crate) fn proxy_new(&mut self, now: Moment, node: &str, unit: &str, path: &str) {
        self.source
            .announced(now, (node, unit), path, &mut self.acts);
        self.tell_sets();
    }

    /// A proxy is gone.
    pub(crate) fn proxy_removed(&mut self, node: &str, unit: &str) {
        self.source.removed(node, unit);
        self.tell_sets();
    }

    /// The agent tells of a unit.
    pub(crate) fn unit(&mut self, unit: &UnitName, news: &UnitNews) {
        self.target.unit(unit, news, &mut self.acts);
        self.tell_sets();
    }

    /// The agent has answered a question.
    pub(crate) fn answered(&mut self, answered: &Answered) {
        match answered {
            Answered::There => self.source.begin(),
            Answered::Units(active) => self.target.found(active),
            Answered::Watched(unit) => self.target.watched(unit),
        }
        self.tell_sets();
    }

    /// Whether it wants to hear of this unit.
    pub(crate) fn wants(&self, unit: &UnitName) -> bool {
        self.target.wants(unit)
    }

    fn acknowledge(&mut self, stream: Stream, generation: Generation) {
        let message = ToController::Acknowledged(stream, generation);
        self.acts.push_back(Act::Say(message));
    }

    /// Tells the core what has changed. What is held goes before what is needed.
    fn tell_sets(&mut self) {
        let states = self.target.poll().map(ToController::HoldStates);
        let claims = self.source.poll().map(ToController::Claims);
        self.acts
            .extend(states.into_iter().chain(claims).map(Act::Say));
    }
}
