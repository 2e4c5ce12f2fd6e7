//! What is done at once and has no job, on real nodes.

use anyhow::{Context, ensure};

use crate::world::{SOON, await_failed, ctl, ctl_ok, ctl_says, ensure_is, scene, three};

#[test]
fn units_are_frozen_thawed_and_killed() {
    scene(three("ctl"), |fleet| {
        let worker2 = fleet.node("worker2");
        ctl_ok(fleet, "start worker2 plain.service")?;
        ctl_ok(fleet, "freeze worker2 plain")?;
        ensure!(worker2.property("plain.service", "FreezerState")? == "frozen");
        ctl_ok(fleet, "thaw worker2 plain")?;
        ensure!(worker2.property("plain.service", "FreezerState")? == "running");
        ctl_says(
            fleet,
            "freeze worker2 basic.target",
            1,
            &["failed to freeze"],
        )?;

        // By name and by number; the main process alone.
        ctl_ok(fleet, "kill --kill-whom main --signal KILL worker2 plain")?;
        await_failed(worker2, "plain.service", SOON)?;
        ctl_ok(fleet, "is-failed worker2 plain")?;
        ctl_ok(fleet, "reset-failed worker2 plain")?;
        ensure_is(worker2, "plain.service", "inactive")?;
        ctl_ok(fleet, "start worker2 plain.service")?;
        ctl_ok(fleet, "kill -s 15 worker2 plain")?;
        worker2.wait_state("plain.service", |active, _| active == "inactive", SOON)?;
        ctl_says(
            fleet,
            "kill worker2 nosuch",
            4,
            &["there is no unit nosuch.service"],
        )?;
        Ok(())
    });
}

#[test]
fn unit_files_are_enabled_and_disabled() {
    scene(three("ctl"), |fleet| {
        let said = ctl_says(fleet, "is-enabled worker2 plain", 1, &[])?;
        ensure!(said.stdout == "disabled\n", "{}", said.stdout);
        let said = ctl_ok(fleet, "enable worker2 plain")?;
        ensure!(said.starts_with("Created symlink "), "{said}");
        ensure!(ctl_ok(fleet, "is-enabled worker2 plain")? == "enabled");
        let listed = ctl_ok(fleet, "list-unit-files worker2 plain -o plain")?;
        ensure!(listed == "worker2 plain.service enabled", "{listed}");
        let said = ctl_ok(fleet, "disable worker2 plain")?;
        ensure!(said.starts_with("Removed "), "{said}");
        ctl_ok(fleet, "enable --runtime worker2 plain")?;
        ensure!(ctl_ok(fleet, "is-enabled worker2 plain")? == "enabled-runtime");
        ctl_ok(fleet, "disable --runtime --no-reload worker2 plain")?;
        // What is in the way is replaced with --force alone.
        let link = "/etc/systemd/system/multi-user.target.wants/plain.service";
        let worker2 = fleet.node("worker2");
        worker2.shell(
            &format!("mkdir -p ${{0%/*}}; ln -sfn /nowhere {link}")
                .replace("${0%/*}", "/etc/systemd/system/multi-user.target.wants"),
        )?;
        ctl_ok(fleet, "enable --force worker2 plain")?;
        ctl_says(
            fleet,
            "enable worker2 nosuch",
            4,
            &["there is no unit nosuch.service"],
        )?;
        let warned = ctl_says(fleet, "enable worker2 slow", 0, &["no [Install] section"])?;
        ensure!(warned.stdout.is_empty(), "{}", warned.stdout);
        Ok(())
    });
}

#[test]
fn the_default_target_is_read_and_set() {
    scene(three("ctl"), |fleet| {
        let before = ctl_ok(fleet, "get-default worker2")?;
        ensure!(before.ends_with(".target"), "{before}");
        ctl_ok(fleet, "set-default worker2 rescue")?;
        let now = fleet.node("worker2").systemctl(&["get-default"])?;
        ensure!(now == "rescue.target", "{now}");
        ensure!(ctl_ok(fleet, "get-default worker2")? == "rescue.target");
        let all = ctl_ok(fleet, "get-default --all -o plain")?;
        ensure!(all.lines().count() == 3, "{all}");
        Ok(())
    });
}

