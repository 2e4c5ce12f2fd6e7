//! What was measured, as tables for people and as JSON for programs.

use std::{
    fs,
    io::{self, IsTerminal, Write},
    time::Duration,
};

use anyhow::Result;
use serde::Serialize;
use tabled::{
    builder::Builder,
    settings::{Alignment, Style, object::Columns},
};

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Size {
    /// As the page of the documentation has it.
    Full,
    /// As continuous integration does.
    Short,
}

impl Size {
    /// The one or the other.
    pub(crate) fn pick<T>(self, full: T, short: T) -> T {
        match self {
            Self::Full => full,
            Self::Short => short,
        }
    }
}

/// All tables of a run, and where it ran.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) size: Size,
    machine: Machine,
    tables: Vec<Table>,
}

#[derive(Debug, Serialize)]
struct Machine {
    processor: String,
    cores: usize,
    kernel: String,
}

/// A table.
#[derive(Debug, Serialize)]
pub(crate) struct Table {
    title: &'static str,
    columns: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
    /// What is exact, and therefore has to hold on every machine.
    checks: Vec<Check>,
}

/// A value of a table.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "unit", content = "value", rename_all = "lowercase")]
pub(crate) enum Cell {
    Text(String),
    Count(u64),
    /// In microseconds.
    Micros(u64),
    Bytes(u64),
    /// Of something else in the same run.
    Ratio(f64),
    /// Of one core, in hundredths.
    Percent(f64),
    /// In each second.
    Rate(f64),
    /// It was not measured.
    Nothing,
}

#[derive(Debug, Serialize)]
struct Check {
    what: String,
    measured: f64,
    most: f64,
}

impl Check {
    fn holds(&self) -> bool {
        self.measured <= self.most
    }
}

impl Report {
    pub(crate) fn new(size: Size) -> Result<Self> {
        let info = fs::read_to_string("/proc/cpuinfo")?;
        let model = info.lines().find(|line| line.starts_with("model name"));
        let model = model.and_then(|line| line.split_once(": "));
        let machine = Machine {
            processor: model.map_or("unknown", |(_, name)| name).to_owned(),
            cores: std::thread::available_parallelism()?.get(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?
                .trim()
                .to_owned(),
        };
        let tables = Vec::new();
        Ok(Self {
            size,
            machine,
            tables,
        })
    }

    /// Adds a table that is whole.
    pub(crate) fn add(&mut self, table: Table) {
        self.tables.push(table);
    }

    /// Whether everything holds that is not a matter of the machine.
    pub(crate) fn is_exact(&self) -> bool {
        let mut checks = self.tables.iter().flat_map(|table| &table.checks);
        checks.all(Check::holds)
    }

    pub(crate) fn print(&self) -> Result<()> {
        let mut out = io::stdout().lock();
        let Machine {
            processor,
            cores,
            kernel,
        } = &self.machine;
        writeln!(out, "{processor}, {cores} cores, Linux {kernel}")?;
        for table in &self.tables {
            writeln!(out, "\n{}\n\n{}", table.title, table.draw())?;
            for check in &table.checks {
                let Check {
                    what,
                    measured,
                    most,
                } = check;
                let mark = if check.holds() { "holds" } else { "FAILS" };
                writeln!(
                    out,
                    "{mark}: {what}: {measured:.2}, which may be at most {most:.2}"
                )?;
            }
        }
        Ok(())
    }
}

impl Table {
    pub(crate) fn new(title: &'static str, columns: &[&'static str]) -> Self {
        progress(title);
        Self {
            title,
            columns: columns.to_vec(),
            rows: Vec::new(),
            checks: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, name: &str, cells: impl IntoIterator<Item = Cell>) {
        let mut row = vec![Cell::Text(name.to_owned())];
        row.extend(cells);
        progress(&format!("  {name}"));
        self.rows.push(row);
    }

    /// Something that does not depend on how fast the machine is.
    pub(crate) fn check(&mut self, what: &str, measured: f64, most: f64) {
        let what = what.to_owned();
        self.checks.push(Check {
            what,
            measured,
            most,
        });
    }

    fn draw(&self) -> String {
        let mut builder = Builder::default();
        builder.push_record(self.columns.iter().copied());
        for row in &self.rows {
            builder.push_record(row.iter().map(Cell::draw));
        }
        let mut table = builder.build();
        table.with(Style::markdown());
        table.modify(Columns::new(1..), Alignment::right());
        table.to_string()
    }
}

impl Cell {
    pub(crate) fn time(time: Duration) -> Self {
        Self::Micros(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
    }

    fn draw(&self) -> String {
        #[expect(clippy::cast_precision_loss, reason = "for people, with three digits")]
        match self {
            Self::Text(text) => text.clone(),
            Self::Count(count) => count.to_string(),
            Self::Micros(micros) if *micros < 10_000 => format!("{:.2} ms", *micros as f64 / 1e3),
            Self::Micros(micros) if *micros < 10_000_000 => format!("{} ms", micros / 1000),
            Self::Micros(micros) => format!("{:.1} s", *micros as f64 / 1e6),
            Self::Bytes(bytes) if *bytes < 10 << 10 => format!("{bytes} B"),
            Self::Bytes(bytes) if *bytes < 10 << 20 => format!("{} KiB", bytes >> 10),
            Self::Bytes(bytes) => format!("{:.1} MiB", *bytes as f64 / f64::from(1 << 20)),
            Self::Ratio(ratio) => format!("{ratio:.2}"),
            Self::Percent(percent) => format!("{percent:.2} %"),
            Self::Rate(rate) => format!("{rate:.0} /s"),
            Self::Nothing => String::new(),
        }
    }
}

/// Says on a terminal what is being measured.
pub(crate) fn progress(what: &str) {
    let mut err = io::stderr().lock();
    if err.is_terminal() {
        let _ = writeln!(err, "{what}");
    }
}
