//! Needs that are enabled: `RequiredBy=` and `WantedBy=` of a proxy, said beside the source.

use anyhow::{Result, ensure};
use test_case::test_case;

use crate::world::{SOON, await_no_needs, ctl, ctl_ok, ensure_is, scene, three};

const PROXY: &str = "proxy@worker1_target.service";

#[test_case("RequiredBy", false; "required by")]
#[test_case("WantedBy", true; "wanted by")]
fn a_proxy_that_is_enabled_is_needed_by_what_its_drop_in_names(setting: &str, starts: bool) {
    let service = "[Service]\nExecStart=/bin/sleep infinity\n";
    let needed = format!("[Unit]\nStopWhenUnneeded=yes\n\n{service}");
    let drop_in = format!("[Unit]\nBefore=source.service\n\n[Install]\n{setting}=source.service\n");
    let builder = three("install")
        .unit_text("main", "source.service", service)
        .file(
            "main",
            &format!("/etc/systemd/system/{PROXY}.d/install.conf"),
            &drop_in,
        )
        .unit_text("worker1", "target.service", &needed);
    scene(builder, |fleet| -> Result<()> {
        let (main, worker1) = (fleet.node("main"), fleet.node("worker1"));
        ctl_ok(fleet, "start main source.service")?;
        ensure_is(worker1, "target.service", "inactive")?;
        ctl_ok(fleet, "stop main source.service")?;

        ctl_ok(fleet, &format!("enable main {PROXY}"))?;
        ctl_ok(fleet, "daemon-reload main")?;
        ctl_ok(fleet, "start main source.service")?;
        ensure_is(worker1, "target.service", "active")?;
        ctl_ok(fleet, "stop main source.service")?;
        await_no_needs(main)?;
        worker1.wait_state("target.service", |active, _| active == "inactive", SOON)?;

        worker1.write(
            "/etc/systemd/system/target.service",
            "[Service]\nType=oneshot\nExecStart=/bin/false\n",
        )?;
        worker1.systemctl(&["daemon-reload"])?;
        let started = ctl(fleet, "start main source.service")?;
        ensure!(started.success() == starts, "{started:?}");
        ctl_ok(fleet, "stop main source.service")?;

        ctl_ok(fleet, &format!("disable main {PROXY}"))?;
        ctl_ok(fleet, "daemon-reload main")?;
        ctl_ok(fleet, "start main source.service").map(drop)
    });
}
