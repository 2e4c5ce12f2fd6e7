use std::time::Duration;

use proto::{
    message::{Attempt, ClaimKey, HoldKey},
    model::{ClaimState, JobId, NodeStatus, Token},
    name::NodeName,
    time::Moment,
};

use crate::{
    Fleet, Settings,
    claim::claim_key,
    input::Origin,
    job::Job,
    job::Phase,
    node::{Link, Node},
    output::FleetStatus,
    settings::{ClaimPolicy, DependsOn},
    timer::Timer,
};

/// A node, as it is now.
#[derive(Clone, Copy, Debug)]
pub struct NodeView<'a> {
    /// Its name.
    pub name: &'a NodeName,
    /// Whether its agent is connected.
    pub status: NodeStatus,
    /// Since when its agent has no connection, although the node is online: it is coming back.
    pub away: Option<Moment>,
    /// When its agent was last heard, on this connection or one before.
    pub last_heard: Option<Moment>,
    /// The words by which people group nodes.
    pub labels: &'a [String],
    /// The nodes whose units its units may depend on.
    pub depends_on: Option<&'a DependsOn>,
    /// What holds for its claims.
    pub claims: Option<&'a ClaimPolicy>,
    /// Its agent, while it is online; one that is just coming back as it was.
    pub agent: Option<AgentView<'a>>,
}

/// The agent of a node that is online.
#[derive(Clone, Copy, Debug)]
pub struct AgentView<'a> {
    /// Where it is.
    pub origin: &'a Origin,
    /// The version of its program; empty for one that did not say.
    pub version: &'a str,
    /// What it speaks; 0 is BlueChi's protocol.
    pub protocol: u32,
    /// The boot that it runs in; empty for one that did not say.
    pub boot_id: &'a str,
    /// Since when it is connected.
    pub since: Moment,
}

/// A claim, as it is now.
#[derive(Clone, Copy, Debug)]
pub struct ClaimView<'a> {
    /// The node that needs the unit.
    pub source: &'a NodeName,
    /// What it needs.
    pub claim: &'a ClaimKey,
    /// The attempt.
    pub token: Token,
    /// How it stands.
    pub state: &'a ClaimState,
    /// When the attempt was first heard of.
    pub since: Moment,
    /// When it came to stand as it does.
    pub changed: Moment,
    /// When it is given up: while its target is lost, or its source is away.
    pub gives_up: Option<Moment>,
    /// How long an attempt may take, where the settings still name the source.
    pub start_timeout: Option<Duration>,
}

/// The last end of a claim.
#[derive(Clone, Copy, Debug)]
pub struct EndedView<'a> {
    /// The node that needed the unit.
    pub source: &'a NodeName,
    /// What it needed.
    pub claim: &'a ClaimKey,
    /// How it stood at last; if that is not final, the source did not need it any more.
    pub state: &'a ClaimState,
    /// Whether the source was away for longer than its grace.
    pub expired: bool,
    /// When it ended.
    pub at: Moment,
}

/// A hold, as it is now: what a node is told to keep up for another.
#[derive(Clone, Copy, Debug)]
pub struct HoldView<'a> {
    /// The node that has the unit.
    pub node: &'a NodeName,
    /// The unit, and the node that needs it.
    pub hold: &'a HoldKey,
    /// The attempt.
    pub token: Token,
    /// Whether the unit is to be started for this attempt, or only kept.
    pub attempt: Attempt,
    /// How it stands, as the node says; `None` until it has said something about this attempt.
    pub state: Option<&'a ClaimState>,
    /// Whether it stands for a source that has not said yet what it needs.
    pub adopted: bool,
    /// When it is let go if its source is not heard until then.
    pub gives_up: Option<Moment>,
}

