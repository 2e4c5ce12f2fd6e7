//! What an agent tells otherwise than before, once it is back on a new connection.
//!
//! It is put right by the rules of each set, whatever it is; this is only so that somebody reads of it. What a
//! controller hears for the first time since it has started differs from nothing.

use std::collections::BTreeMap;

use proto::{name::NodeName, sync::Changes};

use crate::output::{Event, Output};

/// A set that agents tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ToldSet {
    /// What the node needs.
    Claims,
    /// How what others need stands on it.
    Holds,
    /// The jobs that it knows of.
    Jobs,
}

impl ToldSet {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Claims => "claims",
            Self::Holds => "holds",
            Self::Jobs => "jobs",
        }
    }
}

/// How many entries of a set are not as the controller had them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Difference {
    /// It did not have them.
    pub added: usize,
    /// It had them, and they are there no more.
    pub gone: usize,
    /// They stand otherwise.
    pub changed: usize,
}

impl Difference {
    /// Of a set that had `before` entries and is `now` this.
    pub(crate) fn of<K, V>(before: usize, now: &BTreeMap<K, V>, changes: &Changes<K, V>) -> Self {
        let gone = changes.dropped.len();
        let added = now.len().saturating_add(gone).saturating_sub(before);
        Self {
            added,
            gone,
            changed: changes.put.len().saturating_sub(added),
        }
    }

    /// What is said of it: nothing where there is none.
    pub(crate) fn told(self, node: &NodeName, set: ToldSet) -> Option<Output> {
        (self != Self::default()).then(|| {
            Output::Log(Event::Differs {
                node: node.clone(),
                set,
                difference: self,
            })
        })
    }
}
