//! What a node asks its shell to do.

use std::time::Duration;

use proto::{
    message::ToController,
    model::{ClaimState, JobId, JobKind, JobMode, Reason, Token},
    name::{NodeName, UnitName},
};

use crate::{
    input::{CallId, LinkId, ManagerError, Waiter},
    unit::ManagerJob,
};

/// One thing to do. They are to be carried out in the order in which they come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// Write this text as the file of records, atomically, before anything that follows is done.
    Persist(String),
    /// Write this text as the note of this job, atomically, before anything that follows is done; or
    /// remove the note. See [`JobNote`](crate::JobNote).
    KeepJob {
        /// The job.
        job: JobId,
        /// The note.
        text: Option<String>,
    },
    /// Note, before anything that follows is done, that of requests that were made before now not all are among the
    /// notes of jobs: there was no room for one.
    ForgetJobs,
    /// Leave this as why the proxy is stopped for the helper of this run of it
    /// ([`reason_file`](proto::helper::reason_file)), atomically, before anything that follows is done.
    KeepReason {
        /// The run.
        token: Token,
        /// Why.
        reason: Reason,
    },
    /// Connect to this address (an index into the controller's addresses), and tell
    /// [`FromLink::Connected`](crate::FromLink::Connected) or `Failed` under this number. There is
    /// never more than one connection.
    Connect {
        /// The number of the connection.
        link: LinkId,
        /// Which address.
        address: usize,
    },
    /// Send a message over this connection.
    Send {
        /// The connection; it is the present one.
        link: LinkId,
        /// What to say.
        message: ToController,
    },
    /// End this connection, or the attempt to make it, after what was sent. Nothing more is to be
    /// told about it.
    Disconnect(LinkId),
    /// Call the service manager, and tell the answer under this number.
    Call {
        /// The number of the call.
        call: CallId,
        /// What to ask for.
        request: Request,
    },
    /// Tell a helper something.
    Helper {
        /// The helper.
        waiter: Waiter,
        /// What to tell it.
        answer: HelperAnswer,
    },
    /// Something that happened, for the log.
    Event(Event),
}

/// A call to the service manager.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// Queue a job; answered with [`Answer::Job`](crate::Answer::Job).
    Queue {
        /// What to do.
        verb: Verb,
        /// The unit.
        unit: UnitName,
        /// How to deal with jobs that are queued already.
        mode: JobMode,
    },
    /// Restart a proxy and what requires it, in the mode `fail`; answered with
    /// [`Answer::Restarting`](crate::Answer::Restarting). Where one of the units that require it, are bound to it or are a
    /// part of it is to be spared, the proxy is restarted without them (`ignore-requirements`), and each of
    /// the others by itself.
    Restart {
        /// The proxy.
        unit: UnitName,
        /// Whether also one that is not active is started.
        starts: bool,
        /// Those that stay as they are.
        spared: Vec<UnitName>,
    },
    /// Stop a unit as if it had ended by itself, which is how systemd stops what belongs to such a unit:
    /// not what requires it (the mode `ignore-requirements`), but what is bound to it, and what its stop is
    /// propagated to (`PropagatesStopTo`); answered with [`Answer::Job`](crate::Answer::Job).
    StopAlone(UnitName),
    /// Reload what wants to be reloaded with a unit (`PropagatesReloadTo`), and nothing beyond it (the mode
    /// `ignore-dependencies`), so that two that want it of each other come to an end; answered with
    /// [`Answer::Done`](crate::Answer::Done).
    ReloadFollowers(UnitName),
    /// Take a job back; answered with [`Answer::Done`](crate::Answer::Done).
    Cancel(ManagerJob),
    /// Say how a unit of ours is now; answered with [`Answer::Unit`](crate::Answer::Unit), at the
    /// place among the changes at which it is true.
    Look(UnitName),
    /// Say why a unit is as it is; answered with
    /// [`Answer::Description`](crate::Answer::Description), also for a unit that is not loaded.
    Describe(UnitName),
    /// Say for which proxies these jobs wait, directly or over other jobs; answered with
    /// [`Answer::Waits`](crate::Answer::Waits). A job that has ended by then waits for nothing.
    WaitsOf(Vec<ManagerJob>),
    /// Look again whether these units are still needed (`StopWhenUnneeded=`), which is the manager's to
    /// decide; answered with [`Answer::Job`](crate::Answer::Job). The unit [`LOOK_AGAIN`] is made that wants
    /// them, is started without what it wants, and ends at once: at the end of a unit systemd looks at
    /// all that it wanted.
    LookAgain(Vec<UnitName>),
    /// Say which units uphold one (`UpheldBy`); answered with [`Answer::Units`](crate::Answer::Units).
    UpheldBy(UnitName),
    /// Look again whether this unit is to be started because another one upholds it (`Upholds=`), which is the
    /// manager's to decide; answered with [`Answer::Job`](crate::Answer::Job). The job is of the type `nop`, which
    /// is nothing to a unit, whatever state it is in; at the end of each job systemd looks whether its unit is upheld.
    LookUpheld(UnitName),
}

