//! What became of jobs.

use std::{collections::BTreeSet, time::Duration};

use proto::model::{Cause, JobId, JobKind, JobResult};
use serde::Serialize;

use super::{
    Look, Mood, Page, clean, json, known,
    message::{self, Message},
    plain, table,
};
use crate::{
    cli::Output,
    command::Done,
    exit::Exit,
    fault::{Fault, MANAGER_ERRORS},
    fleet::Target,
    jobs::{End, Ended},
    span,
};

/// The longest line of progress, so that it stays one line on a terminal.
const PROGRESS_COLUMNS: usize = 79;

/// What was asked for.
pub(crate) struct Asked<'a> {
    pub(crate) kind: JobKind,
    pub(crate) targets: &'a [Target],
    /// Whether the nodes were chosen as several, even if there is one.
    pub(crate) several: bool,
}

/// What became of one unit's job.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) target: Target,
    pub(crate) id: Option<JobId>,
    pub(crate) end: End,
}

impl Asked<'_> {
    /// The line that a terminal shows while units are waited for.
    pub(crate) fn progress(&self, open: impl Iterator<Item = usize>, waited: Duration) -> String {
        let open: Vec<&Target> = open.filter_map(|at| self.targets.get(at)).collect();
        let nodes: BTreeSet<&str> = open.iter().map(|target| target.node.as_str()).collect();
        let units: BTreeSet<&str> = open.iter().map(|target| target.unit.as_str()).collect();
        let jobs = if open.len() == 1 {
            "the job goes"
        } else {
            "the jobs go"
        };
        let waited = span::display(waited);
        let (units, nodes) = (few(&units), few(&nodes));
        // What is cut off at the end of a line can be missed best.
        let line = match self.targets.len() {
            0 | 1 => format!(
                "{} {units} on {nodes}, {waited} (Ctrl-C leaves, {jobs} on)",
                self.kind
            ),
            all => format!(
                "{}: {} of {all} done, {waited} (Ctrl-C leaves, {jobs} on): {units} on {nodes}",
                self.kind,
                all - open.len()
            ),
        };
        line.chars().take(PROGRESS_COLUMNS).collect()
    }

    /// The line that a terminal shows while there is no controller.
    pub(crate) fn away(&self, waited: Duration) -> String {
        let line = format!(
            "the controller is away since {}; it is waited for, and nodes go on with what they do",
            span::display(waited)
        );
        line.chars().take(PROGRESS_COLUMNS).collect()
    }

    /// Where to look for what became of it.
    pub(crate) fn look_at_status(&self) -> String {
        let nodes: BTreeSet<_> = self
            .targets
            .iter()
            .map(|target| target.node.as_str())
            .collect();
        let mut units: Vec<_> = self
            .targets
            .iter()
            .map(|target| target.unit.as_str())
            .collect();
        units.dedup();
        if nodes.len() > 1 {
            units.sort_unstable();
            units.dedup();
        }
        if nodes.len() > FEW || units.len() > FEW {
            return "see 'ctl list-jobs'".into();
        }
        let nodes: Vec<_> = nodes.into_iter().collect();
        format!("see 'ctl status {} {}'", nodes.join(","), units.join(" "))
    }

    /// That what nobody waits for any more is still done.
    pub(crate) fn goes_on(&self) -> &'static str {
        if self.targets.len() == 1 {
            "the job goes on"
        } else {
            "the jobs go on"
        }
    }
}

/// More than these are only counted.
const FEW: usize = 3;

/// Names in a line that has an end.
fn few(names: &BTreeSet<&str>) -> String {
    let first: Vec<&str> = names.iter().copied().take(FEW).collect();
    match names.len().saturating_sub(FEW) {
        0 => first.join(" "),
        more => format!("{} and {more} more", first.join(" ")),
    }
}

