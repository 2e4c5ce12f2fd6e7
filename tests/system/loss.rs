//! What the loss of a node means, by unit, and a change of it while the node is gone.

use tests::fleet::FleetBuilder;

use crate::world::{
    SOON, await_inactive, configure, controller_drop_in, ctl_ok, ensure_is, scene, three,
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
