//! Links to agents: who connects, who may stay, and what flows in.
//!
//! Each connection has a task that takes it from the handshake to its registration, within a time
//! and a number of bytes, and hands on what comes from then on. Only the loop in [`crate::drive`]
//! decides; a connection that comes to nothing is told to it as [`PeerEvent::Dropped`], for the log.

pub(crate) mod bluechi;
pub(crate) mod codec;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use fleet::{Gone, Origin, PeerId, Transport};
use host::{
    link::{self, Limits, Link, LinkReceiver, LinkSender},
    sasl::Guid,
    stream::{BoxStream, Identity, Listener},
};
use proto::message::Hello;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};
use zbus::Message;

use crate::limits::{REGISTER_TIME, UNREGISTERED_MAX, UNREGISTERED_MESSAGES_MAX};
use codec::First;

/// What comes from agents.
#[derive(Debug)]
pub(crate) enum PeerEvent {
    /// An agent has said its name.
    Hello(Box<Arrival>),
    /// A registered agent has sent a message.
    Message(PeerId, Message),
    /// A connection has ended.
    Gone(PeerId, Gone),
    /// A connection has come to nothing before it registered.
    Dropped {
        /// Who it was.
        identity: Identity,
        /// Why.
        why: String,
    },
    /// No connection could be accepted.
    Deaf(String),
}

/// An agent that has said its name.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) peer: PeerId,
    pub(crate) sender: LinkSender,
    /// The call that is to be answered.
    pub(crate) call: Message,
    pub(crate) hello: Hello,
    pub(crate) origin: Origin,
}

/// What the tasks of all connections share.
#[derive(Clone, Debug)]
pub(crate) struct Doors {
    events: mpsc::Sender<PeerEvent>,
    next_peer: Arc<AtomicU64>,
    guid: Guid,
    uid: u32,
}

impl Doors {
    /// Connections accepted through these are told to `events`. `uid` is our own user.
    pub(crate) fn new(events: mpsc::Sender<PeerEvent>, guid: Guid, uid: u32) -> Self {
        Self {
            events,
            next_peer: Arc::new(AtomicU64::new(1)),
            guid,
            uid,
        }
    }

    /// Accepts connections until nobody listens to the events any more.
    pub(crate) async fn accept(self, listener: Arc<Listener>) {
        let room = Arc::new(Semaphore::new(UNREGISTERED_MAX));
        loop {
            // Those beyond the bound wait in the kernel's queue, not in our memory.
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
                return;
            };
            let accepted = tokio::select! {
                () = self.events.closed() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, identity)) => {
                    let doors = self.clone();
                    tokio::spawn(async move { doors.admit(stream, identity, permit).await });
                }
                Err(error) => {
                    let event = PeerEvent::Deaf(error.to_string());
                    if self.events.send(event).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Takes a connection to its registration, then hands on what comes. The permit is given back
    /// when it has registered, or has not.
    pub(crate) async fn admit(
        self,
        stream: BoxStream,
        identity: Identity,
        permit: OwnedSemaphorePermit,
    ) {
        let registered = timeout(REGISTER_TIME, self.register(stream, identity))
            .await
            .unwrap_or_else(|_| Err(format!("did not register within {REGISTER_TIME:?}")));
        // What follows is bounded by the nodes that there are.
        drop(permit);
        let event = match registered {
            Ok((arrival, receiver)) => {
                let peer = arrival.peer;
                let event = PeerEvent::Hello(Box::new(arrival));
                if self.events.send(event).await.is_err() {
                    return;
                }
                match self.pump(peer, receiver).await {
                    Some(gone) => PeerEvent::Gone(peer, gone),
                    None => return,
                }
            }
            Err(why) => PeerEvent::Dropped { identity, why },
        };
        // It fails when the loop is gone, and then nobody cares.
        let _ = self.events.send(event).await;
    }

    async fn register(
        &self,
        stream: BoxStream,
        identity: Identity,
    ) -> Result<(Arrival, LinkReceiver), String> {
        let uid = self.uid;
        // An agent can stop every unit of the fleet, so it is root, or whoever runs us.
        let allowed = move |peer: u32| peer == 0 || peer == uid;
        let link = Link::serve(stream, identity, self.guid, allowed, Limits::UNREGISTERED)
            .await
            .map_err(|error| error.to_string())?;
        let Link {
            sender,
            mut receiver,
            identity,
        } = link;
        for _ in 0..UNREGISTERED_MESSAGES_MAX {
            let message = match receiver.recv().await {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Err(error.to_string()),
                None => return Err("closed the connection before it registered".to_owned()),
            };
            let answer = match codec::read_first(&message) {
                Ok(First::Hello(hello)) => {
                    let arrival = Arrival {
                        peer: PeerId(self.next_peer.fetch_add(1, Ordering::Relaxed)),
                        sender,
                        call: message,
                        hello,
                        origin: origin_of(&identity),
                    };
                    return Ok((arrival, receiver));
                }
                Ok(First::BusHello) => link::reply(&message, &":1.1"),
                Ok(First::Ping) => link::reply(&message, &()),
                Err(error) => {
                    let text = error.to_string();
                    if link::expects_reply(&message)
                        && let Ok(answer) =
                            link::error(&message, proto::dbus::error::INVALID_ARGS, &text)
                    {
                        let _ = sender.try_send(answer);
                    }
                    sender.close();
                    return Err(text);
                }
            };
            if link::expects_reply(&message)
                && let Ok(answer) = answer
            {
                // It fails when the link has ended, and then the next read says so.
                let _ = sender.try_send(answer);
            }
        }
        Err(format!(
            "sent {UNREGISTERED_MESSAGES_MAX} messages without registering"
        ))
    }

    /// Hands on what comes, until the end; `None` when nobody listens any more.
    async fn pump(&self, peer: PeerId, mut receiver: LinkReceiver) -> Option<Gone> {
        loop {
            match receiver.recv().await {
                Some(Ok(message)) => {
                    let event = PeerEvent::Message(peer, message);
                    self.events.send(event).await.ok()?;
                }
                Some(Err(error)) => return Some(Gone::Failed(with_source(&error))),
                None => return Some(Gone::Closed),
            }
        }
    }
}

fn origin_of(identity: &Identity) -> Origin {
    Origin {
        address: identity.to_string(),
        transport: match identity {
            Identity::Unix { .. } => Transport::Unix,
            Identity::Tcp { .. } => Transport::Tcp,
        },
        encrypted: false,
    }
}

/// The text of an error with those of its causes.
pub(crate) fn with_source(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
