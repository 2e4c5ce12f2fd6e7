//! Nodes that did not say what they were asked for.

use proto::dbus::error;
use serde::Serialize;

use super::message::{self, Message, ONE_BY_ONE};
use crate::{exit::Exit, fleet::Missing};

/// What to say of each: its `what` is missing.
pub(super) fn messages(what: &str, missing: &[Missing]) -> Vec<Message> {
    let is_offline = |missing: &&Missing| missing.error == error::OFFLINE;
    let (offline, others): (Vec<_>, Vec<_>) = missing.iter().partition(is_offline);
    let mut messages = Vec::new();
    if offline.len() > ONE_BY_ONE {
        let nodes: Vec<&str> = offline
            .iter()
            .map(|missing| missing.node.as_str())
            .collect();
        let text = format!(
            "the {what} of {} nodes that are offline are missing: {}",
            nodes.len(),
            message::names(&nodes)
        );
        let exit = Exit::worst(offline.iter().map(|missing| missing.exit));
        let hint = "see 'ctl status' for since when".to_owned();
        messages.push(said(exit, text, hint));
    } else {
        messages.extend(offline.iter().map(|missing| one(what, missing)));
    }
    messages.extend(others.iter().map(|missing| one(what, missing)));
    messages
}

fn one(what: &str, missing: &Missing) -> Message {
    let Missing {
        node, text, exit, ..
    } = missing;
    let text = format!("the {what} of {node} are missing: {text}");
    said(*exit, text, format!("see 'ctl status {node}'"))
}

/// Where it is no reason to fail, it is a warning.
fn said(exit: Exit, text: String, hint: String) -> Message {
    match exit {
        Exit::Done => Message::warning(text, Some(hint)),
        Exit::JobFailed
        | Exit::Usage
        | Exit::NotActive
        | Exit::NoSuchUnit
        | Exit::NoSuchNode
        | Exit::NodeOffline
        | Exit::Timeout
        | Exit::Unreachable
        | Exit::AccessDenied
        | Exit::Other
        | Exit::Interrupted => Message::error(text, Some(hint)),
    }
}

/// How the command ends for them.
pub(super) fn exit(missing: &[Missing]) -> Exit {
    Exit::worst(missing.iter().map(|missing| missing.exit))
}

/// One in JSON.
#[derive(Serialize)]
pub(super) struct MissingJson<'a> {
    node: &'a str,
    error: &'a str,
    text: &'a str,
}

/// All in JSON.
pub(super) fn all_json(missing: &[Missing]) -> Vec<MissingJson<'_>> {
    missing.iter().map(MissingJson::of).collect()
}

impl<'a> MissingJson<'a> {
    fn of(missing: &'a Missing) -> Self {
        Self {
            node: &missing.node,
            error: &missing.error,
            text: &missing.text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Paint;

    fn missing(node: &str, error: &str, text: &str) -> Missing {
        Missing {
            node: node.into(),
            error: error.into(),
            text: text.into(),
            exit: Exit::NodeOffline,
        }
    }

    #[test]
    fn many_nodes_that_are_offline_are_told_together() {
        let offline = |node: &&str| missing(node, error::OFFLINE, "it is offline");
        let mut all: Vec<Missing> = ["a", "b", "c", "d"].iter().map(offline).collect();
        all.push(missing("e", error::TIMEOUT, "no answer after 10s"));
        let said = message::all(&messages("units", &all), Paint::if_wanted(false));
        assert_eq!(
            said,
            "error: the units of 4 nodes that are offline are missing: a, b, c, d\n  \
             see 'ctl status' for since when\n\
             error: the units of e are missing: no answer after 10s\n  \
             see 'ctl status e'\n"
        );
        let said = message::all(&messages("units", &all[..3]), Paint::if_wanted(false));
        assert_eq!(said.lines().count(), 6, "{said}");
    }
}
