//! `verify`: reads what unit files of all nodes say.

use super::explore::Explorer;
use crate::{
    cli::{Options, Verify},
    exit::Exit,
    fault::Fault,
    graph::{Direction, Needs, PULLS, Reach, Relation, Walk},
    verify::{self, Files},
    view::{self, Look, Page},
};

/// What is asked of every unit besides its state and its dependencies.
const MORE: [&str; 2] = ["Id", "StopWhenUnneeded"];

/// Order, which is noted and not followed: it pulls nothing in.
const ORDER: &[Relation] = &[Relation::After, Relation::Before];

/// Looks for mistakes.
pub(crate) async fn run(options: &Options, with: &Verify, look: &Look) -> Result<Page, Fault> {
    let mut bus = super::connect(options).await?;
    let mut explorer = Explorer::new(&mut bus).await?;
    let chosen = match &with.nodes {
        Some(nodes) => nodes.among(&explorer.nodes)?,
        None => explorer.names(),
    };
    let (references, mut missing) = explorer.references(&chosen).await?;
    // All nodes are looked at as far as they can be; a node that was named is to be there.
    if with.nodes.is_none() {
        for missing in &mut missing {
            missing.exit = Exit::Done;
        }
    }
    let mut files = Files {
        nodes: explorer.nodes.clone(),
        references,
        ..Files::default()
    };
    let needs = Needs::default();
    let walk = Walk::new(files.users(), Direction::Needs, PULLS, Reach::All, &needs).noting(ORDER);
    let (graph, is_full) = explorer.walk(walk, &MORE).await?;
    files.graph = graph;
    for node in files.lacking() {
        let names = explorer.unit_files(&node).await?;
        files.files.insert(node, names);
    }
    let findings = verify::check(&files);
    let users = files.users().len();
    Ok(view::verify::page(
        &findings, users, &missing, is_full, look,
    ))
}
