//! Every bound of this core, with its reason. Reaching one is an outcome with a name, not a
//! surprise.

use std::time::Duration;

use proto::backoff::Backoff;

/// Holds that the controller may tell. At 300 bytes each, the whole set is a message of 5 MiB, well
/// under the 16 MiB that a message may have.
pub const HOLDS_MAX: usize = 16_384;

/// Proxies of this node that make claims. Each is a unit that systemd has loaded; a node with more
/// of them than this has a generator gone wild.
pub const CLAIMS_MAX: usize = 4_096;

/// States that the controller may tell: one for each claim.
pub const CLAIM_STATES_MAX: usize = CLAIMS_MAX;

/// Helpers that wait at the same time. Each is a process and a file descriptor of ours; 1024 is the
/// usual soft limit of descriptors, which the service raises.
pub const WAITERS_MAX: usize = 1_024;

/// Jobs of the controller that are under way. systemd's own table holds 128 × 1024; a fleet-wide
/// operation has one for each unit.
pub const JOBS_MAX: usize = 4_096;

/// Ends of jobs that are kept until a controller has acknowledged them, and for a while after. A
/// controller that is away gives no jobs, so there are as many at most as were under way; those that
/// do not fit are the oldest.
pub const ENDS_MAX: usize = 4_096;

/// How long an end is kept after it was acknowledged: as long as a client that has lost its controller
/// asks the next one for its job.
pub const ENDS_KEPT: Duration = Duration::from_secs(60);

/// Ends of jobs that are remembered because their call is not answered yet. They are told within
/// milliseconds of each other; the number covers a boot's burst.
pub const EARLY_MAX: usize = 1_024;

/// Units of ours (proxies and holds) that are kept in view: every claim and every held unit.
pub const UNITS_MAX: usize = CLAIMS_MAX + HOLDS_MAX;

/// What is called off together, such as the units of one transaction, is looked at together; and
/// what is called off is often started again.
pub const NEEDLESS_SETTLE: Duration = Duration::from_secs(1);

/// From one look for proxies that nobody needs to the next: each is a unit with a process.
pub const NEEDLESS_GAP: Duration = Duration::from_secs(4);

/// From the end of a job to the look whether it has hidden a proxy that is upheld: what systemd sees by itself at that
/// end it has begun by then.
pub const UPHELD_SETTLE: Duration = Duration::from_millis(100);

/// Units that uphold one proxy, of which the end of a job counts. One that so many uphold is overlooked only where each
/// of them that is active has a job at the same moment.
pub const UPHOLDERS_MAX: usize = 256;

/// Starts that are told to wait for proxies: one for each record of a hold that is starting.
pub const WAITS_MAX: usize = HOLDS_MAX;

/// Units that are named between a held unit and the proxy that it waits for. A circle is a sentence
/// for people; more than this nobody reads.
pub const WAITS_VIA_MAX: usize = 8;

/// What comes up together, such as the units of one transaction, is asked about together.
pub const WAITS_SETTLE: Duration = Duration::from_millis(20);

/// From one question what starts wait for to the next: a circle is found within this time, and a
/// boot that goes on for a minute asks so often at most.
pub const WAITS_GAP: Duration = Duration::from_millis(500);

/// When to ask again although nothing of ours has changed.
pub const WAITS_AGAIN: Duration = Duration::from_secs(10);

/// Bytes of the file of records: each has a unit (255), a node (64), two tokens and a reason (512).
pub const RECORDS_BYTES_MAX: usize = HOLDS_MAX * 1_024;

/// Damaged lines of the file of records that are told one by one; the rest would say the same.
pub const DAMAGES_MAX: usize = 8;

/// Different complaints about the controller that are logged in one outage.
pub const COMPLAINTS_MAX: usize = 8;

/// Connecting, the handshake and the registration have this long together, as the controller sees
/// it too (docs/design/wire.md).
pub const REGISTRATION: Duration = Duration::from_secs(10);

/// How long the network may take to make a connection, before the next attempt. The kernel repeats a
/// lost first packet after 1, 3, 7 and 15 s (tcp(7), `tcp_syn_retries`); when a cable is put back, a
/// new attempt comes sooner than the fourth of these.
pub const CONNECT: Duration = Duration::from_secs(3);

/// How often a proxy may be reloaded before each reload needs [`RELOAD_EVERY`]: more than a machine has
/// services that reload the same unit of another one, and few enough for units that reload each other
/// in a circle over nodes to come to an end within a second or two.
pub const RELOADS_BURST: u32 = 30;

/// How often a proxy may be reloaded for good. No circle whose rounds are quicker than this goes on for ever.
pub const RELOAD_EVERY: Duration = Duration::from_secs(10);

/// How long the start of a remote unit may take while no controller has said otherwise. It is
/// systemd's own `DefaultTimeoutStartSec=`.
pub const START_TIMEOUT: Duration = Duration::from_secs(90);

/// A unit that fails within this time from when it was up has not started: a service of `Type=simple`
/// is up before its program has run, and a program that cannot work says so at once.
pub const START_SETTLE: Duration = Duration::from_secs(1);

/// Waits between attempts to reach the controller. A restart of the controller takes some tens of
/// milliseconds, so the first waits are of that size; five seconds is as long as an operator
/// waits for a node that he has plugged in.
pub const RECONNECT: Backoff = Backoff {
    first: Duration::from_millis(20),
    max: Duration::from_secs(5),
};

/// Waits between attempts to stop or restart a unit where systemd refused: whoever queued the
/// conflicting job is given time to finish.
pub const RETRY: Backoff = Backoff {
    first: Duration::from_millis(200),
    max: Duration::from_secs(10),
};
