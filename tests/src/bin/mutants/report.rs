//! What is said.

use std::io::Write;

use tabled::{builder::Builder, settings::Style};

use crate::{
    table::{Layer, Mutant},
    trial::Verdict,
};

/// What became of a mutant.
#[derive(Debug)]
pub(crate) struct Line {
    rule: String,
    name: String,
    faults: String,
    verdicts: Vec<(Layer, Verdict)>,
}

impl Line {
    pub(crate) fn new(mutant: &Mutant, verdicts: Vec<(Layer, Verdict)>) -> Self {
        Self {
            rule: mutant.rule.clone(),
            name: mutant.name.clone(),
            faults: mutant.faults.join(", "),
            verdicts,
        }
    }

    /// Whether every layer that must notice has done so.
    pub(crate) fn is_caught(&self) -> bool {
        let mut verdicts = self.verdicts.iter();
        verdicts.all(|(_, verdict)| *verdict != Verdict::Passed)
    }

    /// In a line, as soon as it is known.
    pub(crate) fn as_word(&self) -> String {
        let word = if self.is_caught() {
            "caught"
        } else {
            "SURVIVED"
        };
        format!("{word}: {} ({})", self.name, self.by())
    }

    fn by(&self) -> String {
        let verdicts = self.verdicts.iter().map(|(layer, verdict)| match verdict {
            Verdict::Passed => format!("{layer}: **survived**"),
            Verdict::Failed(_) => format!("{layer}: `{verdict}`"),
            Verdict::Broke(_) => format!("{layer}: {verdict}"),
        });
        verdicts.collect::<Vec<_>>().join("; ")
    }
}

/// The table of all.
pub(crate) fn print(lines: &[Line]) {
    let mut builder = Builder::default();
    builder.push_record(["rule", "mutant", "of", "caught by"]);
    for line in lines {
        builder.push_record([&line.rule, &line.name, &line.faults, &line.by()]);
    }
    let survived = lines.iter().filter(|line| !line.is_caught()).count();
    let table = builder.build().with(Style::markdown()).to_string();
    say(&format!(
        "\n{table}\n\n{} mutants, {survived} survived",
        lines.len()
    ));
}

/// What there is to break.
pub(crate) fn list(mutants: &[Mutant]) {
    for Mutant {
        name, rule, file, ..
    } in mutants
    {
        say(&format!("{}: {name}\n    {rule}", file.display()));
    }
}

/// Says something on standard output, where there is one.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
