//! Names of units that stand for units of other nodes.

use proto::name::{HoldName, NodeName, ProxyName, UnitName};
use serde::Serialize;

use super::{Look, Page, json, plain};
use crate::{cli::Output, fault::Fault};

/// The name of the proxy for a unit of a node.
pub(crate) fn escape(node: &NodeName, unit: &UnitName, look: &Look) -> Result<Page, Fault> {
    let proxy = ProxyName::of(node, unit).map_err(|error| Fault::Usage(error.to_string()))?;
    let name = proxy.name();
    Ok(Page::text(match look.output {
        Output::Table | Output::Plain => format!("{name}\n"),
        Output::Json => json(&Name::of(name.as_str(), Some(node), unit)),
    }))
}

/// The node and the unit that a proxy stands for; of a hold the unit alone.
pub(crate) fn unescape(text: &str, look: &Look) -> Result<Page, Fault> {
    let hold = UnitName::from_operator(text).ok();
    if let Some(hold) = hold.as_ref().and_then(HoldName::parse) {
        return Ok(shown(text, None, hold.unit(), look));
    }
    let proxy = ProxyName::parse(text).map_err(|error| Fault::Usage(error.to_string()))?;
    Ok(shown(text, Some(proxy.node()), proxy.unit(), look))
}

fn shown(name: &str, node: Option<&NodeName>, unit: &UnitName, look: &Look) -> Page {
    Page::text(match (look.output, node) {
        (Output::Table, Some(node)) => format!("{node} {unit}\n"),
        (Output::Table, None) => format!("{unit}\n"),
        (Output::Json, node) => json(&Name::of(name, node, unit)),
        (Output::Plain, node) => {
            let node = node.map_or("", NodeName::as_str);
            plain([[node, unit.as_str()].map(str::to_owned)])
        }
    })
}

#[derive(Serialize)]
struct Name<'a> {
    name: &'a str,
    node: Option<&'a str>,
    unit: &'a str,
}

impl<'a> Name<'a> {
    fn of(name: &'a str, node: Option<&'a NodeName>, unit: &'a UnitName) -> Self {
        Self {
            name,
            node: node.map(NodeName::as_str),
            unit: unit.as_str(),
        }
    }
}
