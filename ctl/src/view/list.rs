//! A list of units.

use serde::Serialize;

use super::{
    Look, Mood, Page, clean, detail, json, known,
    missing::{self, MissingJson},
    plain, table,
};
use crate::{
    cli::Output,
    fleet::{Listed, Missing},
};

/// The units, and a warning for each node that did not answer.
pub(crate) fn page(units: &[Listed], missing: &[Missing], look: &Look) -> Page {
    let data = match look.output {
        Output::Table => table(units, look) + &summary(units, look),
        Output::Json => json(&ListJson {
            units: units.iter().map(UnitJson::of).collect(),
            missing: missing::all_json(missing),
        }),
        Output::Plain => plain(units.iter().map(|unit| {
            let cells = [&unit.node, &unit.unit, &unit.load, &unit.active, &unit.sub];
            cells.map(Clone::clone)
        })),
    };
    Page {
        data,
        messages: missing::messages("units", missing),
        exit: missing::exit(missing),
    }
}

/// From this width on there is room for descriptions.
const WIDE: usize = 100;

fn table(units: &[Listed], look: &Look) -> String {
    let row = |unit: &Listed| {
        let mood = Mood::of(&unit.active);
        let load = match Mood::of(&unit.load) {
            Mood::Bad => Mood::Bad,
            Mood::Good | Mood::Busy | Mood::Idle | Mood::Neutral => Mood::Neutral,
        };
        [
            clean(&unit.node),
            clean(&unit.unit),
            look.paint.mood(load, &clean(&unit.load)),
            look.paint.mood(mood, &clean(&unit.active)),
            look.paint.mood(mood, &clean(&unit.sub)),
        ]
    };
    let header = ["NODE", "UNIT", "LOADED", "ACTIVE", "SUBSTATE"];
    if !look.terminal {
        return table::write(header, units.iter().map(row), look);
    }
    let has_room = look.width.is_none_or(|width| width >= WIDE);
    // As systemctl(1): what went wrong has a dot, and the description is cut where the line ends.
    let rows = units.iter().map(|unit| {
        let [node, name, load, active, sub] = row(unit);
        let is_bad = unit.active == "failed" || Mood::of(&unit.load) == Mood::Bad;
        let dot = if is_bad {
            look.paint.mood(Mood::Bad, detail::dot(&unit.active))
        } else {
            " ".into()
        };
        let name = format!("{dot} {name}");
        [node, name, load, active, sub, clean(&unit.description)]
    });
    let [node, name, load, active, sub] = header;
    let name = format!("  {name}");
    if !has_room {
        let rows = rows.map(|[node, name, load, active, sub, _]| [node, name, load, active, sub]);
        return table::write([node, &name, load, active, sub], rows, look);
    }
    table::write([node, &name, load, active, sub, "DESCRIPTION"], rows, look)
}

fn summary(units: &[Listed], look: &Look) -> String {
    if !look.legend {
        return String::new();
    }
    let failed = units.iter().filter(|unit| unit.active == "failed").count();
    let plural = if units.len() == 1 { "" } else { "s" };
    match failed {
        0 => format!("\n{} unit{plural}\n", units.len()),
        _ => format!("\n{} unit{plural}, {failed} failed\n", units.len()),
    }
}

#[derive(Serialize)]
struct ListJson<'a> {
    units: Vec<UnitJson<'a>>,
    missing: Vec<MissingJson<'a>>,
}

#[derive(Serialize)]
struct UnitJson<'a> {
    node: &'a str,
    unit: &'a str,
    description: Option<&'a str>,
    load_state: &'a str,
    active_state: &'a str,
    sub_state: &'a str,
    following: Option<&'a str>,
    job_id: Option<u32>,
    job_type: Option<&'a str>,
}

impl<'a> UnitJson<'a> {
    fn of(unit: &'a Listed) -> Self {
        Self {
            node: &unit.node,
            unit: &unit.unit,
            description: known(&unit.description),
            load_state: &unit.load,
            active_state: &unit.active,
            sub_state: &unit.sub,
            following: known(&unit.following),
            job_id: (unit.job_id > 0).then_some(unit.job_id),
            job_type: known(&unit.job_type),
        }
    }
}
