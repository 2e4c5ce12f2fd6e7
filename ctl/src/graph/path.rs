//! What of a graph has to do with other nodes.

use std::collections::{BTreeSet, VecDeque};

use proto::name::{HoldName, UnitType};

use super::{Direction, Edge, Graph, step};
use crate::fleet::Target;

/// Of a graph that was walked in a direction, what lies on a way from the root to another node.
/// Who needs the root, or a proxy for it, stays too, up to the targets that these are part of.
pub(crate) fn on_the_way(graph: Graph, root: &Target, direction: Direction) -> Graph {
    let leading = leading(&graph, direction);
    graph.keep(root, |(from, relation, to): &Edge| match direction {
        _ if relation.is_step() => true,
        // A hold only witnesses its unit: what is propagated to it is no need.
        Direction::Needs if HoldName::parse(&to.unit).is_some() => false,
        Direction::Needs => leading.contains(to) || step(&to.unit).is_some(),
        Direction::NeededBy => {
            let is_hold = HoldName::parse(&from.unit).is_some();
            let is_near = to == root || step(&to.unit).is_some();
            let is_target = from.unit.unit_type() == UnitType::Target;
            !is_hold && (is_near || !is_target || leading.contains(from))
        }
    })
}

/// The units from which a step to another node can be reached.
fn leading(graph: &Graph, direction: Direction) -> BTreeSet<Target> {
    let steps = graph.edges().filter(|(_, relation, _)| relation.is_step());
    let mut next: VecDeque<Target> = match direction {
        Direction::Needs => steps.map(|(from, _, _)| from).collect(),
        Direction::NeededBy => steps.map(|(_, _, to)| to).collect(),
    };
    let mut leading = BTreeSet::new();
    while let Some(unit) = next.pop_front() {
        if !leading.insert(unit.clone()) {
            continue;
        }
        match direction {
            Direction::Needs => next.extend(graph.to(&unit).map(|(_, other)| other.clone())),
            Direction::NeededBy => next.extend(graph.from(&unit).map(|(_, other)| other.clone())),
        }
    }
    leading
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::{
        super::tests::{graph, target},
        *,
    };

    const FLEET: &[&str] = &[
        "a/x.service Requires a/y.service",
        "a/y.service BindsTo a/proxy@b_t.service",
        "a/proxy@b_t.service stands-for b/t.service",
        "b/dep@t.service BindsTo b/t.service",
        "b/near.service Wants b/t.service",
        "b/far.target Wants b/near.service",
        "a/w.service Wants a/y.service",
    ];

    /// What a walk in the other direction does not come to.
    const BEYOND: &[&str] = &[
        "a/x.service Wants a/local.service",
        "a/proxy@b_t.service Wants a/unitlink-agent.service",
        "b/t.service Wants b/other.service",
        "b/t.service PropagatesReloadTo b/dep@t.service",
    ];

    #[test_case("a/x.service", Direction::Needs, BEYOND, &[
        "a/proxy@b_t.service stands for b/t.service",
        "a/w.service Wants a/y.service",
        "a/x.service Requires a/y.service",
        "a/y.service BindsTo a/proxy@b_t.service",
    ]; "needs")]
    #[test_case("b/t.service", Direction::NeededBy, &[], &[
        "a/proxy@b_t.service stands for b/t.service",
        "a/w.service Wants a/y.service",
        "a/x.service Requires a/y.service",
        "a/y.service BindsTo a/proxy@b_t.service",
        "b/near.service Wants b/t.service",
    ]; "needed by")]
    fn only_ways_to_other_nodes_are_kept(
        root: &str,
        direction: Direction,
        more: &[&str],
        kept: &[&str],
    ) {
        let graph = graph(&[FLEET, more].concat());
        let graph = on_the_way(graph, &target(root), direction);
        let line = |(from, relation, to): Edge| format!("{from} {} {to}", relation.as_str());
        assert_eq!(graph.edges().map(line).collect::<Vec<_>>(), kept);
    }
}
