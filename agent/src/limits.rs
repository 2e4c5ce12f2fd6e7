//! Every bound of the shell, with its reason. Those of the core are in [`node::limits`].

use std::time::Duration;

use proto::backoff::Backoff;

/// How long systemd may take to answer a call. It answers within microseconds, unless it is busy
/// with a `daemon-reload` of thousands of units; 25 seconds is what every D-Bus library waits.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(25);

/// How long it may take from the start until all units are known. A systemd that is busy answers a call within
/// [`CALL_TIMEOUT`]; longer than this nobody waits (`TimeoutStartSec=` of the unit), and to leave by oneself says why.
pub(crate) const READY_TIME: Duration = Duration::from_secs(27);

const _: () = assert!(READY_TIME.as_secs() > CALL_TIMEOUT.as_secs());

/// Waits between attempts to reach systemd. After a `daemon-reexec` it is back within some tens of
/// milliseconds.
pub(crate) const MANAGER_BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(10),
    max: Duration::from_secs(2),
};

/// Attempts on systemd's own socket before the bus is tried as well: about 600 milliseconds.
pub(crate) const PRIVATE_ATTEMPTS: u32 = 7;

/// How long connecting to systemd may take.
pub(crate) const MANAGER_CONNECT: Duration = Duration::from_secs(10);

/// What systemd says and the loop has not taken in yet; beyond it the session stops reading.
pub(crate) const MANAGER_EVENTS_MAX: usize = 64;

/// What comes over the link and the loop has not taken in yet; beyond it, reading pauses.
pub(crate) const LINK_EVENTS_MAX: usize = 16;

/// What helpers say and the loop has not taken in yet; beyond it they wait.
pub(crate) const HELPER_EVENTS_MAX: usize = 16;

/// Ends of jobs that are kept back while the state of all units is being asked.
pub(crate) const ENDS_MAX: usize = 4_096;

/// Calls that pass through to systemd at the same time. Each holds its answer in memory, and a
/// `ListUnits` of thousands of units has megabytes.
pub(crate) const PASSING_MAX: usize = 32;

/// Units of one `UnitStatus`: a page of a table.
pub(crate) const STATUS_UNITS_MAX: usize = 256;

/// Properties of one `ReadProperties`: all that say what depends on what, and a few more.
pub(crate) const READ_PROPERTIES_MAX: usize = 64;

/// Bytes of a unit file that are read. Those of distributions have some kilobytes; systemd itself
/// takes a longer one, and what it says so late is not looked at.
pub(crate) const UNIT_FILE_BYTES_MAX: u64 = 256 * 1024;

/// Unit files and drop-ins that are looked at: ten times what a full desktop installation has.
pub(crate) const UNIT_FILES_MAX: usize = 16_384;

/// References to units of other nodes that are listed: a node with a thousand sources has about
/// four thousand, some hundred bytes each.
pub(crate) const REFERENCES_MAX: usize = 8_192;

/// A line of a helper, docs/design/claims.md.
pub(crate) const LINE_BYTES_MAX: usize = 1_024;

/// How long a helper may take to say what it needs, and to read an answer. It is a program of ours
/// that does both at once; under load it may not be scheduled for a while.
pub(crate) const HELPER_PATIENCE: Duration = Duration::from_secs(10);

/// Answers that wait for one helper to read them. A helper that lets more than a few changes of
/// what is waited for pile up is gone.
pub(crate) const HELPER_ANSWERS_MAX: usize = 16;

/// Why proxies are stopped: as many as there may be at once, so that none is taken away that a helper still wants.
pub(crate) const REASONS_MAX: usize = node::limits::CLAIMS_MAX;

/// How long the goodbye may take to be written.
pub(crate) const GOODBYE: Duration = Duration::from_secs(1);

/// How long what is on its way may take when the agent is told to stop.
pub(crate) const HEAR_OUT: Duration = Duration::from_millis(500);

/// Nothing more is on its way when nothing has come for so long. systemd sends within its loop, but
/// the machine is busy when it shuts down.
pub(crate) const QUIET: Duration = Duration::from_millis(30);

/// Units that the controller may subscribe to on one connection, one by one. It has a bound of its own,
/// of the same size, for each of those who ask it.
pub(crate) const WATCHED_MAX: usize = 16_384;

/// Units whose state is remembered because the controller wants to hear of them. systemd has some
/// hundreds; what is beyond is told as it changes, but not whether it did.
pub(crate) const UNITS_KNOWN_MAX: usize = 16_384;

