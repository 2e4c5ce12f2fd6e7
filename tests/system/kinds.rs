//! Dependencies on a proxy beyond those of `units/example/`: what docs/how-to/dependencies.md says of them.

use std::{thread::sleep, time::Duration};

use anyhow::ensure;
use tests::fleet::FleetBuilder;

use crate::world::{
    SOON, await_inactive, await_no_holds, await_no_needs, ctl, ctl_ok, ensure_is, scene, three,
};

const PROXY: &str = "proxy@worker1_target.service";

/// `source.service` on `main` with these lines; `target.service` on `worker1`, which runs on.
fn pair(unit: &str, source: &str) -> FleetBuilder {
    let text = format!("[Unit]\n{unit}\n[Service]\n{source}\n");
    three("kinds")
        .unit_text("main", "source.service", &text)
        .unit_text(
            "worker1",
            "target.service",
            "[Service]\nExecStart=/bin/sleep infinity\n",
        )
}

const RUNS: &str = "ExecStart=/bin/sleep infinity";

#[test]
fn part_of_with_wants_stops_and_restarts_with_the_target_and_starts_without_it() {
    let unit = format!("Wants={PROXY}\nPartOf={PROXY}\nAfter={PROXY}");
    scene(pair(&unit, RUNS), |fleet| {
        let (main, worker1) = (fleet.node("main"), fleet.node("worker1"));
        ctl_ok(fleet, "start main source.service")?;
        let first = main.property("source.service", "InvocationID")?;
        ctl_ok(fleet, "restart worker1 target.service")?;
        let again = || {
            main.property("source.service", "InvocationID")
                .is_ok_and(|id| id != first)
        };
        main.wait_until(again, SOON)?;
        main.wait_active("source.service", SOON)?;
        ensure_is(worker1, "target.service", "active")?;
        ctl_ok(fleet, "stop worker1 target.service")?;
        await_inactive(main, "source.service", SOON)?;
        await_no_needs(main)?;

        // What dies by itself does not stop it, as on one machine.
        ctl_ok(fleet, "start main source.service")?;
        let pid = main.main_pid("source.service")?;
        // One that fails at once would count as one that has not started.
        sleep(Duration::from_millis(1100));
        worker1.kill_service("target.service", "SIGKILL")?;
        await_no_needs(main)?;
        ensure!(main.main_pid("source.service")? == pid);
        ctl_ok(fleet, "stop main source.service")?;

        worker1.write(
            "/etc/systemd/system/target.service",
            "[Service]\nType=oneshot\nExecStart=/bin/false\n",
        )?;
        worker1.systemctl(&["daemon-reload"])?;
        ctl_ok(fleet, "start main source.service")?;
        ensure_is(main, "source.service", "active")
    });
}

/// A start of what runs already starts what it requires, as on one machine.
#[test]
fn what_ran_on_without_its_target_needs_it_again_when_it_is_started_again() {
    let unit = format!("Requires={PROXY}\nAfter={PROXY}");
    scene(pair(&unit, RUNS), |fleet| {
        let (main, worker1) = (fleet.node("main"), fleet.node("worker1"));
        ctl_ok(fleet, "start main source.service")?;
        let pid = main.main_pid("source.service")?;
        // One that fails at once would count as one that has not started.
        sleep(Duration::from_millis(1100));
        worker1.kill_service("target.service", "SIGKILL")?;
        await_no_needs(main)?;
        ensure_is(main, "source.service", "active")?;

        ctl_ok(fleet, "start main source.service")?;
        worker1.wait_active("target.service", SOON)?;
        main.wait_active(PROXY, SOON)?;
        ensure!(main.main_pid("source.service")? == pid, "it was restarted");
        ctl_ok(fleet, "stop worker1 target.service")?;
        await_inactive(main, "source.service", SOON)?;
        await_no_needs(main)?;
        await_no_holds(worker1)
    });
}

#[test]
fn a_stop_is_propagated_from_the_target() {
    let unit = format!("Wants={PROXY}\nAfter={PROXY}\nStopPropagatedFrom={PROXY}");
    scene(pair(&unit, RUNS), |fleet| {
        ctl_ok(fleet, "start main source.service")?;
        ctl_ok(fleet, "stop worker1 target.service")?;
        await_inactive(fleet.node("main"), "source.service", SOON)
    });
}

// It stops the proxy, which gives the target back; who else runs the target still has it.
#[test]
fn a_stop_that_is_propagated_to_a_proxy_only_gives_the_target_back() {
    let unit = format!("Wants={PROXY}\nAfter={PROXY}\nPropagatesStopTo={PROXY}");
    scene(pair(&unit, RUNS), |fleet| {
        let (main, worker1) = (fleet.node("main"), fleet.node("worker1"));
        ctl_ok(fleet, "start main source.service")?;
        ctl_ok(fleet, "stop main source.service")?;
        await_no_needs(main)?;
        await_no_holds(worker1)?;
        ensure_is(worker1, "target.service", "active")
    });
}

#[test]
fn a_failure_starts_a_unit_of_another_node_which_is_not_held() {
    let unit = format!("OnFailure={PROXY}");
    scene(pair(&unit, "Type=oneshot\nExecStart=/bin/false"), |fleet| {
        let (main, worker1) = (fleet.node("main"), fleet.node("worker1"));
        let failed = ctl(fleet, "start main source.service")?;
        ensure!(failed.code() == Some(1), "{failed:?}");
        worker1.wait_active("target.service", SOON)?;
        await_no_needs(main)?;
        await_no_holds(worker1)?;
        ensure_is(worker1, "target.service", "active")
    });
}

#[test]
fn a_success_starts_a_unit_of_another_node_which_is_not_held() {
    let unit = format!("OnSuccess={PROXY}");
    scene(pair(&unit, "Type=oneshot\nExecStart=/bin/true"), |fleet| {
        let (main, worker1) = (fleet.node("main"), fleet.node("worker1"));
        ctl_ok(fleet, "start main source.service")?;
        worker1.wait_active("target.service", SOON)?;
        await_no_needs(main)?;
        await_no_holds(worker1)?;
        ensure_is(worker1, "target.service", "active")
    });
}

// What is to be done once, such as a message, is done; that it is not active afterwards is no harm.
#[test]
fn a_one_shot_handler_of_another_node_runs() {
    let unit = format!("OnFailure={PROXY}");
    let handler = "[Service]\nType=oneshot\nExecStart=/bin/touch /run/handled\n";
    let builder = pair(&unit, "Type=oneshot\nExecStart=/bin/false");
    scene(
        builder.unit_text("worker1", "target.service", handler),
        |fleet| {
            let worker1 = fleet.node("worker1");
            ctl(fleet, "start main source.service")?;
            worker1.wait_until(|| worker1.read("/run/handled").is_ok(), SOON)?;
            await_no_needs(fleet.node("main"))?;
            await_no_holds(worker1)
        },
    );
}
