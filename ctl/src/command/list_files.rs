//! `list-unit-files`: of all nodes, or of some.

use proto::dbus::public;

use super::{
    choose,
    each::{self, Ask},
};
use crate::{
    bus::{self, Bus},
    cli::{ListUnitFiles, Nodes},
    fault::Fault,
    filter::{Names, has_type},
    fleet::{Missing, UnitFile},
    view::{self, Look, Page},
};

/// Lists unit files. All nodes are asked one by one, because the list that the controller would make
/// does not say which of them are missing.
pub(crate) async fn run(bus: &mut Bus, which: &ListUnitFiles, look: &Look) -> Result<Page, Fault> {
    let all = Nodes::all();
    let nodes = which.nodes.as_ref().unwrap_or(&all);
    let mut chosen = choose::nodes(bus, nodes).await?;
    let asks = chosen.names.iter().map(|node| {
        let call = bus::node_call(node, public::NODE, "ListUnitFiles", &())?;
        Ok(Ask::new("list the unit files", node, "", call))
    });
    let asks = asks.collect::<Result<_, Fault>>()?;
    let names = Names::of(&[&which.patterns, &which.filters]);
    let shows = |file: &UnitFile| {
        (which.states.is_empty() || which.states.contains(&file.state))
            && has_type(&which.types, &file.file)
            && names.fit(&file.file)
    };
    let mut files: Vec<UnitFile> = Vec::new();
    let mut missing = Vec::new();
    for done in each::ask(bus, &mut chosen.known, asks).await {
        let read = |answer| bus::read::<Vec<(String, String)>>(&answer, "ListUnitFiles");
        match done.answer.and_then(read) {
            Ok(rows) => {
                let node = done.node.as_str();
                let rows = rows.into_iter().map(|row| unit_file(node, row));
                files.extend(rows.filter(shows));
            }
            Err(fault) if !chosen.several => return Err(fault),
            Err(fault) => missing.push(Missing::of(&done.node, &fault)),
        }
    }
    files.sort();
    Ok(view::files::page(&files, &missing, look))
}

fn unit_file(node: &str, (path, state): (String, String)) -> UnitFile {
    let file = path
        .rsplit_once('/')
        .map_or(path.as_str(), |(_, file)| file);
    UnitFile {
        node: node.to_owned(),
        file: file.to_owned(),
        path: path.clone(),
        state,
    }
}
