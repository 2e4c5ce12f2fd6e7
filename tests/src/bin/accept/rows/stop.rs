//! Signals: in a start, with jobs under way, twice.

use std::{thread, time::Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use tests::rng::Rng;

use super::ms;
use crate::{
    row::Table,
    world::{Setup, World},
};

/// Jobs that are under way when the controller is interrupted.
const JOBS: usize = 5;

/// Restarts with signals in each start: none of them ends it.
pub(crate) fn storm(table: &mut Table, times: u32) -> Result<()> {
    let of = "storm";
    let mut world = World::without_controller(&Setup::of(0, ms(0)))?;
    let (mut rng, mut died) = (Rng::new(1), 0);
    for _ in 0..times {
        world.start()?;
        // The shell that passes the socket has no handler; it is the controller from here on.
        world.await_exec()?;
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

/// A stop with a job under way, with and without a limit, and a second TERM.
pub(crate) fn drain(table: &mut Table, short: bool) -> Result<()> {
    let of = "drain";
    let (job, limit) = if short { (1_000, 400) } else { (5_000, 2_000) };
    for (timeout, ends) in [(60_000, job), (limit, limit), (0, job)] {
        let more = format!("graceful_shutdown_timeout = \"{timeout}ms\"\n");
        let mut world = World::new(&Setup {
            more: &more,
            ..Setup::of(1, ms(job))
        })?;
        world.await_answer()?;
        let ctl = world
            .commands
            .command(&["start", "fake00001", "app1.service"])
            .spawn()?;
        world.await_jobs(0)?;
        let began = Instant::now();
        world.signal(Signal::TERM)?;
        thread::sleep(ms(limit / 4));
        let refused =
            world
                .commands
                .ctl(&["--timeout", "1s", "start", "fake00001", "app2.service"])?;
        let refused = String::from_utf8_lossy(&refused.stderr).into_owned();
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
        let is_named = refused.contains("org.unitlink.Stopping");
        let what = format!("{timeout} ms: a new job is refused by name");
        table.count(of, &what, is_named, true);
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

/// An interruption with jobs under way.
pub(crate) fn int(table: &mut Table) -> Result<()> {
    let of = "int";
    let mut world = World::new(&Setup::of(JOBS, ms(1_500)))?;
    world.await_answer()?;
    let waiting = (1..=JOBS).map(|number| {
        let node = format!("fake{number:05}");
        let mut ctl = world.commands.command(&["start", &node, "app1.service"]);
        Ok(ctl.spawn()?)
    });
    let waiting: Vec<_> = waiting.collect::<Result<_>>()?;
    world.await_jobs(u64::try_from(JOBS)? - 1)?;
    let began = Instant::now();
    world.signal(Signal::INT)?;
    let status = world.await_end()?;
    table.time(of, "ends", vec![began.elapsed()], ms(100));
    table.count(of, "exit code", status.code().unwrap_or(-1), 130);
    world.start_and_await_all()?;
    world.await_answer()?;
    let found = world.commands.ctl(&["-o", "plain", "list-jobs"])?;
    let found = String::from_utf8_lossy(&found.stdout)
        .matches("fake")
        .count();
    table.count(of, "jobs that the next one knows", found, JOBS);
    let mut well = 0;
    for ctl in waiting {
        well += usize::from(ctl.wait_with_output()?.status.success());
    }
    table.count(of, "ctl that waited and heard of a success", well, JOBS);
    let jobs = usize::try_from(world.jobs())?;
    table.count(of, "jobs carried out", jobs, JOBS);
    Ok(())
}
