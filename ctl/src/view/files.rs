//! A list of unit files.

use serde::Serialize;

use super::{
    Look, Mood, Page, clean, json,
    missing::{self, MissingJson},
    plain, table,
};
use crate::{
    cli::Output,
    fleet::{Missing, UnitFile},
};

/// The unit files, and a message for each node that did not answer.
pub(crate) fn page(files: &[UnitFile], missing: &[Missing], look: &Look) -> Page {
    let data = match look.output {
        Output::Table => {
            let rows = files.iter().map(|file| {
                let mood = match file.state.as_str() {
                    "enabled" | "enabled-runtime" => Mood::Good,
                    "masked" | "masked-runtime" | "bad" => Mood::Bad,
                    "disabled" => Mood::Busy,
                    _ => Mood::Neutral,
                };
                [
                    file.node.clone(),
                    clean(&file.file),
                    look.paint.mood(mood, &clean(&file.state)),
                ]
            });
            let summary = match files.len() {
                _ if !look.legend => String::new(),
                1 => "\n1 unit file\n".into(),
                count => format!("\n{count} unit files\n"),
            };
            table::write(["NODE", "UNIT FILE", "STATE"], rows, look) + &summary
        }
        Output::Json => json(&FilesJson {
            unit_files: files.iter().map(FileJson::of).collect(),
            missing: missing::all_json(missing),
        }),
        Output::Plain => plain(files.iter().map(|file| {
            let cells = [&file.node, &file.file, &file.state];
            cells.map(Clone::clone)
        })),
    };
    Page {
        data,
        messages: missing::messages("unit files", missing),
        exit: missing::exit(missing),
    }
}

#[derive(Serialize)]
struct FilesJson<'a> {
    unit_files: Vec<FileJson<'a>>,
    missing: Vec<MissingJson<'a>>,
}

#[derive(Serialize)]
struct FileJson<'a> {
    node: &'a str,
    unit_file: &'a str,
    path: &'a str,
    state: &'a str,
}

impl<'a> FileJson<'a> {
    fn of(file: &'a UnitFile) -> Self {
        Self {
            node: &file.node,
            unit_file: &file.file,
            path: &file.path,
            state: &file.state,
        }
    }
}
