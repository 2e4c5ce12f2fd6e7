use std::collections::{BTreeMap, BTreeSet};

use proto::{
    message::{Claim, ClaimKey, Hello, Hold, HoldKey, HoldWait, TokenState},
    model::{JobId, NodeStatus},
    rhythm::Rhythm,
    sync::{Listener, Teller},
    time::Moment,
};

use crate::{
    claim::{Past, Record},
    input::{Origin, PeerId, RequestId},
};

/// What is known of one node.
///
/// As a *source*, it tells its claims. They are known from the first whole set on, stay through
/// their graces after a disconnect, and are unknown again when none is left. While they are unknown, what the
/// targets reported to hold for it (`adopted`) stands for them, with the same grace.
///
/// As a *target*, it is in sight from its first whole set of hold states on each connection. Only
/// then is it told its holds: a set that was made before would lack what is adopted from it.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Node {
    pub(crate) link: Link,
    /// When its agent was last heard on any connection.
    pub(crate) last_heard: Option<Moment>,

    /// Whether `claims` is what it needs, and not merely empty.
    pub(crate) claims_known: bool,
    pub(crate) claims: Listener<ClaimKey, Claim>,
    /// How each of `claims` stands; settled, it has the same keys.
    pub(crate) records: BTreeMap<ClaimKey, Record>,
    /// How claims of it have ended.
    pub(crate) past: Past,
    pub(crate) claim_states: Teller<ClaimKey, TokenState>,
    /// What targets reported to hold for it while its claims were unknown.
    pub(crate) adopted: BTreeSet<ClaimKey>,
    /// From when the graces of `claims`, or of `adopted`, count, while it has no connection.
    pub(crate) away_since: Option<Moment>,

    /// Whether it has said what it holds since this controller started, on whatever connection.
    pub(crate) holds_known: bool,
    pub(crate) hold_states: Listener<HoldKey, TokenState>,
    pub(crate) holds: Teller<HoldKey, Hold>,
    /// What the starts of its held units wait for.
    pub(crate) waits: Listener<HoldKey, HoldWait>,
    /// The claims on it, by unit and source: those of `records` of all sources.
    pub(crate) claimed_by: BTreeSet<HoldKey>,

    /// Whether its agent has told on this connection which jobs it knows of.
    pub(crate) jobs_told: bool,
    /// Whether it was online until it connected again, and what it held then stands until it is told anew.
    pub(crate) resumed: bool,
    /// Jobs that are open on it.
    pub(crate) jobs: BTreeSet<JobId>,
    /// Calls that wait for its answer.
    pub(crate) calls: BTreeSet<RequestId>,
}

/// Whether an agent of the node is connected.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) enum Link {
    #[default]
    Down,
    Up(Box<Peer>),
    /// The connection has broken, and the agent is coming back: the node is online. Who it was, when it
    /// broke, and why.
    Away(Box<Peer>, Moment, String),
}

/// The agent of a node that is online.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Peer {
    pub(crate) id: PeerId,
    pub(crate) hello: Hello,
    pub(crate) origin: Origin,
    pub(crate) since: Moment,
    /// When it is told that the controller is alive.
    pub(crate) heartbeat: Rhythm,
}

impl Peer {
    /// Whether this is the same run of the same agent, which one that only speaks BlueChi's protocol
    /// does not say.
    pub(crate) fn is_same(&self, hello: &Hello) -> bool {
        self.hello.protocol != 0
            && hello.protocol != 0
            && self.hello.boot_id == hello.boot_id
            && self.hello.incarnation == hello.incarnation
    }

    /// Whether this is the same run of the same machine, whose agent may have been restarted, and both tell
    /// what was before.
    pub(crate) fn is_again(&self, hello: &Hello) -> bool {
        self.hello.protocol != 0 && hello.protocol != 0 && self.hello.boot_id == hello.boot_id
    }
}

impl Node {
    pub(crate) fn peer(&self) -> Option<&Peer> {
        match &self.link {
            Link::Down | Link::Away(..) => None,
            Link::Up(peer) => Some(peer),
        }
    }

    pub(crate) fn peer_mut(&mut self) -> Option<&mut Peer> {
        match &mut self.link {
            Link::Down | Link::Away(..) => None,
            Link::Up(peer) => Some(peer),
        }
    }

    /// The agent of a node that is online, be it connected or coming back.
    pub(crate) fn agent(&self) -> Option<&Peer> {
        match &self.link {
            Link::Down => None,
            Link::Up(peer) | Link::Away(peer, ..) => Some(peer),
        }
    }

    pub(crate) fn is_online(&self) -> bool {
        self.agent().is_some()
    }

    pub(crate) fn status(&self) -> NodeStatus {
        match &self.link {
            Link::Down => NodeStatus::Offline,
            Link::Up(_) | Link::Away(..) => NodeStatus::Online,
        }
    }

    /// What can be said of it as a target.
    pub(crate) fn sight(&self) -> Sight {
        match &self.link {
            Link::Up(_) | Link::Away(..) if self.hold_states.has_heard() || self.resumed => {
                Sight::Clear
            }
            Link::Up(_) | Link::Away(..) | Link::Down => Sight::Out,
        }
    }
}

/// What can be said of a node as a target of claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// It is offline, or has not yet said what it holds.
    Out,
    /// Its agent is online and has said what it holds.
    Clear,
}
