//! `status`: all nodes, some of them, or units of nodes.

mod log;

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use proto::{
    dbus::public,
    name::{NodeName, ProxyName, UnitName},
};
use zbus::{Message, wire::OwnedVariant};

use super::choose::{self, Known};
pub(crate) use log::Tail;

use crate::{
    bus::{self, Answer, Bus},
    cli::{Nodes, Output, UnitArg},
    facts::Facts,
    fault::{self, Fault},
    fleet::{Claim, Missing, Node, Target, Unit},
    journal::Log,
    limits,
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
async fn node(bus: &mut Bus, name: &NodeName, look: &Look) -> Result<Page, Fault> {
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

/// Nodes.
pub(crate) async fn nodes(bus: &mut Bus, which: &Nodes, look: &Look) -> Result<Page, Fault> {
    if let Nodes::One(name) = which {
        return node(bus, name, look).await;
    }
    let known = super::nodes(bus).await?;
    let mut nodes: Vec<Node> = Vec::new();
    for name in which.among(&known)? {
        let found = super::find(&known, &name);
        nodes.push(found.ok_or_else(|| super::no_node(&name, &known))?);
    }
    Ok(view::status::nodes(&nodes, look))
}

/// Units of nodes; where it is a single one, with the end of its journal.
pub(crate) async fn units(
    bus: &mut Bus,
    nodes: &Nodes,
    units: &[UnitArg],
    tail: Tail,
    look: &Look,
) -> Result<Page, Fault> {
    let log = async {
        match (nodes, units) {
            (Nodes::One(node), [UnitArg::Name(unit)]) => tail.read(node, unit).await,
            (_, _) => Log::NotAsked,
        }
    };
    let (all, mut log) = tokio::join!(all_units(bus, nodes, units), log);
    let (found, missing) = all?;
    match nodes {
        Nodes::One(node) => {
            let mut units: Vec<Unit> = found.into_iter().map(|(_, unit)| unit).collect();
            if let [unit] = units.as_mut_slice() {
                // The journal knows a unit by its own name only, not by those of its aliases.
                let own = unit.details.id.parse::<UnitName>().ok();
                if let (Some(own), Log::Lines(_)) =
                    (own.filter(|own| own.as_str() != unit.name), &log)
                {
                    log = tail.read(node, &own).await;
                }
                unit.details.log = log.since(unit.details.begun);
                // Plain lines do not have them.
                if look.output != Output::Plain {
                    unit.details.claims = claims_of(bus, node, unit.own_name()).await?;
                }
            }
            Ok(view::units::of_node(
                node,
                &units,
                &view::detail::zone(),
                look,
            ))
        }
        Nodes::Several(_) => Ok(view::units::of_nodes(&found, &missing, look)),
    }
}

/// Units, and nodes that did not answer, of several.
async fn all_units(
    bus: &mut Bus,
    nodes: &Nodes,
    units: &[UnitArg],
) -> Result<(Vec<(NodeName, Unit)>, Vec<Missing>), Fault> {
    let mut chosen = choose::nodes(bus, nodes).await?;
    let expanded = choose::units(bus, &mut chosen, units).await?;
    let mut names: BTreeMap<NodeName, Vec<UnitName>> = BTreeMap::new();
    for Target { node, unit } in expanded.targets {
        names.entry(node).or_default().push(unit);
    }
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    let mut missing: Vec<Missing> = Vec::new();
    for done in expanded.faults {
        if let Err(fault) = done.answer {
            missing.push(Missing::of(&done.node, &fault));
        }
    }
    let mut found = Vec::new();
    let chunks: Vec<(&NodeName, &[UnitName])> = names
        .iter()
        .flat_map(|(node, names)| {
            let chunks = names.chunks(limits::UNITS_OF_STATUS);
            chunks.map(move |names| (node, names))
        })
        .collect();
    let told = of_nodes(bus, &mut chosen.known, &chunks).await?;
    for ((node, names), facts) in chunks.into_iter().zip(told) {
        match facts {
            Ok(facts) => {
                let units = names.iter().zip(&facts);
                let unit = |(name, facts): (&UnitName, &Facts)| {
                    Unit::from_facts(name.as_str(), facts, now)
                };
                found.extend(units.map(unit).map(|unit| (node.clone(), unit)));
            }
            Err(fault) if !chosen.several => return Err(fault),
            Err(fault) => missing.push(Missing::of(node, &fault)),
        }
    }
    missing.sort_by(|a, b| a.node.cmp(&b.node));
    missing.dedup_by(|a, b| a.node == b.node);
    Ok((found, missing))
}

/// The claims on a unit, or of it if it is a proxy.
async fn claims_of(bus: &mut Bus, node: &NodeName, unit: &str) -> Result<Vec<Claim>, Fault> {
    let proxy = ProxyName::parse(unit).ok();
    let call = bus::fleet_call(public::FLEET, "ListClaims", &())?;
    let [answer] = bus.ask([call]).await?;
    let Ok(answer) = answer else {
        // A controller that has none.
        return Ok(Vec::new());
    };
    let claims = super::dictionaries(&answer, "ListClaims")?;
    let mut claims: Vec<Claim> = claims.iter().map(Claim::from_facts).collect();
    claims.retain(|claim| match &proxy {
        Some(proxy) => {
            claim.source == node.as_str()
                && claim.node == proxy.node().as_str()
                && claim.unit == proxy.unit().as_str()
        }
        None => claim.node == node.as_str() && claim.unit == unit,
    });
    claims.sort();
    Ok(claims)
}

type Told = Result<Vec<Facts>, Fault>;

/// The properties of units of nodes, in the order in which they are asked for.
async fn of_nodes(
    bus: &mut Bus,
    known: &mut Known,
    chunks: &[(&NodeName, &[UnitName])],
) -> Result<Vec<Told>, Fault> {
    let calls = chunks.iter().map(|(node, names)| {
        let list: Vec<&str> = names.iter().map(UnitName::as_str).collect();
        bus::node_call(node, public::NODE_OWN, "UnitStatus", &list)
    });
    let calls = calls.collect::<Result<Vec<_>, _>>()?;
    let answers = bus.ask_each(&calls).await;
    let mut all = Vec::with_capacity(chunks.len());
    for ((node, names), answer) in chunks.iter().zip(answers) {
        all.push(match answer {
            Ok(Ok(answer)) => in_order(&answer, names),
            // A peer that fails on one unit fails on all; asked for each, the others are shown.
            Ok(Err(refusal)) if fault::is_not_there(&refusal) || fault::is_no_unit(&refusal) => {
                one_by_one(bus, known, node, names).await
            }
            Ok(Err(refusal)) => Err(known.explain(bus, node, "", refusal).await),
            Err(fault) => Err(fault),
        });
    }
    Ok(all)
}

fn in_order(answer: &Message, names: &[UnitName]) -> Result<Vec<Facts>, Fault> {
    type Units = Vec<(String, BTreeMap<String, OwnedVariant>)>;
    let told: Units = bus::read(answer, "UnitStatus")?;
    let mut told: BTreeMap<_, _> = told.into_iter().collect();
    let take = |name: &UnitName| Facts(told.remove(name.as_str()).unwrap_or_default());
    Ok(names.iter().map(take).collect())
}

/// What an agent of BlueChi can say.
async fn one_by_one(
    bus: &mut Bus,
    known: &mut Known,
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
            Err(refusal) => return Err(known.explain(bus, node, "", refusal).await),
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
