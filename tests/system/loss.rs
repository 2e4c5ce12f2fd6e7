//! What it means, by unit, that a node is out of sight, and a change of it meanwhile.

use anyhow::ensure;
use tests::fleet::FleetBuilder;

use crate::world::{
    SOON, await_inactive, await_status, configure, controller_drop_in, ctl_ok, ensure_is, scene,
    three,
};

const STOP: &str = "[claims]\nloss_grace = \"1s\"\n";

fn layout() -> FleetBuilder {
    let mut builder = configure(three("loss"), "50-loss", STOP);
    builder = configure(
        builder,
        "60-units",
        "[claims.unit.\"kept*\"]\non_loss = \"keep\"\n",
    );
    for name in ["kept", "plain"] {
        let proxy = format!("proxy@worker2_{name}.service");
        let service = "[Service]\nExecStart=/bin/sleep infinity\n";
        let source = format!("[Unit]\nBindsTo={proxy}\nAfter={proxy}\n\n{service}");
        builder = builder
            .unit_text("worker1", &format!("needs-{name}.service"), &source)
            .unit_text("worker2", &format!("{name}.service"), service);
    }
    builder
}

#[test]
fn what_a_loss_means_is_said_by_unit_and_a_change_holds_at_once() {
    scene(layout(), |fleet| {
        let (main, worker1) = (fleet.node("main"), fleet.node("worker1"));
        ctl_ok(fleet, "start worker1 needs-kept.service")?;
        ctl_ok(fleet, "start worker1 needs-plain.service")?;
        fleet.node("worker2").crash()?;
        await_inactive(worker1, "needs-plain.service", SOON)?;
        ensure_is(worker1, "needs-kept.service", "active")?;
        let path = controller_drop_in("60-units");
        main.write(&path, "[claims.unit.\"kept*\"]\non_loss = \"stop\"\n")?;
        main.systemctl(&["reload", "unitlink-controller.service"])?;
        await_inactive(worker1, "needs-kept.service", SOON)
    });
}

#[test]
fn how_long_a_need_outlives_its_node_is_said_by_unit_and_a_change_holds_at_once() {
    let graces =
        "[claims]\nsource_grace = \"1h\"\n[claims.unit.\"plain*\"]\nsource_grace = \"1s\"\n";
    scene(configure(layout(), "70-graces", graces), |fleet| {
        let (main, worker1) = (fleet.node("main"), fleet.node("worker1"));
        let worker2 = fleet.node("worker2");
        // What is held is stopped when it is not needed any more.
        for name in ["kept", "plain"] {
            let path = format!("/etc/systemd/system/{name}.service.d/unneeded.conf");
            worker2.write(&path, "[Unit]\nStopWhenUnneeded=yes\n")?;
        }
        worker2.systemctl(&["daemon-reload"])?;
        ctl_ok(fleet, "start worker1 needs-kept.service")?;
        ctl_ok(fleet, "start worker1 needs-plain.service")?;
        let kept = worker2.main_pid("kept.service")?;
        worker1.cut_link()?;
        await_inactive(worker2, "plain.service", SOON)?;
        ensure!(worker2.main_pid("kept.service")? == kept);
        worker1.heal_link()?;
        await_status(fleet, "worker1", "online", SOON)?;
        await_inactive(worker1, "needs-plain.service", SOON)?;
        ensure!(worker2.main_pid("kept.service")? == kept);
        ensure_is(worker1, "needs-kept.service", "active")?;

        worker1.cut_link()?;
        await_status(fleet, "worker1", "offline", SOON)?;
        let shorter = "[claims]\nsource_grace = \"1h\"\n[claims.unit.\"kept.service\"]\nsource_grace = \"1s\"\n";
        main.write(&controller_drop_in("70-graces"), shorter)?;
        main.systemctl(&["reload", "unitlink-controller.service"])?;
        await_inactive(worker2, "kept.service", SOON)
    });
}
