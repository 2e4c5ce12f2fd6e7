//! What an agent and the controller say to each other, as values. The cores take and give these;
//! the shells turn them into D-Bus messages and back (see [`crate::wire`]), and a simulation hands
//! them over as they are.
//!
//! Calls that only pass through (the properties of a unit, the list of units) are not here: the
//! shells carry their bodies unchanged.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    model::{ClaimState, Cookie, JobId, JobKind, JobMode, JobResult, JobState, Reason, Token},
    name::{NodeName, UnitName, UnitPattern, rivalled_by},
    sync::{Delta, Generation},
};

/// The version of the protocol between agent and controller that goes beyond BlueChi's. Peers of
/// one version more or less must understand each other: unknown keys of [`Hello`] and [`Welcome`]
/// are ignored, and nothing is ever removed.
pub const PROTOCOL: u32 = 5;

/// The first version that knows [`ToController::Waits`].
pub const PROTOCOL_WAITS: u32 = 2;

/// The first version that knows [`ToController::Order`].
pub const PROTOCOL_ORDERS: u32 = 2;

/// The first version that knows `ReadJournal` and `UnitFiles`.
pub const PROTOCOL_READS: u32 = 3;

/// The first version that tells whether a unit was stopped or has ended by itself.
pub const PROTOCOL_ENDINGS: u32 = 3;

/// The first version whose agents go on with jobs when the connection ends, tell them on the next, and
/// keep ends until they are acknowledged.
pub const PROTOCOL_JOBS: u32 = 4;

/// The first version that knows [`ToController::Reloaded`] and [`ToAgent::Reloaded`].
pub const PROTOCOL_RELOADS: u32 = 4;

/// The first version that knows [`ToAgent::StartTimeouts`].
pub const PROTOCOL_TIMEOUTS: u32 = 4;

/// The first version whose agents know requests by their [`Cookie`], and answer one that is repeated with the
/// job that they have made for it.
pub const PROTOCOL_COOKIES: u32 = 5;

/// A unit of another node, as its source names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimKey {
    /// The node that has the unit.
    pub node: NodeName,
    /// The unit.
    pub unit: UnitName,
}

/// One node's need of one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The attempt.
    pub token: Token,
    /// Whether the proxy unit is active, so the unit was up for this attempt before.
    pub up: bool,
}

/// How a claim stands for one token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenState {
    /// The attempt this is about.
    pub token: Token,
    /// How it stands.
    pub state: ClaimState,
}

impl<K> Delta<K, TokenState> {
    /// The message for a peer that speaks this protocol.
    #[must_use]
    pub fn for_protocol(mut self, protocol: u32) -> Self {
        if protocol < PROTOCOL_ENDINGS {
            for (_, told) in &mut self.put {
                told.state = told.state.clone().for_protocol(protocol);
            }
        }
        self
    }
}

/// Who holds which unit of the node that is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldKey {
    /// The unit that is needed here.
    pub unit: UnitName,
    /// The node that needs it.
    pub source: NodeName,
}

/// One node's hold on a unit here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hold {
    /// The attempt.
    pub token: Token,
    /// What to do when this token is not known here and the hold unit is not active.
    pub attempt: Attempt,
}

/// What a token asks for where it is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Attempt {
    /// Start the unit: the attempt is new, or the policy is to have the unit up again.
    Start,
    /// The unit was up for this token before. If it is not any more, then say so, and do not
    /// start it behind the back of a source that believes that it never stopped.
    Keep,
}

/// What the start of a held unit waits for, of what its node needs of other nodes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HoldWait {
    /// The attempt that waits.
    pub token: Token,
    /// What it waits for.
    pub on: BTreeMap<ClaimKey, WaitOn>,
}

/// One claim that a start waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WaitOn {
    /// The attempt of the claim.
    pub token: Token,
    /// Units of the same node between the one that is held and the claim, in this order.
    pub via: Vec<UnitName>,
}

/// How an agent introduces itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Hello {
    /// Its node.
    pub node: NodeName,
    /// What it speaks; see [`PROTOCOL`]. 0 is an agent that only knows BlueChi's protocol.
    pub protocol: u32,
    /// The version of its program.
    pub version: String,
    /// The boot it runs in, as the journal has it.
    pub boot_id: String,
    /// A number that differs for each start of the agent.
    pub incarnation: u64,
}

/// What the controller answers to a [`Hello`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Welcome {
    /// What it speaks.
    pub protocol: u32,
    /// The version of its program.
    pub version: String,
    /// How long a claim may take to be up before it fails.
    pub start_timeout: Duration,
}

/// A job as the agent that does it knows it, told when a connection begins.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KnownJob {
    /// The job.
    pub job: JobId,
    /// What is done.
    pub kind: JobKind,
    /// The unit.
    pub unit: UnitName,
    /// How it deals with jobs that are queued already.
    pub mode: JobMode,
    /// How long ago the agent was given it.
    pub age: Duration,
    /// How it stands.
    pub standing: Standing,
}

