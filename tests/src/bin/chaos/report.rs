//! What the run shows: a line while it goes on, a table or JSON at its end.

#![expect(clippy::print_stdout, reason = "standard output is for the summary")]
#![expect(clippy::print_stderr, reason = "and standard error for the rest")]

use std::collections::BTreeMap;
use std::io::{IsTerminal, stderr};
use std::time::Duration;

use serde_json::json;

/// How the summary is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Table,
    Json,
}

/// All that a run comes to.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) seed: u64,
    pub(crate) nodes: usize,
    pub(crate) units: usize,
    pub(crate) proxies: usize,
    pub(crate) elapsed: Duration,
    pub(crate) restarts: usize,
    pub(crate) quiet_points: usize,
    /// The longest time from the last fault until all was as it must be.
    pub(crate) slowest_quiet: Duration,
    /// So many units, proxies and holds have ended, each of which was looked into.
    pub(crate) ends: usize,
    /// For each action how often it was done, and how often it was not possible.
    pub(crate) counts: BTreeMap<&'static str, (usize, usize)>,
    pub(crate) violations: Vec<String>,
}

impl Summary {
    /// Writes it to standard output.
    pub(crate) fn print(&self, format: Format) {
        match format {
            Format::Table => print!("{}", self.table()),
            Format::Json => println!("{}", self.json()),
        }
    }

    fn table(&self) -> String {
        let mut text = format!("{:<26} {:>6} {:>14}\n", "ACTION", "DONE", "NOT POSSIBLE");
        for (action, (done, failed)) in &self.counts {
            text.push_str(&format!("{action:<26} {done:>6} {failed:>14}\n"));
        }
        text.push_str(&format!(
            "\n{:<26} {}\n{:<26} {} nodes, {} units, {} proxies\n{:<26} {}\n{:<26} {}\n\
             {:<26} {}, the slowest after {:.1} s\n{:<26} {}\n{:<26} {}\n",
            "seed",
            self.seed,
            "fleet",
            self.nodes,
            self.units,
            self.proxies,
            "time",
            clock(self.elapsed),
            "daemons restarted",
            self.restarts,
            "quiet points",
            self.quiet_points,
            self.slowest_quiet.as_secs_f64(),
            "ends looked into",
            self.ends,
            "violations",
            self.violations.len(),
        ));
        for violation in &self.violations {
            text.push_str(&format!("  {violation}\n"));
        }
        text
    }

    fn json(&self) -> String {
        let counts: BTreeMap<_, _> = self
            .counts
            .iter()
            .map(|(action, (done, failed))| {
                (*action, json!({ "done": done, "not_possible": failed }))
            })
            .collect();
        json!({
            "seed": self.seed,
            "nodes": self.nodes,
            "units": self.units,
            "proxies": self.proxies,
            "elapsed_ms": u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX),
            "daemons_restarted": self.restarts,
            "quiet_points": self.quiet_points,
            "slowest_quiet_ms": u64::try_from(self.slowest_quiet.as_millis()).unwrap_or(u64::MAX),
            "ends": self.ends,
            "actions": counts,
            "violations": self.violations,
        })
        .to_string()
    }
}

/// Where the run is: one line that is written over on a terminal, and else one of many.
pub(crate) fn progress(elapsed: Duration, goal: &str, quiet: usize, deeds: usize, restarts: usize) {
    let line = format!(
        "{} of {goal}: {quiet} quiet points, {deeds} actions, {restarts} daemons restarted",
        clock(elapsed)
    );
    if stderr().is_terminal() {
        eprint!("\r\x1b[K{line}");
    } else {
        eprintln!("{line}");
    }
}

/// Begins a new line after the last progress.
pub(crate) fn end_progress() {
    if stderr().is_terminal() {
        eprintln!();
    }
}

/// A line for people.
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}

fn clock(span: Duration) -> String {
    let seconds = span.as_secs();
    format!("{} min {:02} s", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> Summary {
        Summary {
            seed: 7,
            nodes: 5,
            units: 55,
            proxies: 50,
            elapsed: Duration::from_secs(61),
            restarts: 3,
            quiet_points: 2,
            slowest_quiet: Duration::from_millis(1500),
            ends: 9,
            counts: BTreeMap::from([("start", (4, 1))]),
            violations: vec!["something".to_owned()],
        }
    }

    #[test]
    fn the_table_says_what_was_done_and_what_was_found() {
        let text = summary().table();
        assert!(
            text.contains("start                           4              1"),
            "{text}"
        );
        assert!(
            text.contains("violations                 1\n  something"),
            "{text}"
        );
    }

    #[test]
    fn json_has_the_same() {
        let json: serde_json::Value = serde_json::from_str(&summary().json()).unwrap();
        assert_eq!(json["actions"]["start"]["done"], 4);
        assert_eq!(json["violations"][0], "something");
    }
}
