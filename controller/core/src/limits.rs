//! Every bound of the core, with the reason for its number.

use std::time::Duration;

/// Jobs that may be open on one node at once. systemd works on as many as there are; a node that
/// has this many open is not keeping up, and a caller should hear of it.
pub const JOBS_PER_NODE_MAX: usize = 4096;

/// Jobs that one client of the public API may have open at once, over all nodes: four nodes full,
/// so that a script in a loop cannot take the whole fleet from everybody else.
pub const JOBS_PER_CLIENT_MAX: usize = 16_384;

/// Jobs that the units of one node may have open at once: as many as its agent lets helpers wait.
pub const ORDERS_PER_NODE_MAX: usize = 1_024;

/// Jobs that have ended and are remembered, for clients that lost their controller or were away: some minutes
/// of a busy fleet, at some hundred bytes each.
pub const ENDED_JOBS_MAX: usize = 8192;

/// Calls that may wait for the answer of one node at once. Each has its body in memory, and a node
/// answers them one after the other.
pub const CALLS_PER_NODE_MAX: usize = 512;

/// Clients that have a deadline of their own for their calls. Each is a few bytes until the client
/// leaves the bus; a bus has some hundreds of clients.
pub const CALL_TIMEOUTS_MAX: usize = 4096;

/// Claims of one node. A whole set of them, with every name and reason as long as it may be, has
/// to fit into one message of 16 MiB; with 255 bytes for the unit, 64 for the node and 512 for the
/// reason an entry has less than 1 KiB.
pub const CLAIMS_PER_SOURCE_MAX: usize = 8192;

/// Holds on one node, from all sources together; as for [`CLAIMS_PER_SOURCE_MAX`], a whole set has
/// to fit into one message. A claim beyond it is refused.
pub const HOLDS_PER_TARGET_MAX: usize = 16_384;

/// Claims of one node whose last end is remembered, for people who ask. A node needs some dozens of
/// units of others; with more, what ended first is forgotten.
pub const ENDED_PER_SOURCE_MAX: usize = 256;

/// The shortest grace of a node that has told nothing since the controller started, whatever
/// `source_grace` and `loss_grace` are. An agent that found no controller for a while asks again
/// every five seconds at most; nothing must be stopped before it had its turn.
pub const ADOPTED_GRACE_MIN: Duration = Duration::from_secs(7);

/// Monitors that may be open at once. Each is a client that looks on; a fleet has a few, and a test
/// bench some dozens.
pub const MONITORS_MAX: usize = 1024;

/// Monitors that one client may have open at once, so that a loop in one does not take them from all
/// others.
pub const MONITORS_PER_CLIENT_MAX: usize = 64;

/// Units that the subscriptions of one monitor may name, together. Somebody who wants more wants all.
pub const UNITS_PER_MONITOR_MAX: usize = 4096;

/// Units of one node whose state is remembered for monitors. A node has some hundreds; what is beyond
/// is told as it happens, but not when the node goes away.
pub const UNITS_SEEN_MAX: usize = 16_384;