/// The unit of [`Request::LookAgain`].
pub const LOOK_AGAIN: &str = "unitlink-look-again.service";

/// A method of the service manager that queues a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// `StartUnit`
    Start,
    /// `StopUnit`
    Stop,
    /// `RestartUnit`
    Restart,
    /// `ReloadUnit`
    Reload,
    /// `TryRestartUnit`: restart it if it is active.
    TryRestart,
}

impl Verb {
    /// The name of the method.
    pub fn method(self) -> &'static str {
        match self {
            Self::Start => "StartUnit",
            Self::Stop => "StopUnit",
            Self::Restart => "RestartUnit",
            Self::Reload => "ReloadUnit",
            Self::TryRestart => "TryRestartUnit",
        }
    }
}

/// What a helper is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HelperAnswer {
    /// It has to wait, at most this long.
    Wait {
        /// Until the agent gives up.
        left: Duration,
        /// What is waited for.
        what: Reason,
    },
    /// The unit is up. The helper is then forgotten.
    Up,
    /// What it has ordered is done. The helper is then forgotten.
    Done,
    /// The unit will not be up, or what was ordered is not done. The helper is then forgotten.
    Failed(Reason),
}

/// Something that happened, for the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The controller has registered this node.
    Registered {
        /// At which address.
        address: String,
        /// The version of its program.
        version: String,
    },
    /// The connection has ended.
    LinkLost {
        /// Why.
        why: String,
    },
    /// The controller could not be reached. Said once for each reason in an outage.
    Unreachable {
        /// Where.
        address: String,
        /// Why.
        why: String,
    },
    /// The controller does not want this node. Said once for each reason in an outage.
    Rejected {
        /// At which address.
        address: String,
        /// Why.
        reason: Reason,
    },
    /// The controller did not follow the protocol; the connection was ended.
    Breach {
        /// What was wrong.
        why: String,
    },
    /// The service manager is reached.
    ManagerReached {
        /// How many units of ours it has loaded.
        units: usize,
    },
    /// The service manager is out of reach.
    ManagerLost,
    /// A hold of another node on a unit here stands otherwise.
    Hold {
        /// The unit.
        unit: UnitName,
        /// Who needs it.
        source: NodeName,
        /// How it stands.
        state: ClaimState,
    },
    /// Nobody needs a unit any more.
    Releasing {
        /// The unit.
        unit: UnitName,
    },
    /// The controller says that a claim is not what it was.
    ClaimLost {
        /// The proxy.
        proxy: UnitName,
        /// Why.
        reason: Reason,
    },
    /// A proxy is stopped, because its unit is not up any more.
    ProxyStopping {
        /// The proxy.
        proxy: UnitName,
        /// Why.
        reason: Reason,
    },
    /// A proxy is restarted, because its unit was.
    ProxyRestarting {
        /// The proxy.
        proxy: UnitName,
        /// What its unit was restarted for, and is not restarted for it in turn.
        spared: Vec<UnitName>,
    },
    /// The start of a proxy fails.
    StartFailed {
        /// The proxy, as it was written.
        proxy: String,
        /// Why.
        reason: Reason,
    },
    /// What was ordered for a unit of another node was not done.
    OrderFailed {
        /// What.
        kind: JobKind,
        /// The proxy that stands for the unit.
        proxy: UnitName,
        /// Why.
        reason: Reason,
    },
    /// A proxy is down and a unit upholds it, which may have had a job when it went down; systemd is made to look again.
    Overlooked {
        /// The proxy.
        proxy: UnitName,
    },
    /// systemd did not do what was asked for a unit of ours; it is asked again.
    Retrying {
        /// The unit.
        unit: UnitName,
        /// What it said.
        why: String,
    },
    /// A line of the file of records is damaged, and was skipped.
    RecordDamaged {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// systemd refused a job of the controller. Its end follows.
    JobRefused {
        /// The job.
        job: JobId,
        /// What systemd answered, with its name.
        error: ManagerError,
    },
    /// A bound was reached.
    Limit {
        /// Which.
        what: &'static str,
    },
}
