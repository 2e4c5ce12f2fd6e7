//! `Wants=` on a unit of another node, and `StopWhenUnneeded=yes` there.

use anyhow::ensure;

use crate::world::{
    AT_ONCE, SOON, await_failed, await_inactive, await_no_holds, await_no_needs, ctl_ok, ensure_is,
    scene, three,
};

#[test]
fn a_target_runs_while_its_source_does_and_nothing_stays_of_it_afterwards() {
    scene(three("wants"), |fleet| {
        let (worker1, worker2) = (fleet.node("worker1"), fleet.node("worker2"));
        for _ in 0..2 {
            ctl_ok(fleet, "start worker1 source.service")?;
            ensure_is(worker1, "source.service", "active")?;
            ensure_is(worker1, "proxy@worker2_target.service", "active")?;
            ensure_is(worker2, "target.service", "active")?;
            ensure_is(worker2, "dep@target.service", "active")?;

            ctl_ok(fleet, "stop worker1 source.service")?;
            await_inactive(worker2, "target.service", AT_ONCE)?;
            await_no_needs(worker1)?;
            await_no_holds(worker2)?;
        }
        for node in [worker1, worker2] {
            let failed = node.systemctl(&["--failed", "--plain", "--no-legend"])?;
            ensure!(failed.is_empty(), "{}: {failed}", node.name());
        }
        Ok(())
    });
}

#[test]
fn a_source_that_only_wants_its_target_starts_without_it() {
    scene(three("wants"), |fleet| {
        let (worker1, worker2) = (fleet.node("worker1"), fleet.node("worker2"));
        ctl_ok(fleet, "start worker1 optimist.service")?;
        ensure_is(worker1, "optimist.service", "active")?;
        await_failed(worker2, "broken.service", SOON)?;
        await_failed(worker1, "proxy@worker2_broken.service", SOON)
    });
}
