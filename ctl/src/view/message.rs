//! Messages for people: what is wrong, and what to do next.

use super::{Look, Mood, Paint, clean};
use crate::{cli::Output, command::Done};

/// A message for standard error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    mood: Mood,
    text: String,
    hint: Option<String>,
}

impl Message {
    /// It did not work.
    pub(crate) fn error(text: impl AsRef<str>, hint: Option<String>) -> Self {
        Self {
            mood: Mood::Bad,
            text: clean(text.as_ref()),
            hint: hint.map(|hint| clean(&hint)),
        }
    }

    /// Whether it says that something did not work.
    pub(crate) fn is_error(&self) -> bool {
        self.mood == Mood::Bad
    }

    /// It works, and somebody should look at it.
    pub(crate) fn warning(text: impl AsRef<str>, hint: Option<String>) -> Self {
        Self {
            mood: Mood::Busy,
            ..Self::error(text, hint)
        }
    }
}

/// Why something failed, if it did.
pub(crate) fn of_done<T>(done: &Done<T>) -> Option<Message> {
    let fault = done.answer.as_ref().err()?;
    if fault.names_its_object() {
        return Some(Message::error(fault.to_string(), fault.hint()));
    }
    let Done {
        verb, node, unit, ..
    } = done;
    let what = if unit.is_empty() {
        format!("failed to {verb} on {node}: {fault}")
    } else {
        format!("failed to {verb} {unit} on {node}: {fault}")
    };
    let see = match unit.as_str() {
        "" => format!("see 'ctl status {node}'"),
        unit => format!("see 'ctl status {node} {unit}'"),
    };
    Some(Message::error(what, fault.hint().or(Some(see))))
}

/// So many failures are told one by one beside a table that has them all.
const BESIDE_A_TABLE: usize = 10;

/// Messages beside a table that says the same in its rows: of hundreds of nodes the first are told, and
/// how many more there are.
pub(super) fn beside(mut messages: Vec<Message>, look: &Look) -> Vec<Message> {
    let more = messages.len().saturating_sub(BESIDE_A_TABLE);
    if look.output == Output::Table && more > 1 {
        messages.truncate(BESIDE_A_TABLE);
        let text = format!("{more} more failed; the table has them all");
        messages.push(Message::error(text, None));
    }
    messages
}

/// Writes messages.
pub(crate) fn all(messages: &[Message], paint: Paint) -> String {
    let mut out = String::new();
    for Message { mood, text, hint } in messages {
        let word = match mood {
            Mood::Bad => "error:",
            Mood::Good | Mood::Busy | Mood::Idle | Mood::Neutral => "warning:",
        };
        out.push_str(&format!("{} {text}\n", paint.mood(*mood, word)));
        if let Some(hint) = hint {
            out.push_str(&format!("  {hint}\n"));
        }
    }
    out
}
