//! What a node is told.

use std::time::Duration;

use proto::{
    backoff::Backoff,
    message::ToAgent,
    model::{JobKind, JobResult},
    name::{NodeName, UnitName},
};

use crate::unit::{ManagerJob, UnitState};

/// The number of a connection to the controller, counted from 1. What is told about any other than
/// the present one is late, and ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// The number of a call to the service manager, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// The number of a helper that is connected; the shell counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Waiter(pub u64);

/// Anything that happens to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Something about the connection that [`Output::Connect`](crate::Output::Connect) asked for.
    Link(LinkId, FromLink),
    /// Something about the service manager.
    Manager(FromManager),
    /// Something about a helper.
    Helper(Waiter, FromHelper),
    /// Settings have changed.
    Configure(Live),
    /// The node has another name from now on; the controller knows it as another node.
    Rename(NodeName),
    /// The agent is about to stop: no job of the controller's is begun any more, and those under way may
    /// end. There is no way back.
    Drain,
    /// The agent is to stop: the controller is told, and nothing else is done any more.
    Stop,
}

/// What comes from the link to the controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromLink {
    /// The connection stands (its SASL handshake is done): messages can be sent.
    Connected,
    /// It could not be made; a fragment that says why.
    Failed(String),
    /// The controller said something.
    Said(ToAgent),
    /// It has ended, from the other side or by an error; a fragment that says why.
    Closed(String),
}

/// What comes from the service manager.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FromManager {
    /// It is reached, for the first time or again. What follows on this connection is newer than the
    /// snapshot.
    Connected(Snapshot),
    /// It is out of reach. Calls that were not answered never will be.
    Disconnected,
    /// It has read its units again (`daemon-reload`), in the course of which it forgets all of them
    /// and says so; none of this is told here, but how they are now. Calls go on, and so do jobs.
    Reloaded(Snapshot),
    /// A unit is loaded or has changed. Only proxies and holds matter; others are ignored.
    Changed(UnitState),
    /// A unit is not loaded any more.
    Gone(UnitName),
    /// A unit may not be active although its hold unit is, which is bound to nothing: systemd forgets what a unit
    /// says that was masked, as soon as it has read its files again. Told after a snapshot of each unit with
    /// such a hold unit, and later when such a unit says that it is not active.
    Unbound(UnitName),
    /// A job was queued.
    JobNew {
        /// The job.
        job: ManagerJob,
        /// Its unit.
        unit: UnitName,
    },
    /// systemd works on a job.
    JobRunning(ManagerJob),
    /// A job has ended. systemd tells the state that its unit is in before this.
    JobRemoved {
        /// The job.
        job: ManagerJob,
        /// Its unit.
        unit: UnitName,
        /// How it ended.
        result: JobResult,
    },
    /// A call was answered.
    Answered(CallId, Result<Answer, ManagerError>),
}

/// All that matters here of a service manager at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Snapshot {
    /// Every `proxy@`, `dep@` and `dep-unit@` that is loaded.
    pub units: Vec<UnitState>,
    /// Every job in the queue, of whatever unit.
    pub jobs: Vec<ManagerJob>,
}

/// The answer to a call; which one is meant, the call says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// To a verb: the job that was queued, or that there was already.
    Job(ManagerJob),
    /// To a restart of a proxy.
    Restarting(Restarting),
    /// To a cancelling: it is done.
    Done,
    /// To a look: the unit, if it is loaded.
    Unit(Option<UnitState>),
    /// To a question why a unit is as it is.
    Description(Description),
    /// To a question what jobs wait for.
    Waits(Vec<Waited>),
    /// To a question which units uphold one.
    Units(Vec<UnitName>),
}

/// What comes of the restart of a proxy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Restarting {
    /// The job of the proxy.
    pub job: ManagerJob,
    /// Whether something that requires it was spared, so that its restart is not that of all of them.
    pub alone: bool,
    /// The hold units that are restarted with it, each with its job.
    pub holds: Vec<(UnitName, ManagerJob)>,
}

/// A job that waits until a proxy has started.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Waited {
    /// The job.
    pub job: ManagerJob,
    /// The proxy, which has a job too.
    pub proxy: UnitName,
    /// The units over which it waits, beginning with the one that the job's own waits for.
    pub via: Vec<UnitName>,
}

/// An error that the service manager answered with, or that ended the call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ManagerError {
    /// Its D-Bus name.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Properties of a unit that say why it is not active; names are those of
/// org.freedesktop.systemd1(5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Description {
    /// `LoadState`: `loaded`, `not-found`, `masked`, `bad-setting`, `error`.
    pub load: String,
    /// The text of `LoadError`.
    pub load_error: String,
    /// `ActiveState`.
    pub active: String,
    /// Whether its `SubState` is `auto-restart`: it has ended, and is to be started again.
    pub restarts: bool,
    /// Whether a job is queued for it (`Job`).
    pub job: bool,
    /// `Result` of the unit's type: `success`, `exit-code`, `signal`, `timeout`, …
    pub result: String,
    /// `ReloadResult`: how its last reload went, as `result`.
    pub reload: String,
    /// `StatusText`: what it says about itself.
    pub status: String,
    /// `ExecMainCode`: how the main process ended, `CLD_EXITED` (1) or a signal; 0 for none.
    pub exec_code: i32,
    /// `ExecMainStatus`: its exit status or signal.
    pub exec_status: i32,
    /// Whether a condition was checked and did not hold (`ConditionTimestamp`, `ConditionResult`).
    pub condition_failed: bool,
    /// Whether it is never active but only runs (`Type=oneshot` without `RemainAfterExit=yes`).
    pub once: bool,
    /// The proxies among the units that it requires (`Requires`, `Requisite`, `BindsTo`).
    pub proxies: Vec<UnitName>,
}

/// What comes from a helper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromHelper {
    /// It needs what its proxy stands for. Both texts are as it sent them.
    Asks {
        /// The name of its unit.
        proxy: String,
        /// `$INVOCATION_ID`.
        token: String,
    },
    /// The unit of a hold was reloaded.
    Reloaded {
        /// The name of the hold unit, as it was sent.
        hold: String,
    },
    /// It wants something done, once, with what its proxy stands for.
    Orders {
        /// What.
        kind: JobKind,
        /// The name of the proxy, as it was sent.
        proxy: String,
    },
    /// It has gone.
    Gone,
}

/// The settings that can change while the agent runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Live {
    /// The controller's addresses as people write them, tried in this order.
    pub controllers: Vec<String>,
    /// How often to say that one is alive.
    pub heartbeat_interval: Duration,
    /// How long the controller may be silent.
    pub heartbeat_threshold: Duration,
    /// How long to wait between attempts to reach it.
    pub reconnect: Backoff,
}
