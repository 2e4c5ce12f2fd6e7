//! `BindsTo=` on a unit of another node: both stop with each other within a second (F1, F2).

use test_case::test_case;

use crate::pair::Pair;
use crate::world::{AT_ONCE, await_failed, await_inactive, ctl_ok, scene, three};

#[test_case("worker1"; "the controller on a third node")]
#[test_case("main"; "the controller beside the source")]
fn each_stops_with_the_other(source: &str) {
    scene(three("binds_to"), |fleet| {
        let pair = Pair::of(fleet, source, "worker2");
        for _ in 0..3 {
            pair.start()?;
            pair.ensure_linked()?;
        }
        Ok(())
    });
}

#[test]
fn a_source_stops_however_its_target_ends() {
    scene(three("binds_to"), |fleet| {
        let pair = Pair::of(fleet, "worker1", "worker2");
        pair.start()?;
        pair.target.kill_service("target.service", "SIGKILL")?;
        await_inactive(pair.source, "source.service", AT_ONCE)?;
        await_failed(pair.target, "target.service", AT_ONCE)?;

        // It ends by itself, and well.
        pair.start()?;
        pair.target.kill_service("target.service", "SIGTERM")?;
        await_inactive(pair.source, "source.service", AT_ONCE)?;
        pair.ensure_nothing_left()
    });
}

#[test]
fn a_source_that_is_killed_releases_its_target() {
    scene(three("binds_to"), |fleet| {
        let pair = Pair::of(fleet, "worker1", "worker2");
        pair.start()?;
        pair.source.kill_service("source.service", "SIGKILL")?;
        await_failed(pair.source, "source.service", AT_ONCE)?;
        await_inactive(pair.target, "target.service", AT_ONCE)?;
        // And a start after it is one like any other.
        pair.start()?;
        pair.ensure_linked()
    });
}

#[test]
fn a_restart_of_the_source_does_not_touch_the_target() {
    scene(three("binds_to"), |fleet| {
        let pair = Pair::of(fleet, "worker1", "worker2");
        let (_, target) = pair.start()?;
        let before = ctl_ok(fleet, "-o plain status worker1 source.service")?;
        ctl_ok(fleet, "restart worker1 source.service")?;
        let (_, still) = pair.processes()?;
        anyhow::ensure!(target == still, "the target was started again");
        anyhow::ensure!(before != ctl_ok(fleet, "-o plain status worker1 source.service")?);
        pair.ensure_linked()
    });
}
