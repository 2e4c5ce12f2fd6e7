//! A table whose rows come one by one. Columns get wider when something longer comes.

use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;

use super::{Look, Mood, Paint, clean, fit::cut, json, plain};
use crate::cli::Output;

/// What the first column of every stream is called: the moment at which a row came.
const TIME: &str = "TIME";

/// A row.
pub(crate) struct Row<'a, J: Serialize> {
    /// Microseconds since 1970, by the clock of this machine.
    pub(crate) time: u64,
    pub(crate) cells: Vec<(String, Mood)>,
    /// For a program that splits lines.
    pub(crate) plain: Vec<String>,
    pub(crate) json: &'a J,
}

/// The rows so far, as far as the next depends on them.
#[derive(Debug)]
pub(crate) struct Stream {
    header: &'static [&'static str],
    /// Of all columns but the last.
    widths: Vec<usize>,
    is_begun: bool,
    zone: TimeZone,
    look: Look,
}

impl Stream {
    /// A table that begins with these widths of its columns, of which the last has none.
    pub(crate) fn new(
        header: &'static [&'static str],
        widths: &[usize],
        zone: TimeZone,
        look: &Look,
    ) -> Self {
        let columns = header.len().saturating_sub(1);
        let width = |at: usize| {
            let own = header.get(at).map_or(0, |name| name.chars().count());
            own.max(widths.get(at).copied().unwrap_or(0))
        };
        Self {
            header,
            widths: (0..columns).map(width).collect(),
            is_begun: false,
            zone,
            look: *look,
        }
    }

    /// The next row, with the header before the first.
    pub(crate) fn row<J: Serialize>(&mut self, row: &Row<'_, J>) -> String {
        match self.look.output {
            Output::Json => json(row.json),
            Output::Plain => plain([[row.time.to_string()]
                .into_iter()
                .chain(row.plain.iter().cloned())
                .collect::<Vec<_>>()]),
            Output::Table => self.line(row.time, &row.cells),
        }
    }

    fn line(&mut self, time: u64, cells: &[(String, Mood)]) -> String {
        let cells: Vec<(String, Mood)> = cells
            .iter()
            .map(|(text, mood)| (clean(text), *mood))
            .collect();
        let max = self
            .look
            .width
            .map_or(usize::MAX, |width| (width / 3).max(8));
        for (width, (text, _)) in self.widths.iter_mut().zip(&cells) {
            *width = text.chars().count().min(max).max(*width);
        }
        let mut text = String::new();
        if self.look.legend && !self.is_begun {
            let names = self.header.iter();
            let names = names.map(|name| ((*name).to_owned(), Mood::Neutral));
            let header = self.columns(TIME, &names.collect::<Vec<_>>());
            let line = "-".repeat(header.chars().count());
            text.push_str(&format!("{header}\n{line}\n"));
        }
        self.is_begun = true;
        text.push_str(&self.columns(&self.clock(time), &cells));
        text.push('\n');
        text
    }

    fn columns(&self, time: &str, cells: &[(String, Mood)]) -> String {
        let mut text = format!("{time:8}");
        let mut used = 8;
        for (at, (cell, mood)) in cells.iter().enumerate() {
            let width = match self.widths.get(at) {
                Some(width) => *width,
                // The last column has what is left.
                None => self
                    .look
                    .width
                    .map_or(usize::MAX, |width| width.saturating_sub(used + 3).max(8)),
            };
            let cell = cut(cell, width);
            let fill = match self.widths.get(at) {
                Some(width) => " ".repeat(width.saturating_sub(cell.chars().count())),
                None => String::new(),
            };
            used += 3 + cell.chars().count() + fill.len();
            text.push_str(&format!(" | {}{fill}", self.paint().mood(*mood, &cell)));
        }
        text.trim_end().to_owned()
    }

    fn clock(&self, time: u64) -> String {
        let usec = i64::try_from(time).unwrap_or(i64::MAX);
        let moment = Timestamp::from_microsecond(usec).unwrap_or(Timestamp::MAX);
        let local = moment.to_zoned(self.zone.clone());
        local.strftime("%H:%M:%S").to_string()
    }

    fn paint(&self) -> Paint {
        self.look.paint
    }
}
