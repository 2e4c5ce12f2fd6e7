//! The connections of agents: what is sent, and what is waited for.

mod bluechi;
mod peer;
mod tell;
mod turns;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use fleet::{AgentError, Choice, Gone, Input, PeerId, RequestId};
use host::link::{self, CallSerial, Limits, LinkSender};
use proto::{
    dbus::error,
    message::{OrderId, PROTOCOL_JOBS, Stream, ToAgent, ToController},
    model::{Cause, JobId},
    name::{NodeName, UnitName},
    sync::Generation,
    time::Moment,
};
use tracing::debug;
use zbus::{Message, message::Type};

use crate::{
    peers::{
        Arrival,
        bluechi::{Bluechi, Question},
        codec::{self, CodecError, Heard},
    },
    public::error_of,
};
use turns::Turns;

/// The connections of agents.
#[derive(Debug, Default)]
pub(crate) struct Agents {
    peers: BTreeMap<PeerId, Peer>,
    /// Where each call that was handed on waits.
    calls: BTreeMap<RequestId, (PeerId, CallSerial)>,
    /// The answer of an agent that the core is being told of.
    handed_on: Option<(RequestId, Message)>,
    /// What an agent has said about a unit, while the core is being told of it.
    said: Option<Message>,
    /// Whether agents are to measure jobs.
    measure: bool,
    /// The nodes whose agents only know BlueChi's protocol.
    bluechi: BTreeMap<NodeName, Bluechi>,
    /// Which of these are asked for their units.
    turns: Turns,
    /// What was said on behalf of these.
    inbox: VecDeque<Input>,
    /// How long what such a node holds for nobody is left alone.
    grace: Duration,
}

/// What an agent has sent.
#[derive(Debug)]
pub(super) enum News {
    /// Something for the core.
    Decide(Input),
    /// How long a job took on a node.
    Measured(NodeName, Message),
}

#[derive(Debug)]
struct Peer {
    sender: LinkSender,
    node: NodeName,
    /// The call that registered it.
    registration: Message,
    legacy: bool,
    /// Whether it waits until its word about the end of a job has arrived.
    awaits_heard: bool,
    /// Whether it is registered, and what it says of sets is said for it.
    adapted: bool,
    /// Units that the core wants to hear of.
    watched: BTreeSet<Choice<UnitName>>,
    /// Our calls that it has not answered.
    waiting: BTreeMap<CallSerial, Waiting>,
    /// Jobs among these.
    asked: BTreeSet<JobId>,
    /// Ends of jobs that came before the answer to their call, which has the error of systemd with
    /// its name. They wait for it.
    ends: BTreeMap<JobId, ToController>,
    /// Its calls that wait for an acknowledgement.
    claims: Option<Message>,
    hold_states: Option<Message>,
    waits: Option<Message>,
    /// Its calls that tell ends of jobs, each until the core has taken it in.
    told_ends: BTreeMap<JobId, Message>,
    /// Its orders; the core bounds them.
    orders: BTreeMap<OrderId, Message>,
}

/// What the answer to a call is about.
#[derive(Clone, Debug)]
enum Waiting {
    Job(JobId),
    Set(Stream, Generation),
    Call(RequestId),
    Bluechi(Question),
}

impl Agents {
    /// An agent has said its name.
    pub(crate) fn arrived(&mut self, arrival: Arrival) -> Input {
        let Arrival {
            peer,
            sender,
            call,
            hello,
            origin,
        } = arrival;
        let new = Peer {
            sender,
            node: hello.node.clone(),
            registration: call,
            legacy: hello.protocol == 0,
            awaits_heard: hello.protocol >= PROTOCOL_JOBS,
            adapted: false,
            watched: BTreeSet::new(),
            waiting: BTreeMap::new(),
            asked: BTreeSet::new(),
            ends: BTreeMap::new(),
            claims: None,
            hold_states: None,
            waits: None,
            told_ends: BTreeMap::new(),
            orders: BTreeMap::new(),
        };
        self.peers.insert(peer, new);
        Input::Hello {
            peer,
            hello,
            origin,
        }
    }

    /// A connection has ended.
    pub(crate) fn forget(&mut self, peer: PeerId) {
        if let Some(gone) = self.peers.remove(&peer) {
            if gone.adapted {
                self.unadapt(peer, &gone.node);
            }
            for waiting in gone.waiting.into_values() {
                if let Waiting::Call(id) = waiting {
                    self.calls.remove(&id);
                }
            }
        }
    }

    /// A connection is to end, after what was sent.
    pub(crate) fn disconnect(&mut self, peer: PeerId) {
        if let Some(peer) = self.peers.get(&peer) {
            peer.sender.close();
        }
        self.forget(peer);
    }

    /// All connections are to end, after what was sent. Yields what is still to be written.
    pub(crate) fn close(&self) -> Vec<LinkSender> {
        let senders = self.peers.values().map(|peer| peer.sender.clone());
        senders.inspect(LinkSender::close).collect()
    }

