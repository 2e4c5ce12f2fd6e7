//! Nodes that did not say what they were asked for.

use serde::Serialize;

use super::message::Message;
use crate::{exit::Exit, fleet::Missing};

/// A warning for each; `what` of them is missing.
pub(super) fn messages(what: &str, missing: &[Missing]) -> Vec<Message> {
    let message = |missing: &Missing| {
        let Missing {
            node, text, exit, ..
        } = missing;
        let text = format!("the {what} of {node} are missing: {text}");
        let hint = Some(format!("see 'ctl status {node}'"));
        match exit {
            Exit::Done => Message::warning(text, hint),
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
            | Exit::Interrupted => Message::error(text, hint),
        }
    };
    missing.iter().map(message).collect()
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
