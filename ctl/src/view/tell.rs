//! Answers of one word.

use proto::name::NodeName;
use serde::Serialize;

use super::{Look, Mood, Page, clean, json, known, message, plain, table};
use crate::{cli::Output, command::Done, exit::Exit};

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    IsActive,
    IsFailed,
    IsEnabled,
    GetDefault,
}

impl Question {
    /// What fails if there is no answer.
    pub(crate) fn verb(self) -> &'static str {
        match self {
            Self::IsActive | Self::IsFailed => "ask for the state of",
            Self::IsEnabled => "ask for the unit file state of",
            Self::GetDefault => "ask for the default target",
        }
    }

    fn header(self) -> &'static str {
        match self {
            Self::IsActive | Self::IsFailed => "ACTIVE",
            Self::IsEnabled => "ENABLED",
            Self::GetDefault => "TARGET",
        }
    }

    /// Whether the word means yes, by the rules of systemctl(1).
    fn is_yes(self, word: &str) -> bool {
        match self {
            Self::IsActive => matches!(word, "active" | "reloading" | "refreshing"),
            Self::IsFailed => word == "failed",
            Self::IsEnabled => matches!(
                word,
                "enabled" | "enabled-runtime" | "static" | "alias" | "indirect" | "generated"
            ),
            Self::GetDefault => true,
        }
    }

    /// How it ends if nothing of what was asked about is so.
    fn no(self) -> Exit {
        match self {
            Self::IsActive => Exit::NotActive,
            Self::IsFailed | Self::IsEnabled | Self::GetDefault => Exit::JobFailed,
        }
    }
}

/// The answers, each with whether there is no such unit. One yes of a node is enough, as for
/// systemctl(1); otherwise what kept it from being known counts, then that there is no such unit.
pub(crate) fn page(
    question: Question,
    told: &[(Done<String>, bool)],
    several: bool,
    look: &Look,
) -> Page {
    let rows: Vec<Row<'_>> = told.iter().map(|(done, _)| Row::of(done)).collect();
    let data = match look.output {
        Output::Table if several => many(question, &rows, look),
        // One word in a line, for `$(…)`.
        Output::Table => {
            let words = rows.iter().filter_map(|row| row.answer);
            words.map(|word| clean(word) + "\n").collect()
        }
        Output::Json => json(&Answers { answers: &rows }),
        Output::Plain => plain(rows.iter().map(|row| {
            let cells = [row.node, row.unit, row.answer].map(|cell| cell.unwrap_or(""));
            cells.map(str::to_owned)
        })),
    };
    let mut messages = Vec::new();
    for message in told.iter().filter_map(|(done, _)| message::of_done(done)) {
        if !messages.contains(&message) {
            messages.push(message);
        }
    }
    let mut nodes: Vec<&NodeName> = told.iter().map(|(done, _)| &done.node).collect();
    nodes.dedup();
    let of_node = |node: &NodeName| {
        let of_node = told.iter().filter(|(done, _)| done.node == *node);
        exit(question, of_node)
    };
    Page {
        data,
        messages,
        exit: Exit::worst(nodes.into_iter().map(of_node)),
    }
}

fn exit<'a>(
    question: Question,
    told: impl Iterator<Item = &'a (Done<String>, bool)> + Clone,
) -> Exit {
    let is_yes = |(done, _): &&(Done<String>, bool)| {
        done.answer.as_ref().is_ok_and(|word| question.is_yes(word))
    };
    if told.clone().any(|told| is_yes(&told)) {
        return Exit::Done;
    }
    let faults = told
        .clone()
        .filter_map(|(done, _)| done.answer.as_ref().err());
    let fault = Exit::together(faults.map(crate::fault::Fault::exit));
    if fault != Exit::Done {
        return fault;
    }
    // That nothing has failed is a plain no, also of what does not exist.
    let all_missing = told.clone().all(|(_, is_missing)| *is_missing);
    if all_missing && question != Question::IsFailed {
        Exit::NoSuchUnit
    } else {
        question.no()
    }
}

fn many(question: Question, rows: &[Row<'_>], look: &Look) -> String {
    let cells = rows.iter().map(|row| {
        let answer = match row.answer {
            Some(word) => look.paint.mood(Mood::of(word), &clean(word)),
            None => look.paint.mood(Mood::Bad, "error"),
        };
        let node = row.node.unwrap_or_default().to_owned();
        [node, row.unit.unwrap_or("-").to_owned(), answer]
    });
    match question {
        Question::IsActive | Question::IsFailed | Question::IsEnabled => {
            table::write(["NODE", "UNIT", question.header()], cells, look)
        }
        Question::GetDefault => {
            let cells = cells.map(|[node, _, answer]| [node, answer]);
            table::write(["NODE", question.header()], cells, look)
        }
    }
}

/// Whether a node, or the fleet, is online.
pub(crate) fn online(node: Option<&NodeName>, status: &str, exit: Exit, look: &Look) -> Page {
    let row = Row {
        node: node.map(NodeName::as_str),
        unit: None,
        answer: Some(status),
        text: None,
    };
    let data = match look.output {
        Output::Table => clean(status) + "\n",
        Output::Json => json(&Answers { answers: &[row] }),
        Output::Plain => plain([[row.node.unwrap_or(""), "", status].map(str::to_owned)]),
    };
    Page::data(data, exit)
}

#[derive(Serialize)]
struct Answers<'a> {
    answers: &'a [Row<'a>],
}

/// An answer in JSON.
#[derive(Serialize)]
struct Row<'a> {
    node: Option<&'a str>,
    unit: Option<&'a str>,
    answer: Option<&'a str>,
    /// Why there is no answer.
    text: Option<String>,
}

impl<'a> Row<'a> {
    fn of(done: &'a Done<String>) -> Self {
        Self {
            node: Some(done.node.as_str()),
            unit: known(&done.unit),
            answer: done.answer.as_deref().ok(),
            text: done.answer.as_ref().err().map(ToString::to_string),
        }
    }
}
