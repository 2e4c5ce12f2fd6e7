use std::time::Duration;

/// The bounds of one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long the handshake may take. Somebody who connects and says nothing must not hold a
    /// descriptor for long.
    pub handshake: Duration,
    /// Bytes of one message that is received, until [`super::LinkSender::set_message_bytes_max`].
    pub message_bytes_max: usize,
    /// Messages that may wait to be written.
    pub send_messages_max: usize,
    /// Bytes that may wait to be written. One message of any length may always wait alone.
    pub send_bytes_max: usize,
    /// Messages that may wait to be taken by us; then reading pauses.
    pub receive_messages_max: usize,
    /// Bytes that may wait to be taken by us; then reading pauses. One message of any length may
    /// always wait alone.
    pub receive_bytes_max: usize,
    /// How long writing may go on after the link was closed.
    pub drain: Duration,
}

impl Limits {
    /// Bytes of a message of a peer that has not registered: a hello is below one KiB.
    pub const UNREGISTERED_BYTES_MAX: usize = 16 * 1024;
    /// Bytes of a message of a peer that has: the `ListUnits` of ten thousand units is about
    /// four MiB.
    pub const REGISTERED_BYTES_MAX: usize = 16 * 1024 * 1024;

    /// For a peer that we do not know yet.
    pub const UNREGISTERED: Self = Self {
        handshake: Duration::from_secs(10),
        message_bytes_max: Self::UNREGISTERED_BYTES_MAX,
        // A burst of signals of a node that starts a thousand units, several for each.
        send_messages_max: 8192,
        // Two of the longest messages.
        send_bytes_max: 2 * Self::REGISTERED_BYTES_MAX,
        // Enough to keep the reader busy while the owner works off one turn of its loop.
        receive_messages_max: 64,
        // A link whose messages are not taken holds no more than this and one message, whatever
        // its peer does; a thousand of them fit into memory while they are short.
        receive_bytes_max: 1024 * 1024,
        // An error reply in front of a close is one packet; a peer that does not take it within
        // this does not care.
        drain: Duration::from_secs(1),
    };

    /// For a peer that we chose ourselves: our controller, systemd, the system bus.
    pub const TRUSTED: Self = Self {
        message_bytes_max: Self::REGISTERED_BYTES_MAX,
        ..Self::UNREGISTERED
    };
}
