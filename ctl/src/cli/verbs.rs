//! What single verbs are told besides nodes and units.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use proto::name::NodeName;

use super::{
    nodes::Nodes,
    units::{AnyUnits, Target, UnitArg, UnitFiles, Units},
};
use crate::signal;

/// Which processes get which signal.
#[derive(Debug, Args)]
pub(crate) struct Kill {
    #[command(flatten)]
    pub(crate) of: Units,
    /// Which processes of the unit
    #[arg(long, value_name = "WHOM", value_enum, default_value_t = Whom::All)]
    pub(crate) kill_whom: Whom,
    /// The signal, by name or number
    #[arg(short, long, default_value = "SIGTERM", value_parser = signal::parse)]
    pub(crate) signal: i32,
}

/// Processes of a unit, systemctl(1) --kill-whom=.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Whom {
    /// The main process
    Main,
    /// The process that starts, stops or reloads
    Control,
    /// All
    All,
}

impl Whom {
    /// As systemd spells it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Control => "control",
            Self::All => "all",
        }
    }
}

/// Which unit files are to be enabled, and how.
#[derive(Debug, Args)]
pub(crate) struct Enable {
    #[command(flatten)]
    pub(crate) of: UnitFiles,
    /// Replace links that are in the way
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Only until the next boot
    #[arg(long)]
    pub(crate) runtime: bool,
    /// Do not let the service manager read its unit files again
    #[arg(long)]
    pub(crate) no_reload: bool,
    /// Start them as well
    #[arg(long)]
    pub(crate) now: bool,
}

/// Which unit files are to be disabled, and how.
#[derive(Debug, Args)]
pub(crate) struct Disable {
    #[command(flatten)]
    pub(crate) of: UnitFiles,
    /// Only until the next boot
    #[arg(long)]
    pub(crate) runtime: bool,
    /// Do not let the service manager read its unit files again
    #[arg(long)]
    pub(crate) no_reload: bool,
    /// Stop them as well
    #[arg(long)]
    pub(crate) now: bool,
}

/// Which properties of which units.
#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    pub(crate) of: Units,
    /// Only these, as in '-p ActiveState,SubState'; also those that are empty
    #[arg(
        short,
        long = "property",
        value_name = "PROPERTY",
        value_delimiter = ','
    )]
    pub(crate) properties: Vec<String>,
    /// Print values without names
    #[arg(long)]
    pub(crate) value: bool,
}

/// Which units to list.
#[derive(Debug, Args)]
pub(crate) struct ListUnits {
    /// Only of this node; or of several, as in 'a,b', 'cam*' or '@label'
    #[arg(value_name = "NODE")]
    pub(crate) nodes: Option<Nodes>,
    /// Only units whose names fit one of these
    #[arg(value_name = "PATTERN")]
    pub(crate) patterns: Vec<String>,
    /// Also units that are inactive
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Only units of these types, as in 'service,socket'
    #[arg(short = 't', long = "type", value_name = "TYPE", value_delimiter = ',')]
    pub(crate) types: Vec<String>,
    /// Only units whose load, active or sub state is one of these
    #[arg(long = "state", value_name = "STATE", value_delimiter = ',')]
    pub(crate) states: Vec<String>,
    /// Only units whose names fit one of these patterns, on whichever node
    #[arg(long = "filter", value_name = "PATTERN", value_delimiter = ',')]
    pub(crate) filters: Vec<String>,
}

/// Which unit files to list.
#[derive(Debug, Args)]
pub(crate) struct ListUnitFiles {
    /// Only of this node; or of several, as in 'a,b', 'cam*' or '@label'
    #[arg(value_name = "NODE")]
    pub(crate) nodes: Option<Nodes>,
    /// Only unit files whose names fit one of these
    #[arg(value_name = "PATTERN")]
    pub(crate) patterns: Vec<String>,
    /// Only unit files of these types, as in 'service,socket'
    #[arg(short = 't', long = "type", value_name = "TYPE", value_delimiter = ',')]
    pub(crate) types: Vec<String>,
    /// Only unit files in one of these states, as in 'enabled,static'
    #[arg(long = "state", value_name = "STATE", value_delimiter = ',')]
    pub(crate) states: Vec<String>,
    /// Only unit files whose names fit one of these patterns, on whichever node
    #[arg(long = "filter", value_name = "PATTERN", value_delimiter = ',')]
    pub(crate) filters: Vec<String>,
}

/// Which jobs to list.
#[derive(Debug, Args)]
pub(crate) struct ListJobs {
    /// Only of this node; or of several, as in 'a,b', 'cam*' or '@label'
    #[arg(value_name = "NODE")]
    pub(crate) nodes: Option<Nodes>,
    /// Only jobs of units whose names fit one of these
    #[arg(value_name = "PATTERN")]
    pub(crate) patterns: Vec<String>,
    /// Only jobs of units whose names fit one of these patterns, on whichever node
    #[arg(long = "filter", value_name = "PATTERN", value_delimiter = ',')]
    pub(crate) filters: Vec<String>,
}

/// Which target a node boots into.
#[derive(Debug, Args)]
pub(crate) struct SetDefault {
    #[command(flatten)]
    pub(crate) to: Target,
    /// Replace a link that is in the way
    #[arg(long)]
    pub(crate) force: bool,
}

