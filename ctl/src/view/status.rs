//! The state of nodes.

use serde::Serialize;

use super::{Look, Mood, Page, clean, json, known, message::Message, plain, table, usec};
use crate::{
    cli::Output,
    exit::Exit,
    fleet::{Claim, Node},
    span,
};

/// The fleet as a whole.
pub(crate) struct Fleet {
    pub(crate) nodes: Vec<Node>,
    /// Of the controller; empty if it does not say.
    pub(crate) version: String,
    /// What the operator should know.
    pub(crate) warnings: Vec<String>,
}

/// All nodes.
pub(crate) fn fleet(fleet: &Fleet, look: &Look) -> Page {
    let data = match look.output {
        Output::Table => {
            let online = fleet.nodes.iter().filter(|node| node.is_online()).count();
            let summary = if look.legend {
                format!("\n{online} of {} nodes online\n", fleet.nodes.len())
            } else {
                String::new()
            };
            nodes_table(&fleet.nodes, look) + &summary
        }
        Output::Json => json(&FleetJson {
            controller_version: known(&fleet.version),
            nodes: fleet.nodes.iter().map(NodeJson::of).collect(),
            warnings: &fleet.warnings,
        }),
        Output::Plain => plain(fleet.nodes.iter().map(node_plain)),
    };
    let warnings = fleet.warnings.iter();
    Page {
        data,
        messages: warnings.map(|text| Message::warning(text, None)).collect(),
        exit: Exit::Done,
    }
}

/// Some nodes.
pub(crate) fn nodes(nodes: &[Node], look: &Look) -> Page {
    let data = match look.output {
        Output::Table => nodes_table(nodes, look),
        Output::Json => json(&FleetJson {
            controller_version: None,
            nodes: nodes.iter().map(NodeJson::of).collect(),
            warnings: &[],
        }),
        Output::Plain => plain(nodes.iter().map(node_plain)),
    };
    Page::data(data, Exit::worst(nodes.iter().map(node_exit)))
}

/// One node, and the claims that it makes or that are made on it.
pub(crate) fn node(node: &Node, claims: &[Claim], look: &Look) -> Page {
    let data = match look.output {
        Output::Table => {
            let mut text = nodes_table(std::slice::from_ref(node), look);
            if !claims.is_empty() {
                text.push('\n');
                text.push_str(&claims_table(claims, look));
            }
            text
        }
        Output::Json => json(&OneNodeJson {
            node: NodeJson::of(node),
            claims,
        }),
        Output::Plain => plain([node_plain(node)]),
    };
    Page::data(data, node_exit(node))
}

fn node_exit(node: &Node) -> Exit {
    if node.is_online() {
        Exit::Done
    } else {
        Exit::NodeOffline
    }
}

fn nodes_table(nodes: &[Node], look: &Look) -> String {
    let rows = nodes.iter().map(|node| {
        let last_seen = match node.last_seen_ago {
            _ if node.is_online() => "now".into(),
            Some(ago) => format!("{} ago", span::display(ago)),
            None if node.is_detailed => "never".into(),
            None => "-".into(),
        };
        [
            node.name.clone(),
            look.paint
                .mood(Mood::of(&node.status), &clean(&node.status)),
            or_dash(node.place()),
            last_seen,
            or_dash(node.agent()),
            or_dash(&node.labels.join(",")),
        ]
    });
    let header = ["NODE", "STATUS", "ADDRESS", "LAST SEEN", "AGENT", "LABELS"];
    if nodes.iter().any(|node| !node.labels.is_empty()) {
        table::write(header, rows, look)
    } else {
        let [name, status, address, last_seen, agent, _] = header;
        let rows = rows.map(|[name, status, address, last_seen, agent, _]| {
            [name, status, address, last_seen, agent]
        });
        table::write([name, status, address, last_seen, agent], rows, look)
    }
}

fn claims_table(claims: &[Claim], look: &Look) -> String {
    let rows = claims.iter().map(|claim| {
        [
            claim.source.clone(),
            format!("{} on {}", claim.unit, claim.node),
            look.paint.mood(Mood::of(&claim.state), &claim.state),
            clean(&claim.reason),
        ]
    });
    table::write(["NODE", "NEEDS", "STATE", "REASON"], rows, look)
}

pub(super) fn or_dash(text: &str) -> String {
    let text = clean(text);
    if text.is_empty() { "-".into() } else { text }
}

fn node_plain(node: &Node) -> [String; 5] {
    [
        node.name.clone(),
        node.status.clone(),
        node.address.clone(),
        node.last_seen_ago
            .map(|ago| usec(ago).to_string())
            .unwrap_or_default(),
        node.agent_version.clone(),
    ]
}

#[derive(Serialize)]
struct FleetJson<'a> {
    controller_version: Option<&'a str>,
    nodes: Vec<NodeJson<'a>>,
    warnings: &'a [String],
}

#[derive(Serialize)]
struct OneNodeJson<'a> {
    node: NodeJson<'a>,
    claims: &'a [Claim],
}

#[derive(Serialize)]
struct NodeJson<'a> {
    name: &'a str,
    status: &'a str,
    address: Option<&'a str>,
    transport: Option<&'a str>,
    encrypted: Option<bool>,
    agent_version: Option<&'a str>,
    protocol: Option<u32>,
    labels: &'a [String],
    last_seen_usec_ago: Option<u64>,
    online_for_usec: Option<u64>,
}

impl<'a> NodeJson<'a> {
    fn of(node: &'a Node) -> Self {
        Self {
            name: &node.name,
            status: &node.status,
            address: known(&node.address),
            transport: known(&node.transport),
            encrypted: node.encrypted,
            agent_version: known(&node.agent_version),
            protocol: node.protocol,
            labels: &node.labels,
            last_seen_usec_ago: node.last_seen_ago.map(usec),
            online_for_usec: node.online_for.map(usec),
        }
    }
}

impl Serialize for Claim {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct ClaimJson<'a> {
            source: &'a str,
            node: &'a str,
            unit: &'a str,
            state: &'a str,
            cause: Option<&'a str>,
            reason: Option<&'a str>,
            token: &'a str,
        }
        ClaimJson {
            source: &self.source,
            node: &self.node,
            unit: &self.unit,
            state: &self.state,
            cause: known(&self.cause),
            reason: known(&self.reason),
            token: &self.token,
        }
        .serialize(serializer)
    }
}
