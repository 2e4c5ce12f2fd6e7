//! Simulated agents of a running controller, many in one process: see `tests/README.md`.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use host::address::Address;
use proto::message::{ClaimKey, PROTOCOL};
use tests::fake::{self, Plan};
use tokio::sync::watch;

/// Runs simulated agents until it is killed. When all are registered, it says `online COUNT`.
#[derive(Debug, Parser)]
struct Cli {
    /// Where the controller listens, as a D-Bus address: tcp:host=10.77.0.1,port=842
    controller: Address,
    /// How many agents
    count: usize,
    /// What the names of the nodes begin with; a number of five digits follows
    #[arg(long, default_value = "fake")]
    prefix: String,
    /// Services that run on each node: app1.service and so on
    #[arg(long, default_value_t = 10)]
    services: usize,
    /// How often an agent says that it lives, in ms
    #[arg(long, default_value_t = 2000)]
    heartbeat: u64,
    /// How long a job takes, in ms
    #[arg(long, default_value_t = 10)]
    job_time: u64,
    /// On so many nodes, the first ones, every job fails
    #[arg(long, default_value_t = 0)]
    failing: usize,
    /// So many agents, the last ones, answer no call
    #[arg(long, default_value_t = 0)]
    silent: usize,
    /// What every node needs: NODE:UNIT; may be given several times
    #[arg(long, value_parser = need)]
    needs: Vec<ClaimKey>,
    /// Each node needs shared.service of so many nodes that come after it
    #[arg(long, default_value_t = 0)]
    neighbours: usize,
    /// How often each asks the controller whether it is there, in ms; 0 is never
    #[arg(long, default_value_t = 0)]
    ping: u64,
    /// Which version of the protocol they speak; 0 is BlueChi's
    #[arg(long, default_value_t = PROTOCOL)]
    protocol: u32,
    /// Write the drop-in that a controller needs to let them in, and end
    #[arg(long)]
    configuration: bool,
}

fn need(text: &str) -> Result<ClaimKey> {
    let (node, unit) = text.split_once(':').context("expected NODE:UNIT")?;
    Ok(ClaimKey {
        node: node.parse()?,
        unit: unit.parse()?,
    })
}

fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    let plan = Plan {
        prefix: cli.prefix,
        services: cli.services,
        heartbeat: Duration::from_millis(cli.heartbeat.max(1)),
        job_time: Duration::from_millis(cli.job_time),
        failing: cli.failing,
        silent: cli.silent,
        needs: cli.needs,
        neighbours: cli.neighbours,
        ping: Duration::from_millis(cli.ping),
        protocol: cli.protocol,
        ..Plan::new(cli.controller, cli.count)
    };
    let mut out = std::io::stdout();
    if cli.configuration {
        out.write_all(plan.configuration().as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let count = plan.count;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (online, mut counted) = watch::channel(0);
        let told = async {
            counted.wait_for(|online| *online == count).await?;
            writeln!(out, "online {count}")?;
            out.flush()?;
            std::future::pending::<Result<()>>().await
        };
        tokio::select! {
            ended = fake::run(plan, online) => ended,
            failed = told => failed,
        }
    })?;
    Ok(ExitCode::SUCCESS)
}
