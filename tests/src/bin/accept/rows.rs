//! The measurements.

pub(crate) mod link;
pub(crate) mod mistakes;
pub(crate) mod reload;
pub(crate) mod restart;
pub(crate) mod stop;

use std::{sync::atomic::Ordering, time::Duration};

use anyhow::Result;

use crate::{
    row::Table,
    traffic::{Sum, Traffic},
    world::{Setup, World},
};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// How long a job takes under load.
const JOB: Duration = ms(50);

/// How often each agent asks the controller something under load.
const PING: Duration = ms(100);

/// Of how many others each node needs something.
const NEIGHBOURS: usize = 2;

/// A fleet under load: each agent sends ten messages in a second and needs something of two others, and
/// clients begin twenty jobs in a second.
fn under_load(agents: usize) -> Result<(World, Traffic)> {
    let world = World::new(&Setup {
        agents,
        job: JOB,
        ping: PING,
        neighbours: NEIGHBOURS,
        more: "",
    })?;
    world.await_answer()?;
    world.await_equal()?;
    let traffic = Traffic::begin(&world.commands, agents);
    Ok((world, traffic))
}

/// What holds for the jobs of all clients: each was carried out once, and whoever waited heard of it.
fn sum_up(table: &mut Table, of: &'static str, world: &World, sum: &Sum) {
    for wrong in sum.wrong.iter().take(5) {
        let line = wrong.lines().next().unwrap_or_default();
        table.count(of, &format!("a client said: {line}"), 1, 0);
    }
    table.count(of, "clients with another end", sum.wrong.len(), 0);
    let told = world.counts.repeated.load(Ordering::Relaxed);
    table.count(
        of,
        &format!(
            "jobs carried out, of those that ended well ({told} told again; {} clients found no controller, {} one that stops)",
            sum.absent, sum.refused
        ),
        world.jobs(),
        sum.done,
    );
}

/// What is needed is held, by the attempt that it was held by from the beginning.
fn held(table: &mut Table, of: &'static str, world: &World, agents: usize) -> Result<()> {
    world.await_equal()?;
    let (begun, released) = {
        let ledger = world.counts.ledger();
        (ledger.begun, ledger.released)
    };
    let wanted = u64::try_from(agents * NEIGHBOURS.min(agents.saturating_sub(1)))?;
    table.count(of, "holds that were begun, of all claims", begun, wanted);
    table.count(of, "holds that were given up", released, 0);
    Ok(())
}
