//! What Unitlink costs, and how the cost grows: tables of times, memory and processor time, each
//! with a ratio to something that was measured in the same run, because a machine is never the same
//! twice. docs/reference/performance.md has the tables of the last release and says what each
//! row is.

mod claims;
mod client;
mod dependency;
mod fanout;
mod footprint;
mod operation;
mod plain;
mod process;
mod recovery;
mod sample;
mod scale;
mod table;

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};

use table::{Report, Size};

/// Measures what Unitlink costs.
#[derive(Debug, Parser)]
struct Cli {
    /// What to measure; everything, if nothing is named
    tables: Vec<Which>,
    /// A few repetitions of each, and small fleets
    #[arg(long)]
    short: bool,
    /// Write the tables to this file as JSON too
    #[arg(long)]
    json: Option<PathBuf>,
}

/// One table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    /// `ctl` beside `systemctl`, on real nodes
    Operation,
    /// A dependency on another node beside one on its own, on real nodes
    Dependency,
    /// A controller with ever more agents
    Scale,
    /// A controller whose nodes need ever more of each other
    Claims,
    /// A change of a unit, for ever more subscribers
    Fanout,
    /// Memory, wake-ups, start-up and size
    Footprint,
    /// From a fault to everything settled
    Recovery,
}

fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    let size = if cli.short { Size::Short } else { Size::Full };
    let all = Which::value_variants();
    let chosen = if cli.tables.is_empty() {
        all
    } else {
        &cli.tables
    };
    let mut report = Report::new(size)?;
    for which in chosen {
        match which {
            Which::Operation => operation::measure(&mut report)?,
            Which::Dependency => dependency::measure(&mut report)?,
            Which::Scale => scale::measure(&mut report)?,
            Which::Claims => claims::measure(&mut report)?,
            Which::Fanout => fanout::measure(&mut report)?,
            Which::Footprint => footprint::measure(&mut report)?,
            Which::Recovery => recovery::measure(&mut report)?,
        }
    }
    report.print()?;
    if let Some(path) = &cli.json {
        let text = serde_json::to_string_pretty(&report)?;
        fs::write(path, text + "\n").with_context(|| path.display().to_string())?;
    }
    Ok(if report.is_exact() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
