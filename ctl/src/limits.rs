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

/// Calls that are under way at once: a bus lets one client of it wait for 128 answers
/// (`max_replies_per_connection` of dbus-daemon(1) for a user), and some are kept for questions.
pub(crate) const CALLS_AT_ONCE: usize = 100;

/// Calls to one object that are under way at once: an agent passes 32 calls on to its service manager
/// at the same time, and refuses more; half of that leaves room for somebody else.
pub(crate) const CALLS_OF_OBJECT_AT_ONCE: usize = 16;

/// Units whose state is asked for in one call: an agent answers 256 at most.
pub(crate) const UNITS_OF_STATUS: usize = 200;

/// How often more is asked to explain a unit: a chain of units of which each stands in the way of the
/// one before is rarely longer, and what is behind it is explained by asking about its last one.
pub(crate) const WHY_ROUNDS_MAX: usize = 8;

/// Lines of a journal in which the last words of a unit are looked for: behind them are some lines of
/// the service manager about its end.
pub(crate) const LAST_LINES: u32 = 20;

/// Units that are looked at to find out what depends on what: some hundred of each node of a large
/// part of a fleet. Each is a few dozen questions to its service manager.
pub(crate) const UNITS_WALKED_MAX: usize = 8192;

/// Units of all nodes that one command works on: a few of each node of the largest fleet. More is a
/// pattern that says something else than was meant.
pub(crate) const TARGETS_MAX: usize = 20_000;

/// How long a shell waits for names that complete a command line: longer, and a person wonders. A systemd that is asked
/// for all unit files reads them, for which it needs more than a second where the machine is busy.
pub(crate) const COMPLETION: Duration = Duration::from_secs(3);

/// Messages that may wait to be looked at: what a burst of ended jobs brings while a table is made.
pub(crate) const MESSAGES_QUEUED: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// Ends of jobs that are remembered before it is known which jobs are ours: far more than nodes
/// can end while replies are on their way.
pub(crate) const EARLY_ENDS_MAX: usize = 4096;

/// How long a job may take before a terminal shows that it is waited for: shorter ones need no word.
pub(crate) const PROGRESS_AFTER: Duration = Duration::from_secs(1);

/// How often that line is written anew: it counts seconds.
pub(crate) const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// Signals that are kept while answers are waited for: what a fleet says within such a moment. What is
/// beyond only says again that something has changed.
pub(crate) const SIGNALS_KEPT_MAX: usize = 4096;

/// How long a controller may be away while jobs of it are waited for: it is restarted within milliseconds, and
/// an upgrade takes a few seconds.
pub(crate) const CONTROLLER_AWAY_MAX: Duration = Duration::from_secs(15);

/// How long a controller may not be there that was never seen: as long as a restart takes that has just begun.
pub(crate) const CONTROLLER_ABSENT_MAX: Duration = Duration::from_millis(500);

/// How long to wait before a controller that has just begun is asked again for a job: its nodes come back
/// within some tens of milliseconds.
pub(crate) const FIND_EVERY: Duration = Duration::from_millis(100);

/// How long to wait before a bus that went away is looked for again: it needs no more to be back.
pub(crate) const RECONNECT_EVERY: Duration = Duration::from_millis(500);

/// How long a change has to wait for others before it is shown: a start is a burst of signals.
pub(crate) const SETTLE: Duration = Duration::from_millis(100);

/// How often a table that is watched is made anew though no signal came: it shows how long things
/// have been so, and claims, of which no signal tells.
pub(crate) const WATCH_EVERY: Duration = Duration::from_secs(2);

/// How long to wait for an answer of systemctl(1) on this machine, which only makes an error clearer.
pub(crate) const PROBE: Duration = Duration::from_secs(2);

/// Units whose properties are remembered so that only what differs is told: all of a large fleet.
/// Beyond, everything is told once more.
pub(crate) const UNITS_SHOWN_MAX: usize = 20_000;

/// Units whose journal is read in one call: an agent answers for 256 at most.
pub(crate) const UNITS_OF_JOURNAL: usize = 256;

/// Units whose files are asked for in one call: an agent answers for 64 at most, and together with not
/// more than a MiB, which these do not have.
pub(crate) const UNITS_OF_CAT: usize = 16;

/// Nodes whose journals are followed at once: each is a call that waits, of which a bus allows 128.
pub(crate) const FOLLOWED_NODES: usize = 100;

/// How long a node may wait for a line before it says that there is none. A node that is lost without a
/// word is noticed by the controller in less time than this.
pub(crate) const LOG_WAIT: Duration = Duration::from_secs(8);

/// How long to wait before a node is asked again that could not answer, or had nothing to wait for.
pub(crate) const LOG_PAUSE: Duration = Duration::from_secs(1);

/// How long lines that are there wait for those of nodes that have not answered yet, when what follows
/// is wanted too: their order is worth a moment, and no more.
pub(crate) const LOG_PATIENCE: Duration = Duration::from_secs(2);

/// Lines of a journal that the status of a unit has, as systemctl(1) shows.
pub(crate) const LOG_OF_STATUS: u32 = 10;

/// How long the status of a unit waits for its journal: it is worth a moment, and no more.
pub(crate) const LOG_OF_STATUS_PATIENCE: Duration = Duration::from_secs(2);

/// How long a daemon may take for a reload: what it gives itself, and some time for its answer.
pub(crate) const RELOAD: Duration = Duration::from_secs(25);
