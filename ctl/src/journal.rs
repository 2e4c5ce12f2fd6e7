//! Lines of the journals of nodes, and how those of several become one. Pure.

use std::collections::{BTreeMap, VecDeque};

use proto::name::{NodeName, UnitName};
use zbus::wire::{OwnedVariant, Variant};

use crate::facts::Facts;

/// An entry of a journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    /// When the node's journal took it in: microseconds since 1970.
    pub(crate) realtime: u64,
    /// The same since the node was booted.
    pub(crate) monotonic: u64,
    pub(crate) boot: String,
    pub(crate) priority: Option<u8>,
    pub(crate) identifier: String,
    pub(crate) pid: Option<u32>,
    pub(crate) unit: String,
    pub(crate) invocation: String,
    pub(crate) message: String,
    /// Bytes at the end of the message that the node has left out.
    pub(crate) cut: u64,
    pub(crate) cursor: String,
}

/// `(aa{sv}sb)`: lines, the cursor to go on from, and whether there are more already.
pub(crate) type Answer = (Vec<BTreeMap<String, OwnedVariant>>, String, bool);

/// Which lines are wanted. What is said in the reference of `ReadJournal` is not said again here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) since: Option<u64>,
    pub(crate) until: Option<u64>,
    pub(crate) priority: Option<u8>,
    pub(crate) grep: Option<String>,
    pub(crate) reverse: bool,
    pub(crate) this_boot: bool,
}

/// The body of a question.
pub(crate) type Body<'a> = (Vec<&'a str>, BTreeMap<&'static str, Variant<'a>>);

/// From where on, how many, and whether to wait for them (µs).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    pub(crate) cursor: &'a str,
    pub(crate) lines: Option<u32>,
    pub(crate) wait: Option<u64>,
}

impl Line {
    /// What is not known is empty.
    pub(crate) fn from_facts(facts: &Facts) -> Self {
        let priority = facts.0.get("Priority");
        Self {
            realtime: facts.u64("RealtimeUSec").unwrap_or(0),
            monotonic: facts.u64("MonotonicUSec").unwrap_or(0),
            boot: facts.text("BootID"),
            priority: priority.and_then(|priority| u8::try_from(priority).ok()),
            identifier: facts.text("Identifier"),
            pid: facts.u32("PID"),
            unit: facts.text("Unit"),
            invocation: facts.text("InvocationID"),
            message: facts.text("Message"),
            cut: facts.u64("CutBytes").unwrap_or(0),
            cursor: facts.text("Cursor"),
        }
    }
}

impl Wanted {
    /// Whether a unit may have lines of which none is wanted.
    pub(crate) fn is_narrow(&self) -> bool {
        let all = Self {
            reverse: self.reverse,
            ..Self::default()
        };
        *self != all
    }

    /// Asks for a part of these lines, about any of these units.
    pub(crate) fn body<'a>(&'a self, units: &'a [UnitName], part: Part<'a>) -> Body<'a> {
        let mut options = BTreeMap::new();
        let mut add = |key, value: Option<Variant<'a>>| {
            if let Some(value) = value {
                options.insert(key, value);
            }
        };
        let has_cursor = Some(part.cursor).filter(|cursor| !cursor.is_empty());
        add("Cursor", has_cursor.map(Variant::from));
        add("Lines", part.lines.map(Variant::from));
        add("WaitUSec", part.wait.map(Variant::from));
        add("SinceUSec", self.since.map(Variant::from));
        add("UntilUSec", self.until.map(Variant::from));
        add("Priority", self.priority.map(Variant::from));
        add("Grep", self.grep.as_deref().map(Variant::from));
        add("Reverse", self.reverse.then(|| Variant::from(true)));
        add("ThisBoot", self.this_boot.then(|| Variant::from(true)));
        (units.iter().map(UnitName::as_str).collect(), options)
    }
}

/// The last lines of a unit's journal, as its status has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Log {
    /// Nobody has asked.
    #[default]
    NotAsked,
    Lines(Vec<Line>),
    /// Why it is not known.
    Unknown(String),
}

impl Log {
    /// Without what was said before the unit began to be started last, as systemctl(1) shows it.
    pub(crate) fn since(self, begun: u64) -> Self {
        match self {
            Self::Lines(mut lines) => {
                lines.retain(|line| line.monotonic >= begun);
                Self::Lines(lines)
            }
            Self::NotAsked | Self::Unknown(_) => self,
        }
    }
}

/// Journals of several nodes as one, in the order of time by the nodes' own clocks.
#[derive(Debug, Default)]
pub(crate) struct Merge {
    sources: BTreeMap<NodeName, Source>,
    is_reverse: bool,
}

#[derive(Debug, Default)]
struct Source {
    lines: VecDeque<Line>,
    /// Whether nothing more is known to come, so that others need not wait for it.
    is_at_end: bool,
}

