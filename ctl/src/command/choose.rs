//! Which nodes and units are meant. What is said by names alone is not asked for: one node costs no
//! question.

use std::collections::BTreeSet;

use proto::{
    dbus::public,
    name::{NodeName, UnitName},
};

use super::each::{self, Ask, Done};
use crate::{
    bus::{self, Bus},
    cli::{Nodes, UnitArg},
    fault::{self, Fault, Refusal},
    fleet::{Node, Target},
    glob, limits,
};

/// What is known of all nodes; asked for once, if at all.
#[derive(Debug, Default)]
pub(crate) struct Known(Option<Vec<Node>>);

/// The nodes that are meant.
pub(crate) struct Chosen {
    pub(crate) names: Vec<NodeName>,
    /// Whether they were chosen as several, even if there is one.
    pub(crate) several: bool,
    pub(crate) known: Known,
}

/// The units that are meant.
pub(crate) struct Expanded {
    pub(crate) targets: Vec<Target>,
    /// Nodes whose units are not known, with the reason.
    pub(crate) faults: Vec<Done<()>>,
}

impl Known {
    /// All nodes, or why they are not known.
    pub(crate) async fn nodes(&mut self, bus: &mut Bus) -> Result<&[Node], Fault> {
        if self.0.is_none() {
            self.0 = Some(super::nodes(bus).await?);
        }
        Ok(self.0.as_deref().unwrap_or_default())
    }

    /// What an error means that was answered to a call to a node, about a unit of it or none:
    /// whether the node is not known, or since when it is away, is asked for only now, so that
    /// what succeeds costs nothing.
    pub(crate) async fn explain(
        &mut self,
        bus: &mut Bus,
        node: &NodeName,
        unit: &str,
        refusal: Refusal,
    ) -> Fault {
        let is_absent = fault::is_no_unit(&refusal) || fault::is_no_file(&refusal);
        if is_absent && !unit.is_empty() {
            return Fault::NoUnit {
                node: node.to_string(),
                unit: unit.to_owned(),
            };
        }
        if fault::is_offline(&refusal) || fault::may_be_no_node(&refusal) {
            let nodes = self.nodes(bus).await.ok();
            let found = nodes.and_then(|nodes| super::find(nodes, node));
            match (nodes, found) {
                (Some(nodes), None) => return super::no_node(node, nodes),
                (_, found) if fault::is_offline(&refusal) => {
                    return Fault::Offline {
                        node: node.to_string(),
                        last_seen_ago: found.as_ref().and_then(|node| node.last_seen_ago),
                        address: found.map(|node| node.address).unwrap_or_default(),
                    };
                }
                (_, _) => {}
            }
        }
        Fault::refused(refusal, bus.name())
    }
}

/// The nodes that are meant.
pub(crate) async fn nodes(bus: &mut Bus, nodes: &Nodes) -> Result<Chosen, Fault> {
    let mut known = Known::default();
    let names = match nodes.names() {
        Some(names) => names,
        None => nodes.among(known.nodes(bus).await?)?,
    };
    Ok(Chosen {
        names,
        several: matches!(nodes, Nodes::Several(_)),
        known,
    })
}

/// The units that are meant on these nodes, by node and in the order of the command line. Only a
/// pattern is a question.
pub(crate) async fn units(
    bus: &mut Bus,
    chosen: &mut Chosen,
    units: &[UnitArg],
) -> Result<Expanded, Fault> {
    let has_pattern = units.iter().any(|unit| matches!(unit, UnitArg::Pattern(_)));
    let mut expanded = Expanded {
        targets: Vec::new(),
        faults: Vec::new(),
    };
    if !has_pattern {
        for node in &chosen.names {
            expanded.add(node, units, &[]);
        }
        return expanded.bounded();
    }
    let asks = chosen.names.iter().map(|node| {
        let call = bus::node_call(node, public::NODE, "ListUnits", &())?;
        Ok(Ask::new("list the units", node, "", call))
    });
    let asks = asks.collect::<Result<Vec<_>, Fault>>()?;
    for done in each::ask(bus, &mut chosen.known, asks).await {
        let node = done.node.clone();
        let listed = done.and_then(|answer| super::list_units::rows(&answer));
        match &listed.answer {
            Ok(rows) => {
                let names: Vec<&str> = rows.iter().map(|row| row.0.as_str()).collect();
                expanded.add(&node, units, &names);
            }
            Err(fault) if !chosen.several => return Err(fault.clone()),
            Err(_) => expanded.faults.push(listed.and_then(|_| Ok(()))),
        }
    }
    if expanded.targets.is_empty() && expanded.faults.is_empty() {
        let pattern = |unit: &UnitArg| match unit {
            UnitArg::Name(_) => None,
            UnitArg::Pattern(pattern) => Some(pattern.clone()),
        };
        let node = chosen
            .names
            .iter()
            .map(NodeName::as_str)
            .collect::<Vec<_>>();
        return Err(Fault::NoFit {
            node: node.join(","),
            pattern: units.iter().find_map(pattern).unwrap_or_default(),
        });
    }
    expanded.bounded()
}

impl Expanded {
    /// Adds the units of a node that has loaded these.
    fn add(&mut self, node: &NodeName, units: &[UnitArg], loaded: &[&str]) {
        let mut seen = BTreeSet::new();
        for unit in units {
            let found: Vec<UnitName> = match unit {
                UnitArg::Name(name) => vec![name.clone()],
                UnitArg::Pattern(pattern) => {
                    let fitting = loaded.iter().filter(|name| glob::fits(pattern, name));
                    let mut names: Vec<_> = fitting.filter_map(|name| name.parse().ok()).collect();
                    names.sort();
                    names
                }
            };
            for unit in found {
                if seen.insert(unit.clone()) {
                    let node = node.clone();
                    self.targets.push(Target { node, unit });
                }
            }
        }
    }

    fn bounded(self) -> Result<Self, Fault> {
        let (count, max) = (self.targets.len(), limits::TARGETS_MAX);
        if count > max {
            return Err(Fault::Usage(format!(
                "{count} units are meant; at most {max} are possible in one call"
            )));
        }
        Ok(self)
    }
}
