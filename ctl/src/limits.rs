//! Every bound of the command, with its reason.

use std::{num::NonZeroUsize, time::Duration};

/// How long to wait for a job unless told otherwise. A start may first wait for a unit of another
/// node (90 s by default) and then take its own 90 s; a restart stops first, which has 90 s as well.
/// This is longer than all three, so what is reported is the job's own end and its reason.
pub(crate) const JOB: Duration = Duration::from_secs(300);

/// How long to wait for an answer unless told otherwise. The controller itself gives up on a node
/// that does not answer and says which; this is for a controller that hangs.
pub(crate) const QUESTION: Duration = Duration::from_secs(30);

/// The longest time that `--timeout` takes: nothing waits forever.
pub(crate) const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Units of one call: as many as a bus lets one client have calls under way (`max_replies_per_connection`
/// of dbus-daemon(1) is 128 for a user).
pub(crate) const UNITS_MAX: usize = 100;

/// Messages that may wait to be looked at: what a burst of ended jobs brings while a table is made.
pub(crate) const MESSAGES_QUEUED: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// Ends of jobs that are remembered before it is known which jobs are ours: far more than one node
/// can end while one reply is on its way.
pub(crate) const EARLY_ENDS_MAX: usize = 4096;

/// How long a job may take before a terminal shows that it is waited for: shorter ones need no word.
pub(crate) const PROGRESS_AFTER: Duration = Duration::from_secs(1);

/// How often that line is written anew: it counts seconds.
pub(crate) const PROGRESS_EVERY: Duration = Duration::from_secs(1);
