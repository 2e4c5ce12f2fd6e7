//! Every bound of the daemon's shell, with the reason for its number. Those of the fleet are in
//! [`fleet::limits`], those of one link in [`host::link::Limits`].

use std::time::Duration;

/// Connections of one listener that have not registered yet. Each costs a descriptor and up to
/// 16 KiB. At a start of the whole fleet an agent is through in milliseconds, and those beyond wait
/// in the kernel's queue.
pub(crate) const UNREGISTERED_MAX: usize = 512;

/// How long a handshake and the registration after it may take together.
pub(crate) const REGISTER_TIME: Duration = Duration::from_secs(10);

/// Messages before the registration: `Hello` of the bus interface, pings, and then it must come.
pub(crate) const UNREGISTERED_MESSAGES_MAX: usize = 8;

/// Events of agents that wait for the loop. When it is full, the links stop reading.
pub(crate) const PEER_EVENTS_MAX: usize = 1024;

/// Calls of clients that wait for the loop. More are refused: the loop works off thousands each
/// millisecond, so this many mean that somebody asks faster than anybody could answer.
pub(crate) const CLIENT_CALLS_MAX: usize = 8192;

/// Calls of clients that wait for an answer of a node, over all nodes. Each has its message in
/// memory.
pub(crate) const OPEN_CALLS_MAX: usize = 65_536;

/// The longest deadline that a client may set for its calls: as the configuration allows.
pub(crate) const CALL_TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3600);

/// Calls of ours that one agent may leave unanswered: those of clients, whose number the core bounds,
/// those about jobs, likewise, and one for each set.
pub(crate) const UNANSWERED_MAX: usize =
    2 * fleet::limits::JOBS_PER_NODE_MAX + fleet::limits::CALLS_PER_NODE_MAX + 2;

/// Agents of BlueChi's that are asked for all of their units at once, as they connect: up to 100 kB each.
pub(crate) const LISTS_AT_ONCE_MAX: usize = 8;

/// After how many heartbeats others have the turn of an agent that has not answered: by then it has had one whole
/// interval.
pub(crate) const LIST_BEATS_MAX: u8 = 2;

/// Lists of the whole fleet that are being made at once; each asks every node.
pub(crate) const GATHERS_MAX: usize = 32;

/// Events worked off before the loop looks at signals and time again.
pub(crate) const BATCH_MAX: usize = 64;

/// How often the status line of the service may change: it is a message to the service manager.
pub(crate) const STATUS_INTERVAL: Duration = Duration::from_secs(1);

/// Messages that may wait for the bus to read them: each job makes four, and a burst of all the
/// jobs that a client may have open fits in.
pub(crate) const BUS_MESSAGES_MAX: usize = 131_072;

/// Bytes that may wait for the bus to read them: a few lists of units of the whole fleet.
pub(crate) const BUS_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Log lines about connections that came to nothing, in [`DROPPED_LINES_TIME`]. The rest is counted:
/// a stranger must not be able to fill the journal.
pub(crate) const DROPPED_LINES_MAX: u32 = 20;

/// See [`DROPPED_LINES_MAX`].
pub(crate) const DROPPED_LINES_TIME: Duration = Duration::from_secs(10);

/// How long a stop may wait for what is on its way to agents and clients.
pub(crate) const STOP_TIME: Duration = Duration::from_millis(500);

/// Names of rejected agents whose log lines are kept from repeating. More than this are not somebody
/// who is wrong in the configuration, but somebody who tries.
pub(crate) const REJECTED_NAMES_MAX: usize = 256;

/// Peers that are told what one monitor is told, besides whoever made it. Each signal is sent once to
/// each of them.
pub(crate) const PEERS_PER_MONITOR_MAX: usize = 64;

/// How often a stop that waits for jobs tells the service manager that it takes its time.
pub(crate) const EXTEND_EVERY: Duration = Duration::from_secs(10);

/// How much time it asks for: three times as much, so that one message that is late does no harm.
pub(crate) const EXTEND_BY: Duration = Duration::from_secs(30);

/// Lines of a dump of the state into the journal: all jobs and sessions of thousands of nodes, and few enough for
/// the journal, which begins to drop at 10 000 lines in 30 seconds, journald.conf(5). Whoever asks over the
/// bus gets all.
pub(crate) const DUMP_LINES_MAX: usize = 8192;
