//! What is remembered of claims that are over: for people who ask why something has stopped. No rule
//! looks at it.

use std::{
    collections::BTreeMap,
    hash::{Hash, Hasher},
};

use proto::{message::ClaimKey, model::ClaimState, time::Moment};

use crate::limits::ENDED_PER_SOURCE_MAX;

/// How a claim ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// How it stood at last. If that is not final, its source did not need the unit any more.
    pub(crate) state: ClaimState,
    /// Whether its source was away for longer than its grace.
    pub(crate) expired: bool,
    pub(crate) at: Moment,
}

/// The last end of each claim of a source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Past(BTreeMap<ClaimKey, Ended>);

/// Two fleets that differ only in what they remember do the same from there on, and whoever walks
/// through all states of one takes them for one.
impl Hash for Past {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl Past {
    /// Remembers an end. Where there is no room, the oldest is forgotten.
    pub(crate) fn note(&mut self, key: ClaimKey, ended: Ended) {
        if self.0.len() >= ENDED_PER_SOURCE_MAX && !self.0.contains_key(&key) {
            let oldest = self.0.iter().min_by_key(|(_, ended)| ended.at);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.0.remove(&oldest);
            }
        }
        self.0.insert(key, ended);
    }

    /// All that is remembered.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ClaimKey, &Ended)> {
        self.0.iter()
    }
}
