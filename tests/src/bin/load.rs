//! A client that hides nothing, by hand: see `tests::load`. It ends with 1 when a request was lost.

use std::{io::Write, net::ToSocketAddrs, process::ExitCode, thread, time::Duration};

use anyhow::{Context, Result};
use clap::Parser;
use tests::load::{Load, Pace, Target};

/// Asks a server again and again, and counts every request that was not answered.
#[derive(Debug, Parser)]
struct Cli {
    /// Whom to ask: HOST:PORT, or the path of a socket
    target: String,
    /// How many at once
    #[arg(long, default_value_t = 16)]
    clients: u32,
    /// Use connections again
    #[arg(long)]
    keep: bool,
    /// How long each waits after an answer, in ms
    #[arg(long, default_value_t = 0)]
    think: u64,
    /// So many requests each second by all together, whether answers come or not
    #[arg(long)]
    rate: Option<u32>,
    /// Which page
    #[arg(long, default_value = "/")]
    page: String,
    /// For how long
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    let target = if cli.target.starts_with('/') {
        Target::Unix(cli.target.into())
    } else {
        let mut addresses = cli.target.to_socket_addrs().context("no HOST:PORT")?;
        Target::Tcp(addresses.next().context("the name has no address")?)
    };
    let load = Load {
        target,
        page: cli.page,
        clients: cli.clients,
        is_kept: cli.keep,
        pace: match cli.rate {
            Some(per_second) => Pace::Open(per_second),
            None => Pace::Closed(Duration::from_millis(cli.think)),
        },
    };
    let running = load.start();
    thread::sleep(Duration::from_secs(cli.seconds));
    let report = running.stop();
    writeln!(std::io::stdout(), "{report}")?;
    Ok(ExitCode::from(u8::from(report.losses() > 0)))
}
