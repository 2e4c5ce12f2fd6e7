//! What was heard, as text: a table for people, JSON for programs, plain lines for awk(1). Pure:
//! values in, text out.

pub(crate) mod act;
pub(crate) mod cat;
pub(crate) mod completion;
pub(crate) mod daemon;
pub(crate) mod deps;
pub(crate) mod detail;
pub(crate) mod files;
mod fit;
pub(crate) mod job;
pub(crate) mod jobs;
pub(crate) mod list;
pub(crate) mod logs;
pub(crate) mod look;
pub(crate) mod message;
pub(crate) mod metrics;
mod missing;
pub(crate) mod monitor;
pub(crate) mod names;
mod process;
pub(crate) mod screen;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod stream;
mod table;
pub(crate) mod tell;
pub(crate) mod units;
mod value;
pub(crate) mod verify;
pub(crate) mod why;

#[cfg(test)]
mod tests;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::{cli::Output, exit::Exit, fault::Fault};
use message::Message;

/// How it is to look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) output: Output,
    /// Whether a table has a header.
    pub(crate) legend: bool,
    pub(crate) paint: Paint,
    /// Of messages, which go elsewhere.
    pub(crate) paint_messages: Paint,
    /// Whether tables are for a terminal, which has what only people look at.
    pub(crate) terminal: bool,
    /// The columns of the terminal, if tables have to fit onto one.
    pub(crate) width: Option<usize>,
}

/// All that the command says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// For standard output.
    pub(crate) data: String,
    /// For standard error.
    pub(crate) messages: Vec<Message>,
    pub(crate) exit: Exit,
}

impl Page {
    /// Only data.
    pub(crate) fn data(data: String, exit: Exit) -> Self {
        Self {
            data,
            messages: Vec::new(),
            exit,
        }
    }

    /// Only data, and all is well.
    pub(crate) fn text(data: String) -> Self {
        Self::data(data, Exit::Done)
    }

    /// Only what is wrong.
    pub(crate) fn quiet(mut self) -> Self {
        self.data.clear();
        self.messages.retain(Message::is_error);
        self
    }

    /// Only an error.
    pub(crate) fn fault(fault: &Fault) -> Self {
        Self {
            data: String::new(),
            messages: vec![Message::error(fault.to_string(), fault.hint())],
            exit: fault.exit(),
        }
    }
}

/// Colours, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    Colour,
    Plain,
}

/// What a text says about the state of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Good,
    Bad,
    /// On the way to somewhere.
    Busy,
    Idle,
    Neutral,
}

impl Mood {
    /// Of an active state, a status of a node, a state of a claim, or a result of a job.
    pub(crate) fn of(word: &str) -> Self {
        match word {
            "active" | "online" | "up" | "done" | "enabled" | "enabled-runtime" => Self::Good,
            "failed" | "not-found" | "error" | "bad-setting" | "down" | "refused" | "lost"
            | "timeout" | "dependency" | "canceled" | "assert" | "unsupported" | "invalid"
            | "once" | "frozen" | "collected" => Self::Bad,
            "activating" | "deactivating" | "reloading" | "refreshing" | "maintenance"
            | "starting" | "waiting" | "masked" => Self::Busy,
            "inactive" | "offline" | "skipped" | "queued" => Self::Idle,
            _ => Self::Neutral,
        }
    }
}

impl Paint {
    pub(crate) fn if_wanted(wanted: bool) -> Self {
        if wanted { Self::Colour } else { Self::Plain }
    }

    /// The text in the colour of the mood.
    pub(crate) fn mood(self, mood: Mood, text: &str) -> String {
        let style = match mood {
            Mood::Good => AnsiColor::Green.on_default(),
            Mood::Bad => AnsiColor::Red.on_default().bold(),
            Mood::Busy => AnsiColor::Yellow.on_default(),
            Mood::Idle => Style::new().dimmed(),
            Mood::Neutral => return text.to_owned(),
        };
        self.style(style, text)
    }

    /// The text in a style.
    pub(crate) fn style(self, style: Style, text: &str) -> String {
        match self {
            Self::Colour if !text.is_empty() => format!("{style}{text}{style:#}"),
            Self::Colour | Self::Plain => text.to_owned(),
        }
    }
}

/// A text that came from elsewhere, in one line and without what a terminal would act on.
pub(crate) fn clean(text: &str) -> String {
    text.trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// One object and a line end.
fn json(value: &impl Serialize) -> String {
    // Keys are texts and there are no maps of other things, so this cannot fail; an empty object
    // is still valid.
    let mut text = serde_json::to_string(value).unwrap_or_else(|_| "{}".into());
    text.push('\n');
    text
}

/// Lines for awk(1): columns without spaces in them, `-` for what is empty.
fn plain<R: IntoIterator<Item = String>>(rows: impl IntoIterator<Item = R>) -> String {
    let mut text = String::new();
    for row in rows {
        let column = |cell: String| {
            let cell = clean(&cell).replace(' ', "_");
            if cell.is_empty() { "-".into() } else { cell }
        };
        let columns: Vec<String> = row.into_iter().map(column).collect();
        text.push_str(&columns.join(" "));
        text.push('\n');
    }
    text
}

/// A text, or nothing if it is empty: what is not known is `null` in JSON.
fn known(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// Microseconds, as all spans are told in JSON and plain lines.
fn usec(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// The version of the command.
pub(crate) fn version(look: &Look) -> Page {
    #[derive(Serialize)]
    struct Version {
        version: &'static str,
    }
    let version = env!("CARGO_PKG_VERSION");
    Page::text(match look.output {
        Output::Table => format!("ctl {version}\n"),
        Output::Json => json(&Version { version }),
        Output::Plain => format!("{version}\n"),
    })
}
