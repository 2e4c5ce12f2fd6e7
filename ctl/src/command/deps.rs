//! `deps` and `list-dependencies`: what depends on what, over all nodes.

use super::explore::{Explorer, offline};
use crate::{
    bus::Bus,
    cli::{Deps, ListDependencies, Options},
    fault::Fault,
    fleet::{Missing, Target},
    graph::{self, Direction, Graph, Needs, Reach, Sight, Walk},
    view::{
        Look, Page,
        deps::{self, Found, Part},
    },
};

/// What a unit needs of other nodes, and who needs it.
pub(crate) async fn deps(options: &Options, with: &Deps, look: &Look) -> Result<Page, Fault> {
    let mut bus = super::connect(options).await?;
    let mut explorer = Explorer::new(&mut bus).await?;
    let root = with.of.target();
    explorer.known(&root.node)?;
    let (needs, missing) = explorer.needs().await?;
    let mut parts = Vec::new();
    let mut is_full = false;
    for direction in [Direction::NeededBy, Direction::Needs] {
        let relations = graph::ALL_BUT_ORDER;
        let walk = Walk::new([root.clone()], direction, relations, Reach::All, &needs);
        let (graph, full) = explorer.walk(walk, &[]).await?;
        is_full |= full;
        let graph = if with.all {
            graph
        } else {
            graph::on_the_way(graph, &root, direction)
        };
        parts.push(Part { direction, graph });
    }
    let found = Found {
        root,
        parts,
        missing,
        is_full,
    };
    finish(&explorer, found, |found| {
        if options.is_dot() {
            deps::dot(found)
        } else {
            deps::both(found, look)
        }
    })
}

/// The dependencies of a unit, in the manner of systemctl(1).
pub(crate) async fn list(
    options: &Options,
    with: &ListDependencies,
    look: &Look,
) -> Result<Page, Fault> {
    let mut bus: Bus = super::connect(options).await?;
    let mut explorer = Explorer::new(&mut bus).await?;
    let root = with.of.target();
    explorer.known(&root.node)?;
    let direction = with.direction();
    let (needs, missing) = match direction {
        Direction::Needs => (Needs::default(), Vec::new()),
        Direction::NeededBy => explorer.needs().await?,
    };
    let relations = with.relations();
    let walk = Walk::new([root.clone()], direction, relations, with.reach(), &needs);
    let (graph, is_full) = explorer.walk(walk, &[]).await?;
    let found = Found {
        root,
        parts: vec![Part { direction, graph }],
        missing,
        is_full,
    };
    finish(&explorer, found, |found| {
        if options.is_dot() {
            deps::dot(found)
        } else {
            deps::one(found, with.plain, look)
        }
    })
}

/// Shows it, unless there is nothing to show.
fn finish(
    explorer: &Explorer<'_>,
    mut found: Found,
    show: impl FnOnce(&Found) -> Page,
) -> Result<Page, Fault> {
    let root = &found.root;
    let is_alone = found
        .parts
        .iter()
        .all(|part| part.graph.edges().next().is_none());
    match sight(&found.parts, root) {
        Some(Sight::Unread(why)) => {
            return Err(Fault::Unread(why.clone()));
        }
        Some(Sight::Seen(seen)) if is_alone && seen.load == "not-found" => {
            return Err(Fault::NoUnit {
                node: root.node.to_string(),
                unit: root.unit.to_string(),
            });
        }
        Some(Sight::Seen(_) | Sight::Offline | Sight::NoNode) | None => {}
    }
    // A node that is away is no reason to fail, unless it is the one that was asked for.
    for missing in &mut found.missing {
        if missing.node != root.node.as_str() {
            missing.exit = crate::exit::Exit::Done;
        }
    }
    let own = explorer.known(&root.node)?;
    let is_listed = found.missing.iter().any(|missing| missing.node == own.name);
    if !own.is_online() && !is_listed {
        found.missing.push(Missing::of(&root.node, &offline(own)));
    }
    Ok(show(&found))
}

/// What is known of a unit in one of the parts.
fn sight<'a>(parts: &'a [Part], unit: &Target) -> Option<&'a Sight> {
    let graphs = parts.iter().map(|part: &Part| -> &Graph { &part.graph });
    graphs.filter_map(|graph| graph.units.get(unit)).next()
}
