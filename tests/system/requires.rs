//! `Requires=` on a unit of another node that cannot start (F14).

use anyhow::ensure;
use test_case::test_case;

use crate::world::{
    SOON, await_failed, await_no_holds, await_no_needs, ctl_says, ensure_is, remember, scene, three,
};

// `target.service` is of the simple type: systemd calls it active before its program has run.
#[test_case("once.service"; "while it starts")]
#[test_case("target.service"; "at once after its start")]
fn a_target_that_fails_fails_the_start_of_the_source_and_says_why(target: &str) {
    let source = target.replace("target", "source");
    let builder = remember(three("requires"), "main", &source);
    scene(builder, |fleet| {
        let (main, worker2) = (fleet.node("main"), fleet.node("worker2"));
        ctl_says(
            fleet,
            &format!("start main {source}"),
            1,
            &[
                &format!("failed to start {source} on main"),
                &format!("{target} on node worker2 failed: exit-code (status 1)"),
            ],
        )?;
        ensure_is(main, &source, "inactive")?;
        ensure!(
            main.property(&source, "ActiveEnterTimestampMonotonic")? == "0",
            "the source was started"
        );
        await_failed(worker2, target, SOON)?;
        ctl_says(
            fleet,
            &format!("status main {source}"),
            3,
            &["inactive", "dead"],
        )?;
        ctl_says(
            fleet,
            &format!("status worker2 {target}"),
            3,
            &["failed", "exit-code, status 1"],
        )?;

        let proxy = format!("proxy@worker2_{target}");
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
