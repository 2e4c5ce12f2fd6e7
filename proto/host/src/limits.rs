//! Every bound of this crate, with its reason. Bounds of one link are in [`crate::link::Limits`],
//! since its owner chooses them.

use std::time::Duration;

/// Bytes of a whole handshake. The longest that is in use (three mechanisms tried, one after the
/// other) stays below 300.
pub const HANDSHAKE_BYTES_MAX: usize = 4096;

/// Lines of a whole handshake, for the same reason.
pub const HANDSHAKE_LINES_MAX: usize = 16;

/// Connections that wait to be accepted. With the 128 that Rust asks for, a fleet of 2 000 agents
/// that reconnects at once sees SYN retries of a second and more. The kernel takes the smaller of
/// this and `net.core.somaxconn`, which is 4096 by default, listen(2).
pub const LISTEN_BACKLOG: i32 = 4096;

/// Wait after an accept that failed for want of descriptors or memory: nothing gets better by
/// asking at once, and a busy loop would starve the links that could be closed.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bytes of one configuration file. A thousand nodes with long lists are below 200 KiB.
pub const CONFIG_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Configuration files read. One drop-in for each node of the largest fleet we aim at is below it
/// by far; a directory with more is not a configuration directory.
pub const CONFIG_FILES_MAX: usize = 1024;

/// Errors of a configuration that are kept. Nobody reads more at once; the rest is counted.
pub const CONFIG_ERRORS_MAX: usize = 64;

/// Entries of a list in the configuration, unless its reader asks for another bound: above any
/// fleet we aim at.
pub const CONFIG_LIST_MAX: usize = 16_384;

/// Descriptors that are taken from systemd: far above the number of sockets a socket unit has.
pub const PASSED_FDS_MAX: u32 = 1024;

/// Addresses tried for one host name. More only delay the next address of the configured list.
pub const RESOLVED_ADDRESSES_MAX: usize = 16;

/// How long reading the configuration may take at a reload. It takes milliseconds; only a file system
/// that does not answer takes longer. Below `TimeoutStartSec=` of the units, which limits their
/// `ExecReload=` as well.
pub const RELOAD_TIME: Duration = Duration::from_secs(20);

/// How long reading the configuration may take at the start, for the same reasons.
pub const START_READ_TIME: Duration = RELOAD_TIME;

/// Those who wait for a reload at the same time. Whoever is beyond it is told so, and the reload
/// takes place all the same.
pub const RELOAD_WAITERS_MAX: usize = 256;
