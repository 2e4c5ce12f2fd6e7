use std::time::Duration;

use proto::{
    message::{Hello, Named, ToController},
    model::{JobId, JobKind, JobMode},
    name::{NodeName, UnitName},
};

use crate::{
    monitor::{MonitorId, MonitorRequest, UnitNews},
    settings::Settings,
};

/// A connection of an agent. The shell makes the numbers and never uses one twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u64);

/// A call of a client that waits for its answer. The shell makes the numbers and never uses one
/// twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// A client of the public API, for the bounds that each one has. The shell makes the numbers; one
/// client keeps its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

/// What can happen to the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// An agent has said its name, as the first message of its connection. It is answered with
    /// `Welcome`, or with `Rejected` and a disconnect.
    Hello {
        /// Its connection.
        peer: PeerId,
        /// What it said. An agent that only knows BlueChi's `Register` has `protocol` 0.
        hello: Hello,
        /// Where it is.
        origin: Origin,
    },
    /// A registered agent has said something. From a peer that is not registered (any more) it is
    /// dropped, since it can cross the disconnect that was asked for.
    Message {
        /// Its connection.
        peer: PeerId,
        /// What it said.
        message: ToController,
    },
    /// The agent has answered the call that asked it to queue a job. An agent whose shell does not
    /// hand on such answers may leave this out: `JobState` and `JobDone` say as much.
    JobAnswered {
        /// Its connection.
        peer: PeerId,
        /// The job.
        job: JobId,
        /// Whether systemd has queued it, or the error it gave instead.
        result: Result<(), AgentError>,
    },
    /// The agent has said what happened to a unit that it was asked to tell of.
    Unit {
        /// Its connection.
        peer: PeerId,
        /// The unit.
        unit: UnitName,
        /// What happened.
        news: UnitNews,
    },
    /// A client has left: what it had set for itself is over.
    ClientGone(ClientId),
    /// A monitor was closed, or whoever made it is gone. One that is not there does no harm.
    MonitorGone(MonitorId),
    /// A connection has ended. Not to be told for a peer that [`crate::Output::Disconnect`] named;
    /// it does no harm.
    Gone {
        /// The connection.
        peer: PeerId,
        /// Why.
        why: Gone,
    },
    /// A client asks for something. There is exactly one [`crate::Output::Answer`] to it.
    Request {
        /// The call.
        id: RequestId,
        /// Who asks.
        client: ClientId,
        /// What for.
        request: Request,
    },
    /// The agent has answered a call that [`crate::Output::Forward`] asked for, with a result or
    /// with an error; the shell keeps it until it is told to hand it on.
    Forwarded {
        /// The call.
        id: RequestId,
    },
    /// The settings are others now.
    Settings(Settings),
    /// The controller is about to end: no job is begun any more, and what is under way may end. Agents
    /// and monitors stay. There is no way back.
    Stop,
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// Do something with a unit of a node.
    Job {
        /// The node.
        node: NodeName,
        /// What to do.
        kind: JobKind,
        /// The unit.
        unit: UnitName,
        /// How to deal with jobs that are queued already.
        mode: JobMode,
        /// What the client calls the request, and for how long it has been making it.
        named: Option<Named>,
    },
    /// Start a unit with the properties that the call brings. The agent is asked for it with
    /// [`crate::Output::Transient`]; it has to speak our own protocol.
    Transient {
        /// The node.
        node: NodeName,
        /// The unit.
        unit: UnitName,
        /// How to deal with jobs that are queued already.
        mode: JobMode,
    },
    /// Do something with a monitor.
    Monitor(MonitorRequest),
    /// Take a job back.
    Cancel(JobId),
    /// Give the calls that this client makes from now on so long to be answered by a node; `None`
    /// is [`crate::Settings::call_timeout`] again.
    CallTimeout(Option<Duration>),
    /// Hand a call on to a node, unchanged; what it is stays in the shell.
    Forward {
        /// The node.
        node: NodeName,
    },
}

/// Where an agent is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The address as people write it.
    pub address: String,
    /// What carries the connection.
    pub transport: Transport,
    /// Whether it is encrypted.
    pub encrypted: bool,
}

/// What carries a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A Unix socket, so the agent is on this machine.
    Unix,
    /// TCP.
    Tcp,
}

impl Transport {
    /// The word in a table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unix => "unix",
            Self::Tcp => "tcp",
        }
    }
}

/// Why a connection has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gone {
    /// The other side closed it.
    Closed,
    /// It broke; the text is that of the error.
    Failed(String),
}

/// An error that an agent has answered with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AgentError {
    /// Its D-Bus name, most often one of systemd's.
    pub name: String,
    /// Its text.
    pub text: String,
}
