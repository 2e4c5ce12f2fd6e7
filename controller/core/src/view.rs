use proto::{
    message::ClaimKey,
    model::{ClaimState, JobId, NodeStatus, Token},
    name::NodeName,
    time::Moment,
};

use crate::{
    Fleet, Settings, input::Origin, job::Job, job::Phase, node::Node, output::FleetStatus,
    settings::DependsOn,
};

/// A node, as it is now.
#[derive(Clone, Copy, Debug)]
pub struct NodeView<'a> {
    /// Its name.
    pub name: &'a NodeName,
    /// Whether its agent is connected.
    pub status: NodeStatus,
    /// When its agent was last heard, on this connection or one before.
    pub last_heard: Option<Moment>,
    /// The words by which people group nodes.
    pub labels: &'a [String],
    /// The nodes whose units its units may depend on.
    pub depends_on: Option<&'a DependsOn>,
    /// Its agent, while it is online.
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

    /// One job that is announced.
    pub fn job(&self, id: JobId) -> Option<&Job> {
        self.jobs.get(id).filter(|job| is_announced(job))
    }

    /// Every claim, by source, target and unit.
    pub fn claims(&self) -> impl Iterator<Item = ClaimView<'_>> {
        self.nodes.iter().flat_map(|(source, node)| {
            node.records.iter().map(move |(claim, record)| ClaimView {
                source,
                claim,
                token: record.token,
                state: &record.state,
            })
        })
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
            last_heard: node.last_heard,
            labels: settings.map_or(&[], |settings| &settings.labels),
            depends_on: settings.map(|settings| &settings.depends_on),
            agent: node.peer().map(|peer| AgentView {
                origin: &peer.origin,
                version: &peer.hello.version,
                protocol: peer.hello.protocol,
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
