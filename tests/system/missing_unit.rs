//! A target whose unit file is missing, broken or masked (F15).

use anyhow::{Context, ensure};

use crate::world::{await_no_holds, ctl_says, ensure_is, scene, three};

#[test]
fn the_proxy_says_what_is_wrong_with_the_unit_file() {
    let builder = three("missing_unit");
    scene(builder, |fleet| {
        let (worker1, worker2) = (fleet.node("worker1"), fleet.node("worker2"));
        worker2.shell("ln -s /dev/null /etc/systemd/system/masked.service")?;
        worker2.systemctl(&["daemon-reload"])?;
        for (unit, words) in [
            ("nosuch.service", "not found"),
            ("broken.service", "could not be loaded"),
            ("masked.service", "masked"),
        ] {
            let of = || format!("needing {unit}");
            ctl_says(fleet, &format!("start worker1 needs-{unit}"), 1, &[]).with_context(of)?;
            ensure_is(worker1, &format!("needs-{unit}"), "inactive")?;
            let proxy = format!("proxy@worker2_{unit}");
            let status = worker1.property(&proxy, "StatusText")?;
            ensure!(
                status.contains(unit) && status.contains("worker2") && status.contains(words),
                "{proxy}: {status:?}"
            );
            // Code 11 of unitlink-proxy(8): there is no such unit.
            ensure!(worker1.property(&proxy, "ExecMainStatus")? == "11");
            ensure!(worker1.journal(&proxy)?.contains(&status));
        }
        await_no_holds(worker2)
    });
}
