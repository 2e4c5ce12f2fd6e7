//! What became of things that are done at once.

use proto::dbus::error;
use serde::Serialize;

use super::{
    Look, Mood, Page, clean, json,
    message::{self, Message},
    plain, table,
};
use crate::{
    cli::Output,
    command::Done,
    exit::Exit,
    fault::{Fault, MANAGER_ERRORS},
    fleet::{Change, Effect},
};

/// What became of each. Of one node, what went well needs no word, as for systemctl(1).
pub(crate) fn page(done: &[Done<Effect>], several: bool, look: &Look) -> Page {
    let rows: Vec<Row<'_>> = done.iter().map(Row::of).collect();
    let changes = match look.output {
        Output::Table => done.iter().map(|done| changes(done, several)).collect(),
        Output::Json | Output::Plain => String::new(),
    };
    let mut messages: Vec<Message> = Vec::new();
    for done in done {
        let message = message::of_done(done).or_else(|| uninstallable(done));
        messages.extend(message.filter(|message| !messages.contains(message)));
    }
    let exits = done.iter().map(|done| {
        let exit = done.answer.as_ref().err().map_or(Exit::Done, exit);
        (&done.node, exit)
    });
    Page {
        data: changes + &text(&rows, several || rows.len() > 1, several, look),
        messages: message::beside(&messages, look),
        exit: Exit::of_nodes(exits),
    }
}

/// Something that was done by the controller itself, or by the agent of this machine.
pub(crate) fn of_daemon(verb: &'static str, look: &Look) -> Page {
    let row = Row {
        verb,
        ..Row::default()
    };
    Page::text(text(&[row], false, false, look))
}

/// What became of jobs that were to be taken back.
pub(crate) fn canceled(jobs: &[(u32, Result<(), Fault>)], look: &Look) -> Page {
    let rows: Vec<Row<'_>> = jobs
        .iter()
        .map(|(job, result)| Row {
            verb: "cancel",
            job: Some(*job),
            text: result.as_ref().err().map(Fault::to_string),
            ..Row::default()
        })
        .collect();
    let data = match look.output {
        Output::Table if rows.len() < 2 => String::new(),
        Output::Table => table::write(
            ["JOB", "RESULT", "REASON"],
            rows.iter().map(|row| {
                let job = row.job.map(|job| job.to_string()).unwrap_or_default();
                let [result, reason] = row.result_cells(look);
                [job, result, reason]
            }),
            look,
        ),
        Output::Json | Output::Plain => text(&rows, true, false, look),
    };
    let message = |(job, result): &(u32, Result<(), Fault>)| {
        let fault = result.as_ref().err()?;
        let text = if fault.names_its_object() {
            fault.to_string()
        } else {
            format!("failed to cancel job {job}: {fault}")
        };
        Some(Message::error(text, fault.hint()))
    };
    let exits = jobs
        .iter()
        .filter_map(|(_, result)| result.as_ref().err().map(exit));
    Page {
        data,
        messages: jobs.iter().filter_map(message).collect(),
        exit: Exit::together(exits),
    }
}

/// What the service manager would not do has failed as a job has.
fn exit(fault: &Fault) -> Exit {
    let is_managers = |name: &str| name.starts_with(MANAGER_ERRORS) || name == error::NOT_SUPPORTED;
    if matches!(fault, Fault::Refused { name, .. } if is_managers(name)) {
        return Exit::JobFailed;
    }
    fault.exit()
}

/// What systemctl(1) says of links.
fn changes(done: &Done<Effect>, several: bool) -> String {
    let mut text = String::new();
    let changes = done.answer.as_ref().map(|effect| effect.changes.as_slice());
    let on = if several {
        format!("{}: ", done.node)
    } else {
        String::new()
    };
    for (kind, file, source) in changes.unwrap_or_default() {
        let (file, source) = (clean(file), clean(source));
        text.push_str(&match kind.as_str() {
            "symlink" => format!("{on}Created symlink {file} \u{2192} {source}.\n"),
            "unlink" => format!("{on}Removed {file}.\n"),
            kind => format!("{on}{}: {file} {source}\n", clean(kind)),
        });
    }
    text
}

