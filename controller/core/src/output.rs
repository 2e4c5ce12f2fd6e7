use std::time::Duration;

use proto::{
    message::{ClaimKey, ToAgent},
    model::{JobId, JobResult, JobState, NodeStatus, Reason},
    name::{NodeName, UnitName},
    sync::SyncError,
};
use thiserror::Error;

use crate::{
    difference::{Difference, ToldSet},
    input::{AgentError, PeerId, RequestId},
    job::Job,
    monitor::{Choice, MonitorId, SubscriptionId, UnitNews},
};

/// What the shell is asked to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// Tell an agent something.
    Send {
        /// Its connection.
        peer: PeerId,
        /// What.
        message: ToAgent,
    },
    /// Close a connection, after what was sent on it before. The core has forgotten it already.
    Disconnect {
        /// The connection.
        peer: PeerId,
        /// Why.
        why: Disconnect,
    },
    /// Answer a client.
    Answer {
        /// The call.
        id: RequestId,
        /// With what.
        result: Result<Answer, RequestError>,
    },
    /// Hand a client's call on to an agent, and give [`crate::Input::Forwarded`] when it has
    /// answered. Where the client was answered before, by a timeout or a node that went away, the
    /// answer is dropped.
    Forward {
        /// The call.
        id: RequestId,
        /// The agent.
        peer: PeerId,
    },
    /// Ask an agent to start a unit with the properties that a client's call brings. It ends as any
    /// other job.
    Transient {
        /// The agent.
        peer: PeerId,
        /// The job.
        job: JobId,
        /// The call.
        id: RequestId,
    },
    /// Ask an agent to tell what happens to a unit, or not to tell it any more.
    Watch {
        /// The agent.
        peer: PeerId,
        /// The unit, or all.
        unit: Choice<UnitName>,
        /// Whether it is to tell.
        on: bool,
    },
    /// Tell monitors what happened to a unit.
    Monitor {
        /// The monitors; never none.
        monitors: Vec<MonitorId>,
        /// The node.
        node: NodeName,
        /// The unit; all of them, where the node itself came or went.
        unit: Choice<UnitName>,
        /// What happened.
        news: UnitNews,
    },
    /// There is a node that was not there before: the settings have changed.
    NodeAdded(NodeName),
    /// A node is not there any more: the settings have changed.
    NodeRemoved(NodeName),
    /// A node is online or offline now.
    NodeStatus {
        /// The node.
        node: NodeName,
        /// What it is now.
        status: NodeStatus,
    },
    /// The fleet as a whole stands otherwise now.
    FleetStatus(FleetStatus),
    /// There is a new job. Precedes the answer to the call that made it.
    JobNew(JobId),
    /// A job is at work, or not.
    JobState {
        /// The job.
        job: JobId,
        /// How far it is.
        state: JobState,
    },
    /// A job has ended. Follows the answer to the call that made it.
    JobRemoved {
        /// What it was.
        job: Job,
        /// How it ended.
        result: JobResult,
        /// Why, where there is more to say than the result.
        reason: Option<Reason>,
    },
    /// Something worth a line in the log.
    Log(Event),
}

/// Why the core has a connection closed.
#[derive(Clone, Debug, PartialEq, Eq, Error, Hash)]
pub enum Disconnect {
    /// It may not register; it was told why.
    #[error("its registration was rejected")]
    Rejected,
    /// It said goodbye.
    #[error("it stopped on purpose")]
    Goodbye,
    /// Nothing came from it for this long.
    #[error("nothing was heard from it for {:.1} s", .0.as_secs_f64())]
    Silent(Duration),
    /// The same agent is back on a new connection.
    #[error("the same agent has connected again")]
    Replaced,
    /// It broke the protocol.
    #[error("it broke the protocol: {0}")]
    Breach(Breach),
    /// The settings do not name its node any more.
    #[error("its node was removed from the configuration")]
    Removed,
}

/// How an agent broke the protocol.
#[derive(Clone, Debug, PartialEq, Eq, Error, Hash)]
pub enum Breach {
    /// A message about a set that cannot follow the one before.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// It acknowledged a set that is its own.
    #[error("it acknowledged a set that is its own")]
    OwnSet,
    /// It told its jobs a second time.
    #[error("it told its jobs twice")]
    SecondJobs,
    /// It said hello a second time.
    #[error("it said hello twice")]
    SecondHello,
}

