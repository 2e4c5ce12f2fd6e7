//! What is wrong in unit files.

use serde::Serialize;

use super::{Look, Mood, Page, clean, deps, fit, json, missing, plain, status::or_dash, table};
use crate::{
    cli::Output,
    exit::Exit,
    fleet::Missing,
    verify::{Finding, Severity},
};

/// The findings about so many units that name units of other nodes.
pub(crate) fn page(
    findings: &[Finding],
    units: usize,
    missing: &[Missing],
    is_full: bool,
    look: &Look,
) -> Page {
    let data = match look.output {
        Output::Table => for_people(findings, units, look),
        Output::Json => json(&VerifyJson {
            findings: findings.iter().map(FindingJson::of).collect(),
            units,
            complete: missing.is_empty() && !is_full,
            missing: missing::all_json(missing),
        }),
        Output::Plain => plain(findings.iter().map(|it| {
            [
                it.severity.as_str().to_owned(),
                it.node.clone(),
                it.unit.clone(),
                it.check.to_owned(),
                it.what.clone(),
                it.right.clone(),
            ]
        })),
    };
    let mut messages = missing::messages("unit files", missing);
    messages.extend(deps::full(is_full));
    let has_errors = findings.iter().any(|it| it.severity == Severity::Error);
    let found = if has_errors {
        Exit::JobFailed
    } else {
        Exit::Done
    };
    Page {
        data,
        messages,
        exit: Exit::worst([found, missing::exit(missing)]),
    }
}

fn severity(finding: &Finding, look: &Look) -> String {
    let mood = match finding.severity {
        Severity::Error => Mood::Bad,
        Severity::Warning => Mood::Busy,
        Severity::Note => Mood::Idle,
    };
    look.paint.mood(mood, finding.severity.as_str())
}

/// A table, if the sentences in it fit onto the terminal; otherwise one below the other, because half
/// of a sentence is none.
fn for_people(findings: &[Finding], units: usize, look: &Look) -> String {
    let rows = findings.iter().map(|it| {
        [
            severity(it, look),
            it.node.clone(),
            clean(&it.unit),
            clean(&it.what),
            or_dash(&it.right),
        ]
    });
    let mut text = String::new();
    if !findings.is_empty() {
        let header = ["SEVERITY", "NODE", "UNIT", "WHAT", "WHAT WOULD BE RIGHT"];
        match table::write_whole(header, rows, look) {
            Some(table) => text.push_str(&table),
            None => findings
                .iter()
                .for_each(|it| text.push_str(&lines(it, look))),
        }
    }
    if look.legend {
        let count = |severity| findings.iter().filter(|it| it.severity == severity).count();
        let some = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
        let gap = if findings.is_empty() { "" } else { "\n" };
        text.push_str(&format!(
            "{gap}{} that name units of other nodes: {}, {}, {}\n",
            some(units, "unit"),
            some(count(Severity::Error), "error"),
            some(count(Severity::Warning), "warning"),
            some(count(Severity::Note), "note")
        ));
    }
    text
}

fn lines(finding: &Finding, look: &Look) -> String {
    let Finding {
        node, unit, what, ..
    } = finding;
    let head = format!("{}: {} on {node}", severity(finding, look), clean(unit));
    let right = match finding.right.as_str() {
        "" => String::new(),
        right => format!("  right would be: {}", clean(right)),
    };
    let what = format!("  {}", clean(what));
    [head, what, right]
        .iter()
        .filter(|line| !line.is_empty())
        .map(|line| fit::wrapped(line, "    ", look.width) + "\n")
        .collect()
}

#[derive(Serialize)]
struct VerifyJson<'a> {
    findings: Vec<FindingJson<'a>>,
    units: usize,
    complete: bool,
    missing: Vec<missing::MissingJson<'a>>,
}

#[derive(Serialize)]
struct FindingJson<'a> {
    severity: &'static str,
    check: &'static str,
    node: &'a str,
    unit: &'a str,
    what: &'a str,
    right: Option<&'a str>,
}

impl<'a> FindingJson<'a> {
    fn of(finding: &'a Finding) -> Self {
        Self {
            severity: finding.severity.as_str(),
            check: finding.check,
            node: &finding.node,
            unit: &finding.unit,
            what: &finding.what,
            right: super::known(&finding.right),
        }
    }
}
