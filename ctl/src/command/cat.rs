//! `cat`: the files of units.

use std::collections::BTreeMap;

use proto::{
    dbus::public,
    name::{NodeName, UnitName},
};
use zbus::{Message, wire::OwnedVariant};

use super::{
    choose,
    each::{self, Ask, Done},
};
use crate::{
    bus::{self, Bus},
    cli::{Options, Units},
    facts::Facts,
    fault::Fault,
    limits,
    view::{Look, Page, cat},
};

/// Prints unit files. Units are asked for a few at once, which is one question for most.
pub(crate) async fn run(options: &Options, of: &Units, look: &Look) -> Result<Page, Fault> {
    let mut bus = Bus::connect(options.user, options.question_timeout()).await?;
    let mut chosen = choose::nodes(&mut bus, &of.nodes).await?;
    let expanded = choose::units(&mut bus, &mut chosen, &of.units).await?;
    let mut names: BTreeMap<NodeName, Vec<UnitName>> = BTreeMap::new();
    for target in expanded.targets {
        names.entry(target.node).or_default().push(target.unit);
    }
    let chunks: Vec<(&NodeName, &[UnitName])> = names
        .iter()
        .flat_map(|(node, names)| {
            let chunks = names.chunks(limits::UNITS_OF_CAT);
            chunks.map(move |names| (node, names))
        })
        .collect();
    let asks = chunks.iter().map(|(node, names)| {
        let list: Vec<&str> = names.iter().map(UnitName::as_str).collect();
        let call = bus::node_call(node, public::NODE_OWN, "UnitFiles", &list)?;
        let unit = names.first().filter(|_| names.len() == 1);
        let unit = unit.map(ToString::to_string).unwrap_or_default();
        Ok(Ask::new("read the files of", node, unit, call))
    });
    let asks = asks.collect::<Result<_, Fault>>()?;
    let mut all: Vec<Done<cat::Unit>> = Vec::new();
    let answers = each::ask(&mut bus, &mut chosen.known, asks).await;
    for ((_, names), done) in chunks.iter().zip(answers) {
        match done.and_then(|answer| read(&answer)) {
            Done {
                verb,
                node,
                answer: Ok(mut units),
                ..
            } => all.extend(names.iter().map(|name| Done {
                verb,
                node: node.clone(),
                unit: name.to_string(),
                answer: Ok(units.remove(name.as_str()).unwrap_or_default()),
            })),
            failed => all.push(failed.and_then(|_| Ok(cat::Unit::default()))),
        }
    }
    let faults = expanded.faults.into_iter();
    all.extend(faults.map(|done| done.and_then(|()| Ok(cat::Unit::default()))));
    Ok(cat::page(&all, chosen.several, look))
}

fn read(answer: &Message) -> Result<BTreeMap<String, cat::Unit>, Fault> {
    type Told = Vec<(String, BTreeMap<String, OwnedVariant>)>;
    let told: Told = bus::read(answer, "UnitFiles")?;
    let unit = |(name, facts)| (name, unit(&Facts(facts)));
    Ok(told.into_iter().map(unit).collect())
}

fn unit(facts: &Facts) -> cat::Unit {
    let pairs = |key: &str| {
        let pairs = facts.0.get(key).cloned();
        pairs
            .and_then(|it| Vec::<(String, String)>::try_from(it).ok())
            .unwrap_or_default()
    };
    cat::Unit {
        load: facts.text("LoadState"),
        fragment: facts.text("FragmentPath"),
        needs_reload: facts.flag("NeedDaemonReload").unwrap_or(false),
        files: pairs("Files"),
        unreadable: pairs("Unreadable"),
    }
}