/// Calls of `CreateProxy` that wait for a unit. Each is a start of a proxy on this node.
pub(crate) const CREATE_PROXY_MAX: usize = 256;

/// Calls on the bus that wait for the loop; more are refused.
pub(crate) const BUS_CALLS_MAX: usize = 512;

/// Messages that may wait for the bus to read them.
pub(crate) const BUS_MESSAGES_MAX: usize = 4_096;

/// Bytes that may wait for the bus to read them.
pub(crate) const BUS_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Jobs that are asked for one question what starts wait for. Each answers in some tens of
/// microseconds; a boot has a few hundred jobs. Of a queue that is longer still, not all is found out, and the
/// start timeout ends what waits in a circle there.
pub(crate) const JOBS_WALKED_MAX: usize = 1_024;

/// Reads of the journal at the same time. Each is a process; more than these wait for lines of
/// more commands than people have screens.
pub(crate) const JOURNAL_READS_MAX: usize = 16;

/// Units of one read: each is an argument of journalctl, and a few matches for each entry.
pub(crate) const JOURNAL_UNITS_MAX: usize = 256;

/// Lines of one answer. A chatty service writes as many in a second; whoever wants more asks again.
pub(crate) const JOURNAL_LINES_MAX: usize = 500;

/// Bytes of all messages of one answer, beyond which no further line is added. Heartbeats and claims
/// use the same link: on one of 10 Mbit/s they wait a quarter of a second for an answer.
pub(crate) const JOURNAL_BYTES_MAX: usize = 256 * 1024;

/// Bytes of one message. journald cuts lines of standard output at 48 KiB (`LineMax=`,
/// journald.conf(5)), so only what a program gives to it directly is ever longer.
pub(crate) const JOURNAL_MESSAGE_BYTES_MAX: usize = 48 * 1024;

/// Bytes of any other field: the longest is the name of a unit.
pub(crate) const JOURNAL_FIELD_BYTES_MAX: usize = 512;

/// Bytes of the name of a field: 64 in systemd, and its own begin with one underscore more.
pub(crate) const JOURNAL_NAME_BYTES_MAX: usize = 72;

/// Bytes of a cursor: systemd's have about 130.
pub(crate) const JOURNAL_CURSOR_BYTES_MAX: usize = 512;

/// How long a read may wait for lines that are yet to come. The controller gives up on a call after
/// 30 s by default, and a link that was lost should not be waited for much longer than needed.
pub(crate) const JOURNAL_WAIT_MAX: Duration = Duration::from_secs(20);

/// How long to collect lines after the first that came: what is written together is answered
/// together, and a chatty service does not cost a process for each line.
pub(crate) const JOURNAL_LINGER: Duration = Duration::from_millis(150);

/// Bytes of a pattern that messages have to match: what people write, many times over. What it costs to
/// match it, the time of the read bounds.
pub(crate) const JOURNAL_PATTERN_BYTES_MAX: usize = 1_024;

/// How long a read may take that waits for nothing. Some gigabytes of journal on a slow disk are
/// searched in that time; the controller gives up after 30 s.
pub(crate) const JOURNAL_PATIENCE: Duration = Duration::from_secs(20);

/// Bytes of what journalctl complains about: one line says enough.
pub(crate) const JOURNAL_COMPLAINT_BYTES_MAX: usize = 1_024;

/// Units of one `UnitFiles`: more than somebody reads.
pub(crate) const FILES_UNITS_MAX: usize = 64;

/// Bytes of one unit file. The largest that are shipped have some ten KiB.
pub(crate) const FILE_BYTES_MAX: u64 = 128 * 1024;

/// Bytes of all files of one answer; what is beyond is left out and said to be.
pub(crate) const FILES_BYTES_MAX: u64 = 1024 * 1024;

/// How long systemd may take to say whether the machine shuts down. If it does not, it is taken for a
/// shutdown, in which nothing is waited for.
pub(crate) const SHUTDOWN_ANSWER: Duration = Duration::from_millis(500);

/// How often a stop that waits for jobs tells the service manager that it takes its time.
pub(crate) const EXTEND_EVERY: Duration = Duration::from_secs(10);

/// How much time it asks for: three times as much, so that one message that is late does no harm.
pub(crate) const EXTEND_BY: Duration = Duration::from_secs(30);

/// Lines of a dump of the state: little enough for the journal, which begins to drop at 10 000 lines
/// in 30 seconds, journald.conf(5).
pub(crate) const DUMP_LINES_MAX: usize = 8192;
