//! `ctl` on the controller's node, for units of another.

mod like_systemctl;
mod refusal;
mod status;
mod stream;
mod verbs;

use std::process::Stdio;

use anyhow::{Context, ensure};

use crate::world::{SOON, await_failed, ctl_ok, ctl_says, ensure_is, scene, three};

#[test]
fn units_of_another_node_are_started_stopped_restarted_and_reloaded() {
    scene(three("ctl"), |fleet| {
        let worker2 = fleet.node("worker2");
        ctl_ok(fleet, "start worker2 plain.service")?;
        ensure_is(worker2, "plain.service", "active")?;

        worker2.remove("/run/reloaded")?;
        ctl_ok(fleet, "reload worker2 plain.service")?;
        worker2.ok(&["test", "-e", "/run/reloaded"])?;

        let first = worker2.main_pid("plain.service")?;
        ctl_ok(fleet, "restart worker2 plain.service")?;
        ensure!(worker2.main_pid("plain.service")? != first);

        ctl_ok(fleet, "stop worker2 plain.service")?;
        ensure_is(worker2, "plain.service", "inactive")?;
        // What is so already is a success, as for systemctl.
        ctl_ok(fleet, "stop worker2 plain.service")?;
        ctl_ok(fleet, "restart worker2 plain.service")?;
        ensure_is(worker2, "plain.service", "active")?;
        // The type of a service may be left out.
        ctl_ok(fleet, "stop worker2 plain")?;
        ensure_is(worker2, "plain.service", "inactive")
    });
}

#[test]
fn several_units_are_started_together_and_each_has_its_own_end() {
    scene(three("ctl"), |fleet| {
        let worker2 = fleet.node("worker2");
        let line = "-o json start worker2 plain.service bad.service nosuch.service";
        let output = ctl_says(
            fleet,
            line,
            1,
            &["failed to start bad.service", "no unit nosuch.service"],
        )?;
        let json: serde_json::Value = serde_json::from_str(&output.stdout)?;
        let jobs = json["jobs"].as_array().context("no array of jobs")?;
        let result = |unit: &str| {
            let job = jobs.iter().find(|job| job["unit"] == unit);
            job.and_then(|job| job["result"].as_str())
        };
        ensure!(result("plain.service") == Some("done"), "{json}");
        ensure!(result("bad.service") == Some("failed"), "{json}");
        ensure!(
            result("nosuch.service").is_some_and(|it| it != "done"),
            "{json}"
        );
        ensure_is(worker2, "plain.service", "active")?;
        await_failed(worker2, "bad.service", SOON)
    });
}

#[test]
fn a_job_that_is_not_waited_for_is_done_all_the_same() {
    scene(three("ctl"), |fleet| {
        let worker2 = fleet.node("worker2");
        ctl_ok(fleet, "--no-block start worker2 slow.service plain.service")?;
        worker2.wait_active("plain.service", SOON)?;
        ensure_is(worker2, "slow.service", "activating")
    });
}

#[test]
fn a_job_ends_when_somebody_on_the_other_node_cancels_it() {
    scene(three("ctl"), |fleet| {
        let (main, worker2) = (fleet.node("main"), fleet.node("worker2"));
        let child = main
            .command(&["ctl", "start", "worker2", "slow.service"])?
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        worker2.wait_state("slow.service", |active, _| active == "activating", SOON)?;
        worker2.systemctl(&["stop", "slow.service"])?;
        let output = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(1), "{}: {said}", output.status);
        ensure!(said.contains("cancel"), "{said}");
        Ok(())
    });
}

#[test]
fn a_unit_whose_condition_does_not_hold_is_skipped_as_on_one_machine() {
    scene(three("ctl"), |fleet| {
        ctl_ok(fleet, "start worker2 skipped.service")?;
        ensure_is(fleet.node("worker2"), "skipped.service", "inactive")
    });
}

#[test]
fn the_job_is_over_when_the_command_is() {
    scene(three("ctl"), |fleet| {
        let worker2 = fleet.node("worker2");
        for _ in 0..10 {
            ctl_ok(fleet, "start worker2 plain.service")?;
            ensure_is(worker2, "plain.service", "active")?;
            ctl_ok(fleet, "stop worker2 plain.service")?;
            ensure_is(worker2, "plain.service", "inactive")?;
        }
        Ok(())
    });
}
