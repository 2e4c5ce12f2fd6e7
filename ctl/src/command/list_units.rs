//! `list-units`: of all nodes, or of some.

use std::collections::BTreeMap;

use proto::dbus::public;
use zbus::{Message, wire::OwnedObjectPath};

use super::{
    choose::{self, Known},
    each::{self, Ask},
};
use crate::{
    bus::{self, Bus},
    cli::{ListUnits, Nodes},
    fault::{self, Fault, Refusal},
    filter::{Filter, Names},
    fleet::{Listed, Missing},
    view::{self, Look, Page},
};

/// `(ssssssouso)`: name, description, load, active, sub, followed, path, job, its type, its path.
pub(super) type Row = (
    String,
    String,
    String,
    String,
    String,
    String,
    OwnedObjectPath,
    u32,
    String,
    OwnedObjectPath,
);

type Units = BTreeMap<String, Vec<Row>>;

/// Lists units.
pub(crate) async fn run(bus: &mut Bus, which: &ListUnits, look: &Look) -> Result<Page, Fault> {
    let (units, missing) = match &which.nodes {
        Some(Nodes::One(node)) => {
            let call = bus::node_call(node, public::NODE, "ListUnits", &())?;
            let [answer] = bus.ask([call]).await?;
            match answer {
                Ok(answer) => (
                    Units::from([(node.to_string(), rows(&answer)?)]),
                    Vec::new(),
                ),
                Err(refusal) => {
                    return Err(Known::default().explain(bus, node, "", refusal).await);
                }
            }
        }
        Some(nodes @ Nodes::Several(_)) => some_nodes(bus, nodes).await?,
        None => all_nodes(bus).await?,
    };
    let filter = Filter {
        all: which.all,
        types: which.types.clone(),
        states: which.states.clone(),
        names: Names::of(&[&which.patterns, &which.filters]),
    };
    let mut units: Vec<Listed> = units
        .into_iter()
        .flat_map(|(node, rows)| rows.into_iter().map(move |row| listed(&node, row)))
        .filter(|unit| filter.shows(unit))
        .collect();
    units.sort_by(Listed::order);
    Ok(view::list::page(&units, &missing, look))
}

/// Reads the answer of a node to `ListUnits`.
pub(super) fn rows(answer: &Message) -> Result<Vec<Row>, Fault> {
    bus::read(answer, "ListUnits")
}

/// The units of some nodes, and which did not answer.
async fn some_nodes(bus: &mut Bus, nodes: &Nodes) -> Result<(Units, Vec<Missing>), Fault> {
    let mut chosen = choose::nodes(bus, nodes).await?;
    let asks = chosen.names.iter().map(|node| {
        let call = bus::node_call(node, public::NODE, "ListUnits", &())?;
        Ok(Ask::new("list the units", node, "", call))
    });
    let asks = asks.collect::<Result<_, Fault>>()?;
    let mut units = Units::new();
    let mut missing = Vec::new();
    for done in each::ask(bus, &mut chosen.known, asks).await {
        match done.answer.and_then(|answer| rows(&answer)) {
            Ok(rows) => {
                units.insert(done.node.to_string(), rows);
            }
            Err(fault) => missing.push(Missing::of(&done.node, &fault)),
        }
    }
    Ok((units, missing))
}

/// The units of all nodes, and which nodes did not answer.
async fn all_nodes(bus: &mut Bus) -> Result<(Units, Vec<Missing>), Fault> {
    let call = bus::fleet_call(public::FLEET, "ListUnits", &())?;
    let [answer] = bus.ask([call]).await?;
    match answer {
        Ok(answer) => {
            let (units, refusals): (Units, BTreeMap<String, (String, String)>) =
                bus::read(&answer, "ListUnits")?;
            let mut known = Known::default();
            let mut missing = Vec::with_capacity(refusals.len());
            for (node, (name, text)) in refusals {
                let refusal = Refusal { name, text };
                let fault = match node.parse() {
                    Ok(name) => known.explain(bus, &name, "", refusal).await,
                    Err(_) => Fault::refused(refusal, bus.name()),
                };
                missing.push(Missing::of(&node, &fault));
            }
            Ok((units, missing))
        }
        Err(refusal) if fault::is_not_there(&refusal) => {
            let call = bus::fleet_call(public::CONTROLLER, "ListUnits", &())?;
            let [answer] = bus.ask([call]).await?;
            let answer = answer.map_err(|refusal| Fault::refused(refusal, bus.name()))?;
            Ok((bus::read(&answer, "ListUnits")?, Vec::new()))
        }
        Err(refusal) => Err(Fault::refused(refusal, bus.name())),
    }
}

fn listed(node: &str, row: Row) -> Listed {
    let (unit, description, load, active, sub, following, _, job_id, job_type, _) = row;
    Listed {
        node: node.to_owned(),
        unit,
        description,
        load,
        active,
        sub,
        following,
        job_id,
        job_type,
    }
}
