//! What concerns the daemons themselves, and no unit of anybody's.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use proto::name::NodeName;

const DAEMON: &str = "ctl daemon reload [OPTIONS] [controller|agent|NODE]
       ctl daemon config [OPTIONS] [controller|agent|NODE]
       ctl daemon check-config [OPTIONS] [--agent] [FILE]
       ctl daemon debug [OPTIONS] [controller|agent]";

/// What is to be done about a daemon.
#[derive(Debug, Args)]
#[command(override_usage = DAEMON, disable_help_subcommand = true)]
pub(crate) struct DaemonVerb {
    #[command(subcommand)]
    pub(crate) what: DaemonDo,
}

/// What can be done about a daemon.
#[derive(Debug, Subcommand)]
pub(crate) enum DaemonDo {
    /// Have it read its configuration again and say what became of it
    Reload {
        /// 'controller', 'agent' for that of this machine, or a node for its agent
        #[arg(value_name = "controller|agent|NODE", default_value = "controller")]
        of: Which,
        /// Wait for the end, which is what is done anyway unless --no-block is said
        #[arg(long)]
        wait: bool,
    },
    /// Print what is in force, and which file says so
    Config {
        /// 'controller', 'agent' for that of this machine, or a node for its agent
        #[arg(value_name = "controller|agent|NODE", default_value = "controller")]
        of: Which,
    },
    /// Say what is wrong with configuration files, or what a reload would change, without the daemon
    CheckConfig {
        /// This file in place of all others, as --config of the daemon takes it
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        /// It is that of the agent; a file named agent.toml or in agent.toml.d is in any case
        #[arg(long)]
        agent: bool,
    },
    /// Print the state of a daemon of this machine, as SIGUSR1 has it written into the journal
    Debug {
        /// Which
        #[arg(value_name = "controller|agent", default_value = "controller")]
        of: Which,
    },
}

/// A daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The controller, on the bus of this machine.
    Controller,
    /// The agent of this machine, on its bus.
    Agent,
    /// The agent of a node, through the controller. Nodes with the names above are meant by nobody.
    Node(NodeName),
}

impl std::str::FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "controller" => Ok(Self::Controller),
            "agent" => Ok(Self::Agent),
            node => super::node(node).map(Self::Node),
        }
    }
}

impl std::fmt::Display for Which {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Controller => f.write_str("controller"),
            Self::Agent => f.write_str("agent"),
            Self::Node(node) => node.fmt(f),
        }
    }
}
