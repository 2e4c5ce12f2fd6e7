//! The verbs: each asks the controller and gives what it heard to a view.

mod job;
mod list_units;
mod progress;
mod status;

use std::collections::BTreeMap;

use proto::{dbus::public, name::NodeName};
use zbus::{
    Message,
    wire::{OwnedObjectPath, OwnedVariant},
};

use crate::{
    bus::{self, Answer, Bus},
    cli::{Cli, Verb},
    facts::Facts,
    fault::{self, Fault, Refusal},
    fleet::Node,
    view::{self, Look, Page},
};

/// `aa{sv}`.
type Dictionaries = Vec<BTreeMap<String, OwnedVariant>>;

/// Carries out the verb.
pub(crate) async fn run(cli: &Cli, look: &Look) -> Result<Page, Fault> {
    let options = &cli.options;
    if let Some((kind, units)) = cli.verb.job() {
        return job::run(options, kind, &units.node, &units.units, look).await;
    }
    match &cli.verb {
        Verb::Status { node, units } => {
            let mut bus = Bus::connect(options.user, options.question_timeout()).await?;
            match node {
                None => status::fleet(&mut bus, look).await,
                Some(node) if units.is_empty() => status::node(&mut bus, node, look).await,
                Some(node) => status::units(&mut bus, node, units, look).await,
            }
        }
        Verb::ListUnits(which) => {
            let mut bus = Bus::connect(options.user, options.question_timeout()).await?;
            list_units::run(&mut bus, which, look).await
        }
        Verb::Version | Verb::Start(_) | Verb::Stop(_) | Verb::Restart(_) | Verb::Reload(_) => {
            Ok(Page::data(view::version(look), crate::exit::Exit::Done))
        }
    }
}

/// The call that asks for all nodes.
fn nodes_call() -> Result<Message, Fault> {
    bus::fleet_call(public::FLEET, "ListNodes", &())
}

/// All nodes, by name. A controller that does not know our interface is asked by BlueChi's.
async fn nodes(bus: &mut Bus) -> Result<Vec<Node>, Fault> {
    let [answer] = bus.ask([nodes_call()?]).await?;
    nodes_from(bus, answer).await
}

async fn nodes_from(bus: &mut Bus, answer: Answer) -> Result<Vec<Node>, Fault> {
    let mut nodes: Vec<Node> = match answer {
        Ok(answer) => dictionaries(&answer, "ListNodes")?
            .iter()
            .map(Node::from_facts)
            .collect(),
        Err(refusal) if fault::is_not_there(&refusal) => {
            let call = bus::fleet_call(public::CONTROLLER, "ListNodes", &())?;
            let [answer] = bus.ask([call]).await?;
            let answer = answer.map_err(|refusal| Fault::refused(refusal, bus.name()))?;
            let listed: Vec<(String, OwnedObjectPath, String, String)> =
                bus::read(&answer, "ListNodes")?;
            let node = |(name, _, status, address)| Node::from_listing(name, status, address);
            listed.into_iter().map(node).collect()
        }
        Err(refusal) => return Err(Fault::refused(refusal, bus.name())),
    };
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(nodes)
}

fn dictionaries(answer: &Message, asked: &'static str) -> Result<Vec<Facts>, Fault> {
    let read: Dictionaries = bus::read(answer, asked)?;
    Ok(read.into_iter().map(Facts).collect())
}

/// What an error means that was answered to a call to a node: whether the node is not known, or
/// since when it is away, is asked for only now, so that what succeeds costs nothing.
async fn explain(bus: &mut Bus, node: &NodeName, refusal: Refusal) -> Fault {
    if fault::is_offline(&refusal) || fault::may_be_no_node(&refusal) {
        let nodes = nodes(bus).await.ok();
        let found = nodes.as_ref().and_then(|nodes| find(nodes, node));
        match (nodes, found) {
            (Some(nodes), None) => return no_node(node, &nodes),
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

fn find(nodes: &[Node], name: &NodeName) -> Option<Node> {
    nodes
        .iter()
        .find(|node| node.name == name.as_str())
        .cloned()
}

fn no_node(node: &NodeName, nodes: &[Node]) -> Fault {
    Fault::NoNode {
        node: node.to_string(),
        known: nodes.iter().map(|node| node.name.clone()).collect(),
    }
}

/// The number of a job, from the path of its object.
fn job_id(path: &str) -> Option<proto::model::JobId> {
    let element = path.strip_prefix(public::JOB_PATH_PREFIX)?;
    // A digit at the beginning is escaped by some and not by others; both are read.
    let text = proto::name::path_element_decode(element).unwrap_or_else(|| element.to_owned());
    text.parse().ok().map(proto::model::JobId)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    #[test_case("/org/eclipse/bluechi/job/12", Some(12); "plain")]
    #[test_case("/org/eclipse/bluechi/job/_312", Some(12); "escaped")]
    #[test_case("/org/eclipse/bluechi/job/x", None; "no number")]
    #[test_case("/org/freedesktop/systemd1/job/12", None; "another object")]
    fn jobs_are_known_by_their_paths(path: &str, id: Option<u32>) {
        assert_eq!(super::job_id(path).map(|id| id.0), id);
    }
}
