use std::collections::BTreeMap;

use host::link;
use proto::{dbus::error, name::NodeName};
use zbus::{Message, message::Type, wire::DynamicDeserialize};

use super::body::{FileRow, UnitRow, error_of};

/// A list of the whole fleet that is being made.
#[derive(Debug)]
pub(crate) struct Gather {
    call: Message,
    kind: Kind,
    waiting: usize,
    parts: BTreeMap<NodeName, Part>,
}

/// Which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Units, of the nodes that answered.
    Units,
    /// Unit files, of the nodes that answered.
    Files,
    /// Units, and why some did not answer.
    UnitsAndMissing,
}

/// What one node contributed.
#[derive(Debug)]
enum Part {
    Answer(Message),
    Failed { name: String, text: String },
}

impl Gather {
    /// A list to which this many nodes are to contribute.
    pub(crate) fn new(call: Message, kind: Kind, waiting: usize) -> Self {
        Self {
            call,
            kind,
            waiting,
            parts: BTreeMap::new(),
        }
    }

    /// The method of an agent that is asked.
    pub(crate) fn member(kind: Kind) -> &'static str {
        match kind {
            Kind::Units | Kind::UnitsAndMissing => "ListUnits",
            Kind::Files => "ListUnitFiles",
        }
    }

    /// Which list it is.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// A node is left out, and was not asked.
    pub(crate) fn leave_out(&mut self, node: NodeName, name: &str, text: String) {
        let name = name.to_owned();
        self.parts.insert(node, Part::Failed { name, text });
    }

    /// A node has answered.
    pub(crate) fn answered(&mut self, node: NodeName, answer: Message) {
        let part = match answer.message_type() {
            Type::Error => {
                let (name, text) = error_of(&answer);
                Part::Failed { name, text }
            }
            Type::MethodReturn | Type::MethodCall | Type::Signal => Part::Answer(answer),
        };
        self.waiting = self.waiting.saturating_sub(1);
        self.parts.insert(node, part);
    }

    /// A node has failed to.
    pub(crate) fn failed(&mut self, node: NodeName, name: &str, text: String) {
        self.waiting = self.waiting.saturating_sub(1);
        self.leave_out(node, name, text);
    }

    /// Whether all have contributed.
    pub(crate) fn is_complete(&self) -> bool {
        self.waiting == 0
    }

    /// The answer to the call.
    pub(crate) fn finish(self) -> zbus::Result<Message> {
        let mut missing: BTreeMap<&str, (String, String)> = BTreeMap::new();
        let mut bodies = Vec::new();
        for (node, part) in &self.parts {
            match part {
                Part::Answer(answer) => bodies.push((node.as_str(), answer.body())),
                Part::Failed { name, text } => {
                    missing.insert(node.as_str(), (name.clone(), text.clone()));
                }
            }
        }
        let reply = match self.kind {
            Kind::Files => {
                let files = rows::<FileRow<'_>>(&bodies, &mut missing);
                link::reply(&self.call, &files)
            }
            Kind::Units => {
                let units = rows::<UnitRow<'_>>(&bodies, &mut missing);
                link::reply(&self.call, &units)
            }
            Kind::UnitsAndMissing => {
                let units = rows::<UnitRow<'_>>(&bodies, &mut missing);
                return link::reply(&self.call, &(units, missing));
            }
        };
        for (node, (name, text)) in &missing {
            // Somebody who asks every second for all units need not be told every second who is away.
            if name == error::OFFLINE {
                tracing::debug!(node, reason = %text, "node left out of a list of the fleet");
            } else {
                tracing::warn!(node, error = %name, reason = %text, "node left out of a list of the fleet");
            }
        }
        reply
    }

    /// The call, to answer it with an error.
    pub(crate) fn call(&self) -> &Message {
        &self.call
    }
}

/// The rows of each node; a node whose answer cannot be read is missing.
fn rows<'m, R>(
    bodies: &'m [(&'m str, zbus::message::Body)],
    missing: &mut BTreeMap<&'m str, (String, String)>,
) -> BTreeMap<&'m str, Vec<R>>
where
    Vec<R>: DynamicDeserialize<'m>,
{
    let mut all = BTreeMap::new();
    for (node, body) in bodies {
        match body.deserialize() {
            Ok(rows) => {
                all.insert(*node, rows);
            }
            Err(why) => {
                let failure = (error::FAILED.to_owned(), why.to_string());
                missing.insert(node, failure);
            }
        }
    }
    all
}
