//! Messages for people: what is wrong, and what to do next.

use super::{Mood, Paint, clean};

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

    /// It works, and somebody should look at it.
    pub(crate) fn warning(text: impl AsRef<str>, hint: Option<String>) -> Self {
        Self {
            mood: Mood::Busy,
            ..Self::error(text, hint)
        }
    }
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
