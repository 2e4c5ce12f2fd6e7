//! How far the journal of each node has been read. Pure.

use std::collections::BTreeMap;

use proto::{
    dbus::public,
    name::{NodeName, UnitName},
};
use zbus::Message;

use crate::{
    bus,
    cli::Count,
    fault::Fault,
    fleet::Target,
    journal::{Part, Wanted},
    limits,
};

/// The nodes whose journals are read.
#[derive(Debug)]
pub(super) struct Sources(BTreeMap<NodeName, Source>);

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    units: Vec<UnitName>,
    /// Behind which line it goes on; empty at the beginning.
    cursor: String,
    /// How many lines are still to come of those that are there already; `None` is all.
    left: Option<u32>,
    /// Whether there was any line.
    has_lines: bool,
}

impl Sources {
    /// The journals of these units, from so many lines on.
    pub(super) fn new(targets: Vec<Target>, count: Count) -> Result<Self, Fault> {
        let left = match count {
            Count::All => None,
            Count::Last(lines) => Some(lines),
        };
        let mut all: BTreeMap<NodeName, Source> = BTreeMap::new();
        for Target { node, unit } in targets {
            let source = all.entry(node).or_insert_with(|| Source {
                units: Vec::new(),
                cursor: String::new(),
                left,
                has_lines: false,
            });
            source.units.push(unit);
        }
        let max = limits::UNITS_OF_JOURNAL;
        if let Some((node, _)) = all.iter().find(|(_, source)| source.units.len() > max) {
            return Err(Fault::Usage(format!(
                "more than {max} units of {node} are meant, which is more than one call takes"
            )));
        }
        Ok(Self(all))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &NodeName> {
        self.0.keys()
    }

    pub(super) fn get(&self, node: &NodeName) -> Option<&Source> {
        self.0.get(node)
    }

    pub(super) fn get_mut(&mut self, node: &NodeName) -> Option<&mut Source> {
        self.0.get_mut(node)
    }

    /// Nodes of whose units there was no line.
    pub(super) fn silent(&self) -> impl Iterator<Item = (NodeName, Vec<String>)> {
        let silent = self.0.iter().filter(|(_, source)| !source.has_lines);
        silent.map(|(node, source)| {
            let units = source.units.iter().map(ToString::to_string);
            (node.clone(), units.collect())
        })
    }
}

impl Source {
    /// The question for the next part; `wait` is for how long to wait for one (µs), if it is to go on
    /// after the last.
    pub(super) fn call(
        &self,
        node: &NodeName,
        wanted: &Wanted,
        wait: Option<u64>,
    ) -> Result<Message, Fault> {
        let part = Part {
            cursor: &self.cursor,
            lines: self.left,
            wait,
        };
        let body = wanted.body(&self.units, part);
        bus::node_call(node, public::NODE_OWN, "ReadJournal", &body)
    }

    /// So many lines have come. Returns whether more are to be asked for at once.
    pub(super) fn heard(&mut self, lines: usize, cursor: String, more: bool) -> bool {
        self.has_lines |= lines > 0;
        // A node that has no cursor yet says so again; the one that is known stays good.
        if !cursor.is_empty() {
            self.cursor = cursor;
        }
        let count = u32::try_from(lines).unwrap_or(u32::MAX);
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(count);
        }
        // An answer that is full and without lines would be asked for again for ever.
        more && lines > 0 && self.left != Some(0)
    }

    /// Whether it was read so far that there is something to go on from.
    pub(super) fn has_cursor(&self) -> bool {
        !self.cursor.is_empty()
    }

    /// What is there already has been read: what follows is not counted.
    pub(super) fn follows(&mut self) {
        if self.has_cursor() {
            self.left = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(count: Count) -> Source {
        let target = Target {
            node: "a".parse().expect("valid"),
            unit: "a.service".parse().expect("valid"),
        };
        let sources = Sources::new(vec![target.clone()], count).expect("few");
        sources.get(&target.node).expect("a source").clone()
    }

    #[test]
    fn parts_are_asked_for_until_there_is_no_more() {
        let mut source = source(Count::All);
        assert!(source.heard(500, "s=1".into(), true));
        assert_eq!(source.cursor, "s=1");
        assert!(!source.heard(3, "s=2".into(), false));
        assert_eq!((source.cursor.as_str(), source.left), ("s=2", None));
    }

    #[test]
    fn no_more_lines_are_asked_for_than_are_wanted() {
        let mut source = source(Count::Last(600));
        assert!(source.heard(500, "s=1".into(), true));
        assert_eq!(source.left, Some(100));
        assert!(!source.heard(100, "s=2".into(), true));
        source.follows();
        assert_eq!(source.left, None);
    }

    #[test]
    fn a_journal_without_a_line_begins_again() {
        let mut source = source(Count::Last(10));
        assert!(!source.heard(0, String::new(), false));
        source.follows();
        assert_eq!(source.left, Some(10));
        assert!(!source.heard(0, "s=1".into(), true));
        assert!(source.has_cursor());
    }

    #[test]
    fn too_many_units_are_refused() {
        let node: NodeName = "a".parse().expect("valid");
        let target = |n| Target {
            node: node.clone(),
            unit: format!("u{n}.service").parse().expect("valid"),
        };
        let targets = (0..=limits::UNITS_OF_JOURNAL).map(target).collect();
        assert!(Sources::new(targets, Count::All).is_err());
    }
}
