//! Restarts that go from node to node.
//!
//! On one machine a restart is one transaction: all that is restarted with a unit is found at once, and
//! each unit is restarted once, also where units need each other in a circle. Over nodes it goes from one to
//! the next, and none of them sees the whole. So each says to the next which restarts led to it, and none goes round
//! again.

use std::{fmt, str::FromStr};

use thiserror::Error;

use crate::{
    message::ClaimKey,
    name::{NodeName, UnitName},
};

/// The units whose restarts led to one, each to the next; the first one was restarted for a reason of its own.
/// None at all is one that was.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wave(Vec<ClaimKey>);

impl Wave {
    /// How many restarts are remembered, the last ones. A circle of more units, on as many nodes, goes on until
    /// the start limit of one of them (`StartLimitBurst=`) ends it.
    pub const UNITS_MAX: usize = 32;

    /// What is restarted because of this unit, which was because of these.
    #[must_use]
    pub fn then(mut self, unit: ClaimKey) -> Self {
        self.0.push(unit);
        let more = self.0.len().saturating_sub(Self::UNITS_MAX);
        self.0.drain(..more);
        self
    }

    /// Those of one node.
    pub fn on<'a>(&'a self, node: &'a NodeName) -> impl Iterator<Item = &'a UnitName> {
        let here = self.0.iter().filter(move |it| it.node == *node);
        here.map(|it| &it.unit)
    }

    /// Whether it was restarted for a reason of its own.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// `node/unit`, with a space between two.
impl fmt::Display for Wave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, ClaimKey { node, unit }) in self.0.iter().enumerate() {
            let space = if at == 0 { "" } else { " " };
            write!(f, "{space}{node}/{unit}")?;
        }
        Ok(())
    }
}

/// A text that names no units of nodes.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("'{0}' is no unit of a node, written NODE/UNIT")]
pub struct WaveError(String);

impl FromStr for Wave {
    type Err = WaveError;

    fn from_str(text: &str) -> Result<Self, WaveError> {
        let mut words = text.split(' ').filter(|word| !word.is_empty());
        words.try_fold(Self::default(), |wave, word| {
            let key = word.split_once('/').and_then(|(node, unit)| {
                let (node, unit) = (node.parse().ok()?, unit.parse().ok()?);
                Some(ClaimKey { node, unit })
            });
            let wrong = || WaveError(word.escape_debug().take(64).collect());
            Ok(wave.then(key.ok_or_else(wrong)?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(node: &str, unit: &str) -> ClaimKey {
        ClaimKey {
            node: node.parse().expect("node"),
            unit: unit.parse().expect("unit"),
        }
    }

    #[test]
    fn it_is_read_as_it_is_written() {
        let one = Wave::default().then(key("a", "t.service"));
        let two = one.clone().then(key("b", "srv-a\\x2db.mount"));
        for wave in [Wave::default(), one, two] {
            assert_eq!(wave.to_string().parse(), Ok(wave));
        }
    }

    #[test]
    fn it_knows_the_units_of_each_node() {
        let wave: Wave = "a/t.service b/u.service a/v.service".parse().expect("wave");
        let node = "a".parse().expect("node");
        let units = wave.on(&node).map(UnitName::as_str);
        assert_eq!(units.collect::<Vec<_>>(), ["t.service", "v.service"]);
    }

    #[test]
    fn the_last_ones_are_remembered() {
        let units = (0..Wave::UNITS_MAX + 2).map(|at| format!("n{at}/t.service"));
        let text = units.collect::<Vec<_>>().join(" ");
        let wave: Wave = text.parse().expect("wave");
        assert_eq!(wave.to_string().split(' ').count(), Wave::UNITS_MAX);
        assert!(wave.to_string().starts_with("n2/t.service "));
        assert!(text.ends_with(&wave.to_string()));
    }

    #[test]
    fn what_is_no_unit_of_a_node_is_named() {
        for (text, wrong) in [("a/t.service t.service", "t.service"), ("a/t", "a/t")] {
            let error = Wave::from_str(text).map_err(|error| error.to_string());
            let told = format!("'{wrong}' is no unit of a node, written NODE/UNIT");
            assert_eq!(error, Err(told));
        }
    }
}
