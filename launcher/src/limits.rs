//! Every bound of this program, with its reason. What the state machine bounds is in
//! [`generations::limits`].

use std::time::Duration;

/// How often a probe asks whether a worker is ready.
pub(crate) const PROBE_EVERY: Duration = Duration::from_millis(200);

/// How long one probe may take. One that hangs is killed, and the next one asks again.
pub(crate) const PROBE_TIME: Duration = Duration::from_secs(5);

/// How long a connection of our own probes may take.
pub(crate) const CONNECT_TIME: Duration = Duration::from_secs(2);

/// Bytes of a message of a worker. The kernel's own limit for the socket is above it; a status that is
/// longer is no status.
pub(crate) const MESSAGE_BYTES_MAX: usize = 8192;

/// Descriptors in one message, as many as systemd takes.
pub(crate) const MESSAGE_FDS_MAX: usize = 16;

/// Clients at the control socket at the same time. Those beyond wait in its backlog.
pub(crate) const CLIENTS_MAX: usize = 64;

/// Bytes of what a client asks: a word.
pub(crate) const REQUEST_BYTES_MAX: usize = 64;

/// Connections that wait to be accepted, where the launcher listens itself. Rust's default of 128 has
/// clients wait for seconds when there are more at once. The kernel takes the smaller of this and
/// `net.core.somaxconn`.
pub(crate) const LISTEN_BACKLOG: i32 = 4096;

/// Sockets that are passed to workers: far above what a socket unit has.
pub(crate) const SOCKETS_MAX: usize = 256;

/// The lowest number of a descriptor of our own: those of the workers' sockets begin at 3, and must not
/// be in the way when they are laid there.
pub(crate) const OWN_FDS_FROM: i32 = 3 + 256;

/// Bytes of a file with environment variables.
pub(crate) const ENVIRONMENT_BYTES_MAX: u64 = 1024 * 1024;

/// Bytes of a file that may change while workers run; more is no configuration.
pub(crate) const MUTABLE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// How long reading the settings may take: as long as a reload of a daemon, and less than the 90 s that
/// systemd gives `ExecReload=`.
pub(crate) const READING_TIME: Duration = Duration::from_secs(20);

/// Bytes of what settings come to: an environment, an argument list and some more, several times over.
pub(crate) const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Cgroups of generations that are over whose removal is tried again: as many as may drain at once.
pub(crate) const CGROUPS_LEAVING_MAX: usize = 1000;

/// How long the new program may take to say whether it understands this one's state.
pub(crate) const HANDOVER_CHECK_TIME: Duration = Duration::from_secs(2);

/// Ended processes whose descendants are still looked for.
pub(crate) const STRAYS_MAX: usize = 64;

/// How long a process may have no environment until it is taken for one that has none, in milliseconds.
/// Nothing else is done meanwhile, and only a worker that has failed can bring that about.
pub(crate) const EXECUTES_MS: u32 = 20;

/// Leftovers of a launcher before this one that are taken over.
pub(crate) const ADOPTED_MAX: usize = 4096;
