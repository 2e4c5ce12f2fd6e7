//! What `ctl` says, and its exit code, when something is not possible.

use std::{
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use tests::fleet::Fleet;

use crate::world::{SOON, await_status, ctl_says, ensure_is, scene, three};

#[test]
fn a_job_that_fails_ends_with_1_and_the_units_result() {
    scene(three("ctl"), |fleet| {
        ctl_says(
            fleet,
            "start worker2 bad.service",
            1,
            &[
                "failed to start bad.service on worker2",
                "exit-code (status 7)",
                "journalctl -u bad.service",
            ],
        )?;
        // There is no ExecReload= in it, so systemd refuses the call.
        ctl_says(
            fleet,
            "reload worker2 slow.service",
            1,
            &["failed to reload slow.service on worker2", "not applicable"],
        )
        .map(drop)
    });
}

#[test]
fn what_there_is_not_has_a_code_of_its_own() {
    scene(three("ctl"), |fleet| {
        ctl_says(
            fleet,
            "start worker2 nosuch.service",
            4,
            &["there is no unit nosuch.service on worker2"],
        )?;
        ctl_says(
            fleet,
            "status worker2 nosuch.service",
            4,
            &["there is no unit nosuch.service on worker2"],
        )?;
        for line in [
            "start wroker2 plain.service",
            "status wroker2",
            "status wroker2 plain.service",
            "list-units wroker2",
        ] {
            ctl_says(
                fleet,
                line,
                5,
                &[
                    "there is no node 'wroker2'",
                    "did you mean worker2?",
                    "known nodes: main, worker1, worker2",
                ],
            )?;
        }
        ctl_says(fleet, "start worker2", 2, &["Usage"])?;
        ctl_says(fleet, "start worker2 un/it", 2, &["un/it"]).map(drop)
    });
}

#[test]
fn a_node_that_is_offline_is_said_to_be_and_nobody_waits_for_it() {
    scene(three("ctl"), |fleet| {
        fleet.node("worker2").crash()?;
        await_status(fleet, "worker2", "offline", SOON)?;
        let begun = Instant::now();
        for line in [
            "start worker2 plain.service",
            "stop worker2 plain.service",
            "status worker2 plain.service",
            "list-units worker2",
        ] {
            ctl_says(
                fleet,
                line,
                6,
                &["node worker2 is offline", "systemctl status unitlink-agent"],
            )?;
        }
        ctl_says(fleet, "status worker2", 6, &["offline", "ago"])?;
        ctl_says(fleet, "status", 0, &["2 of 3 nodes online"])?;
        ctl_says(
            fleet,
            "list-units",
            6,
            &["the units of worker2 are missing: node worker2 is offline since"],
        )?;
        ctl_says(
            fleet,
            "list-unit-files",
            6,
            &["the unit files of worker2 are missing: node worker2 is offline since"],
        )?;
        ensure!(begun.elapsed() < SOON, "it took {:?}", begun.elapsed());
        Ok(())
    });
}

#[test]
fn a_job_that_takes_longer_than_the_timeout_ends_with_7_and_goes_on() {
    scene(three("ctl"), |fleet| {
        let begun = Instant::now();
        ctl_says(
            fleet,
            "--timeout 1s start worker2 slow.service",
            7,
            &["not done after 1s", "the job goes on"],
        )?;
        ensure!(begun.elapsed() >= Duration::from_secs(1));
        ensure_is(fleet.node("worker2"), "slow.service", "activating")
    });
}

#[test]
fn a_controller_or_a_bus_that_is_not_there_ends_with_8() {
    scene(three("ctl"), |fleet| {
        let main = fleet.node("main");
        let gone = &["systemctl status unitlink-controller"];
        main.systemctl(&["stop", "unitlink-controller.service"])?;
        for line in ["status", "start worker2 plain.service", "list-units"] {
            ctl_says(fleet, line, 8, &["the controller is not on the system bus"])?;
            ctl_says(fleet, line, 8, gone)?;
        }
        // On any other node there is none.
        let elsewhere = fleet.node("worker1").run(&["ctl", "status"])?;
        ensure!(elsewhere.code() == Some(8), "{}", elsewhere.stderr);

        main.systemctl(&["start", "unitlink-controller.service"])?;
        await_status(fleet, "worker2", "online", SOON)?;
        ctl_says(fleet, "start worker2 plain.service", 0, &[])?;

        main.systemctl(&["stop", "dbus.socket", "dbus.service"])?;
        ctl_says(
            fleet,
            "status",
            8,
            &["failed to connect to the system bus", "dbus.service"],
        )
        .map(drop)
    });
}

/// A command that waits for a start that takes as long as the case wants.
fn wait_for_slow(fleet: &Fleet) -> Result<Child> {
    let child = fleet
        .node("main")
        .command(&["ctl", "start", "worker2", "slow.service"])?
        .stderr(Stdio::piped())
        .spawn()?;
    let worker2 = fleet.node("worker2");
    worker2.wait_state("slow.service", |active, _| active == "activating", SOON)?;
    Ok(child)
}

fn ensure_ends(child: Child, code: i32, with: &str) -> Result<()> {
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.code() == Some(code),
        "{}: {said}",
        output.status
    );
    ensure!(said.contains(with), "{said}");
    Ok(())
}

#[test]
fn a_command_that_waits_ends_with_the_true_result_though_the_controller_has_died() {
    scene(three("ctl"), |fleet| {
        let (main, worker2) = (fleet.node("main"), fleet.node("worker2"));
        let child = wait_for_slow(fleet)?;
        main.kill_service("unitlink-controller.service", "SIGKILL")?;
        await_status(fleet, "worker2", "online", SOON)?;
        ensure_is(worker2, "slow.service", "activating")?;
        worker2.systemctl(&["kill", "slow.service"])?;
        ensure_ends(child, 1, "failed to start slow.service on worker2")
    });
}

#[test]
fn a_command_that_waits_hears_that_the_controller_does_not_come_back() {
    scene(three("ctl"), |fleet| {
        let (main, worker2) = (fleet.node("main"), fleet.node("worker2"));
        let child = wait_for_slow(fleet)?;
        // Neither systemd nor the bus can bring it back.
        main.systemctl(&["mask", "--runtime", "unitlink-controller.service"])?;
        main.kill_service("unitlink-controller.service", "SIGKILL")?;
        ensure_ends(child, 8, "the job goes on")?;
        ensure_is(worker2, "slow.service", "activating")
    });
}