    /// The connections, for a dump of the state.
    pub(super) fn sessions(&self) -> impl Iterator<Item = String> {
        self.peers.iter().map(|(id, peer)| {
            let (messages, bytes) = peer.sender.queued();
            format!(
                "session {} of {}: {} calls unanswered, {messages} messages ({bytes} bytes) to be written",
                id.0,
                peer.node,
                peer.waiting.len(),
            )
        })
    }

    /// What an agent has sent, if anything is to be done about it.
    pub(super) fn heard(&mut self, now: Moment, id: PeerId, message: Message) -> Option<News> {
        let peer = self.peers.get_mut(&id)?;
        match codec::read(&message) {
            Ok(Heard::Unit(unit, news)) => self.heard_of_unit(id, unit, news, message),
            Ok(Heard::ProxyNew { node, unit, path }) => {
                self.proxy_new(now, id, (&node, &unit), &path);
                None
            }
            Ok(Heard::ProxyRemoved { node, unit }) => {
                self.proxy_removed(id, &node, &unit);
                None
            }
            Ok(Heard::Measured) => Some(News::Measured(peer.node.clone(), message)),
            heard => self.heard_of_state(id, heard, message).map(News::Decide),
        }
    }

    fn heard_of_state(
        &mut self,
        id: PeerId,
        heard: Result<Heard, CodecError>,
        message: Message,
    ) -> Option<Input> {
        if matches!(heard, Ok(Heard::Say(ToController::Heartbeat))) {
            self.heartbeat_of(id);
        }
        let peer = self.peers.get_mut(&id)?;
        match heard {
            Ok(Heard::Say(said)) => {
                if let ToController::JobDone { job, .. } = said
                    && peer.awaits_heard
                {
                    peer.told_ends.insert(job, message);
                } else {
                    peer.reply(&message, || link::reply(&message, &()));
                }
                let said = peer.keep_early_end(said)?;
                Some(Input::Message {
                    peer: id,
                    message: said,
                })
            }
            Ok(Heard::Set(stream, said)) => {
                match stream {
                    Stream::Claims => peer.claims = Some(message),
                    Stream::HoldStates => peer.hold_states = Some(message),
                    Stream::Waits => peer.waits = Some(message),
                    Stream::ClaimStates | Stream::Holds => {}
                }
                Some(Input::Message {
                    peer: id,
                    message: said,
                })
            }
            Ok(Heard::Order { kind, node, unit }) => {
                // The serial of the call: the agent uses none twice.
                let order = OrderId(message.primary_header().serial_num().get().into());
                peer.orders.insert(order, message);
                Some(Input::Message {
                    peer: id,
                    message: ToController::Order {
                        order,
                        kind,
                        node,
                        unit,
                    },
                })
            }
            Ok(Heard::Answer(serial)) => {
                let waiting = peer.waiting.remove(&serial)?;
                self.answer(id, waiting, message)
            }
            Ok(Heard::Ping) => {
                peer.reply(&message, || link::reply(&message, &()));
                None
            }
            Ok(Heard::Unknown) => {
                let text = "there is no such method on the controller";
                peer.reply(&message, || {
                    link::error(&message, error::UNKNOWN_METHOD, text)
                });
                None
            }
            Ok(
                Heard::Nothing
                | Heard::Unit(..)
                | Heard::Measured
                | Heard::ProxyNew { .. }
                | Heard::ProxyRemoved { .. },
            ) => None,
            Err(why) => {
                let text = why.to_string();
                peer.reply(&message, || {
                    link::error(&message, error::INVALID_ARGS, &text)
                });
                Some(self.break_off(id, text))
            }
        }
    }

    /// An agent has answered one of our calls.
    fn answer(&mut self, peer: PeerId, waiting: Waiting, message: Message) -> Option<Input> {
        let failed = message.message_type() == Type::Error;
        match waiting {
            Waiting::Job(job) => {
                let end = self.peers.get_mut(&peer).and_then(|peer| {
                    peer.asked.remove(&job);
                    peer.ends.remove(&job)
                });
                let enqueued = if failed {
                    Ok(None)
                } else {
                    codec::read_enqueued(&message)
                };
                match enqueued {
                    Ok(Some((it, standing))) if it != job => {
                        let message = ToController::JobIs {
                            asked: job,
                            job: it,
                            standing,
                        };
                        return Some(Input::Message { peer, message });
                    }
                    Ok(Some(_) | None) => {}
                    Err(why) => return Some(self.break_off(peer, why.to_string())),
                }
                let result = match (failed, end) {
                    (false, Some(message)) => return Some(Input::Message { peer, message }),
                    (false, None) => Ok(()),
                    (true, _) => {
                        let (name, text) = error_of(&message);
                        Err(AgentError { name, text })
                    }
                };
                Some(Input::JobAnswered { peer, job, result })
            }
            Waiting::Set(stream, generation) if !failed => {
                let message = ToController::Acknowledged(stream, generation);
                Some(Input::Message { peer, message })
            }
            Waiting::Set(stream, _) => {
                let (name, text) = error_of(&message);
                let why = format!("it refused what it was told of {stream:?}: {name}: {text}");
                Some(self.break_off(peer, why))
            }
            Waiting::Call(id) => {
                self.calls.remove(&id);
                self.handed_on = Some((id, message));
                Some(Input::Forwarded { id })
            }
            Waiting::Bluechi(question) => {
                self.answered_us(peer, question, &message);
                None
            }
        }
    }

