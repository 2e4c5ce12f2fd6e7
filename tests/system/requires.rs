//! `Requires=` on a unit of another node that cannot start (F14).

use anyhow::ensure;

use crate::world::{
    AT_ONCE, SOON, await_failed, await_inactive, ctl, ctl_says, ensure_is, scene, three,
};

#[test]
fn a_target_that_fails_to_start_fails_the_start_of_the_source_and_says_why() {
    scene(three("requires"), |fleet| {
        let (main, worker2) = (fleet.node("main"), fleet.node("worker2"));
        ctl_says(
            fleet,
            "start main once.service",
            1,
            &["failed to start once.service on main"],
        )?;
        let source = main.state("once.service")?;
        ensure!(source.active == "inactive", "{source}");
        ensure!(
            main.property("once.service", "ActiveEnterTimestampMonotonic")? == "0",
            "the source was started"
        );
        await_failed(worker2, "once.service", SOON)?;

        let proxy = "proxy@worker2_once.service";
        let status = main.property(proxy, "StatusText")?;
        ensure!(
            status.contains("once.service")
                && status.contains("worker2")
                && status.contains("exit-code"),
            "the status of the proxy does not say why: {status:?}"
        );
        let shown = main.run(&["systemctl", "--no-pager", "status", proxy])?;
        ensure!(
            shown.stdout.contains(&format!("Status: \"{status}\"")),
            "{}",
            shown.stdout
        );
        let journal = main.journal(proxy)?;
        ensure!(journal.contains(&status), "{journal}");
        Ok(())
    });
}

// systemd calls a simple service active before its program has had a chance to fail, also on one
// machine; so the source may have been started for a moment, and cannot stay.
#[test]
fn a_target_that_fails_right_after_its_start_takes_the_source_with_it() {
    scene(three("requires"), |fleet| {
        let (main, worker2) = (fleet.node("main"), fleet.node("worker2"));
        for _ in 0..3 {
            ctl(fleet, "start main source.service")?;
            await_failed(worker2, "target.service", SOON)?;
            await_inactive(main, "source.service", AT_ONCE)?;
            ctl_says(
                fleet,
                "status main source.service",
                3,
                &["source.service", "inactive", "dead"],
            )?;
            ctl_says(
                fleet,
                "status worker2 target.service",
                3,
                &["target.service", "failed", "exit-code"],
            )?;
            let journal = main.journalctl(&[
                "--unit=proxy@worker2_target.service",
                "--unit=unitlink-agent.service",
            ])?;
            ensure!(
                journal.contains("target.service") && journal.contains("exit-code (status 1)"),
                "nothing says why: {journal}"
            );
        }
        Ok(())
    });
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
