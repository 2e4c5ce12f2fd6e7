//! A list of units.

use serde::Serialize;

use super::{
    Look, Mood, Page, clean, json, known,
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
        Output::Table => {
            let rows = units.iter().map(|unit| {
                let mood = Mood::of(&unit.active);
                [
                    unit.node.clone(),
                    clean(&unit.unit),
                    unit.load.clone(),
                    look.paint.mood(mood, &unit.active),
                    look.paint.mood(mood, &unit.sub),
                ]
            });
            let header = ["NODE", "UNIT", "LOADED", "ACTIVE", "SUBSTATE"];
            table::write(header, rows, look) + &summary(units, look)
        }
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
