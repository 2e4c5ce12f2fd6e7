//! `After=` and `Before=` between units of two nodes, at start and at stop.

use anyhow::ensure;

use crate::world::{SOON, await_inactive, ctl_ok, moment, remember, scene, three};

#[test]
fn units_of_two_nodes_start_one_after_the_other_and_stop_in_reverse() {
    let builder = remember(three("order"), "worker1", "source.service early.service");
    scene(remember(builder, "worker2", "target.service"), |fleet| {
        let (worker1, worker2) = (fleet.node("worker1"), fleet.node("worker2"));
        ctl_ok(fleet, "start worker1 source.service")?;
        let started = [
            (
                "early is up",
                moment(worker1, "early.service", "ActiveEnterTimestampMonotonic")?,
            ),
            (
                "target begins",
                moment(worker2, "target.service", "InactiveExitTimestampMonotonic")?,
            ),
            (
                "target is up",
                moment(worker2, "target.service", "ActiveEnterTimestampMonotonic")?,
            ),
            (
                "proxy is up",
                moment(
                    worker1,
                    "proxy@worker2_target.service",
                    "ActiveEnterTimestampMonotonic",
                )?,
            ),
            (
                "source begins",
                moment(worker1, "source.service", "InactiveExitTimestampMonotonic")?,
            ),
        ];
        ensure!(started.is_sorted_by_key(|(_, at)| *at), "{started:?}");

        ctl_ok(fleet, "stop worker1 source.service")?;
        await_inactive(worker2, "target.service", SOON)?;
        await_inactive(worker1, "early.service", SOON)?;
        let stopped = [
            (
                "source begins to stop",
                moment(worker1, "source.service", "ActiveExitTimestampMonotonic")?,
            ),
            (
                "source is down",
                moment(worker1, "source.service", "InactiveEnterTimestampMonotonic")?,
            ),
            (
                "target begins to stop",
                moment(worker2, "target.service", "ActiveExitTimestampMonotonic")?,
            ),
            (
                "target is down",
                moment(worker2, "target.service", "InactiveEnterTimestampMonotonic")?,
            ),
        ];
        ensure!(stopped.is_sorted_by_key(|(_, at)| *at), "{stopped:?}");
        Ok(())
    });
}
