//! Every bound of this crate, with its reason. What an administrator chooses is in [`crate::Settings`].

use std::time::Duration;

/// How long a worker that is not ready yet has between TERM and KILL: it serves nobody, and a reload
/// that has failed, or a stop, should be over.
pub const IDLE_GRACE: Duration = Duration::from_secs(2);

/// How long a silent worker has after ABRT to write its core dump.
pub const ABORT_GRACE: Duration = Duration::from_secs(5);

/// After an interrupt everything is killed, and what the kernel has not ended by then is left to the
/// service manager: the exit is promised within 100 ms.
pub const QUIT_TIME: Duration = Duration::from_millis(80);

/// How often the service manager is asked for more time while workers drain or get ready.
pub const EXTEND_EVERY: Duration = Duration::from_secs(10);

/// How much time it is asked for: two more turns, so that one may be late.
pub const EXTEND_BY: Duration = Duration::from_secs(30);

/// The first wait before a failed reload is tried again by itself; it doubles.
pub const RETRY_FIRST: Duration = Duration::from_secs(1);

/// The longest wait before a failed reload is tried again.
pub const RETRY_MAX: Duration = Duration::from_secs(60);

/// The most workers of one generation. Machines with more cores than this run several launchers.
pub const WORKERS_MAX: u32 = 1024;

/// Crashes that are remembered for `max_crashes`.
pub const CRASHES_MAX: u32 = 1000;
