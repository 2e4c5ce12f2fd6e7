//! Circles over nodes, in what unit files say: the same that would be found when they are started.

use std::collections::{BTreeMap, BTreeSet};

use proto::circle;

use super::{Finding, Severity, finding};
use crate::{
    fleet::Target,
    graph::{Graph, PULLS, Relation, step},
};

/// Every circle that leads over a proxy, once.
pub(super) fn check(graph: &Graph) -> Vec<Finding> {
    let mut found: BTreeMap<BTreeSet<Target>, Vec<Target>> = BTreeMap::new();
    for (proxy, relation, _) in graph.edges() {
        if relation == Relation::Proxy
            && let Some(circle) = circle::shortest(&proxy, |unit| waits(graph, unit))
        {
            let units: BTreeSet<Target> = circle.iter().cloned().collect();
            found.entry(units).or_insert(circle);
        }
    }
    found
        .into_values()
        .filter_map(|circle| describe(graph, circle))
        .collect()
}

/// The units for which the start of a unit waits: those that it pulls in and is ordered after, and what
/// a proxy stands for.
fn waits(graph: &Graph, unit: &Target) -> Vec<Target> {
    let is_after = |other: &Target| {
        let after = (Relation::After, other);
        graph.from(unit).any(|said| said == after)
            || graph
                .from(other)
                .any(|said| said == (Relation::Before, unit))
    };
    let waits = graph.from(unit).filter(|(relation, other)| {
        *relation == Relation::Proxy || PULLS.contains(relation) && is_after(other)
    });
    waits.map(|(_, other)| other.clone()).collect()
}

fn describe(graph: &Graph, mut circle: Vec<Target>) -> Option<Finding> {
    let pairs = circle.iter().zip(circle.iter().cycle().skip(1));
    let only_wants = |(unit, next): (&Target, &Target)| {
        let mut said = graph
            .from(unit)
            .filter(|(_, other)| *other == next)
            .peekable();
        said.peek().is_some()
            && said.all(|(relation, _)| {
                matches!(
                    relation,
                    Relation::Wants | Relation::Upholds | Relation::After
                )
            })
    };
    let is_wanted = pairs.into_iter().any(only_wants);
    circle.retain(|unit| step(&unit.unit).is_none());
    let least = circle.iter().enumerate().min_by_key(|(_, unit)| *unit);
    let begin = least.map(|(at, _)| at)?;
    circle.rotate_left(begin);
    let first = circle.first()?.clone();
    let units: Vec<String> = circle
        .iter()
        .chain([&first])
        .map(ToString::to_string)
        .collect();
    let what = format!(
        "units need each other in a circle: {}",
        units.join(" needs ")
    );
    let (severity, right) = if is_wanted {
        (
            Severity::Warning,
            "no circle; as it is, what is only wanted is not waited for",
        )
    } else {
        (
            Severity::Error,
            "one of them without the next, or without After=",
        )
    };
    Some(finding(severity, &first, "circle", what, right.into()))
}
