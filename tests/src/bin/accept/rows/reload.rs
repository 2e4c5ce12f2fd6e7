//! Reloads of changed configurations under load.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::{held, ms, sum_up, under_load};
use crate::row::{Table, share};

/// How long round trips are taken without any reload, to compare with.
const QUIET: Duration = ms(3_000);

/// Between two reloads.
const PAUSE: Duration = ms(20);

/// So many reloads, each of another configuration.
pub(crate) fn reload(table: &mut Table, agents: usize, times: u32) -> Result<()> {
    let of = "reload";
    let (world, traffic) = under_load(agents)?;
    world.counts.round_trips.take();
    thread::sleep(QUIET);
    let mut quiet = world.counts.round_trips.take();
    quiet.sort_unstable();
    let (mut commands, mut took) = (Vec::new(), Vec::new());
    let began = Instant::now();
    for time in 0..times {
        world.configure(&format!("graceful_shutdown_timeout = \"{}s\"\n", 10 + time))?;
        let began = Instant::now();
        let output = world
            .commands
            .ctl(&["--output", "json", "daemon", "reload"])?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        commands.push(began.elapsed());
        took.push(duration_of(&output.stdout)?);
        thread::sleep(PAUSE);
    }
    let rate = |count: usize, time: Duration| count as f64 / time.as_secs_f64();
    let reloading = world.counts.round_trips.take();
    let (before, during) = (
        rate(quiet.len(), QUIET),
        rate(reloading.len(), began.elapsed()),
    );
    let sum = traffic.end()?;
    table.count(
        of,
        &format!("agents that lost their connection in {times} reloads"),
        world.lost(),
        0,
    );
    table.time(of, "a reload, as the controller says", took, ms(50));
    table.time(
        of,
        "ctl daemon reload, with its own start",
        commands,
        ms(100),
    );
    let usual = share(&quiet, 99);
    let added = reloading
        .into_iter()
        .map(|trip| trip.saturating_sub(usual))
        .collect();
    table.time(
        of,
        &format!(
            "round trips of agents, beyond {usual:.1?} without reloads ({before:.0}/s, {during:.0}/s)"
        ),
        added,
        ms(50),
    );
    sum_up(table, of, &world, &sum);
    held(table, of, &world, agents)
}

/// How long the reload took, as the controller has measured it.
fn duration_of(said: &[u8]) -> Result<Duration> {
    let said: serde_json::Value = serde_json::from_slice(said)?;
    let took = said.get("duration_usec").and_then(|it| it.as_u64());
    Ok(Duration::from_micros(took.context("no duration")?))
}
