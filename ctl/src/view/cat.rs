//! Unit files, as systemctl(1) prints them with `cat`.

use anstyle::AnsiColor;
use serde::Serialize;

use super::{Look, Page, json, known, logs::printable, message, message::Message, plain};
use crate::{cli::Output, command::Done, exit::Exit, fault::Fault};

/// The files of a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unit {
    /// `loaded`, `not-found`, `masked` and the other states of org.freedesktop.systemd1(5).
    pub(crate) load: String,
    /// Where the unit file is, or what masks it.
    pub(crate) fragment: String,
    /// Whether they have changed since systemd has read them.
    pub(crate) needs_reload: bool,
    /// Paths and texts.
    pub(crate) files: Vec<(String, String)>,
    /// Paths of those that cannot be shown, and why.
    pub(crate) unreadable: Vec<(String, String)>,
}

impl Unit {
    /// Whether there is nothing of this name on the node.
    fn is_missing(&self) -> bool {
        self.files.is_empty() && self.unreadable.is_empty() && self.load == "not-found"
    }
}

/// The files of units. Of several nodes, each unit is headed by its node.
pub(crate) fn page(done: &[Done<Unit>], several: bool, look: &Look) -> Page {
    let read = done
        .iter()
        .filter_map(|it| Some((it, it.answer.as_ref().ok()?)))
        .filter(|(_, unit)| !unit.is_missing());
    let data = match look.output {
        Output::Table => {
            let units = read.map(|(of, unit)| text(of, unit, several, look));
            // An empty line between two units, as between two files.
            units
                .filter(|text| !text.is_empty())
                .collect::<Vec<_>>()
                .join("\n")
        }
        Output::Json => json(&UnitsJson {
            units: read.map(|(of, unit)| UnitJson::of(of, unit)).collect(),
        }),
        Output::Plain => plain(read.flat_map(|(of, unit)| {
            let path =
                |(path, _): &(String, String)| [of.node.to_string(), of.unit.clone(), path.clone()];
            unit.files.iter().map(path).collect::<Vec<_>>()
        })),
    };
    let messages = done.iter().flat_map(messages).collect();
    let exits = done.iter().map(|it| (&it.node, exit(it)));
    Page {
        data,
        messages,
        exit: Exit::of_nodes(exits),
    }
}

fn text(of: &Done<Unit>, unit: &Unit, several: bool, look: &Look) -> String {
    let mark = |text: &str| look.paint.style(AnsiColor::Blue.on_default(), text);
    let mut parts = Vec::new();
    let on = if several {
        format!("{}: ", of.node)
    } else {
        String::new()
    };
    if unit.load == "masked" {
        parts.push(mark(&format!("# {on}Unit {} is masked.", of.unit)) + "\n");
    }
    for (path, text) in &unit.files {
        let mut part = mark(&format!("# {on}{}", printable(path)));
        part.push('\n');
        for line in text.lines() {
            part.push_str(&printable(line));
            part.push('\n');
        }
        parts.push(part);
    }
    parts.join("\n")
}

fn messages(done: &Done<Unit>) -> Vec<Message> {
    let unit = match &done.answer {
        Err(_) => return message::of_done(done).into_iter().collect(),
        Ok(unit) if unit.is_missing() => {
            let fault = missing(done);
            return vec![Message::error(fault.to_string(), fault.hint())];
        }
        Ok(unit) => unit,
    };
    let (node, name) = (&done.node, &done.unit);
    let reload = unit.needs_reload.then(|| {
        Message::warning(
            format!("files of {name} on {node} have changed since systemd has read them"),
            Some(format!(
                "these are as they are now; drop-ins that are new are not among them: see \
                 'ctl daemon-reload {node}'"
            )),
        )
    });
    let unreadable = unit
        .unreadable
        .iter()
        .map(|(path, why)| Message::error(format!("failed to read {path} on {node}: {why}"), None));
    reload.into_iter().chain(unreadable).collect()
}

fn missing(done: &Done<Unit>) -> Fault {
    Fault::NoUnit {
        node: done.node.to_string(),
        unit: done.unit.clone(),
    }
}

fn exit(done: &Done<Unit>) -> Exit {
    match &done.answer {
        Err(fault) => fault.exit(),
        Ok(unit) if unit.is_missing() => missing(done).exit(),
        Ok(unit) if !unit.unreadable.is_empty() => Exit::Other,
        Ok(_) => Exit::Done,
    }
}

#[derive(Serialize)]
struct UnitsJson<'a> {
    units: Vec<UnitJson<'a>>,
}

#[derive(Serialize)]
struct UnitJson<'a> {
    node: &'a str,
    unit: &'a str,
    load_state: Option<&'a str>,
    fragment_path: Option<&'a str>,
    needs_reload: bool,
    files: Vec<FileJson<'a>>,
}

#[derive(Serialize)]
struct FileJson<'a> {
    path: &'a str,
    text: Option<&'a str>,
    error: Option<&'a str>,
}

impl<'a> UnitJson<'a> {
    fn of(of: &'a Done<Unit>, unit: &'a Unit) -> Self {
        let texts = unit.files.iter().map(|(path, text)| FileJson {
            path,
            text: Some(text),
            error: None,
        });
        let errors = unit.unreadable.iter().map(|(path, why)| FileJson {
            path,
            text: None,
            error: Some(why),
        });
        Self {
            node: of.node.as_str(),
            unit: &of.unit,
            load_state: known(&unit.load),
            fragment_path: known(&unit.fragment),
            needs_reload: unit.needs_reload,
            files: texts.chain(errors).collect(),
        }
    }
}