/// Says what became of all; `unasked` are nodes whose units are not known.
pub(crate) fn page(
    asked: &Asked<'_>,
    outcomes: &[Outcome],
    unasked: &[Done<()>],
    look: &Look,
) -> Page {
    let data = match look.output {
        // Like systemctl(1): what went well needs no word.
        Output::Table if outcomes.len() < 2 && !asked.several => String::new(),
        Output::Table => table(asked, outcomes, look),
        Output::Json => json(&Jobs {
            jobs: outcomes
                .iter()
                .map(|outcome| Row::of(asked, outcome))
                .collect(),
        }),
        Output::Plain => plain(outcomes.iter().map(|outcome| {
            let row = Row::of(asked, outcome);
            [row.node, row.unit, row.result, row.cause.unwrap_or("")].map(str::to_owned)
        })),
    };
    let mut messages = messages(asked, outcomes);
    for done in unasked {
        messages.extend(message::of_done(done));
    }
    let exits = outcomes
        .iter()
        .map(|outcome| (&outcome.target.node, exit(outcome)));
    let unasked = unasked.iter().filter_map(|done| {
        let fault = done.answer.as_ref().err()?;
        Some((&done.node, fault.exit()))
    });
    Page {
        data,
        messages: message::beside(&messages, look),
        exit: Exit::of_nodes(exits.chain(unasked)),
    }
}

fn table(asked: &Asked<'_>, outcomes: &[Outcome], look: &Look) -> String {
    let rows = outcomes.iter().map(|outcome| {
        let row = Row::of(asked, outcome);
        let result = look.paint.mood(Mood::of(row.result), row.result);
        let reason = match &outcome.end {
            End::Queued => String::new(),
            End::Ended(ended) if ended.result == "done" => String::new(),
            End::Ended(ended) => reason(outcome, ended),
            End::Fault(fault) => fault.to_string(),
        };
        let node = row.node.to_owned();
        [node, row.unit.to_owned(), result, clean(&reason)]
    });
    table::write_nodes(
        ["NODE", "UNIT", "RESULT", "REASON"],
        rows,
        asked.several,
        look,
    )
}

/// One message for each failure; where all failed for the same reason that is not the unit's, one
/// for all.
fn messages(asked: &Asked<'_>, outcomes: &[Outcome]) -> Vec<Message> {
    let mut messages = Vec::new();
    for outcome in outcomes {
        let message = match &outcome.end {
            End::Queued => continue,
            End::Ended(ended) if is_success(&ended.result) => continue,
            End::Ended(ended) => Message::error(
                format!(
                    "failed to {} {} on {}: {} {}",
                    asked.kind,
                    outcome.target.unit,
                    outcome.target.node,
                    reason(outcome, ended),
                    words(ended)
                ),
                Some(next(outcome, ended)),
            ),
            End::Fault(fault) if fault.names_its_object() => Message::of_fault(fault),
            End::Fault(fault) => Message::error(
                format!(
                    "failed to {} {} on {}: {fault}",
                    asked.kind, outcome.target.unit, outcome.target.node
                ),
                fault.hint().or_else(|| Some(look_at(outcome))),
            ),
        };
        if !messages.contains(&message) {
            messages.push(message);
        }
    }
    messages
}

/// Why a job did not succeed: the controller's sentence, or what its result means. What the message
/// begins with anyway is left out.
fn reason(outcome: &Outcome, ended: &Ended) -> String {
    if ended.text.is_empty() {
        return meaning(&ended.result).to_owned();
    }
    let Target { node, unit } = &outcome.target;
    let begin = format!("unit {unit} on node {node} failed: ");
    let text = ended.text.strip_prefix(&begin);
    text.unwrap_or(&ended.text).to_owned()
}

/// The words for programs, which an operator may search for.
fn words(ended: &Ended) -> String {
    match ended.cause.as_str() {
        "" => format!("[{}]", ended.result),
        cause => format!("[{}, {cause}]", ended.result),
    }
}

fn meaning(result: &str) -> &'static str {
    match result.parse::<JobResult>() {
        Ok(JobResult::Done) => "it is done",
        Ok(JobResult::Canceled) => "the job was canceled",
        Ok(JobResult::Timeout) => "the job ran into its limit of time",
        Ok(JobResult::Failed) => "the unit failed",
        Ok(JobResult::Dependency) => "a unit that it needs failed",
        Ok(JobResult::Skipped) => "the unit did not need it",
        Ok(JobResult::Invalid) => "the unit is not active, so there is nothing to reload",
        Ok(JobResult::Assert) => "an Assert…= of the unit does not hold",
        Ok(JobResult::Unsupported) => "the unit cannot do this",
        Ok(JobResult::Collected) => "the unit was removed before the job ran",
        Ok(JobResult::Once) => "the unit runs only once, and has run",
        Ok(JobResult::Frozen) => "the unit is frozen; thaw it first",
        Err(_) => "the job did not succeed",
    }
}

