//! Every bound of the helper, with its reason.

use std::time::Duration;

use proto::backoff::Backoff;

/// The longest line in bytes, without its end: the bound of the protocol. A reason has at most 512
/// bytes, so every line of an agent fits.
pub(crate) const LINE_BYTES_MAX: usize = 1024;

/// How long the agent may take to say its first word: the default start timeout of systemd and of
/// the controller.
pub(crate) const FIRST_WORD: Duration = Duration::from_secs(90);

/// What is added to the time that the agent names: the agent gives up first and says why; only if
/// it has gone does the helper give up on its own.
pub(crate) const RESERVE: Duration = Duration::from_secs(5);

/// The longest time an agent may ask for: no start waits forever.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How soon to connect again. The socket belongs to systemd, so a missing agent is rare and short;
/// a second at most keeps the start after it quick.
pub(crate) const RECONNECT: Backoff = Backoff {
    first: Duration::from_millis(20),
    max: Duration::from_secs(1),
};

/// Lines of one connection that mean nothing: after this many the connection is given up, because
/// whoever is on the other side is no agent.
pub(crate) const GARBAGE_LINES_MAX: u32 = 16;

/// The longest text that the agent leaves: a line with its end.
pub(crate) const REASON_BYTES_MAX: u64 = LINE_BYTES_MAX as u64 + 1;

/// How long the agent may take to hear of a reload, which does not fail for want of it.
pub(crate) const LAST_WORD: Duration = Duration::from_secs(2);