#[test]
fn levels_of_logs_are_set() {
    scene(three("ctl"), |fleet| {
        let level = |node: &str, name: &str| {
            let args = [
                "busctl",
                "get-property",
                name,
                "/org/eclipse/bluechi",
                if name.ends_with("Agent") {
                    name
                } else {
                    "org.eclipse.bluechi.Controller"
                },
                "LogLevel",
            ];
            fleet.node(node).ok(&args)
        };
        ctl_ok(fleet, "set-loglevel worker2 debug")?;
        ensure!(level("worker2", "org.eclipse.bluechi.Agent")? == "s \"DEBUG\"");
        ctl_ok(fleet, "set-loglevel controller WARN")?;
        ensure!(level("main", "org.eclipse.bluechi")? == "s \"WARN\"");
        // Without a name it is the controller.
        ctl_ok(fleet, "set-loglevel info")?;
        ensure!(level("main", "org.eclipse.bluechi")? == "s \"INFO\"");
        ctl_says(
            fleet,
            "set-loglevel worker2 loud",
            2,
            &["loud", "debug, info, warn, error"],
        )?;
        Ok(())
    });
}

#[test]
fn jobs_are_listed_and_taken_back() {
    scene(three("ctl"), |fleet| {
        ctl_ok(fleet, "--no-block start worker2 slow.service")?;
        let worker2 = fleet.node("worker2");
        worker2.wait_state("slow.service", |active, _| active == "activating", SOON)?;
        let listed = ctl_ok(fleet, "list-jobs -o plain")?;
        let words: Vec<&str> = listed.split(' ').collect();
        ensure!(
            words.first() == Some(&"worker2") && words.get(1) == Some(&"slow.service"),
            "{listed}"
        );
        let id = words.get(2).context("no number")?;
        ctl_ok(fleet, &format!("cancel {id}"))?;
        let gone = || ctl(fleet, "list-jobs -o plain").is_ok_and(|said| said.stdout.is_empty());
        worker2.wait_until(gone, SOON)?;
        ctl_says(fleet, &format!("cancel {id}"), 10, &["there is no job"])?;
        Ok(())
    });
}

#[test]
fn several_nodes_are_done_together_and_the_worst_counts() {
    scene(three("ctl"), |fleet| {
        let said = ctl(fleet, "daemon-reload --all -o plain")?;
        ensure!(said.stdout.lines().count() == 3, "{}", said.stdout);
        // No unit of this name on worker1.
        let line = "start worker1,worker2 plain -o plain";
        let said = ctl_says(
            fleet,
            line,
            4,
            &["there is no unit plain.service on worker1"],
        )?;
        ensure!(
            said.stdout.contains("worker2 plain.service done"),
            "{}",
            said.stdout
        );
        let said = ctl_says(fleet, "is-active work* plain -o plain", 4, &[])?;
        ensure!(
            said.stdout.contains("worker2 plain.service active"),
            "{}",
            said.stdout
        );
        Ok(())
    });
}

#[test]
fn a_node_that_goes_away_in_the_middle_ends_the_wait() {
    scene(three("ctl"), |fleet| {
        let main = fleet.node("main");
        let worker2 = fleet.node("worker2");
        let child = main
            .command(&["ctl", "start", "worker2", "slow.service"])?
            .stderr(std::process::Stdio::piped())
            .spawn()?;
        worker2.wait_state("slow.service", |active, _| active == "activating", SOON)?;
        worker2.kill()?;
        let output = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(6), "{}: {said}", output.status);
        ctl_says(
            fleet,
            "start worker2 plain",
            6,
            &["node worker2 is offline"],
        )?;
        Ok(())
    });
}