    /// Ends a connection whose agent does not do as it should.
    fn break_off(&mut self, peer: PeerId, why: String) -> Input {
        self.disconnect(peer);
        Input::Gone {
            peer,
            why: Gone::Failed(why),
        }
    }

    /// The core answers a call: what an agent said about it, if it has. Whatever it says from now
    /// on comes too late.
    pub(crate) fn answered(&mut self, id: RequestId) -> Option<Message> {
        if let Some((peer, serial)) = self.calls.remove(&id)
            && let Some(peer) = self.peers.get_mut(&peer)
        {
            peer.waiting.remove(&serial);
        }
        match self.handed_on.take() {
            Some((about, message)) if about == id => Some(message),
            other => {
                self.handed_on = other;
                None
            }
        }
    }

    /// The core did not want the answer of an agent.
    pub(crate) fn drop_handed_on(&mut self) {
        self.said = None;
        self.handed_on = None;
    }

    /// Hands a call on; `false` when it cannot be.
    pub(crate) fn forward(
        &mut self,
        id: RequestId,
        peer_id: PeerId,
        build: impl FnOnce(CallSerial) -> Option<zbus::Result<Message>>,
    ) -> bool {
        let Some(peer) = self.peers.get_mut(&peer_id) else {
            return false;
        };
        let serial = peer.sender.next_serial();
        match build(serial) {
            Some(Ok(message)) => {
                peer.waiting.insert(serial, Waiting::Call(id));
                self.calls.insert(id, (peer_id, serial));
                peer.send(message);
                true
            }
            Some(Err(why)) => {
                debug!(error = %why, "call cannot be handed on");
                false
            }
            None => false,
        }
    }

    /// What an agent has said about a unit, while the core is being told of it.
    pub(super) fn said(&self) -> Option<&Message> {
        self.said.as_ref()
    }

    /// Tells an agent something.
    pub(crate) fn send(&mut self, now: Moment, id: PeerId, message: &ToAgent) {
        if self.tell_adapted(now, id, message) {
            return;
        }
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        let serial = peer.sender.next_serial();
        let built = match message {
            ToAgent::Welcome(welcome) => {
                let sender = &peer.sender;
                sender.set_message_bytes_max(Limits::REGISTERED_BYTES_MAX);
                codec::write_welcome(&peer.registration, peer.legacy, welcome).map(Some)
            }
            ToAgent::Rejected(reason) => {
                // The bound is one connection for each name.
                let name = if reason.cause == Cause::Limit {
                    "org.freedesktop.DBus.Error.AddressInUse"
                } else {
                    error::ACCESS_DENIED
                };
                link::error(&peer.registration, name, &reason.text).map(Some)
            }
            ToAgent::Acknowledged(stream, _) => {
                let call = match stream {
                    Stream::Claims => peer.claims.take(),
                    Stream::HoldStates => peer.hold_states.take(),
                    Stream::Waits => peer.waits.take(),
                    Stream::ClaimStates | Stream::Holds => None,
                };
                call.filter(link::expects_reply)
                    .map(|call| link::reply(&call, &()))
                    .transpose()
            }
            ToAgent::JobHeard(job) => {
                let call = peer.told_ends.remove(job);
                call.filter(link::expects_reply)
                    .map(|call| link::reply(&call, &()))
                    .transpose()
            }
            ToAgent::Ordered { order, result } => {
                let (cause, text) = match result {
                    Ok(()) => ("", ""),
                    Err(reason) => (reason.cause.as_str(), reason.text.as_str()),
                };
                let call = peer.orders.remove(order);
                call.filter(link::expects_reply)
                    .map(|call| link::reply(&call, &(cause, text)))
                    .transpose()
            }
            ToAgent::Heartbeat
            | ToAgent::ClaimStates(_)
            | ToAgent::Holds(_)
            | ToAgent::Job { .. }
            | ToAgent::Reloaded(_)
            | ToAgent::StartTimeouts(_)
            | ToAgent::CancelJob(_) => codec::write(message, || serial),
        };
        let waiting = match message {
            ToAgent::ClaimStates(delta) => Waiting::Set(Stream::ClaimStates, delta.generation),
            ToAgent::Holds(delta) => Waiting::Set(Stream::Holds, delta.generation),
            ToAgent::Job { job, .. } => Waiting::Job(*job),
            ToAgent::Welcome(_)
            | ToAgent::Rejected(_)
            | ToAgent::Heartbeat
            | ToAgent::Acknowledged(..)
            | ToAgent::JobHeard(_)
            | ToAgent::Ordered { .. }
            | ToAgent::Reloaded(_)
            | ToAgent::StartTimeouts(_)
            | ToAgent::CancelJob(_) => {
                peer.send_built(built);
                if let ToAgent::Welcome(welcome) = message {
                    if self.measure {
                        self.tell_measure(id);
                    }
                    self.adapt(now, id, welcome);
                }
                return;
            }
        };
        peer.ask(serial, waiting, built);
    }
}