impl Merge {
    /// Of these nodes, of each of which lines will come.
    pub(crate) fn new(nodes: impl IntoIterator<Item = NodeName>, is_reverse: bool) -> Self {
        let source = |node| (node, Source::default());
        Self {
            sources: nodes.into_iter().map(source).collect(),
            is_reverse,
        }
    }

    /// Lines of a node have come, and whether more of them are there already.
    pub(crate) fn add(&mut self, node: &NodeName, lines: Vec<Line>, more: bool) {
        let source = self.sources.entry(node.clone()).or_default();
        source.lines.extend(lines);
        source.is_at_end = !more;
    }

    /// Nobody is to wait for lines of this node.
    pub(crate) fn end(&mut self, node: &NodeName) {
        self.add(node, Vec::new(), false);
    }

    /// The nodes that all others wait for.
    pub(crate) fn lacking(&self) -> impl Iterator<Item = &NodeName> {
        let lacks = |source: &Source| !source.is_at_end && source.lines.is_empty();
        let lacking = self.sources.iter().filter(move |(_, source)| lacks(source));
        lacking.map(|(node, _)| node)
    }

    /// The next line of all; nothing while one has to be waited for, or at the end.
    pub(crate) fn next(&mut self) -> Option<(NodeName, Line)> {
        if self.lacking().next().is_some() {
            return None;
        }
        let first = |(node, source): (&NodeName, &Source)| {
            let first = source.lines.front()?;
            Some((first.realtime, node.clone()))
        };
        let firsts = self.sources.iter().filter_map(first);
        // Of two lines of one moment the node that is named first comes first.
        let (_, node) = if self.is_reverse {
            firsts.reduce(|best, it| if it.0 > best.0 { it } else { best })?
        } else {
            firsts.min()?
        };
        let line = self.sources.get_mut(&node)?.lines.pop_front()?;
        Some((node, line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> NodeName {
        name.parse().expect("valid")
    }

    fn lines(times: &[u64]) -> Vec<Line> {
        let line = |realtime: &u64| Line {
            realtime: *realtime,
            ..Line::default()
        };
        times.iter().map(line).collect()
    }

    fn merge(is_reverse: bool) -> Merge {
        Merge::new([node("a"), node("b")], is_reverse)
    }

    fn drain(merge: &mut Merge) -> Vec<(String, u64)> {
        let next = || merge.next();
        let all = std::iter::from_fn(next);
        all.map(|(node, line)| (node.to_string(), line.realtime))
            .collect()
    }

    fn told(lines: &[(&str, u64)]) -> Vec<(String, u64)> {
        let owned = |(node, at): &(&str, u64)| ((*node).to_owned(), *at);
        lines.iter().map(owned).collect()
    }

    #[test]
    fn lines_are_in_the_order_of_time() {
        let mut all = merge(false);
        all.add(&node("a"), lines(&[1, 4, 5]), false);
        all.add(&node("b"), lines(&[2, 4, 9]), false);
        let expected = [("a", 1), ("b", 2), ("a", 4), ("b", 4), ("a", 5), ("b", 9)];
        assert_eq!(drain(&mut all), told(&expected));
        let mut all = merge(true);
        all.add(&node("a"), lines(&[5, 4, 1]), false);
        all.add(&node("b"), lines(&[9, 4]), false);
        let expected = [("b", 9), ("a", 5), ("a", 4), ("b", 4), ("a", 1)];
        assert_eq!(drain(&mut all), told(&expected));
    }

    #[test]
    fn a_node_of_which_more_is_known_to_come_is_waited_for() {
        let mut all = merge(false);
        all.add(&node("a"), lines(&[1, 3]), false);
        assert_eq!(all.next(), None);
        all.add(&node("b"), lines(&[2]), true);
        assert_eq!(drain(&mut all), told(&[("a", 1), ("b", 2)]));
        assert_eq!(all.lacking().collect::<Vec<_>>(), [&node("b")]);
        all.end(&node("b"));
        assert_eq!(drain(&mut all), told(&[("a", 3)]));
    }

    #[test]
    fn only_what_is_wanted_is_said() {
        let units = ["a.service".parse().expect("valid")];
        let all = Wanted::default();
        let (named, options) = all.body(&units, Part::default());
        assert_eq!((named, options.len()), (vec!["a.service"], 0));
        assert!(!all.is_narrow());
        let wanted = Wanted {
            since: Some(1),
            until: Some(2),
            priority: Some(3),
            grep: Some("x".into()),
            reverse: true,
            this_boot: true,
        };
        let part = Part {
            cursor: "s=1",
            lines: Some(4),
            wait: Some(5),
        };
        assert!(wanted.is_narrow());
        let (_, options) = wanted.body(&units, part);
        let keys: Vec<_> = options.keys().copied().collect();
        assert_eq!(
            keys,
            [
                "Cursor",
                "Grep",
                "Lines",
                "Priority",
                "Reverse",
                "SinceUSec",
                "ThisBoot",
                "UntilUSec",
                "WaitUSec"
            ]
        );
    }
}
