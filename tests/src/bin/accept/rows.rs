//! The measurements.

use std::{
    sync::atomic::Ordering,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use tests::rng::Rng;

use crate::{
    row::Table,
    traffic::{Sum, Traffic},
    world::World,
};

/// How long a job takes under load.
const JOB: Duration = Duration::from_millis(50);

/// Clients at the same time.
const CLIENTS: u64 = 4;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What holds for the jobs of all clients: each was carried out once, and whoever waited heard of it.
fn sum_up(table: &mut Table, of: &'static str, world: &World, sum: &Sum) {
    for wrong in sum.wrong.iter().take(5) {
        table.count(of, &format!("a client said: {}", wrong.trim()), 1, 0);
    }
    table.count(of, "clients with another end", sum.wrong.len(), 0);
    table.count(
        of,
        "jobs carried out, of those that ended well",
        world.jobs(),
        sum.done,
    );
    let known = world.counts.repeated.load(Ordering::Relaxed);
    table.count(
        of,
        &format!("clients that found no controller ({known} commands told again)"),
        sum.absent,
        sum.absent,
    );
}

/// Reloads of a changed configuration under load.
pub(crate) fn reload(table: &mut Table, agents: usize, times: u32) -> Result<()> {
    let of = "reload";
    let world = World::new(agents, JOB)?;
    world.await_answer()?;
    let traffic = Traffic::begin(&world.commands, agents, CLIENTS);
    let mut took = Vec::new();
    for time in 0..times {
        world.configure(&format!("graceful_shutdown_timeout = \"{}s\"\n", 10 + time))?;
        let began = Instant::now();
        let output = world.commands.ctl(&["daemon", "reload"])?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        took.push(began.elapsed());
    }
    let sum = traffic.end()?;
    table.count(
        of,
        &format!("agents that lost their connection in {times} reloads"),
        world.lost(),
        0,
    );
    table.time(of, "ctl daemon reload, with its own start", took, ms(100));
    sum_up(table, of, &world, &sum);
    Ok(())
}

/// Restarts under load, in order or by SIGKILL at a random moment.
pub(crate) fn restart(table: &mut Table, agents: usize, times: u32, kill: bool) -> Result<()> {
    let of = if kill { "kill" } else { "restart" };
    let mut world = World::new(agents, JOB)?;
    world.await_answer()?;
    let traffic = Traffic::begin(&world.commands, agents, CLIENTS);
    let mut rng = Rng::new(1);
    let mut took = Vec::new();
    for _ in 0..times {
        thread::sleep(rng.millis(0, 300));
        world.signal(if kill { Signal::KILL } else { Signal::INT })?;
        world.await_end()?;
        let began = Instant::now();
        world.start()?;
        // Those of the run before are counted out as they notice.
        while world.lost() < u64::try_from(agents)? * (u64::try_from(took.len())? + 1) {
            ensure!(
                began.elapsed() < Duration::from_secs(60),
                "agents do not notice"
            );
            thread::sleep(ms(1));
        }
        world.await_online()?;
        took.push(began.elapsed());
        world.await_answer()?;
    }
    let sum = traffic.end()?;
    let what = format!("all {agents} agents are back after the start, {times} times");
    table.time(of, &what, took, ms(250));
    table.count(
        of,
        "connections that were refused",
        world.counts.failed.load(Ordering::Relaxed),
        0,
    );
    sum_up(table, of, &world, &sum);
    Ok(())
}

/// Restarts with signals in each start: none of them ends it.
pub(crate) fn storm(table: &mut Table, times: u32) -> Result<()> {
    let of = "storm";
    let mut world = World::without_agents(0, JOB, "")?;
    let (mut rng, mut died) = (Rng::new(1), 0);
    for _ in 0..times {
        world.start()?;
        // The shell that passes the socket has no handler; it is the controller from here on.
        thread::sleep(ms(15));
        for _ in 0..8 {
            if world.signal(Signal::HUP).is_err() {
                died += 1;
                break;
            }
            thread::sleep(rng.millis(0, 5));
        }
        world.await_answer().context("after signals")?;
        world.signal(Signal::TERM)?;
        ensure!(world.await_end()?.success(), "{}", world.log());
    }
    table.count(
        of,
        &format!("deaths in {times} starts with 8 HUPs each"),
        died,
        0,
    );
    Ok(())
}

/// Agents that connect for the first time while the controller is restarted.
pub(crate) fn connect(table: &mut Table, agents: usize, times: u32) -> Result<()> {
    let of = "connect";
    let mut took = Vec::new();
    let mut failed = 0;
    for _ in 0..times {
        let mut world = World::without_agents(agents, JOB, "")?;
        world.start()?;
        thread::sleep(ms(50));
        world.signal(Signal::KILL)?;
        world.await_end()?;
        let lost = world.lost();
        let before = world.counts.failed.load(Ordering::Relaxed);
        let began = Instant::now();
        world.start()?;
        world.await_online()?;
        took.push(began.elapsed());
        failed += world
            .counts
            .failed
            .load(Ordering::Relaxed)
            .saturating_sub(before + lost);
    }
    table.count(
        of,
        &format!("connections refused or reset, of {agents} agents"),
        failed.min(1),
        0,
    );
    table.time(of, "all are online after the start", took, ms(2_000));
    Ok(())
}

/// A stop with a job under way, with and without a limit, and a second TERM.
pub(crate) fn drain(table: &mut Table, short: bool) -> Result<()> {
    let of = "drain";
    let (job, limit) = if short { (1_000, 400) } else { (5_000, 2_000) };
    for (timeout, ends) in [(60_000, job), (limit, limit), (0, job)] {
        let more = format!("graceful_shutdown_timeout = \"{timeout}ms\"\n");
        let mut world = World::without_agents(1, ms(job), &more)?;
        world.start()?;
        world.await_online()?;
        world.await_answer()?;
        let ctl = world
            .commands
            .command(&["start", "fake00001", "app1.service"])
            .spawn()?;
        world.await_jobs(0)?;
        let began = Instant::now();
        world.signal(Signal::TERM)?;
        thread::sleep(ms(limit / 2));
        world.signal(Signal::TERM)?;
        let status = world.await_end()?;
        let took = began.elapsed();
        world.start()?;
        let output = ctl.wait_with_output()?;
        let within = took + ms(200) >= ms(ends) && took <= ms(ends) * 4;
        let what = format!("{timeout} ms for a job of {job} ms: ends after {ends} ms");
        table.count(
            of,
            &format!("{what} (took {took:.0?}), exit"),
            (within, status.code()).1.filter(|_| within).unwrap_or(-1),
            0,
        );
        table.count(
            of,
            &format!("{timeout} ms: ctl that waits"),
            output.status.code().unwrap_or(-1),
            0,
        );
        table.count(
            of,
            &format!("{timeout} ms: jobs carried out"),
            world.jobs(),
            1,
        );
    }
    Ok(())
}

/// An interruption with a job under way.
pub(crate) fn int(table: &mut Table) -> Result<()> {
    let of = "int";
    let mut world = World::new(1, ms(1_500))?;
    world.await_answer()?;
    let ctl = world
        .commands
        .command(&["start", "fake00001", "app1.service"])
        .spawn()?;
    world.await_jobs(0)?;
    let began = Instant::now();
    world.signal(Signal::INT)?;
    let status = world.await_end()?;
    table.time(of, "ends", vec![began.elapsed()], ms(100));
    table.count(of, "exit code", status.code().unwrap_or(-1), 130);
    world.start()?;
    world.await_online()?;
    world.await_answer()?;
    let found = world.commands.ctl(&["-o", "plain", "list-jobs"])?;
    let found = String::from_utf8_lossy(&found.stdout)
        .matches("fake00001")
        .count();
    table.count(of, "jobs that the next one knows", found, 1);
    let output = ctl.wait_with_output()?;
    table.count(of, "ctl that waits", output.status.code().unwrap_or(-1), 0);
    table.count(of, "jobs carried out", world.jobs(), 1);
    Ok(())
}

/// Links that are broken for less than the window: nobody is told.
pub(crate) fn cut(table: &mut Table, agents: usize) -> Result<()> {
    let of = "cut";
    let world = World::new(agents, ms(3_000))?;
    world.await_answer()?;
    let ctl = world
        .commands
        .command(&["start", "fake00001", "app1.service"])
        .spawn()?;
    world.await_jobs(0)?;
    let offline = |world: &World| world.log().matches("node is offline").count();
    let before = offline(&world);
    world.break_links(true);
    thread::sleep(ms(1_500));
    world.break_links(false);
    world.await_online()?;
    let output = ctl.wait_with_output()?;
    table.count(
        of,
        &format!("of {agents} nodes called offline, links broken for 1.5 s"),
        offline(&world),
        before,
    );
    table.count(of, "links that broke", world.lost(), u64::try_from(agents)?);
    table.count(of, "ctl that waits", output.status.code().unwrap_or(-1), 0);
    table.count(of, "jobs carried out", world.jobs(), 1);
    Ok(())
}
