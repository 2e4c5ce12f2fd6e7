//! Lines of journals, as journalctl(1) prints them, with the node in the place of the host.

use std::collections::BTreeMap;

use anstyle::{AnsiColor, Style};
use jiff::{Timestamp, tz::TimeZone};
use proto::name::NodeName;
use serde::Serialize;

use super::{Look, json, known, plain};
use crate::{
    cli::{Format, LogStyle, Output},
    journal::Line,
};

/// What journalctl(1) prints where there is nothing.
pub(crate) const NOTHING: &str = "-- No entries --\n";

/// Writes lines one after the other.
#[derive(Debug)]
pub(crate) struct Writer {
    format: Format,
    look: Look,
    zone: TimeZone,
    /// Whether lines of several nodes come.
    several: bool,
    /// The boot of the last line of each node.
    boots: BTreeMap<NodeName, String>,
}

impl Writer {
    /// In this format; `several` is whether nodes have to be told apart.
    pub(crate) fn new(format: Format, several: bool, zone: TimeZone, look: &Look) -> Self {
        Self {
            format,
            look: *look,
            zone,
            several,
            boots: BTreeMap::new(),
        }
    }

    /// Whether people read it.
    pub(crate) fn is_for_people(&self) -> bool {
        self.format.output() == Output::Table
    }

    /// The next line.
    pub(crate) fn line(&mut self, node: &NodeName, line: &Line) -> String {
        match self.format.output() {
            Output::Json => json(&LineJson::of(node, line)),
            Output::Plain => plain([plain_cells(node, line)]),
            Output::Table => self.for_people(node, line),
        }
    }

    fn for_people(&mut self, node: &NodeName, line: &Line) -> String {
        let style = self.format.style();
        let (mut text, head) = match style {
            LogStyle::Cat if self.several => (String::new(), format!("{node}: ")),
            LogStyle::Cat => (String::new(), String::new()),
            LogStyle::Short | LogStyle::ShortPrecise | LogStyle::ShortIso => {
                let time = time(line.realtime, style, &self.zone);
                (self.boot(node, line), head(&time, node, line))
            }
        };
        text.push_str(&message(&head, line, &self.look));
        text
    }

    /// That a node was booted between its last line and this one.
    fn boot(&mut self, node: &NodeName, line: &Line) -> String {
        let before = self.boots.insert(node.clone(), line.boot.clone());
        match before {
            Some(before) if before != line.boot => {
                format!("-- Boot {} of {node} --\n", printable(&line.boot))
            }
            Some(_) | None => String::new(),
        }
    }
}

/// The last lines of a unit, below its status.
pub(super) fn block(node: &NodeName, lines: &[Line], zone: &TimeZone, look: &Look) -> String {
    let mut text = String::new();
    for line in lines {
        let time = time(line.realtime, LogStyle::Short, zone);
        for row in message(&head(&time, node, line), line, look).lines() {
            text.push_str(&shortened(row, look.width));
            text.push('\n');
        }
    }
    text
}

/// What is wider than the terminal, shortened at its end. Colours do not count.
fn shortened(row: &str, width: Option<usize>) -> String {
    let mut is_code = false;
    let mut shown = |c: char| {
        let was_code = is_code || c == '\u{1b}';
        is_code = was_code && c != 'm';
        !was_code
    };
    let count = row.chars().filter(|c| shown(*c)).count();
    let Some(width) = width.filter(|width| count > *width) else {
        return row.to_owned();
    };
    let (mut text, mut at) = (String::new(), 0);
    for c in row.chars() {
        if !shown(c) {
            text.push(c);
            continue;
        }
        at += 1;
        if at < width {
            text.push(c);
        } else if at == width {
            text.push('\u{2026}');
        }
    }
    text
}

fn head(time: &str, node: &NodeName, line: &Line) -> String {
    let identifier = match printable(&line.identifier) {
        name if name.is_empty() => "unknown".to_owned(),
        name => name,
    };
    let pid = line.pid.map(|pid| format!("[{pid}]")).unwrap_or_default();
    format!("{time} {node} {identifier}{pid}: ")
}

