//! The command line, and nothing else.

use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use proto::{
    model::JobKind,
    name::{NodeName, UnitName},
};

use crate::{limits, span};

const EXIT_CODES: &str = "\
Exit codes:
    0  done
    1  a job failed, was canceled, or a dependency of it failed
    2  the command line is not valid
    3  status: a unit is not active
    4  no such unit
    5  no such node
    6  the node is offline
    7  it took too long
    8  the controller cannot be reached
    9  access denied
   10  anything else
  130  interrupted

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
pub(crate) struct Options {
    /// How to print
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
    /// Do not wait until a job has ended
    #[arg(long, global = true)]
    pub(crate) no_block: bool,
    /// How long to wait, as in '30s' or '5min' [default: 5min for jobs, 30s for questions]
    #[arg(long, global = true, value_name = "DURATION", value_parser = timeout)]
    timeout: Option<Duration>,
    /// Ask the controller on the session bus
    #[arg(long, global = true)]
    pub(crate) user: bool,
    /// Leave out the header of a table
    #[arg(long, global = true)]
    pub(crate) no_legend: bool,
    /// When to use colour; NO_COLOR is respected
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub(crate) color: Color,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Start units of a node and wait until they are up
    Start(Units),
    /// Stop units of a node and wait until they are down
    Stop(Units),
    /// Restart units of a node, or start them
    Restart(Units),
    /// Let units of a node reload their configuration
    Reload(Units),
    /// Show all nodes, one node, or units of a node
    Status {
        /// The node; all nodes if left out
        #[arg(value_parser = node)]
        node: Option<NodeName>,
        /// Units of the node; '.service' may be left out
        #[arg(value_name = "UNIT", value_parser = unit)]
        units: Vec<UnitName>,
    },
    /// List the units of all nodes, or of one
    ListUnits(ListUnits),
    /// Show the version
    Version,
}

/// Units of one node.
#[derive(Debug, Args)]
pub(crate) struct Units {
    /// The node
    #[arg(value_parser = node)]
    pub(crate) node: NodeName,
    /// Its units; '.service' may be left out
    #[arg(required = true, value_name = "UNIT", value_parser = unit)]
    pub(crate) units: Vec<UnitName>,
}

/// Which units to list.
#[derive(Debug, Args)]
pub(crate) struct ListUnits {
    /// Only units of this node
    #[arg(value_parser = node)]
    pub(crate) node: Option<NodeName>,
    /// Also units that are inactive
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Only units of these types, as in 'service,socket'
    #[arg(short = 't', long = "type", value_name = "TYPE", value_delimiter = ',')]
    pub(crate) types: Vec<String>,
    /// Only units whose load, active or sub state is one of these
    #[arg(long = "state", value_name = "STATE", value_delimiter = ',')]
    pub(crate) states: Vec<String>,
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Table,
    /// For programs: one object, see docs/reference/json.md
    Json,
    /// For awk(1): one line each, columns separated by a space, no header
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
    /// How long to wait for jobs.
    pub(crate) fn job_timeout(&self) -> Duration {
        self.timeout.unwrap_or(limits::JOB)
    }

    /// How long to wait for answers.
    pub(crate) fn question_timeout(&self) -> Duration {
        self.timeout.unwrap_or(limits::QUESTION)
    }
}

impl Verb {
    /// The job that the verb asks for, if it does.
    pub(crate) fn job(&self) -> Option<(JobKind, &Units)> {
        match self {
            Self::Start(units) => Some((JobKind::Start, units)),
            Self::Stop(units) => Some((JobKind::Stop, units)),
            Self::Restart(units) => Some((JobKind::Restart, units)),
            Self::Reload(units) => Some((JobKind::Reload, units)),
            Self::Status { .. } | Self::ListUnits(_) | Self::Version => None,
        }
    }

    /// The units that are named.
    pub(crate) fn units(&self) -> &[UnitName] {
        match self {
            Self::Start(of) | Self::Stop(of) | Self::Restart(of) | Self::Reload(of) => &of.units,
            Self::Status { units, .. } => units,
            Self::ListUnits(_) | Self::Version => &[],
        }
    }
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use test_case::test_case;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_unit_without_a_type_is_a_service() {
        let cli = Cli::try_parse_from(["ctl", "start", "worker1", "source"]).expect("valid");
        let (kind, units) = cli.verb.job().expect("a job");
        assert_eq!(kind, JobKind::Start);
        assert_eq!(units.units, ["source.service".parse().expect("valid")]);
    }

    #[test_case("start worker1"; "no unit")]
    #[test_case("start -x worker1 a"; "no such option")]
    #[test_case("start work/er1 a"; "no name of a node")]
    #[test_case("start worker1 a@.service"; "a template")]
    #[test_case("--timeout infinity start worker1 a"; "forever")]
    #[test_case("--timeout 0 start worker1 a"; "no time")]
    fn what_is_not_valid_ends_with_code_2(line: &str) {
        let line = ["ctl"].into_iter().chain(line.split(' '));
        assert_eq!(
            Cli::try_parse_from(line).expect_err("refused").exit_code(),
            2
        );
    }

    #[test]
    fn help_has_the_exit_codes_of_the_reference() {
        let reference = include_str!("../../docs/reference/exit-codes.md");
        for line in EXIT_CODES.lines().filter(|line| line.starts_with("  ")) {
            let (code, text) = line.trim().split_once("  ").expect("code and text");
            let row = format!("| {code} | {} |", text.replace("status:", "`status`:"));
            assert!(reference.contains(&row), "{row}");
        }
    }
}
