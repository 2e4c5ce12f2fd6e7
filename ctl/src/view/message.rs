//! Messages for people: what is wrong, and what to do next.

use std::collections::BTreeSet;

use super::{Look, Mood, Paint, clean};
use crate::{cli::Output, command::Done, fault::Fault};

/// A message for standard error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    mood: Mood,
    text: String,
    hint: Option<String>,
    /// The node, if it says that a node is offline and no more.
    offline: Option<String>,
}

impl Message {
    /// It did not work.
    pub(crate) fn error(text: impl AsRef<str>, hint: Option<String>) -> Self {
        Self {
            mood: Mood::Bad,
            text: clean(text.as_ref()),
            hint: hint.map(|hint| clean(&hint)),
            offline: None,
        }
    }

    /// What a fault says that names its object.
    pub(crate) fn of_fault(fault: &Fault) -> Self {
        let offline = if let Fault::Offline { node, .. } = fault {
            Some(node.clone())
        } else {
            None
        };
        Self {
            offline,
            ..Self::error(fault.to_string(), fault.hint())
        }
    }

    /// Only the line itself.
    pub(crate) fn without_hint(self) -> Self {
        Self { hint: None, ..self }
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
        return Some(Message::of_fault(fault));
    }
    let Done {
        verb, node, unit, ..
    } = done;
    let what = if unit.is_empty() {
        // Of whatever it would have been.
        let verb = verb.trim_end_matches(" of");
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

/// So many nodes that are offline are told one by one; more are told together.
pub(super) const ONE_BY_ONE: usize = 3;

/// So many names are told; of more, how many they are.
const NAMES: usize = 10;

/// Names in a sentence.
pub(super) fn names(of: &[&str]) -> String {
    match of.split_at_checked(NAMES) {
        Some((first, more)) if more.len() > 1 => {
            format!("{} and {} more", first.join(", "), more.len())
        }
        Some(_) | None => of.join(", "),
    }
}

/// Messages with those together that say of many nodes that they are offline.
fn together(messages: &[Message]) -> Vec<Message> {
    let offline = messages.iter().filter_map(|it| it.offline.as_deref());
    let offline: Vec<&str> = offline.collect::<BTreeSet<_>>().into_iter().collect();
    if offline.len() <= ONE_BY_ONE {
        return messages.to_vec();
    }
    let text = format!("{} nodes are offline: {}", offline.len(), names(&offline));
    let hint = "see 'ctl status' for since when".to_owned();
    let others = messages.iter().filter(|it| it.offline.is_none());
    [Message::error(text, Some(hint))]
        .into_iter()
        .chain(others.cloned())
        .collect()
}

/// So many failures are told one by one beside a table that has them all.
const BESIDE_A_TABLE: usize = 10;

/// Messages beside a table that says the same in its rows: of hundreds of nodes the first are told, and
/// how many more there are.
pub(super) fn beside(messages: &[Message], look: &Look) -> Vec<Message> {
    let mut messages = together(messages);
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
    for Message {
        mood, text, hint, ..
    } in &together(messages)
    {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn offline(node: &str) -> Message {
        Message::of_fault(&Fault::Offline {
            node: node.into(),
            last_seen_ago: None,
            address: String::new(),
        })
    }

    fn said(messages: &[Message]) -> String {
        all(messages, Paint::if_wanted(false))
    }

    #[test]
    fn what_failed_on_a_node_as_a_whole_is_a_sentence() {
        let failed = |unit: &str| Done::<()> {
            verb: "read the journal of",
            node: "a".parse().expect("valid"),
            unit: unit.into(),
            answer: Err(Fault::Unread("no".into())),
        };
        let text = |unit| said(&of_done(&failed(unit)).into_iter().collect::<Vec<_>>());
        assert!(text("").starts_with("error: failed to read the journal on a: no\n"));
        assert!(text("t").starts_with("error: failed to read the journal of t on a: no\n"));
    }

    #[test]
    fn many_nodes_that_are_offline_are_one_message() {
        let few: Vec<Message> = ["a", "b", "c"].map(offline).into();
        assert_eq!(said(&few).lines().count(), 6);
        let mut many: Vec<Message> = (10..40).map(|n| offline(&format!("n{n}"))).collect();
        many.insert(1, Message::error("no", None));
        many.push(offline("n10"));
        assert_eq!(
            said(&many),
            "error: 30 nodes are offline: n10, n11, n12, n13, n14, n15, n16, n17, n18, n19 and 20 more\n  \
             see 'ctl status' for since when\n\
             error: no\n"
        );
    }

    #[test]
    fn one_name_more_is_told_rather_than_counted() {
        let of: Vec<String> = (0..12).map(|n| n.to_string()).collect();
        let of: Vec<&str> = of.iter().map(String::as_str).collect();
        assert_eq!(names(&of[..11]), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10");
        assert_eq!(names(&of), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more");
    }
}
