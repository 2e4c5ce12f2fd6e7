//! What was measured, and whether it is as it should be.

use std::{fmt::Display, io::Write, time::Duration};

/// How much longer than wanted something may take on a machine that does other things too.
const SLACK: u32 = 4;

/// What so many of a hundred do not exceed; without any, as long as can be.
pub(crate) fn share(sorted: &[Duration], percent: usize) -> Duration {
    let last = sorted.len().saturating_sub(1);
    let at = (sorted.len() * percent / 100).min(last);
    sorted.get(at).copied().unwrap_or(Duration::MAX)
}

/// The rows of the table.
#[derive(Debug, Default)]
pub(crate) struct Table(Vec<Row>);

#[derive(Debug)]
struct Row {
    of: &'static str,
    what: String,
    measured: String,
    wanted: String,
    holds: bool,
}

impl Table {
    fn add(&mut self, row: Row) {
        let mark = if row.holds { "ok" } else { "FAILED" };
        let line = format!(
            "{}: {}: {} ({}) {mark}",
            row.of, row.what, row.measured, row.wanted
        );
        let _ = writeln!(std::io::stderr(), "{line}");
        self.0.push(row);
    }

    /// Something that is counted, and exact.
    pub(crate) fn count<T: Display + PartialEq>(
        &mut self,
        of: &'static str,
        what: &str,
        measured: T,
        wanted: T,
    ) {
        self.add(Row {
            of,
            what: what.to_owned(),
            measured: measured.to_string(),
            holds: measured == wanted,
            wanted: wanted.to_string(),
        });
    }

    /// Something that takes time: the median and what one of a hundred exceeds are shown, and the latter
    /// counts.
    pub(crate) fn time(
        &mut self,
        of: &'static str,
        what: &str,
        mut measured: Vec<Duration>,
        wanted: Duration,
    ) {
        measured.sort_unstable();
        let (median, most) = (share(&measured, 50), share(&measured, 99));
        self.add(Row {
            of,
            what: what.to_owned(),
            measured: format!("p50 {median:.1?}, p99 {most:.1?}"),
            wanted: format!("<= {wanted:?}"),
            holds: most <= wanted * SLACK,
        });
    }

    /// Whether all is as it should be.
    pub(crate) fn holds(&self) -> bool {
        self.0.iter().all(|row| row.holds)
    }

    pub(crate) fn print(&self) {
        let width =
            |of: fn(&Row) -> &str| self.0.iter().map(|row| of(row).len()).max().unwrap_or(0);
        let (what, measured, wanted) = (
            width(|row| &row.what),
            width(|row| &row.measured),
            width(|row| &row.wanted),
        );
        let mut out = std::io::stdout();
        for row in &self.0 {
            let mark = if row.holds { "ok" } else { "FAILED" };
            let _ = writeln!(
                out,
                "{:8} {:what$}  {:measured$}  {:wanted$}  {mark}",
                row.of, row.what, row.measured, row.wanted
            );
        }
    }
}