/// Whose log has which lines.
#[derive(Debug, Args)]
#[command(allow_missing_positional = true)]
pub(crate) struct SetLogLevel {
    /// The node whose agent is meant, several as in 'a,b', 'cam*' or '@label', or 'controller', which
    /// may be left out
    #[arg(value_name = "controller|NODE")]
    pub(crate) of: Option<Where>,
    /// Lines of this level and above
    #[arg(value_enum, ignore_case = true)]
    pub(crate) level: Level,
}

/// The controller or nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Where {
    /// The controller; a node of this name is meant by a pattern, as in '[c]ontroller'.
    Controller,
    /// The agents of nodes.
    Nodes(Nodes),
}

impl std::str::FromStr for Where {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "controller" => Ok(Self::Controller),
            nodes => nodes.parse().map(Self::Nodes),
        }
    }
}

/// Levels of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    /// All
    Debug,
    /// Changes of state
    Info,
    /// What somebody should look at
    Warn,
    /// What is broken
    Error,
}

impl Level {
    /// As the interface spells it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }
}

const IS_ONLINE: &str = "ctl is-online [OPTIONS] system
       ctl is-online [OPTIONS] node <NAME>
       ctl is-online [OPTIONS] agent";

/// What is to be online.
#[derive(Debug, Args)]
#[command(override_usage = IS_ONLINE, disable_help_subcommand = true)]
pub(crate) struct IsOnline {
    #[command(subcommand)]
    pub(crate) what: Online,
    /// Wait until it is; 5 minutes, or for as long as said here or with --timeout
    #[arg(long, global = true, value_name = "DURATION", num_args = 0..=1, require_equals = true, value_parser = super::timeout)]
    wait: Option<Option<Duration>>,
    /// Stay until it is not online any more; a restart of the controller is waited out, for 30
    /// seconds or --timeout
    #[arg(long, global = true)]
    pub(crate) monitor: bool,
}

impl IsOnline {
    /// How long to wait, if at all; `otherwise` is used where nothing is said.
    pub(crate) fn wait(&self, otherwise: Duration) -> Option<Duration> {
        self.wait.map(|wait| wait.unwrap_or(otherwise))
    }
}

/// What can be online.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum Online {
    /// The fleet: all nodes are
    System,
    /// A node
    Node {
        /// Its name
        #[arg(value_name = "NAME", value_parser = super::node)]
        name: NodeName,
    },
    /// The agent of this machine: it is connected to its controller
    Agent,
}

/// What is told as it happens.
#[derive(Debug, Args)]
pub(crate) struct Monitor {
    /// Only of this node; or of several, as in 'a,b', 'cam*' or '@label'
    #[arg(value_name = "NODE")]
    pub(crate) nodes: Option<Nodes>,
    /// Only of these units, as in 'a b', 'a,b' or 'cam*'; '.service' may be left out
    #[arg(value_name = "UNIT", value_delimiter = ',')]
    pub(crate) units: Vec<UnitArg>,
    /// Only these events, as in 'state,node'
    #[arg(short, long, value_name = "EVENT", value_delimiter = ',', value_enum)]
    pub(crate) events: Vec<EventKind>,
    /// Leave out what did not happen to a unit: how it is at the beginning, or that its node came or
    /// went
    #[arg(long)]
    pub(crate) changes: bool,
}

/// Kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EventKind {
    /// A node came or went
    Node,
    /// A unit is loaded
    New,
    /// A unit is not loaded any more
    Removed,
    /// A unit is in another state
    State,
    /// Properties of a unit have changed
    Properties,
}

impl EventKind {
    /// The word, as it is typed and as it is told.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::New => "new",
            Self::Removed => "removed",
            Self::State => "state",
            Self::Properties => "properties",
        }
    }
}

/// What to do with metrics.
#[derive(Debug, Args)]
pub(crate) struct Metrics {
    /// What to do
    #[arg(
        value_name = "enable|disable|listen",
        value_enum,
        hide_possible_values = true
    )]
    pub(crate) what: MetricsDo,
}

/// What can be done with metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MetricsDo {
    /// Have jobs measured, of all clients
    Enable,
    /// Have them measured no more
    Disable,
    /// Print what is measured, until Ctrl-C
    Listen,
}

impl MetricsDo {
    /// The verb in a result.
    pub(crate) fn verb(self) -> &'static str {
        match self {
            Self::Enable => "metrics enable",
            Self::Disable => "metrics disable",
            Self::Listen => "metrics listen",
        }
    }
}

/// What to show, once or again and again.
#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) of: AnyUnits,
    /// Show it again whenever something changes, until Ctrl-C
    #[arg(short, long)]
    pub(crate) watch: bool,
    /// Lines of the journal below a single unit, of its last start [default: 10; none in JSON]
    #[arg(short = 'n', long, value_name = "LINES")]
    pub(crate) lines: Option<u32>,
}

/// Shells that complete command lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    /// bash(1)
    Bash,
    /// zsh(1)
    Zsh,
    /// fish(1)
    Fish,
}

/// Names that a shell asks for.
#[derive(Debug, Args)]
pub(crate) struct Complete {
    /// The words after the command's own name, up to the cursor
    #[arg(last = true)]
    pub(crate) words: Vec<String>,
}
