//! Several nodes on one network.

use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

pub use crate::builder::FleetBuilder;
use crate::island::Island;
use crate::node::{Node, Output};

/// Nodes that run. Dropping it ends them and gives back all that they had of the host, which also
/// happens when the process that holds it dies, in whatever way.
#[derive(Debug)]
pub struct Fleet {
    nodes: Vec<Node>,
    island: Arc<Island>,
}

impl Fleet {
    pub(crate) fn new(nodes: Vec<Node>, island: Arc<Island>) -> Self {
        Self { nodes, island }
    }

    /// Begins the layout of a fleet; `case` names it in errors.
    #[must_use]
    pub fn builder(case: &str) -> FleetBuilder {
        FleetBuilder::new(case)
    }

    /// The node with this name.
    ///
    /// # Panics
    ///
    /// When there is none: the test is wrong.
    #[must_use]
    #[track_caller]
    #[expect(
        clippy::panic,
        reason = "a test that names a node it did not lay out is wrong"
    )]
    pub fn node(&self, name: &str) -> &Node {
        match self.nodes.iter().find(|node| node.name() == name) {
            Some(node) => node,
            None => panic!("the fleet has no node {name}"),
        }
    }

    /// All nodes, in the order in which they were named.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Runs a command of the host in the fleet's network, outside of every node, at 10.77.0.254 and
    /// fd00::fe; the host's `/run` is not to be seen there. For relays and simulated agents.
    ///
    /// # Errors
    ///
    /// When it cannot be run or does not end in time.
    pub fn run(&self, args: &[&str], timeout: Duration) -> Result<Output> {
        self.island.run(args, timeout)
    }

    /// A command of the host that is ready to run as [`Fleet::run`] does, for callers who want to
    /// handle its life and streams themselves. It is killed with the fleet.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        self.island
            .command(&self.island.cgroup().child("island"), program)
    }

    /// A TCP connection from the fleet's network, outside of every node, as [`Fleet::run`] would make
    /// one. It can be used from anywhere.
    ///
    /// # Errors
    ///
    /// When nobody accepts it within 10 s.
    pub fn connect(&self, address: SocketAddr) -> Result<TcpStream> {
        self.island.connect(address)
    }

    /// The last `lines` of every node's journal, each line with the node's name before it.
    #[must_use]
    pub fn journals(&self, lines: usize) -> String {
        let count = format!("--lines={lines}");
        let mut all = String::new();
        for node in &self.nodes {
            let text = match node.journalctl(&[&count]) {
                Ok(text) => text,
                Err(error) => format!("no journal: {error:#}\n{}", node.console()),
            };
            for line in text.lines() {
                all.push_str(&format!("[{}] {line}\n", node.name()));
            }
        }
        all
    }
}
