//! The state of units.

use proto::name::NodeName;
use serde::Serialize;

use super::{
    Look, Mood, Page, clean, detail, json, known,
    logs::LineJson,
    message::Message,
    missing::{self, MissingJson},
    plain,
    status::or_dash,
    table, usec,
};
use crate::{
    cli::Output,
    exit::Exit,
    fleet::{Claim, Missing, Unit},
    journal::Log,
    span,
};

/// Units of one node; of a single one also the details.
pub(crate) fn of_node(
    node: &NodeName,
    units: &[Unit],
    zone: &jiff::tz::TimeZone,
    look: &Look,
) -> Page {
    let data = match look.output {
        Output::Table => {
            let rows = units.iter().map(|unit| row(node, unit, look));
            let rows = rows.map(|[_, rest @ ..]| rest);
            let [_, header @ ..] = HEADER;
            let text = table::write_without(header, rows, less(units.iter()), look);
            match units {
                [unit] if look.legend => text + &detail::block(node, unit, zone, look),
                [] | [_] | [_, _, ..] => text + &notes(units),
            }
        }
        Output::Json => json(&UnitsJson {
            node: Some(node.as_str()),
            units: units.iter().map(|unit| UnitJson::of(node, unit)).collect(),
            missing: Vec::new(),
        }),
        Output::Plain => plain(units.iter().map(plain_cells)),
    };
    Page {
        data,
        messages: units
            .iter()
            .flat_map(|unit| absent(node, unit).into_iter().chain(silent(node, unit)))
            .collect(),
        exit: exit(units),
    }
}

/// Units of several nodes.
pub(crate) fn of_nodes(units: &[(NodeName, Unit)], missing: &[Missing], look: &Look) -> Page {
    let data = match look.output {
        Output::Table => {
            let rows = units.iter().map(|(node, unit)| row(node, unit, look));
            table::write_without(HEADER, rows, less(units.iter().map(|(_, unit)| unit)), look)
        }
        Output::Json => json(&UnitsJson {
            node: None,
            units: units
                .iter()
                .map(|(node, unit)| UnitJson::of(node, unit))
                .collect(),
            missing: missing::all_json(missing),
        }),
        Output::Plain => plain(units.iter().map(|(node, unit)| {
            let [name, load, active, sub, freezer, enabled, age] = plain_cells(unit);
            [
                node.to_string(),
                name,
                load,
                active,
                sub,
                freezer,
                enabled,
                age,
            ]
        })),
    };
    let mut messages: Vec<_> = units
        .iter()
        .filter_map(|(node, unit)| absent(node, unit))
        .collect();
    messages.extend(missing::messages("units", missing));
    let nodes = units
        .iter()
        .map(|(node, _)| node)
        .collect::<std::collections::BTreeSet<_>>();
    let of_node = |node: &NodeName| -> Exit {
        let of_node = units.iter().filter(|(of, _)| of == node);
        exit_of(of_node.map(|(_, unit)| unit))
    };
    let exits = nodes.into_iter().map(of_node);
    Page {
        data,
        messages,
        exit: Exit::worst(exits.chain([missing::exit(missing)])),
    }
}

fn absent(node: &NodeName, unit: &Unit) -> Option<Message> {
    unit.is_missing().then(|| {
        Message::error(
            format!("there is no unit {} on {node}", unit.name),
            Some(format!("see 'ctl list-unit-files {node}'")),
        )
    })
}

/// That the journal is not known, where it was asked for.
fn silent(node: &NodeName, unit: &Unit) -> Option<Message> {
    let Log::Unknown(why) = &unit.details.log else {
        return None;
    };
    let text = format!("the journal of {} on {node} is not known: {why}", unit.name);
    Some(Message::warning(text, None))
}

fn exit(units: &[Unit]) -> Exit {
    exit_of(units.iter())
}

/// The rule of systemctl(1); what is missing outweighs what is not active.
fn exit_of<'a>(units: impl Iterator<Item = &'a Unit> + Clone) -> Exit {
    if units.clone().any(Unit::is_missing) {
        Exit::NoSuchUnit
    } else if units.clone().all(Unit::is_running) {
        Exit::Done
    } else {
        Exit::NotActive
    }
}

const HEADER: [&str; 8] = [
    "NODE",
    "UNIT",
    "LOADED",
    "ACTIVE",
    "SUBSTATE",
    "FREEZERSTATE",
    "ENABLED",
    "FOR",
];

/// Columns that a narrow terminal does not need to have.
fn less<'a>(mut units: impl Iterator<Item = &'a Unit>) -> &'static [&'static str] {
    let is_idle = |unit: &Unit| matches!(unit.freezer.as_str(), "" | "running");
    if units.all(is_idle) {
        &["FREEZERSTATE", "ENABLED"]
    } else {
        &["ENABLED"]
    }
}

fn row(node: &NodeName, unit: &Unit, look: &Look) -> [String; 8] {
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
        node.to_string(),
        clean(unit.own_name()),
        look.paint.mood(load, &or_dash(&unit.load)),
        look.paint.mood(mood, &or_dash(&unit.active)),
        look.paint.mood(mood, &or_dash(&unit.sub)),
        or_dash(&unit.freezer),
        or_dash(&unit.enabled),
        unit.state_age.map_or_else(|| "-".into(), span::display),
    ]
}

fn plain_cells(unit: &Unit) -> [String; 7] {
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
}

/// What the columns do not say: how a unit failed, and what a service says about itself.
fn notes(units: &[Unit]) -> String {
    let mut text = String::new();
    for unit in units {
        if let Some(how) = failure(unit) {
            text.push_str(&format!("{}: {how}\n", clean(unit.own_name())));
        }
        if !unit.status_text.is_empty() {
            let name = clean(unit.own_name());
            text.push_str(&format!("{name}: {}\n", clean(&unit.status_text)));
        }
    }
    if text.is_empty() {
        text
    } else {
        format!("\n{text}")
    }
}

/// How a unit failed, if it did.
pub(super) fn failure(unit: &Unit) -> Option<String> {
    if unit.active != "failed" || matches!(unit.result.as_str(), "" | "success") {
        return None;
    }
    let status = unit.main_status.map(|status| format!(", status {status}"));
    Some(clean(&unit.result) + &status.unwrap_or_default())
}

#[derive(Serialize)]
struct UnitsJson<'a> {
    node: Option<&'a str>,
    units: Vec<UnitJson<'a>>,
    missing: Vec<MissingJson<'a>>,
}

#[derive(Serialize)]
struct UnitJson<'a> {
    node: &'a str,
    unit: &'a str,
    id: Option<&'a str>,
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
    documentation: &'a [String],
    restarts: Option<u32>,
    memory_bytes: Option<u64>,
    cpu_usec: Option<u64>,
    tasks: Option<u64>,
    claims: &'a [Claim],
    log: Option<Vec<LineJson<'a>>>,
}

impl<'a> UnitJson<'a> {
    fn of(node: &'a NodeName, unit: &'a Unit) -> Self {
        Self {
            node: node.as_str(),
            unit: &unit.name,
            id: known(&unit.details.id),
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
            documentation: &unit.details.documentation,
            restarts: unit.details.restarts,
            memory_bytes: unit.details.memory,
            cpu_usec: unit.details.cpu.map(usec),
            tasks: unit.details.tasks,
            claims: &unit.details.claims,
            log: match &unit.details.log {
                Log::Lines(lines) => {
                    Some(lines.iter().map(|line| LineJson::of(node, line)).collect())
                }
                Log::NotAsked | Log::Unknown(_) => None,
            },
        }
    }
}