fn uninstallable(done: &Done<Effect>) -> Option<Message> {
    let effect = done.answer.as_ref().ok()?;
    let (unit, node) = (&done.unit, &done.node);
    (effect.lacks_install_info && effect.changes.is_empty()).then(|| {
        Message::warning(
            format!("{unit} on {node} has no [Install] section, so enabling it does nothing"),
            Some("it is started by what needs it, or by hand; see systemd.unit(5)".into()),
        )
    })
}

fn text(rows: &[Row<'_>], with_table: bool, several: bool, look: &Look) -> String {
    match look.output {
        Output::Table if !with_table => String::new(),
        Output::Table => {
            let has_units = rows.iter().any(|row| row.unit.is_some());
            let cells = rows.iter().map(|row| {
                let [result, reason] = row.result_cells(look);
                let node = row.node.unwrap_or_default().to_owned();
                [node, row.unit.unwrap_or("-").to_owned(), result, reason]
            });
            if has_units {
                table::write_nodes(["NODE", "UNIT", "RESULT", "REASON"], cells, several, look)
            } else {
                let cells = cells.map(|[node, _, result, reason]| [node, result, reason]);
                table::write(["NODE", "RESULT", "REASON"], cells, look)
            }
        }
        Output::Json => json(&Results { results: rows }),
        Output::Plain => plain(rows.iter().map(|row| {
            let job = row.job.map(|job| job.to_string());
            [
                row.node.unwrap_or("").to_owned(),
                job.unwrap_or_else(|| row.unit.unwrap_or("").to_owned()),
                row.result().to_owned(),
                row.text.clone().unwrap_or_default(),
            ]
        })),
    }
}

#[derive(Serialize)]
struct Results<'a> {
    results: &'a [Row<'a>],
}

/// What became of one thing, in JSON.
#[derive(Default)]
struct Row<'a> {
    verb: &'static str,
    node: Option<&'a str>,
    unit: Option<&'a str>,
    job: Option<u32>,
    changes: &'a [Change],
    text: Option<String>,
}

impl<'a> Row<'a> {
    fn of(done: &'a Done<Effect>) -> Self {
        let (changes, text) = match &done.answer {
            Ok(effect) => (effect.changes.as_slice(), None),
            Err(fault) => (&[][..], Some(fault.to_string())),
        };
        Self {
            verb: done.verb,
            node: Some(done.node.as_str()),
            unit: super::known(&done.unit),
            job: None,
            changes,
            text,
        }
    }

    fn result(&self) -> &'static str {
        match self.text {
            None => "done",
            Some(_) => "error",
        }
    }

    fn result_cells(&self, look: &Look) -> [String; 2] {
        let result = look.paint.mood(Mood::of(self.result()), self.result());
        [result, clean(self.text.as_deref().unwrap_or_default())]
    }
}

impl Serialize for Row<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct ChangeJson<'a> {
            change: &'a str,
            file: &'a str,
            source: Option<&'a str>,
        }
        #[derive(Serialize)]
        struct RowJson<'a> {
            verb: &'a str,
            node: Option<&'a str>,
            unit: Option<&'a str>,
            job: Option<u32>,
            result: &'a str,
            text: Option<&'a str>,
            changes: Vec<ChangeJson<'a>>,
        }
        RowJson {
            verb: self.verb,
            node: self.node,
            unit: self.unit,
            job: self.job,
            result: self.result(),
            text: self.text.as_deref(),
            changes: self
                .changes
                .iter()
                .map(|(change, file, source)| ChangeJson {
                    change,
                    file,
                    source: super::known(source),
                })
                .collect(),
        }
        .serialize(serializer)
    }
}