/// The answer to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The job is queued.
    Job(JobId),
    /// The agent was told to take the job back; the end of the job says whether it could.
    Canceling,
    /// The agent has answered: hand its answer on.
    Forwarded,
    /// There is a new monitor.
    Monitor(MonitorId),
    /// There is a new subscription.
    Subscription(SubscriptionId),
    /// It is done.
    Done,
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, Error, Hash)]
pub enum RequestError {
    /// There is no such node.
    #[error("node {0} is unknown; the controller's configuration does not name it")]
    UnknownNode(NodeName),
    /// The node is not connected.
    #[error("node {0} is offline")]
    Offline(NodeName),
    /// There is no such job (any more).
    #[error("there is no job {0}; it may have ended")]
    UnknownJob(JobId),
    /// There is no such monitor (any more).
    #[error("there is no monitor {}; it may have been closed", .0.0)]
    UnknownMonitor(MonitorId),
    /// The monitor has no such subscription.
    #[error("there is no subscription {} of this monitor", .0.0)]
    UnknownSubscription(SubscriptionId),
    /// A bound was reached.
    #[error("{what} of {whose} are open; at most {max} may be")]
    Limit {
        /// What there is too much of, with how many.
        what: &'static str,
        /// Whose bound it is.
        whose: String,
        /// The bound.
        max: usize,
    },
    /// The node did not answer in time.
    #[error("node {node} did not answer within {} s", .after.as_secs_f64())]
    Timeout {
        /// The node.
        node: NodeName,
        /// The time it had.
        after: Duration,
    },
    /// The agent knows requests by nothing but what is asked for, so it cannot say whether this is one that it knows.
    #[error("the agent of node {0} does not know requests by their cookies")]
    NoCookies(NodeName),
    /// The controller is about to end.
    #[error("the controller is stopping, and takes no new jobs")]
    Stopping,
    /// The node went away before it answered.
    #[error("node {0} went away before it answered")]
    NodeGone(NodeName),
    /// The agent did not get the job queued, and said why in its own words.
    #[error("{0}")]
    Refused(Reason),
    /// The agent answered with an error.
    #[error("{}", .0.text)]
    Agent(AgentError),
}

/// How the fleet as a whole stands, in the words of the property `Status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FleetStatus {
    /// Every node is online.
    Up,
    /// Some are.
    Degraded,
    /// None is.
    Down,
}

impl FleetStatus {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// A condition, of interest to somebody who looks for a fault.
    Debug,
    /// A change that an operator cares about.
    Info,
    /// An operator should look.
    Warn,
}

/// Something worth a line in the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A node is online.
    NodeOnline {
        /// The node.
        node: NodeName,
        /// Where its agent is.
        address: String,
        /// The version of its agent.
        version: String,
        /// What it speaks.
        protocol: u32,
    },
    /// A node is offline.
    NodeOffline {
        /// The node.
        node: NodeName,
        /// Why.
        why: String,
        /// Jobs that were open on it; they have failed.
        jobs: usize,
        /// Claims that are known of it; they stay for the grace.
        claims: usize,
        /// Claims of other nodes on it.
        claimed: usize,
    },
    /// An agent is back on a new connection, before its node was called offline.
    NodeResumed {
        /// The node.
        node: NodeName,
        /// How long there was no connection.
        away: Duration,
        /// Why the connection before has ended.
        why: String,
    },
    /// An agent that is back tells a set otherwise than before.
    Differs {
        /// The node.
        node: NodeName,
        /// The set.
        set: ToldSet,
        /// How much of it.
        difference: Difference,
    },
    /// A node has told of jobs that were begun before the controller was.
    JobsAdopted {
        /// The node.
        node: NodeName,
        /// How many.
        jobs: usize,
    },
    /// An agent may not register.
    Rejected {
        /// The name it said.
        node: NodeName,
        /// Where it is.
        address: String,
        /// Why.
        reason: Reason,
    },
    /// The claims of a node that did not come back in time are given up.
    ClaimsExpired {
        /// The node.
        node: NodeName,
        /// How many.
        claims: usize,
    },
    /// After a start of the controller a target holds units for a node that has not been heard yet.
    HoldsAdopted {
        /// The target.
        node: NodeName,
        /// The node that is waited for.
        source: NodeName,
    },
    /// A claim stands otherwise.
    Claim {
        /// The node that needs the unit.
        source: NodeName,
        /// What it needs.
        claim: ClaimKey,
        /// The word for how it stands now.
        state: &'static str,
        /// Whether its target was out of sight before.
        was_lost: bool,
        /// Why.
        reason: Option<Reason>,
    },
    /// A job took longer than it may.
    JobTimedOut {
        /// The job.
        job: JobId,
        /// Its node.
        node: NodeName,
    },
    /// An agent spoke of a job that is not (any more) one of its node.
    JobUnknown {
        /// The job.
        job: JobId,
        /// The node of the agent.
        node: NodeName,
    },
    /// The controller itself did not run for a while; silence in that time is not held against
    /// anybody.
    Stalled {
        /// How long.
        time: Duration,
    },
}

impl Event {
    /// How much it matters.
    pub fn level(&self) -> Level {
        match self {
            Self::NodeOnline { .. }
            | Self::NodeOffline { .. }
            | Self::HoldsAdopted { .. }
            | Self::Differs { .. }
            | Self::JobsAdopted { .. } => Level::Info,
            Self::Rejected { .. }
            | Self::ClaimsExpired { .. }
            | Self::JobTimedOut { .. }
            | Self::Stalled { .. } => Level::Warn,
            Self::Claim {
                state, was_lost, ..
            } => match *state {
                "refused" => Level::Warn,
                "down" | "lost" => Level::Info,
                // Whoever reads that it was lost must read that it is back.
                _ if *was_lost => Level::Info,
                _ => Level::Debug,
            },
            Self::NodeResumed { .. } | Self::JobUnknown { .. } => Level::Debug,
        }
    }
}
