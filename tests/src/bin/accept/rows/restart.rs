//! Restarts, kills and first starts with all agents waiting.

use std::{sync::atomic::Ordering, thread, time::Duration};

use anyhow::Result;
use rustix::process::Signal;
use tests::rng::Rng;

use super::{JOB, held, ms, sum_up, under_load};
use crate::{
    row::Table,
    world::{Back, Setup, World},
};

/// How soon all agents are to be back after a start.
const BACK: Duration = ms(250);

/// Restarts as `systemctl restart` does them, under load.
pub(crate) fn restart(table: &mut Table, agents: usize, times: u32) -> Result<()> {
    let of = "restart";
    let (mut world, traffic) = under_load(agents)?;
    let mut rng = Rng::new(1);
    let mut took = Vec::new();
    for _ in 0..times {
        thread::sleep(rng.millis(0, 300));
        world.signal(Signal::TERM)?;
        world.await_end()?;
        took.push(world.start_and_await_all()?);
        world.await_answer()?;
    }
    let sum = traffic.end()?;
    come_back(table, of, agents, &took);
    table.count(
        of,
        "connections that were refused",
        world.counts.failed.load(Ordering::Relaxed),
        0,
    );
    sum_up(table, of, &world, &sum);
    held(table, of, &world, agents)
}

/// The same by SIGKILL at any moment, a third of them while agents are just coming back.
pub(crate) fn kill(table: &mut Table, agents: usize, times: u32) -> Result<()> {
    let of = "kill";
    let (mut world, traffic) = under_load(agents)?;
    let mut rng = Rng::new(1);
    let mut took = Vec::new();
    for _ in 0..times {
        thread::sleep(rng.millis(0, 300));
        world.signal(Signal::KILL)?;
        world.await_end()?;
        if rng.below(3) == 0 {
            world.start()?;
            thread::sleep(rng.millis(0, 150));
            world.signal(Signal::KILL)?;
            world.await_end()?;
        }
        took.push(world.start_and_await_all()?);
        world.await_answer()?;
    }
    let sum = traffic.end()?;
    come_back(table, of, agents, &took);
    sum_up(table, of, &world, &sum);
    held(table, of, &world, agents)
}

fn come_back(table: &mut Table, of: &'static str, agents: usize, all: &[Back]) {
    let what = format!(
        "all {agents} agents are back after the start, {} times",
        all.len()
    );
    let took = all.iter().map(|back| back.took).collect();
    table.time(of, &what, took, BACK);
    let worked = all.iter().map(|back| back.worked).collect();
    table.time(
        of,
        "of that, the controller was on a processor",
        worked,
        BACK,
    );
}

/// Agents that connect for the first time before the controller is there, and again when it has been killed.
pub(crate) fn connect(table: &mut Table, agents: usize, times: u32) -> Result<()> {
    let of = "connect";
    let (mut first, mut again) = (Vec::new(), Vec::new());
    let mut failed = 0;
    for _ in 0..times {
        let mut world = World::without_controller(&Setup::of(agents, JOB))?;
        thread::sleep(ms(50));
        first.push(world.start_and_await_all()?);
        world.signal(Signal::KILL)?;
        world.await_end()?;
        again.push(world.start_and_await_all()?);
        failed += world.counts.failed.load(Ordering::Relaxed);
    }
    table.count(
        of,
        &format!("connections refused or reset, of {agents} agents"),
        failed,
        0,
    );
    let times = |all: Vec<Back>| all.into_iter().map(|back| back.took).collect();
    table.time(
        of,
        "all are online after the start",
        times(first),
        ms(2_000),
    );
    table.time(of, "all are back after a kill", times(again), ms(2_000));
    Ok(())
}
