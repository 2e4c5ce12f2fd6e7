//! `status`: all nodes, one node, or units of a node.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use proto::{
    dbus::public,
    name::{NodeName, UnitName},
};
use zbus::wire::OwnedVariant;

use crate::{
    bus::{self, Answer, Bus},
    facts::Facts,
    fault::{self, Fault},
    fleet::{Claim, Unit},
    view::{self, Look, Page},
};

/// All nodes, and what the controller warns of.
pub(crate) async fn fleet(bus: &mut Bus, look: &Look) -> Result<Page, Fault> {
    let properties = bus::fleet_call("org.freedesktop.DBus.Properties", "GetAll", &public::FLEET)?;
    let [nodes, own] = bus.ask([super::nodes_call()?, properties]).await?;
    let nodes = super::nodes_from(bus, nodes).await?;
    let own = facts(own, "GetAll");
    let fleet = view::status::Fleet {
        nodes,
        version: own.text("Version"),
        warnings: own.texts("Warnings"),
    };
    Ok(view::status::fleet(&fleet, look))
}

/// One node, and who needs what of it, and what it needs.
pub(crate) async fn node(bus: &mut Bus, name: &NodeName, look: &Look) -> Result<Page, Fault> {
    let claims = bus::fleet_call(public::FLEET, "ListClaims", &())?;
    let [nodes, claims] = bus.ask([super::nodes_call()?, claims]).await?;
    let nodes = super::nodes_from(bus, nodes).await?;
    let Some(node) = super::find(&nodes, name) else {
        return Err(super::no_node(name, &nodes));
    };
    let mut claims: Vec<Claim> = match claims {
        Ok(answer) => super::dictionaries(&answer, "ListClaims")?
            .iter()
            .map(Claim::from_facts)
            .filter(|claim| [&claim.source, &claim.node].contains(&&node.name))
            .collect(),
        // A controller that has none.
        Err(_) => Vec::new(),
    };
    claims.sort();
    Ok(view::status::node(&node, &claims, look))
}

/// Units of a node.
pub(crate) async fn units(
    bus: &mut Bus,
    node: &NodeName,
    names: &[UnitName],
    look: &Look,
) -> Result<Page, Fault> {
    let list: Vec<&str> = names.iter().map(UnitName::as_str).collect();
    let call = bus::node_call(node, public::NODE_OWN, "UnitStatus", &list)?;
    let [answer] = bus.ask([call]).await?;
    let facts = match answer {
        Ok(answer) => {
            type Units = Vec<(String, BTreeMap<String, OwnedVariant>)>;
            let told: Units = bus::read(&answer, "UnitStatus")?;
            let mut told: BTreeMap<_, _> = told.into_iter().collect();
            let mut take = |name| Facts(told.remove(name).unwrap_or_default());
            list.iter().map(|name| take(*name)).collect()
        }
        // A peer that fails on one unit fails on all; asked for each, the others are shown.
        Err(refusal) if fault::is_not_there(&refusal) || fault::is_no_unit(&refusal) => {
            one_by_one(bus, node, names).await?
        }
        Err(refusal) => return Err(super::explain(bus, node, refusal).await),
    };
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    let units: Vec<Unit> = list
        .iter()
        .zip(&facts)
        .map(|(name, facts)| Unit::from_facts(name, facts, now))
        .collect();
    Ok(view::status::units(node, &units, look))
}

/// What an agent of BlueChi can say.
async fn one_by_one(
    bus: &mut Bus,
    node: &NodeName,
    names: &[UnitName],
) -> Result<Vec<Facts>, Fault> {
    let calls = names
        .iter()
        .map(|name| {
            bus::node_call(
                node,
                public::NODE,
                "GetUnitProperties",
                &(name.as_str(), ""),
            )
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut all = Vec::new();
    for answer in bus.ask_all(&calls).await? {
        match answer {
            Ok(answer) => all.push(Facts(bus::read(&answer, "GetUnitProperties")?)),
            Err(refusal) if fault::is_no_unit(&refusal) => all.push(not_found()),
            Err(refusal) => return Err(super::explain(bus, node, refusal).await),
        }
    }
    Ok(all)
}

/// What systemd says of a unit that it does not know, for a peer that answers with an error.
fn not_found() -> Facts {
    let said = [
        ("LoadState", "not-found"),
        ("ActiveState", "inactive"),
        ("SubState", "dead"),
    ];
    let owned = |(key, word): (&str, &'static str)| {
        let value = OwnedVariant::try_from(zbus::wire::Variant::from(word)).ok()?;
        Some((key.to_owned(), value))
    };
    Facts(said.into_iter().filter_map(owned).collect())
}

fn facts(answer: Answer, asked: &'static str) -> Facts {
    let read = |answer| bus::read(&answer, asked).ok();
    Facts(answer.ok().and_then(read).unwrap_or_default())
}
