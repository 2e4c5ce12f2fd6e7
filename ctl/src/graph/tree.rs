//! A graph as a tree: what a unit needs, or who needs it, below it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Direction, Graph, Relation};
use crate::fleet::Target;

/// A unit with all that is below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Branch<'a> {
    pub(crate) unit: &'a Target,
    /// What leads to it from above; nothing for the root.
    pub(crate) relations: Vec<Relation>,
    pub(crate) below: Vec<Branch<'a>>,
    /// Whether it has branches that are shown where it comes first.
    pub(crate) is_again: bool,
}

/// The tree below a unit. What hangs on a unit is shown once, so circles end.
pub(crate) fn tree<'a>(graph: &'a Graph, root: &'a Target, direction: Direction) -> Branch<'a> {
    let mut shown = BTreeSet::new();
    branch(graph, root, Vec::new(), direction, &mut shown)
}

fn branch<'a>(
    graph: &'a Graph,
    unit: &'a Target,
    relations: Vec<Relation>,
    direction: Direction,
    shown: &mut BTreeSet<&'a Target>,
) -> Branch<'a> {
    let mut next: BTreeMap<&Target, Vec<Relation>> = BTreeMap::new();
    let mut add = |(relation, other)| next.entry(other).or_default().push(relation);
    match direction {
        Direction::Needs => graph.from(unit).for_each(&mut add),
        Direction::NeededBy => graph.to(unit).for_each(&mut add),
    }
    let is_again = !next.is_empty() && !shown.insert(unit);
    let mut below = Vec::new();
    if !is_again {
        for (other, relations) in next {
            below.push(branch(graph, other, relations, direction, shown));
        }
    }
    Branch {
        unit,
        relations,
        below,
        is_again,
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{graph, target},
        *,
    };

    #[test]
    fn a_circle_ends_where_it_closes() {
        let graph = graph(&[
            "a/x.service Requires a/y.service",
            "a/x.service Wants a/y.service",
            "a/y.service Requires a/x.service",
        ]);
        let root = target("a/x.service");
        let tree = tree(&graph, &root, Direction::Needs);
        let y = &tree.below[0];
        assert_eq!(y.relations, [Relation::Requires, Relation::Wants]);
        assert_eq!(y.below[0].unit, &root);
        assert!(y.below[0].is_again && y.below[0].below.is_empty());
    }
}