/// A moment; the beginning of time for one that no calendar has.
fn time(usec: u64, style: LogStyle, zone: &TimeZone) -> String {
    let usec = i64::try_from(usec).unwrap_or(0);
    let moment = Timestamp::from_microsecond(usec).unwrap_or(Timestamp::UNIX_EPOCH);
    let format = match style {
        LogStyle::Short | LogStyle::Cat => "%b %d %H:%M:%S",
        LogStyle::ShortPrecise => "%b %d %H:%M:%S%.6f",
        LogStyle::ShortIso => "%Y-%m-%dT%H:%M:%S%z",
    };
    moment.to_zoned(zone.clone()).strftime(format).to_string()
}

/// The message behind its head. Further lines of it begin where the first one does.
fn message(head: &str, line: &Line, look: &Look) -> String {
    let style = match line.priority {
        Some(0..=3) => AnsiColor::Red.on_default().bold(),
        Some(4) => AnsiColor::Yellow.on_default(),
        Some(5) => Style::new().bold(),
        Some(7) => Style::new().dimmed(),
        Some(_) | None => Style::new(),
    };
    let paint = |text: &str| {
        if style == Style::new() {
            text.to_owned()
        } else {
            look.paint.style(style, text)
        }
    };
    let indent = " ".repeat(head.chars().count());
    let mut rows: Vec<String> = line
        .message
        .trim_end_matches('\n')
        .split('\n')
        .map(printable)
        .collect();
    if let (Some(last), 1..) = (rows.last_mut(), line.cut) {
        last.push_str(&format!("\u{2026} ({} bytes more)", line.cut));
    }
    let mut text = String::new();
    for (at, row) in rows.iter().enumerate() {
        let before = if at == 0 { head } else { &indent };
        text.push_str(&format!("{before}{}\n", paint(row)));
    }
    text
}

/// A text without what a terminal would act on; tabs are kept.
pub(super) fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() && c != '\t' { ' ' } else { c };
    text.trim_end_matches('\r').chars().map(shown).collect()
}

fn plain_cells(node: &NodeName, line: &Line) -> [String; 7] {
    [
        line.realtime.to_string(),
        node.to_string(),
        line.unit.clone(),
        line.priority
            .map(|priority| priority.to_string())
            .unwrap_or_default(),
        line.identifier.clone(),
        line.pid.map(|pid| pid.to_string()).unwrap_or_default(),
        line.message.clone(),
    ]
}

/// A line for programs.
#[derive(Serialize)]
pub(super) struct LineJson<'a> {
    node: &'a str,
    unit: Option<&'a str>,
    time_usec: u64,
    monotonic_usec: u64,
    boot_id: Option<&'a str>,
    priority: Option<u8>,
    identifier: Option<&'a str>,
    pid: Option<u32>,
    invocation_id: Option<&'a str>,
    message: &'a str,
    cut_bytes: u64,
    cursor: Option<&'a str>,
}

impl<'a> LineJson<'a> {
    pub(super) fn of(node: &'a NodeName, line: &'a Line) -> Self {
        Self {
            node: node.as_str(),
            unit: known(&line.unit),
            time_usec: line.realtime,
            monotonic_usec: line.monotonic,
            boot_id: known(&line.boot),
            priority: line.priority,
            identifier: known(&line.identifier),
            pid: line.pid,
            invocation_id: known(&line.invocation),
            message: &line.message,
            cut_bytes: line.cut,
            cursor: known(&line.cursor),
        }
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("abcdef", 6, "abcdef"; "it fits")]
    #[test_case("abcdef", 4, "abc\u{2026}"; "it does not")]
    #[test_case("a\u{1b}[1mbcdef\u{1b}[0m", 4, "a\u{1b}[1mbc\u{2026}\u{1b}[0m"; "colours have no width")]
    fn rows_are_shortened(row: &str, width: usize, shown: &str) {
        assert_eq!(shortened(row, Some(width)), shown);
        assert_eq!(shortened(row, None), row);
    }
}
