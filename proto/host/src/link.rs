//! D-Bus messages over a [`BoxStream`]: framing, bounds and tasks.
//!
//! A link is used between agent and controller, between agent and systemd's private socket, and to
//! a bus (where the caller says `Hello` itself). It does not know what the messages mean.
//!
//! Two tasks belong to a link. The reader takes messages off the stream, checks the length of each
//! against [`LinkSender::set_message_bytes_max`] before anything is allocated for it, and queues it for
//! [`LinkReceiver::recv`]. When this queue is full it stops reading, so a peer that says more than we
//! can take is slowed down by its own socket. The writer takes what [`LinkSender::try_send`] queued and
//! writes as many messages at once as the stream takes. Sending never waits: when its queue is
//! full, the peer is too slow and the link ends with [`LinkError::SlowReader`].
//!
//! A link ends when the peer closes it, when something breaks, after [`LinkSender::close`], or when
//! all its senders are dropped.

mod frame;
mod handshake;
mod limits;
mod message;
mod sender;
mod tasks;
#[cfg(test)]
mod tests;

use std::{io, num::NonZeroU32, sync::Arc, time::Duration};

use thiserror::Error;
use zbus::Message;

use crate::{
    sasl::{Guid, SaslError},
    stream::{BoxStream, Identity},
};

pub use limits::Limits;
pub use message::{
    CallSerial, Method, answers, call, call_quietly, error, expects_reply, reply, signal, signal_to,
};

/// A link in both directions.
#[derive(Debug)]
pub struct Link {
    /// Queues messages for the peer.
    pub sender: LinkSender,
    /// Yields messages of the peer.
    pub receiver: LinkReceiver,
    /// Who the peer is, by what the machine knows.
    pub identity: Identity,
}

/// Why a link ended, or did not come about.
#[derive(Clone, Debug, Error)]
pub enum LinkError {
    /// The handshake failed.
    #[error(transparent)]
    Handshake(#[from] SaslError),
    /// The handshake took too long.
    #[error("handshake not finished within {0:?}")]
    HandshakeTimeout(Duration),
    /// The peer closed during the handshake.
    #[error("peer closed the connection during the handshake")]
    HandshakeClosed,
    /// The peer closed in the middle of a message.
    #[error("peer closed the connection in the middle of a message")]
    Truncated,
    /// Reading failed.
    #[error("failed to read from the peer")]
    Read(#[source] Arc<io::Error>),
    /// Writing failed.
    #[error("failed to write to the peer")]
    Write(#[source] Arc<io::Error>),
    /// The peer does not read fast enough, or not at all.
    #[error("peer reads too slowly: {messages} messages with {bytes} bytes wait for it")]
    SlowReader {
        /// Messages that wait.
        messages: usize,
        /// Bytes that wait.
        bytes: usize,
    },
    /// A message is longer than may be.
    #[error("message has {bytes} bytes, {bytes_max} are allowed")]
    TooLong {
        /// What its header says.
        bytes: u64,
        /// What is allowed now.
        bytes_max: usize,
    },
    /// The bytes are no message.
    #[error("peer sent no valid D-Bus message: {0}")]
    Invalid(String),
}

/// A message was not queued: the link has ended, or ends now because its queue is full. The reason
/// comes out of [`LinkReceiver::recv`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the link has ended")]
pub struct LinkEnded;

/// Queues messages for the peer. Clones share the queue.
#[derive(Clone, Debug)]
pub struct LinkSender {
    queue: tasks::SendQueue,
}

/// Yields messages of the peer, in order.
#[derive(Debug)]
pub struct LinkReceiver {
    queue: tasks::ReceiveQueue,
}

impl Link {
    /// The accepting side: waits for the peer's handshake, then starts the link. Whether a user of
    /// this machine may connect is asked of `allowed`.
    ///
    /// # Errors
    ///
    /// Fails when the handshake fails or takes longer than [`Limits::handshake`]; the connection
    /// is closed then.
    pub async fn serve(
        stream: BoxStream,
        identity: Identity,
        guid: Guid,
        allowed: impl Fn(u32) -> bool,
        limits: Limits,
    ) -> Result<Self, LinkError> {
        let (stream, rest) =
            handshake::serve(stream, &identity, guid, allowed, limits.handshake).await?;
        Ok(Self::start(stream, identity, rest, limits))
    }

    /// The connecting side: shakes hands as the user of this process, then starts the link.
    ///
    /// # Errors
    ///
    /// As [`Link::serve`].
    pub async fn connect(
        stream: BoxStream,
        identity: Identity,
        limits: Limits,
    ) -> Result<Self, LinkError> {
        let (stream, rest) = handshake::connect(stream, limits.handshake).await?;
        Ok(Self::start(stream, identity, rest, limits))
    }

    /// Starts a link on a stream whose handshake is done; `received` is what was read beyond it.
    /// Must be called within a runtime.
    pub fn start(stream: BoxStream, identity: Identity, received: Vec<u8>, limits: Limits) -> Self {
        let (send, receive) = tasks::start(stream, received, limits);
        Self {
            sender: LinkSender { queue: send },
            receiver: LinkReceiver { queue: receive },
            identity,
        }
    }
}

impl LinkSender {
    /// Queues a message. Never waits.
    ///
    /// # Errors
    ///
    /// Fails when the link has ended, or ends now because the peer reads too slowly.
    pub fn try_send(&self, message: Message) -> Result<(), LinkEnded> {
        self.queue.push(message)
    }

    /// A serial that no other call of this link has had (within 2³² calls): give it to [`call`] and
    /// look for it with [`answers`].
    pub fn next_serial(&self) -> CallSerial {
        CallSerial(self.queue.next_serial())
    }

    /// Sets the longest message that is read from now on, in bytes: raise it once it is known who
    /// the peer is.
    pub fn set_message_bytes_max(&self, bytes_max: usize) {
        self.queue.set_message_bytes_max(bytes_max);
    }

    /// Ends the link: nothing more is read or queued, what is queued is still written, for at most
    /// [`Limits::drain`]. [`LinkReceiver::recv`] yields what was read before, then `None`.
    pub fn close(&self) {
        self.queue.close();
    }

    /// Waits, after [`LinkSender::close`], until all that was queued is with the socket, or the link has ended
    /// without. Does not wait for the peer to read it.
    pub async fn written(&self) {
        self.queue.written().await;
    }

    /// Ends the link at once; what is queued is lost.
    pub fn abort(&self) {
        self.queue.abort();
    }

    /// Whether the link has ended.
    pub fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }

    /// Messages and bytes that wait for the peer to read them.
    pub fn queued(&self) -> (usize, usize) {
        self.queue.queued()
    }
}

impl LinkReceiver {
    /// The next message of the peer. After the last one, the error that ended the link, once; then,
    /// or when the link ended in order, `None`. Dropping the future loses nothing.
    pub async fn recv(&mut self) -> Option<Result<Message, LinkError>> {
        self.queue.pop().await
    }
}

impl CallSerial {
    /// The number itself, never zero.
    pub fn number(self) -> NonZeroU32 {
        self.0
    }
}
