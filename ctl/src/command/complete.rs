//! `__complete`: names for a shell that completes a command line; quick, and silent when it fails.

use std::collections::BTreeSet;

use proto::{dbus::public, name::NodeName};

use super::list_jobs;
use crate::{
    bus::{self, Bus},
    cli::{Nodes, Options},
    complete::{self, DAEMONS, Names},
    fault::Fault,
    limits,
};

/// The names that may come after these words, one in a line; nothing if they are not known soon.
pub(crate) async fn run(options: &Options, words: &[String]) -> String {
    let (wanted, is_user) = complete::read(words);
    let names: Result<BTreeSet<String>, Fault> = match &wanted {
        Names::None => return String::new(),
        // In the order that they have.
        Names::Words(words) => return words.iter().map(|word| format!("{word}\n")).collect(),
        Names::Node
        | Names::Daemons
        | Names::Nodes { .. }
        | Names::Units { .. }
        | Names::Files { .. }
        | Names::Jobs => asked(options.user || is_user, &wanted).await,
    };
    let line = |name: String| format!("{name}\n");
    names.unwrap_or_default().into_iter().map(line).collect()
}

async fn asked(is_user: bool, wanted: &Names) -> Result<BTreeSet<String>, Fault> {
    let mut bus = Bus::connect(is_user, limits::COMPLETION).await?;
    match wanted {
        Names::None | Names::Words(_) => Ok(BTreeSet::new()),
        Names::Node => {
            let nodes = super::nodes(&mut bus).await?;
            Ok(nodes.into_iter().map(|node| node.name).collect())
        }
        Names::Daemons => {
            let nodes = super::nodes(&mut bus).await?;
            let names = nodes.into_iter().map(|node| node.name);
            Ok(names.chain(DAEMONS.map(str::to_owned)).collect())
        }
        Names::Nodes { list, controller } => {
            let mut names = nodes(&mut bus).await?;
            names.extend(controller.then(|| "controller".to_owned()));
            Ok(names.iter().map(|name| format!("{list}{name}")).collect())
        }
        Names::Units { nodes } => units(&mut bus, nodes).await,
        Names::Files { nodes, end } => {
            let mut names = files(&mut bus, nodes).await?;
            names.retain(|name| name.ends_with(end));
            Ok(names)
        }
        Names::Jobs => {
            let ids = list_jobs::ids(&mut bus).await?;
            Ok(ids.iter().map(ToString::to_string).collect())
        }
    }
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