/// What to do next.
fn next(outcome: &Outcome, ended: &Ended) -> String {
    let Target { node, unit } = &outcome.target;
    match ended.cause.parse::<Cause>() {
        Ok(Cause::NodeOffline | Cause::NodeLost) => "see 'ctl status'".into(),
        Ok(Cause::NotAllowed) => {
            format!("see allow_dependencies_on of [node.{node}] in the controller's configuration")
        }
        Ok(Cause::NodeUnknown) => "see [nodes] in the controller's configuration".into(),
        Ok(Cause::UnitNotFound) => format!(
            "see 'ctl status {node} {unit}'; after a new unit file, \
             'ctl daemon-reload {node}'"
        ),
        Ok(Cause::ControllerUnreachable) => {
            format!("on {node}, see 'systemctl status unitlink-agent'")
        }
        Ok(
            Cause::UnitFailed
            | Cause::UnitStopped
            | Cause::UnitEnded
            | Cause::UnitDied
            | Cause::UnitRestarts
            | Cause::Cycle
            | Cause::Timeout
            | Cause::InvalidName
            | Cause::Canceled
            | Cause::Limit
            | Cause::Manager,
        )
        | Err(_) => look_at(outcome),
    }
}

fn look_at(outcome: &Outcome) -> String {
    let Target { node, unit } = &outcome.target;
    format!("see 'ctl status {node} {unit}', and on {node} 'journalctl -u {unit}'")
}

/// As systemctl(1): a job that was not needed is no failure.
fn is_success(result: &str) -> bool {
    matches!(result, "done" | "skipped")
}

fn exit(outcome: &Outcome) -> Exit {
    match &outcome.end {
        End::Queued => Exit::Done,
        // The service manager would not have the job: it failed.
        End::Fault(Fault::Refused { name, .. }) if name.starts_with(MANAGER_ERRORS) => {
            Exit::JobFailed
        }
        End::Fault(fault) => fault.exit(),
        End::Ended(ended) if is_success(&ended.result) => Exit::Done,
        // The cause is that of another unit, which this one needs: that one is not there, not up.
        End::Ended(ended) if ended.result == "dependency" => Exit::JobFailed,
        End::Ended(ended) => match ended.cause.parse::<Cause>() {
            Ok(Cause::UnitNotFound) => Exit::NoSuchUnit,
            Ok(Cause::NodeUnknown) => Exit::NoSuchNode,
            Ok(Cause::NodeOffline | Cause::NodeLost) => Exit::NodeOffline,
            Ok(Cause::Timeout) => Exit::Timeout,
            Ok(
                Cause::ControllerUnreachable
                | Cause::NotAllowed
                | Cause::UnitFailed
                | Cause::UnitStopped
                | Cause::UnitEnded
                | Cause::UnitDied
                | Cause::UnitRestarts
                | Cause::Cycle
                | Cause::InvalidName
                | Cause::Canceled
                | Cause::Limit
                | Cause::Manager,
            )
            | Err(_) => match ended.result.as_str() {
                "timeout" => Exit::Timeout,
                _ => Exit::JobFailed,
            },
        },
    }
}

#[derive(Serialize)]
struct Jobs<'a> {
    jobs: Vec<Row<'a>>,
}

/// A job in JSON.
#[derive(Serialize)]
struct Row<'a> {
    node: &'a str,
    unit: &'a str,
    job: &'static str,
    id: Option<u32>,
    /// A result of systemd's, `queued`, or `error` if there is no job or its end was not seen.
    result: &'a str,
    cause: Option<&'a str>,
    text: Option<String>,
}

impl<'a> Row<'a> {
    fn of(asked: &Asked<'_>, outcome: &'a Outcome) -> Self {
        let (result, cause, text) = match &outcome.end {
            End::Queued => ("queued", None, None),
            End::Ended(Ended {
                result,
                cause,
                text,
            }) => (
                result.as_str(),
                known(cause),
                known(text).map(str::to_owned),
            ),
            End::Fault(fault) => ("error", None, Some(fault.to_string())),
        };
        Self {
            node: outcome.target.node.as_str(),
            unit: outcome.target.unit.as_str(),
            job: asked.kind.as_str(),
            id: outcome.id.map(|id| id.0),
            result,
            cause,
            text,
        }
    }
}
