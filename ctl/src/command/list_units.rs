//! `list-units`: of all nodes, or of one.

use std::collections::BTreeMap;

use proto::dbus::public;
use zbus::wire::OwnedObjectPath;

use crate::{
    bus::{self, Bus},
    cli::ListUnits,
    fault::{self, Fault},
    fleet::{Filter, Listed, Missing},
    view::{self, Look, Page},
};

/// `(ssssssouso)`: name, description, load, active, sub, followed, path, job, its type, its path.
type Row = (
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
    let (units, missing) = match &which.node {
        Some(node) => {
            let call = bus::node_call(node, public::NODE, "ListUnits", &())?;
            let [answer] = bus.ask([call]).await?;
            match answer {
                Ok(answer) => {
                    let rows: Vec<Row> = bus::read(&answer, "ListUnits")?;
                    (Units::from([(node.to_string(), rows)]), Vec::new())
                }
                Err(refusal) => return Err(super::explain(bus, node, refusal).await),
            }
        }
        None => all_nodes(bus).await?,
    };
    let filter = Filter {
        all: which.all,
        types: which.types.clone(),
        states: which.states.clone(),
    };
    let mut units: Vec<Listed> = units
        .into_iter()
        .flat_map(|(node, rows)| rows.into_iter().map(move |row| listed(&node, row)))
        .filter(|unit| filter.shows(unit))
        .collect();
    units.sort_by(Listed::order);
    Ok(view::list::page(&units, &missing, look))
}

/// The units of all nodes, and which nodes did not answer.
async fn all_nodes(bus: &mut Bus) -> Result<(Units, Vec<Missing>), Fault> {
    let call = bus::fleet_call(public::FLEET, "ListUnits", &())?;
    let [answer] = bus.ask([call]).await?;
    match answer {
        Ok(answer) => {
            let (units, missing): (Units, BTreeMap<String, (String, String)>) =
                bus::read(&answer, "ListUnits")?;
            let missing = missing
                .into_iter()
                .map(|(node, (error, text))| Missing { node, error, text })
                .collect();
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
