//! `Requires=` on a unit of another node that cannot start (F14).

use anyhow::{Result, ensure};
use tests::fleet::Fleet;

use crate::world::{
    SOON, await_failed, await_inactive, await_no_holds, await_no_needs, ctl, ctl_says, ensure_is,
    remember, scene, three,
};

#[test]
fn a_target_that_fails_to_start_fails_the_start_of_the_source_and_says_why() {
    scene(
        remember(three("requires"), "main", "once.service"),
        |fleet| {
            let main = fleet.node("main");
            ctl_says(
                fleet,
                "start main once.service",
                1,
                &[
                    "failed to start once.service on main",
                    "once.service on node worker2 failed: exit-code (status 1)",
                ],
            )?;
            ensure!(
                main.property("once.service", "ActiveEnterTimestampMonotonic")? == "0",
                "the source was started"
            );
            is_down_and_says_why(fleet, "once.service", "once.service")
        },
    );
}

// A service of the simple type is active before its program has run, so its source may have been
// started, as on one machine: then it is stopped again, and what there is to read is the same.
#[test]
fn a_target_that_fails_at_once_after_its_start_takes_the_source_down_and_says_why() {
    scene(
        remember(three("requires"), "main", "source.service"),
        |fleet| {
            ctl(fleet, "start main source.service")?;
            is_down_and_says_why(fleet, "source.service", "target.service")
        },
    );
}

/// The source is inactive, the target has failed, and the proxy says why in its status and journal.
fn is_down_and_says_why(fleet: &Fleet, source: &str, target: &str) -> Result<()> {
    let (main, worker2) = (fleet.node("main"), fleet.node("worker2"));
    let proxy = format!("proxy@worker2_{target}");
    await_failed(worker2, target, SOON)?;
    await_failed(main, &proxy, SOON)?;
    await_inactive(main, source, SOON)?;
    let line = format!("status main {source}");
    ctl_says(fleet, &line, 3, &["inactive", "dead"])?;
    let line = format!("status worker2 {target}");
    ctl_says(fleet, &line, 3, &["failed", "exit-code"])?;
    let status = main.property(&proxy, "StatusText")?;
    ensure!(
        status.contains(target) && status.contains("worker2") && status.contains("exit-code"),
        "the status of the proxy does not say why: {status:?}"
    );
    let shown = main.run(&["systemctl", "--no-pager", "status", &proxy])?;
    ensure!(
        shown.stdout.contains(&format!("Status: \"{status}\"")),
        "{}",
        shown.stdout
    );
    let journal = main.journal(&proxy)?;
    ensure!(journal.contains(&status), "{journal}");
    await_no_needs(main)?;
    await_no_holds(worker2)
}

#[test]
fn a_source_can_be_started_again_once_the_target_is_repaired() {
    let unit = "once.service";
    scene(three("requires"), |fleet| {
        let (main, worker2) = (fleet.node("main"), fleet.node("worker2"));
        let start = format!("start main {unit}");
        ctl_says(fleet, &start, 1, &[])?;
        worker2.write(
            &format!("/etc/systemd/system/{unit}"),
            "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n",
        )?;
        worker2.systemctl(&["daemon-reload"])?;
        ctl_says(fleet, &start, 0, &[])?;
        ensure_is(main, unit, "active")?;
        ensure_is(worker2, unit, "active")
    });
}
