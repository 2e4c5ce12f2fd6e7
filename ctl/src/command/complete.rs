//! `__complete`: names for a shell that completes a command line; quick, and silent when it fails.

use std::collections::BTreeSet;

use proto::{dbus::public, name::NodeName};

use super::list_jobs;
use crate::{
    bus::{self, Bus},
    cli::{Names, Nodes, Options},
    fault::Fault,
    limits,
};

/// The names, one in a line; nothing if they are not known soon.
pub(crate) async fn run(options: &Options, what: &Names) -> String {
    let names = async {
        let mut bus = Bus::connect(options.user, limits::COMPLETION).await?;
        match what {
            Names::Nodes => nodes(&mut bus).await,
            Names::Units { node } => units(&mut bus, node).await,
            Names::Files { node } => files(&mut bus, node).await,
            Names::Jobs => {
                let ids = list_jobs::ids(&mut bus).await?;
                Ok(ids.iter().map(ToString::to_string).collect())
            }
        }
    };
    let names: Result<BTreeSet<String>, Fault> = names.await;
    let line = |name: String| format!("{name}\n");
    names.unwrap_or_default().into_iter().map(line).collect()
}

async fn nodes(bus: &mut Bus) -> Result<BTreeSet<String>, Fault> {
    let nodes = super::nodes(bus).await?;
    let labels = nodes.iter().flat_map(|node| &node.labels);
    let labels: Vec<String> = labels.map(|label| format!("@{label}")).collect();
    Ok(nodes
        .into_iter()
        .map(|node| node.name)
        .chain(labels)
        .collect())
}

async fn units(bus: &mut Bus, typed: &str) -> Result<BTreeSet<String>, Fault> {
    let Some(node) = one(bus, typed).await else {
        return Ok(BTreeSet::new());
    };
    let call = bus::node_call(&node, public::NODE, "ListUnits", &())?;
    let [answer] = bus.ask([call]).await?;
    let answer = answer.map_err(|refusal| Fault::refused(refusal, bus.name()))?;
    let rows = super::list_units::rows(&answer)?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}

async fn files(bus: &mut Bus, typed: &str) -> Result<BTreeSet<String>, Fault> {
    let Some(node) = one(bus, typed).await else {
        return Ok(BTreeSet::new());
    };
    let call = bus::node_call(&node, public::NODE, "ListUnitFiles", &())?;
    let [answer] = bus.ask([call]).await?;
    let answer = answer.map_err(|refusal| Fault::refused(refusal, bus.name()))?;
    let rows: Vec<(String, String)> = bus::read(&answer, "ListUnitFiles")?;
    let file = |(path, _): (String, String)| path.rsplit('/').next().map(str::to_owned);
    Ok(rows.into_iter().filter_map(file).collect())
}

/// One node of those that are meant: what may be typed next is much the same on all, and one is
/// asked sooner than many.
async fn one(bus: &mut Bus, typed: &str) -> Option<NodeName> {
    let nodes: Nodes = typed.parse().ok()?;
    if let Some(names) = nodes.names() {
        return names.into_iter().next();
    }
    let known = super::nodes(bus).await.ok()?;
    let mut online = known;
    online.retain(|node| node.is_online());
    nodes.among(&online).ok()?.into_iter().next()
}
