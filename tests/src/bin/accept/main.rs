//! What a restart, a crash, a reload and a broken link cost a fleet, measured: one controller as a plain process
//! behind a socket that outlives it, a private bus, simulated agents over real connections, and the
//! real `ctl` as its clients. Counts are asserted exactly, times with a factor of four.
//! tests/README.md says what each row means.

mod row;
mod rows;
mod traffic;
mod world;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, ValueEnum};

use rows::{link, mistakes, reload, restart, stop};

/// Measures what the fleet notices.
#[derive(Debug, Parser)]
struct Cli {
    /// What to measure; everything, if nothing is named
    rows: Vec<Which>,
    /// How many agents
    #[arg(long, default_value_t = 500)]
    agents: usize,
    /// Agents that connect at once in `connect`
    #[arg(long, default_value_t = 2000)]
    many: usize,
    /// A few repetitions of each instead of as many as the acceptance asks for
    #[arg(long)]
    short: bool,
}

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    /// Reloads under load
    Reload,
    /// Reloads of files with mistakes under load
    Mistakes,
    /// Restarts in order under load
    Restart,
    /// Kills under load
    Kill,
    /// Restarts with signals in each start
    Storm,
    /// Many agents that connect during a restart
    Connect,
    /// A stop with a job under way
    Drain,
    /// An interruption with jobs under way
    Int,
    /// Links that are broken for 1.5 s
    Cut,
    /// Agents that stand still for 9 s
    Frozen,
}

fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    let all = Which::value_variants();
    let chosen = if cli.rows.is_empty() { all } else { &cli.rows };
    let times = |full: u32, short: u32| if cli.short { short } else { full };
    let agents = cli.agents;
    let mut table = row::Table::default();
    for which in chosen {
        match which {
            Which::Reload => reload::reload(&mut table, agents, times(100, 5))?,
            Which::Mistakes => mistakes::mistakes(&mut table, agents)?,
            Which::Restart => restart::restart(&mut table, agents, times(20, 2))?,
            Which::Kill => restart::kill(&mut table, agents, times(100, 3))?,
            Which::Storm => stop::storm(&mut table, times(300, 5))?,
            Which::Connect => restart::connect(&mut table, cli.many, times(5, 1))?,
            Which::Drain => stop::drain(&mut table, cli.short)?,
            Which::Int => stop::int(&mut table)?,
            Which::Cut => link::cut(&mut table, agents)?,
            Which::Frozen => link::frozen(&mut table, agents, cli.short)?,
        }
    }
    table.print();
    Ok(if table.holds() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
