//! The state of nodes and of units.

use proto::name::NodeName;
use serde::Serialize;

use super::{Look, Mood, Page, clean, json, known, message::Message, plain, table, usec};
use crate::{
    cli::Output,
    exit::Exit,
    fleet::{Claim, Node, Unit},
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
    let exit = if node.is_online() {
        Exit::Done
    } else {
        Exit::NodeOffline
    };
    Page::data(data, exit)
}

/// Units of one node.
pub(crate) fn units(node: &NodeName, units: &[Unit], look: &Look) -> Page {
    let data = match look.output {
        Output::Table => units_table(units, look) + &notes(units),
        Output::Json => json(&UnitsJson {
            node: node.as_str(),
            units: units.iter().map(UnitJson::of).collect(),
        }),
        Output::Plain => plain(units.iter().map(|unit| {
            let age = unit.state_age.map(|age| usec(age).to_string());
            let cells = [
                &unit.name,
                &unit.load,
                &unit.active,
                &unit.sub,
                &unit.freezer,
                &unit.enabled,
                &age.unwrap_or_default(),
            ];
            cells.map(Clone::clone)
        })),
    };
    let missing = units.iter().filter(|unit| unit.is_missing());
    let messages = missing.map(|unit| {
        Message::error(
            format!("there is no unit {} on {node}", unit.name),
            Some(format!("see 'ctl list-units --all {node}'")),
        )
    });
    Page {
        data,
        messages: messages.collect(),
        exit: units_exit(units),
    }
}

/// The rule of systemctl(1); what is missing outweighs what is not active.
fn units_exit(units: &[Unit]) -> Exit {
    if units.iter().any(Unit::is_missing) {
        Exit::NoSuchUnit
    } else if units.iter().all(Unit::is_running) {
        Exit::Done
    } else {
        Exit::NotActive
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
            or_dash(&node.address),
            last_seen,
            or_dash(&node.agent_version),
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

fn units_table(units: &[Unit], look: &Look) -> String {
    let rows = units.iter().map(|unit| {
        let mood = if unit.is_missing() {
            Mood::Bad
        } else {
            Mood::of(&unit.active)
        };
        let load = match Mood::of(&unit.load) {
            Mood::Bad => Mood::Bad,
            Mood::Good | Mood::Busy | Mood::Idle | Mood::Neutral => Mood::Neutral,
        };
        [
            unit.name.clone(),
            look.paint.mood(load, &or_dash(&unit.load)),
            look.paint.mood(mood, &or_dash(&unit.active)),
            look.paint.mood(mood, &or_dash(&unit.sub)),
            or_dash(&unit.freezer),
            or_dash(&unit.enabled),
            unit.state_age.map_or_else(|| "-".into(), span::display),
        ]
    });
    let header = [
        "UNIT",
        "LOADED",
        "ACTIVE",
        "SUBSTATE",
        "FREEZERSTATE",
        "ENABLED",
        "FOR",
    ];
    table::write(header, rows, look)
}

/// What the columns do not say: how a unit failed, and what a service says about itself.
fn notes(units: &[Unit]) -> String {
    let mut text = String::new();
    for unit in units {
        let failed = unit.active == "failed" && !matches!(unit.result.as_str(), "" | "success");
        if failed {
            let status = unit.main_status.map(|status| format!(", status {status}"));
            let (name, result) = (&unit.name, clean(&unit.result));
            text.push_str(&format!("{name}: {result}{}\n", status.unwrap_or_default()));
        }
        if !unit.status_text.is_empty() {
            text.push_str(&format!("{}: {}\n", unit.name, clean(&unit.status_text)));
        }
    }
    if text.is_empty() {
        text
    } else {
        format!("\n{text}")
    }
}

fn or_dash(text: &str) -> String {
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

#[derive(Serialize)]
struct UnitsJson<'a> {
    node: &'a str,
    units: Vec<UnitJson<'a>>,
}

#[derive(Serialize)]
struct UnitJson<'a> {
    unit: &'a str,
    description: Option<&'a str>,
    load_state: Option<&'a str>,
    active_state: Option<&'a str>,
    sub_state: Option<&'a str>,
    freezer_state: Option<&'a str>,
    unit_file_state: Option<&'a str>,
    state_age_usec: Option<u64>,
    result: Option<&'a str>,
    main_status: Option<i32>,
    main_pid: Option<u32>,
    status_text: Option<&'a str>,
    fragment_path: Option<&'a str>,
}

impl<'a> UnitJson<'a> {
    fn of(unit: &'a Unit) -> Self {
        Self {
            unit: &unit.name,
            description: known(&unit.description),
            load_state: known(&unit.load),
            active_state: known(&unit.active),
            sub_state: known(&unit.sub),
            freezer_state: known(&unit.freezer),
            unit_file_state: known(&unit.enabled),
            state_age_usec: unit.state_age.map(usec),
            result: known(&unit.result),
            main_status: unit.main_status,
            main_pid: unit.main_pid,
            status_text: known(&unit.status_text),
            fragment_path: known(&unit.path),
        }
    }
}
