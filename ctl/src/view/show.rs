//! Properties of units.

use std::collections::BTreeMap;

use serde::Serialize;
use zbus::wire::OwnedVariant;

use super::{
    Look, Page, clean, json,
    message::{self, Message},
    plain, table,
    value::{self, Value},
};
use crate::{cli::Output, command::Done, exit::Exit};

/// Which properties are shown, and how.
pub(crate) struct Which<'a> {
    /// All that are not empty if there are none.
    pub(crate) names: &'a [String],
    pub(crate) only_values: bool,
}

type Properties = BTreeMap<String, OwnedVariant>;

/// The properties of each unit.
pub(crate) fn page(
    done: &[Done<Properties>],
    which: &Which<'_>,
    several: bool,
    look: &Look,
) -> Page {
    let shown = |done: &'_ Done<Properties>| -> Option<Vec<(String, String)>> {
        Some(texts(done.answer.as_ref().ok()?, which))
    };
    let data = match look.output {
        Output::Table if several => {
            let rows = done.iter().flat_map(|done| {
                let cells = shown(done).unwrap_or_default().into_iter();
                cells.map(|(name, value)| {
                    let (node, unit) = (done.node.to_string(), done.unit.clone());
                    [node, unit, name, clean(&value)]
                })
            });
            table::write(["NODE", "UNIT", "PROPERTY", "VALUE"], rows, look)
        }
        Output::Table => {
            let blocks = done
                .iter()
                .filter_map(shown)
                .map(|texts| block(texts, which));
            blocks.collect::<Vec<_>>().join("\n")
        }
        Output::Json => json(&Shown {
            units: done
                .iter()
                .filter_map(|done| UnitJson::of(done, which))
                .collect(),
        }),
        Output::Plain => plain(done.iter().flat_map(|done| {
            let cells = shown(done).unwrap_or_default().into_iter();
            cells.map(|(name, value)| [done.node.to_string(), done.unit.clone(), name, value])
        })),
    };
    let mut messages: Vec<Message> = done.iter().filter_map(message::of_done).collect();
    messages.extend(unknown(done, which));
    let exits = done.iter().map(|done| {
        let fault = done.answer.as_ref().err();
        (
            &done.node,
            fault.map_or(Exit::Done, crate::fault::Fault::exit),
        )
    });
    Page {
        data,
        messages,
        exit: Exit::of_nodes(exits),
    }
}

/// As systemctl(1): what was asked for is shown also if it is empty, in the order in which it was
/// asked for.
fn texts(of: &Properties, which: &Which<'_>) -> Vec<(String, String)> {
    let text = |name: &str, value: &OwnedVariant| (name.to_owned(), value::text(name, value));
    if which.names.is_empty() {
        let all = of.iter().map(|(name, value)| text(name, value));
        return all.filter(|(_, text)| !text.is_empty()).collect();
    }
    let asked = which.names.iter();
    asked
        .filter_map(|name| Some(text(name, of.get(name)?)))
        .collect()
}

fn block(texts: Vec<(String, String)>, which: &Which<'_>) -> String {
    let line = |(name, value): (String, String)| {
        // Control characters in a line of our own would end it.
        let value = clean(&value);
        if which.only_values {
            format!("{value}\n")
        } else {
            format!("{name}={value}\n")
        }
    };
    texts.into_iter().map(line).collect()
}

/// A property that no unit has is a slip.
fn unknown(done: &[Done<Properties>], which: &Which<'_>) -> Vec<Message> {
    let mut told = done
        .iter()
        .filter_map(|done| done.answer.as_ref().ok())
        .peekable();
    if told.peek().is_none() {
        return Vec::new();
    }
    let told: Vec<&Properties> = told.collect();
    let nobody_has = |name: &&String| !told.iter().any(|of| of.contains_key(*name));
    let known = || told.iter().flat_map(|of| of.keys()).map(String::as_str);
    let message = |name: &String| {
        let near = crate::suggest::nearest(name, known());
        Message::warning(
            format!("there is no property '{name}'"),
            near.map(|near| format!("did you mean {near}?")),
        )
    };
    which.names.iter().filter(nobody_has).map(message).collect()
}

#[derive(Serialize)]
struct Shown<'a> {
    units: Vec<UnitJson<'a>>,
}

#[derive(Serialize)]
struct UnitJson<'a> {
    node: &'a str,
    unit: &'a str,
    properties: BTreeMap<&'a str, Value<'a>>,
}

impl<'a> UnitJson<'a> {
    fn of(done: &'a Done<Properties>, which: &Which<'_>) -> Option<Self> {
        let of = done.answer.as_ref().ok()?;
        let is_shown = |name: &str| which.names.is_empty() || which.names.iter().any(|n| n == name);
        let shown = of.iter().filter(|(name, _)| is_shown(name));
        Some(Self {
            node: done.node.as_str(),
            unit: &done.unit,
            properties: shown
                .map(|(name, value)| (name.as_str(), Value(value)))
                .collect(),
        })
    }
}
