//! Links that break, and agents that stand still.

use std::thread;

use anyhow::Result;

use super::{NEIGHBOURS, held, ms};
use crate::{
    row::Table,
    world::{Setup, World},
};

/// Links that are broken for less than the window: nobody is told.
pub(crate) fn cut(table: &mut Table, agents: usize) -> Result<()> {
    let of = "cut";
    let world = World::new(&Setup {
        neighbours: NEIGHBOURS,
        ..Setup::of(agents, ms(3_000))
    })?;
    world.await_answer()?;
    world.await_equal()?;
    let ctl = world
        .commands
        .command(&["start", "fake00001", "app1.service"])
        .spawn()?;
    world.await_jobs(0)?;
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
    held(table, of, &world, agents)
}

/// A tenth of the agents stand still for longer than the controller bears: their nodes are lost, then back, and
/// what they need and hold is as it was.
pub(crate) fn frozen(table: &mut Table, agents: usize, short: bool) -> Result<()> {
    let of = "frozen";
    let (silent, still) = if short {
        (2_000, 3_000)
    } else {
        (6_000, 9_000)
    };
    let more = format!(
        "[heartbeat]\ninterval = \"{}ms\"\nthreshold = \"{silent}ms\"\n",
        silent / 3
    );
    let world = World::new(&Setup {
        neighbours: NEIGHBOURS,
        more: &more,
        ..Setup::of(agents, ms(10))
    })?;
    world.await_answer()?;
    world.await_equal()?;
    let frozen = agents / 10;
    let before = offline(&world);
    world.freeze(frozen);
    thread::sleep(ms(still));
    let lost = offline(&world) - before;
    let named = world.offline_nodes()?;
    world.freeze(0);
    world.await_lost(u64::try_from(frozen)?)?;
    world.await_online()?;
    world.await_none_offline()?;
    let what = format!("nodes called offline, of {frozen} that stood still for {still} ms");
    table.count(of, &what, lost, frozen);
    table.count(of, "nodes that ctl shows as offline", named, frozen);
    table.count(
        of,
        "nodes called offline after that",
        offline(&world) - before - lost,
        0,
    );
    held(table, of, &world, agents)
}

/// How often a node was called offline.
fn offline(world: &World) -> usize {
    world.log().matches("node is offline").count()
}