/// What can be seen, at any time between two inputs.
impl Fleet {
    /// Every node, by name.
    pub fn nodes(&self) -> impl Iterator<Item = NodeView<'_>> {
        self.nodes.iter().map(|(name, node)| self.view(name, node))
    }

    /// One node.
    pub fn node(&self, name: &NodeName) -> Option<NodeView<'_>> {
        let (name, node) = self.nodes.get_key_value(name)?;
        Some(self.view(name, node))
    }

    /// How many nodes are online, and how many there are.
    pub fn online(&self) -> (usize, usize) {
        (self.online, self.nodes.len())
    }

    /// How the fleet as a whole stands.
    pub fn status(&self) -> FleetStatus {
        self.status
    }

    /// Every job that is announced, by number.
    pub fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.jobs.iter().filter(|job| is_announced(job))
    }

    /// How many jobs are under way, those that no agent has spoken of yet among them.
    pub fn jobs_open(&self) -> usize {
        self.jobs.len()
    }

    /// The jobs of one node that are announced, by number.
    pub fn jobs_on(&self, node: &NodeName) -> impl Iterator<Item = &Job> {
        let jobs = self.nodes.get(node).into_iter().flat_map(|it| &it.jobs);
        jobs.filter_map(|id| self.job(*id))
    }

    /// One job that is announced.
    pub fn job(&self, id: JobId) -> Option<&Job> {
        self.jobs.get(id).filter(|job| is_announced(job))
    }

    /// Every claim, by source, target and unit.
    pub fn claims(&self) -> impl Iterator<Item = ClaimView<'_>> {
        self.nodes
            .iter()
            .flat_map(|(source, node)| self.claims_in(source, node))
    }

    /// The claims of one node.
    pub fn claims_of(&self, source: &NodeName) -> impl Iterator<Item = ClaimView<'_>> {
        let node = self.nodes.get_key_value(source).into_iter();
        node.flat_map(|(source, node)| self.claims_in(source, node))
    }

    fn claims_in<'a>(
        &'a self,
        source: &'a NodeName,
        node: &'a Node,
    ) -> impl Iterator<Item = ClaimView<'a>> {
        node.records.iter().map(move |(claim, record)| ClaimView {
            source,
            claim,
            token: record.token,
            state: &record.state,
            since: record.since,
            changed: record.changed,
            gives_up: self.gives_up(source, claim),
            start_timeout: self
                .settings
                .policy_on(source, &claim.unit)
                .map(|policy| policy.start_timeout),
        })
    }

    /// How claims have ended last, by source, target and unit, as far as that is remembered; also of
    /// those that there are again.
    pub fn ended(&self) -> impl Iterator<Item = EndedView<'_>> {
        self.nodes.iter().flat_map(|(source, node)| {
            node.past.iter().map(move |(claim, ended)| EndedView {
                source,
                claim,
                state: &ended.state,
                expired: ended.expired,
                at: ended.at,
            })
        })
    }

    /// Every hold, by node, unit and source.
    pub fn holds(&self) -> impl Iterator<Item = HoldView<'_>> {
        self.nodes
            .iter()
            .flat_map(|(name, node)| self.holds_in(name, node))
    }

    /// The holds on one node.
    pub fn holds_on(&self, target: &NodeName) -> impl Iterator<Item = HoldView<'_>> {
        let node = self.nodes.get_key_value(target).into_iter();
        node.flat_map(|(name, node)| self.holds_in(name, node))
    }

    fn holds_in<'a>(
        &'a self,
        name: &'a NodeName,
        node: &'a Node,
    ) -> impl Iterator<Item = HoldView<'a>> {
        node.holds.entries().iter().map(move |(key, hold)| {
            let told = node.hold_states.entries().get(key);
            let told = told.filter(|told| told.token == hold.token);
            let claim = claim_key(name, key);
            let source = self.nodes.get(&key.source);
            HoldView {
                node: name,
                hold: key,
                token: hold.token,
                attempt: hold.attempt,
                state: told.map(|told| &told.state),
                adopted: source.is_some_and(|source| source.adopted.contains(&claim)),
                gives_up: self.grace_ends(&key.source, &claim),
            }
        })
    }

    fn gives_up(&self, source: &NodeName, claim: &ClaimKey) -> Option<Moment> {
        let loss = Timer::Loss(source.clone(), claim.clone());
        let times = [self.timers.at(&loss), self.grace_ends(source, claim)];
        times.into_iter().flatten().min()
    }

    /// The settings that are in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    fn view<'a>(&'a self, name: &'a NodeName, node: &'a Node) -> NodeView<'a> {
        let settings = self.settings.nodes.get(name);
        NodeView {
            name,
            status: node.status(),
            away: match &node.link {
                Link::Away(_, since, _) => Some(*since),
                Link::Up(_) | Link::Down => None,
            },
            last_heard: node.last_heard,
            labels: settings.map_or(&[], |settings| &settings.labels),
            depends_on: settings.map(|settings| &settings.depends_on),
            claims: settings.map(|settings| &settings.claims),
            agent: node.agent().map(|peer| AgentView {
                origin: &peer.origin,
                version: &peer.hello.version,
                protocol: peer.hello.protocol,
                boot_id: &peer.hello.boot_id,
                since: peer.since,
            }),
        }
    }
}

fn is_announced(job: &Job) -> bool {
    match job.phase {
        Phase::Asked => false,
        Phase::Queued | Phase::Canceling => true,
    }
}
