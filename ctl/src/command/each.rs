//! Questions to several nodes at once: each has an answer of its own.

use proto::name::NodeName;
use zbus::Message;

use super::choose::Known;
use crate::{bus::Bus, fault::Fault};

/// A question to a node.
#[derive(Debug)]
pub(crate) struct Ask {
    verb: &'static str,
    node: NodeName,
    unit: String,
    call: Message,
}

impl Ask {
    /// About a unit, or about the node itself if the unit is empty; `verb` is what fails if it does.
    pub(crate) fn new(
        verb: &'static str,
        node: &NodeName,
        unit: impl Into<String>,
        call: Message,
    ) -> Self {
        Self {
            verb,
            node: node.clone(),
            unit: unit.into(),
            call,
        }
    }
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Done<T> {
    pub(crate) verb: &'static str,
    pub(crate) node: NodeName,
    /// Empty if it is about the node itself.
    pub(crate) unit: String,
    pub(crate) answer: Result<T, Fault>,
}

impl<T> Done<T> {
    /// Reads the answer.
    pub(crate) fn and_then<U>(self, read: impl FnOnce(T) -> Result<U, Fault>) -> Done<U> {
        Done {
            verb: self.verb,
            node: self.node,
            unit: self.unit,
            answer: self.answer.and_then(read),
        }
    }
}

/// Asks all at once. The answers are in the order of the questions.
pub(crate) async fn ask(bus: &mut Bus, known: &mut Known, asks: Vec<Ask>) -> Vec<Done<Message>> {
    let calls: Vec<Message> = asks.iter().map(|ask| ask.call.clone()).collect();
    let answers = bus.ask_each(&calls).await;
    let mut all = Vec::with_capacity(asks.len());
    for (ask, answer) in asks.into_iter().zip(answers) {
        let answer = match answer {
            Ok(Ok(message)) => Ok(message),
            Ok(Err(refusal)) => Err(known.explain(bus, &ask.node, &ask.unit, refusal).await),
            Err(fault) => Err(fault),
        };
        all.push(Done {
            verb: ask.verb,
            node: ask.node,
            unit: ask.unit,
            answer,
        });
    }
    all
}