/// How a job stands that an agent knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Its end has not been told, or is told again after this.
    Open(JobState),
    /// It has ended, and a controller has acknowledged that; kept for one that asks again.
    Ended(JobResult, Option<Reason>),
}

/// Which request a job is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Named {
    /// What the client calls it.
    pub cookie: Cookie,
    /// How long ago it was made for the first time. Zero for one that is made for the first time: it is new, and
    /// may be carried out by whoever knows nothing of it.
    pub age: Duration,
}

/// How long claims may take to be up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StartTimeouts {
    /// Where nothing else is said.
    pub other: Duration,
    /// On some units; what comes later is stronger.
    pub units: Vec<(UnitPattern, Duration)>,
}

impl StartTimeouts {
    /// One for all claims.
    pub fn all(other: Duration) -> Self {
        let units = Vec::new();
        Self { other, units }
    }

    /// How long a claim on this unit may take.
    pub fn of(&self, unit: &UnitName) -> Duration {
        let rivalled = rivalled_by(unit);
        let named = rivalled.as_ref().unwrap_or(unit);
        let fits = |it: &&(UnitPattern, Duration)| it.0.fits(named);
        let strongest = self.units.iter().rev().find(fits);
        strongest.map_or(self.other, |(_, timeout)| *timeout)
    }
}

/// The number of an order, given by the agent, and never used twice on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId(pub u64);

/// A set that is kept equal over the link by [`crate::sync`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Agent to controller: what the units of its node need.
    Claims,
    /// Controller to agent: how these stand.
    ClaimStates,
    /// Controller to agent: what others need of its node.
    Holds,
    /// Agent to controller: how these stand.
    HoldStates,
    /// Agent to controller: what those wait for that are starting.
    Waits,
}

/// What an agent tells the controller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ToController {
    /// The first message of a connection.
    Hello(Hello),
    /// It stops on purpose: the node is offline at once.
    Goodbye,
    /// It is alive.
    Heartbeat,
    /// What the units of its node need.
    Claims(Delta<ClaimKey, Claim>),
    /// How the holds on its units stand.
    HoldStates(Delta<HoldKey, TokenState>),
    /// What the starts of held units wait for.
    Waits(Delta<HoldKey, HoldWait>),
    /// It has taken in a message about a set of the controller's.
    Acknowledged(Stream, Generation),
    /// All jobs that it knows of. Told once, after the welcome and before all that is about jobs; from
    /// [`PROTOCOL_JOBS`] on.
    Jobs(Vec<KnownJob>),
    /// A job is at work or not.
    JobState {
        /// The job.
        job: JobId,
        /// How far it is.
        state: JobState,
    },
    /// Have something done, once, with a unit of another node. It is answered with
    /// [`ToAgent::Ordered`].
    Order {
        /// The order.
        order: OrderId,
        /// What to do.
        kind: JobKind,
        /// The node.
        node: NodeName,
        /// The unit.
        unit: UnitName,
    },
    /// A held unit of its node was reloaded.
    Reloaded(UnitName),
    /// A job is not begun: there is another for the same request. From [`PROTOCOL_COOKIES`] on.
    JobIs {
        /// The job that was asked for.
        asked: JobId,
        /// The job that there is.
        job: JobId,
        /// How it stands.
        standing: Standing,
    },
    /// A job has ended. From [`PROTOCOL_JOBS`] on it is told on each connection until it is acknowledged
    /// with [`ToAgent::JobHeard`].
    JobDone {
        /// The job.
        job: JobId,
        /// How it ended.
        result: JobResult,
        /// Why, where there is more to say than the result.
        reason: Option<Reason>,
    },
}

/// What the controller tells an agent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ToAgent {
    /// The answer to its hello: it is registered.
    Welcome(Welcome),
    /// The answer to its hello: it is not; the connection ends.
    Rejected(Reason),
    /// The controller is alive.
    Heartbeat,
    /// How its claims stand.
    ClaimStates(Delta<ClaimKey, TokenState>),
    /// What others need of its node.
    Holds(Delta<HoldKey, Hold>),
    /// The controller has taken in a message about a set of the agent's.
    Acknowledged(Stream, Generation),
    /// Do something with a unit. It ends with a [`ToController::JobDone`].
    Job {
        /// The job.
        job: JobId,
        /// What to do.
        kind: JobKind,
        /// The unit.
        unit: UnitName,
        /// How to deal with jobs that are queued already.
        mode: JobMode,
        /// The request, where it has a name. From [`PROTOCOL_COOKIES`] on.
        named: Option<Named>,
    },
    /// Take a job back.
    CancelJob(JobId),
    /// The controller has taken in that a job has ended.
    JobHeard(JobId),
    /// A unit that it claims was reloaded.
    Reloaded(ClaimKey),
    /// The times for its claims are others than before, or than its welcome could say.
    StartTimeouts(StartTimeouts),
    /// An order of the agent has been carried out, or not.
    Ordered {
        /// The order.
        order: OrderId,
        /// Why not.
        result: Result<(), Reason>,
    },
}
