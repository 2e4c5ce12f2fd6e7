//! `Requisite=` on a proxy. systemd looks at the proxy and starts nothing: it is up only while
//! another unit of the same node needs the remote unit. That the remote unit runs is not enough.

use anyhow::ensure;

use crate::world::{
    AT_ONCE, SOON, await_inactive, await_no_holds, ctl_ok, ctl_says, ensure_is, scene, three,
};

#[test]
fn a_start_fails_at_once_and_starts_nothing_while_the_proxy_is_not_up() {
    scene(three("requisite"), |fleet| {
        let (worker1, worker2) = (fleet.node("worker1"), fleet.node("worker2"));
        let refused = || ctl_says(fleet, "start worker1 source.service", 1, &["dependency"]);
        refused()?;
        ensure_is(worker2, "target.service", "inactive")?;

        // Also when the unit runs there for other reasons: nothing of this node holds it.
        worker2.write(
            "/etc/systemd/system/other.service",
            "[Unit]\nWants=target.service\n[Service]\nExecStart=/bin/sleep infinity\n",
        )?;
        worker2.systemctl(&["daemon-reload"])?;
        ctl_ok(fleet, "start worker2 other.service")?;
        ensure_is(worker2, "target.service", "active")?;
        refused()?;
        ensure!(
            worker1.property("source.service", "ActiveEnterTimestampMonotonic")? == "0",
            "the source was started"
        );
        await_no_holds(worker2)
    });
}

#[test]
fn a_source_starts_behind_a_proxy_that_is_up_and_stops_with_it() {
    scene(three("requisite"), |fleet| {
        let (worker1, worker2) = (fleet.node("worker1"), fleet.node("worker2"));
        ctl_ok(fleet, "start worker1 keeper.service")?;
        ctl_ok(fleet, "start worker1 source.service")?;
        ctl_ok(fleet, "stop worker2 target.service")?;
        await_inactive(worker1, "source.service", AT_ONCE)?;
        ensure_is(worker1, "keeper.service", "active")?;

        // It keeps the proxy as Requires= does, even when the one that brought it up has gone.
        ctl_ok(fleet, "restart worker1 keeper.service")?;
        ctl_ok(fleet, "start worker1 source.service")?;
        ctl_ok(fleet, "stop worker1 keeper.service")?;
        ensure_is(worker1, "source.service", "active")?;
        ensure_is(worker2, "target.service", "active")?;
        ctl_ok(fleet, "stop worker1 source.service")?;
        await_inactive(worker2, "target.service", SOON)?;
        await_no_holds(worker2)
    });
}
