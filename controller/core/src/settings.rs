use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proto::{
    message::StartTimeouts,
    name::{NodeName, UnitName, UnitPattern, rivalled_by},
};

/// What the core is told to do: plain values that somebody else has read and proved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The nodes of the fleet; no other may register.
    pub nodes: BTreeMap<NodeName, NodeSettings>,
    /// How it is found out that a peer does not answer.
    pub heartbeat: Heartbeat,
    /// How long a node whose connection broke is online while its agent comes back; zero is not at all.
    pub resume_window: Duration,
    /// How long a node may take to answer a call of a client, or to say that it has a job queued.
    pub call_timeout: Duration,
    /// How long a job may take; `None` leaves it to systemd, whose own limits govern.
    pub job_timeout: Option<Duration>,
    /// The version of the program, for the welcome.
    pub version: String,
}

/// How long a node may be without a connection by default: an agent comes back within milliseconds, and over a
/// network that was interrupted within a second or two.
pub const RESUME_WINDOW: Duration = Duration::from_secs(2);

impl Settings {
    /// What holds for the claims of this node on units of which nothing else is said. Policies are looked up
    /// here and in [`Settings::policy_on`], and nowhere else.
    pub fn policy(&self, source: &NodeName) -> Option<ClaimPolicy> {
        self.nodes.get(source).map(|node| node.claims)
    }

    /// What holds for the claim of this node on this unit. That a unit does not run is needed as long as
    /// who needs it runs: nothing is stopped because it cannot be seen.
    pub fn policy_on(&self, source: &NodeName, unit: &UnitName) -> Option<ClaimPolicy> {
        let node = self.nodes.get(source)?;
        let rivalled = rivalled_by(unit);
        let named = rivalled.as_ref().unwrap_or(unit);
        let fitting = node.units.iter().filter(|it| it.units.fits(named));
        let policy = fitting.fold(node.claims, |policy, it| ClaimPolicy {
            source_grace: it.source_grace.unwrap_or(policy.source_grace),
            loss_grace: it.loss_grace.unwrap_or(policy.loss_grace),
            on_loss: it.on_loss.unwrap_or(policy.on_loss),
            start_timeout: it.start_timeout.unwrap_or(policy.start_timeout),
        });
        Some(match rivalled {
            Some(_) => ClaimPolicy {
                on_loss: OnLoss::Keep,
                ..policy
            },
            None => policy,
        })
    }

    /// How long the claims of this node may take, for its agent, which keeps the time.
    pub fn start_timeouts(&self, source: &NodeName) -> StartTimeouts {
        let Some(node) = self.nodes.get(source) else {
            return StartTimeouts::all(ClaimPolicy::default().start_timeout);
        };
        let timeout = |it: &UnitPolicy| Some((it.units.clone(), it.start_timeout?));
        StartTimeouts {
            other: node.claims.start_timeout,
            units: node.units.iter().filter_map(timeout).collect(),
        }
    }

    /// Whether the units of `source` may depend on units of `target`.
    pub fn allows(&self, source: &NodeName, target: &NodeName) -> bool {
        self.nodes
            .get(source)
            .is_some_and(|node| match &node.depends_on {
                DependsOn::Any => true,
                DependsOn::These(nodes) => nodes.contains(target),
            })
    }
}

/// What is set for one node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct NodeSettings {
    /// The nodes whose units its units may depend on.
    pub depends_on: DependsOn,
    /// Words by which people group nodes; they mean nothing here.
    pub labels: Vec<String>,
    /// What holds for its claims.
    pub claims: ClaimPolicy,
    /// What is different for its claims on some units; what comes later is stronger.
    pub units: Vec<UnitPolicy>,
}

/// What is different for claims on some units.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UnitPolicy {
    /// The units.
    pub units: UnitPattern,
    /// See [`ClaimPolicy::source_grace`].
    pub source_grace: Option<Duration>,
    /// See [`ClaimPolicy::loss_grace`].
    pub loss_grace: Option<Duration>,
    /// See [`ClaimPolicy::on_loss`].
    pub on_loss: Option<OnLoss>,
    /// See [`ClaimPolicy::start_timeout`].
    pub start_timeout: Option<Duration>,
}

/// The nodes whose units a node may depend on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DependsOn {
    /// All of them.
    Any,
    /// These; none, if it is empty.
    These(BTreeSet<NodeName>),
}

impl Default for DependsOn {
    fn default() -> Self {
        Self::These(BTreeSet::new())
    }
}

/// How it is found out that a peer does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Heartbeat {
    /// How often both sides say that they are alive.
    pub interval: Duration,
    /// A peer that was silent for this long is disconnected.
    pub threshold: Duration,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(2),
            threshold: Duration::from_secs(6),
        }
    }
}

/// What holds for the claims of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClaimPolicy {
    /// How long a claim of the node outlives its connection.
    pub source_grace: Duration,
    /// How long a target may be out of sight before a claim on it is given up.
    pub loss_grace: Duration,
    /// Whether it is given up at all.
    pub on_loss: OnLoss,
    /// How long a claim may take to be up; the agent keeps this time.
    pub start_timeout: Duration,
}

impl Default for ClaimPolicy {
    fn default() -> Self {
        Self {
            source_grace: Duration::from_secs(15),
            loss_grace: Duration::from_secs(10),
            on_loss: OnLoss::Stop,
            start_timeout: Duration::from_secs(90),
        }
    }
}

/// What becomes of a claim whose target is out of sight for longer than the grace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnLoss {
    /// It is given up: what needs the unit is stopped.
    Stop,
    /// It stays, and the unit is started again when its node is back.
    Keep,
}
