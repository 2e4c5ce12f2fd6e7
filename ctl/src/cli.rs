//! The command line, and nothing else.

mod daemon;
mod explain;
mod lazy;
mod logs;
mod nodes;
mod units;
mod verbs;

#[cfg(test)]
mod manual;
#[cfg(test)]
mod tests;

use std::{ffi::OsString, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use proto::{
    model::JobKind,
    name::{NodeName, UnitName},
};

use crate::{limits, span};
pub(crate) use daemon::{DaemonDo, DaemonVerb, Which};
pub(crate) use explain::{Deps, ListDependencies, OneUnit, Verify};
use lazy::Lazy;
pub(crate) use logs::{Count, Format, LogStyle, Logs};
pub(crate) use nodes::Nodes;
pub(crate) use units::{AnyUnits, JustNodes, SomeUnits, UnitArg, UnitFiles, Units};
pub(crate) use verbs::{
    Complete, Disable, Enable, EventKind, IsOnline, Kill, Level, ListJobs, ListUnitFiles,
    ListUnits, Metrics, MetricsDo, Monitor, Online, SetDefault, SetLogLevel, Shell, Show, Status,
    Where,
};

const EXIT_CODES: &str = "\
Exit codes:
    0  done
    1  a job failed, was canceled, or a dependency of it failed; is-failed, is-enabled: no; verify: errors
    2  the command line is not valid
    3  status, is-active: a unit is not active
    4  no such unit
    5  no such node
    6  the node is offline
    7  it took too long
    8  the controller cannot be reached
    9  access denied
   10  anything else
  130  interrupted

NODE is a node, a list 'a,b', a pattern 'cam*', or a label '@front'; --all is all nodes.
Data goes to standard output, messages to standard error.";

/// Starts, stops and shows any unit of any node.
#[derive(Debug, Parser)]
#[command(name = "ctl", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) options: Options,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What every verb understands.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of all verbs")]
pub(crate) struct Options {
    /// How to print
    #[arg(id = "output", short, long, global = true, value_parser = Format::parser(), default_value = "table")]
    format: Format,
    /// Do not wait until a job has ended
    #[arg(long, global = true)]
    pub(crate) no_block: bool,
    /// How long to wait, as in '30s' or '5min' [default: 5min for jobs, 30s for questions]
    #[arg(long, global = true, value_name = "DURATION", value_parser = timeout)]
    timeout: Option<Duration>,
    /// Ask the controller on the session bus
    #[arg(long, global = true)]
    pub(crate) user: bool,
    /// Print nothing but errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Leave out the header of a table
    #[arg(long, global = true)]
    pub(crate) no_legend: bool,
    /// Do not shorten what is wider than the terminal
    #[arg(short = 'l', long, global = true)]
    pub(crate) full: bool,
    /// Do not pipe what is longer than the terminal into a pager
    #[arg(long, global = true)]
    pub(crate) no_pager: bool,
    /// When to use colour; NO_COLOR and SYSTEMD_COLORS are respected
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub(crate) color: Color,
}

/// The verbs that are used most, alone: what has few verbs is read sooner than what has all.
#[derive(Debug, Parser)]
#[command(name = "ctl")]
struct Quick {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    verb: QuickVerb,
}

/// What [`QuickVerb`] reads.
const QUICK: [&str; 5] = ["start", "stop", "restart", "reload", "version"];

#[derive(Debug, Subcommand)]
enum QuickVerb {
    #[command(flatten)]
    Job(JobVerb),
    Version,
}

/// The verbs that are jobs.
#[derive(Debug, Subcommand)]
pub(crate) enum JobVerb {
    /// Start units of a node and wait until they are up
    Start(Lazy<Units>),
    /// Stop units of a node and wait until they are down
    Stop(Lazy<Units>),
    /// Restart units of a node, or start them
    Restart(Lazy<Units>),
    /// Let units of a node reload their configuration
    Reload(Lazy<Units>),
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    #[command(flatten)]
    Job(JobVerb),
    /// Suspend the processes of units
    Freeze(Lazy<Units>),
    /// Let the processes of frozen units go on
    Thaw(Lazy<Units>),
    /// Send a signal to the processes of units
    Kill(Lazy<Kill>),
    /// Forget that units have failed: these, or all of a node
    ResetFailed(Lazy<SomeUnits>),
    /// Show all nodes, one node, or units of a node
    Status(Lazy<Status>),
    /// Say why a unit runs, does not run, or is not stopped
    Why(Lazy<OneUnit>),
    /// Show who needs a unit, and which units of other nodes it needs
    Deps(Lazy<Deps>),
    /// List what a unit needs, or who needs it, as a tree over all nodes
    ListDependencies(Lazy<ListDependencies>),
    /// Print lines of the journals of nodes about units
    Logs(Box<Logs>),
    /// Print the files of units
    Cat(Lazy<Units>),
    /// Look for mistakes in the unit files of all nodes, or of some, before anything runs
    Verify(Lazy<Verify>),
    /// Print the properties of units
    Show(Lazy<Show>),
    /// Print whether units are active; ends with 0 if one is
    IsActive(Lazy<Units>),
    /// Print whether units have failed; ends with 0 if one has
    IsFailed(Lazy<Units>),
    /// Print whether units are enabled; ends with 0 if one is
    IsEnabled(Lazy<UnitFiles>),
    /// List the units of all nodes, or of some
    ListUnits(Lazy<ListUnits>),
    /// List the unit files of all nodes, or of some
    ListUnitFiles(Lazy<ListUnitFiles>),
    /// Have units started at boot, as their [Install] sections say
    Enable(Lazy<Enable>),
    /// Have units not started at boot
    Disable(Lazy<Disable>),
    /// Let the service manager of a node read its unit files again
    DaemonReload(Lazy<JustNodes>),
    /// Print the target that a node boots into
    GetDefault(Lazy<JustNodes>),
    /// Choose the target that a node boots into
    SetDefault(Lazy<SetDefault>),
    /// List the jobs that the controller has under way
    ListJobs(Lazy<ListJobs>),
    /// Take jobs back
    Cancel {
        /// Their numbers, as list-jobs shows them
        #[arg(value_name = "JOB", required = true)]
        jobs: Vec<u32>,
    },
    /// Tell what happens to units and nodes, until Ctrl-C
    Monitor(Lazy<Monitor>),
    /// Say whether a node, the whole fleet or the agent of this machine is online; ends with 0 if it is
    IsOnline(Lazy<IsOnline>),
    /// Have the times of jobs measured, and print them
    Metrics(Lazy<Metrics>),
    /// Hand the agent of this machine over to another controller, until it is started again
    SwitchController {
        /// Where the controller is, as in '10.0.0.1:842', or a D-Bus address
        #[arg(value_name = "ADDRESS", value_parser = controller_address)]
        address: String,
    },
    /// Reload, show and check the configuration of the controller or an agent, and show its state
    Daemon(Lazy<DaemonVerb>),
    /// Choose which lines the controller or an agent writes into its log
    SetLoglevel(Lazy<SetLogLevel>),
    /// Print the name of the unit that stands for a unit of another node
    Escape {
        /// The node
        #[arg(value_parser = node)]
        node: NodeName,
        /// Its unit; '.service' may be left out
        #[arg(value_name = "UNIT", value_parser = unit)]
        unit: UnitName,
    },
    /// Print the node and the unit that a unit stands for
    Unescape {
        /// As in 'proxy@worker2_target.service'
        #[arg(value_name = "PROXY")]
        proxy: String,
    },
    /// Print what a shell needs to complete command lines
    Completion {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Show the version
    Version,
    /// Print names for a shell
    #[command(name = "__complete", hide = true)]
    Complete(Lazy<Complete>),
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// For awk(1).
    Plain,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Options {
    /// How to print; a graph is a table to those who have no other word for it.
    pub(crate) fn output(&self) -> Output {
        self.format.output()
    }

    /// Whether a graph is to be drawn by Graphviz.
    pub(crate) fn is_dot(&self) -> bool {
        self.format == Format::Dot
    }

    /// How long to wait for jobs.
    pub(crate) fn job_timeout(&self) -> Duration {
        self.timeout.unwrap_or(limits::JOB)
    }

    /// How long to wait, where a verb has a time of its own.
    pub(crate) fn timeout_or(&self, own: Duration) -> Duration {
        self.timeout.unwrap_or(own)
    }

    /// How long to wait for answers.
    pub(crate) fn question_timeout(&self) -> Duration {
        self.timeout.unwrap_or(limits::QUESTION)
    }
}

impl Cli {
    /// Reads the command line of this process.
    ///
    /// # Errors
    ///
    /// Says what is not valid, or what was to be explained.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        let words: Vec<OsString> = std::env::args_os().collect();
        match Self::quick(&words) {
            Some(cli) => Ok(cli),
            None => Self::try_parse_from(words)?.proved(),
        }
    }

    /// What may come before the verb has to fit it.
    fn proved(self) -> Result<Self, clap::Error> {
        match (&self.verb, self.options.format) {
            (Verb::Logs(_), _) | (_, Format::Of(_) | Format::Dot) => Ok(self),
            (_, Format::Log(_)) => Err(clap::Error::raw(
                clap::error::ErrorKind::InvalidValue,
                "this '--output' is one of 'logs'; expected table, json or plain\n",
            )),
        }
    }

    /// Reads it if its verb is one that is used much and all is valid; what is wrong, or a wish
    /// for help, is for [`Cli`] to say, which knows all verbs.
    fn quick(words: &[OsString]) -> Option<Self> {
        let is_one = |word: &OsString| QUICK.iter().any(|verb| word == verb);
        // Options and their values may come before it. What is a verb here and a node or a unit in truth is found out
        // below, and costs what it would have saved.
        if !words.iter().skip(1).any(is_one) {
            return None;
        }
        let Quick { options, verb } = Quick::try_parse_from(words).ok()?;
        if matches!(options.format, Format::Log(_)) {
            return None;
        }
        let verb = match verb {
            QuickVerb::Job(job) => Verb::Job(job),
            QuickVerb::Version => Verb::Version,
        };
        Some(Self { options, verb })
    }
}

impl JobVerb {
    /// What is to be done to which units.
    pub(crate) fn parts(&self) -> (JobKind, &Units) {
        match self {
            Self::Start(of) => (JobKind::Start, of),
            Self::Stop(of) => (JobKind::Stop, of),
            Self::Restart(of) => (JobKind::Restart, of),
            Self::Reload(of) => (JobKind::Reload, of),
        }
    }
}

/// The D-Bus address of a controller; of what people write it is made.
fn controller_address(text: &str) -> Result<String, String> {
    if text.contains('=') {
        return Ok(text.to_owned());
    }
    let parts = text.rsplit_once(':');
    let parts = parts.and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    let Some((host, port)) = parts else {
        return Err(
            "an address looks like '10.0.0.1:842', '[fd00::1]:842', 'tcp:host=10.0.0.1,port=842' \
             or 'unix:path=/run/unitlink/controller.sock'"
                .into(),
        );
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Ok(format!("tcp:host={host},port={port}"))
}

fn node(text: &str) -> Result<NodeName, String> {
    text.parse()
        .map_err(|error: proto::name::NodeNameError| error.to_string())
}

fn unit(text: &str) -> Result<UnitName, String> {
    UnitName::from_operator(text).map_err(|error| error.to_string())
}

fn timeout(text: &str) -> Result<Duration, String> {
    let span = span::parse(text)?;
    if span.is_zero() || span > limits::TIMEOUT_MAX {
        return Err("it is more than nothing and at most a day".into());
    }
    Ok(span)
}
