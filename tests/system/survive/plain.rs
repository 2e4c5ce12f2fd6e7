//! The faults with the configuration as it is installed, and in the shapes in which services are
//! written: nothing here is made quick for a test.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use test_case::test_case;
use tests::case::{case, folder};
use tests::fleet::{Fleet, FleetBuilder};

use super::{await_all_online, kill, kill_and_await, pair, without_restart};
use crate::world::{SOON, await_inactive, ensure_is};

const AGENT: &str = "unitlink-agent.service";
const CONTROLLER: &str = "unitlink-controller.service";

/// The times of an installation: `threshold`, `source_grace`, `loss_grace`.
const THRESHOLD: Duration = Duration::from_secs(6);
const SOURCE_GRACE: Duration = Duration::from_secs(15);
const LOSS_GRACE: Duration = Duration::from_secs(10);

fn layout() -> FleetBuilder {
    let builder = Fleet::builder("survive").node("main").node("worker1");
    builder
        .node("worker2")
        .folder(folder("survive"))
        .daemons("main")
}

#[track_caller]
fn scene(builder: FleetBuilder, body: impl FnOnce(&Fleet) -> Result<()>) {
    case(builder, |fleet| {
        await_all_online(fleet)?;
        body(fleet)
    });
}

#[test]
fn a_minute_without_a_controller_is_not_noticed() {
    scene(layout(), |fleet| {
        let (main, pair) = (fleet.node("main"), pair(fleet));
        let before = pair.start()?;
        main.systemctl(&["stop", CONTROLLER])?;
        thread::sleep(Duration::from_secs(60));
        pair.ensure_same(before)?;
        main.systemctl(&["start", CONTROLLER])?;
        await_all_online(fleet)?;
        // Until every grace that began with it is over.
        thread::sleep(SOURCE_GRACE + Duration::from_secs(1));
        pair.ensure_same(before)?;
        pair.ensure_linked()
    });
}

#[test]
fn a_need_that_ends_while_the_controller_is_dead_is_over_within_the_grace() {
    scene(without_restart(layout(), "main", CONTROLLER), |fleet| {
        let (main, pair) = (fleet.node("main"), pair(fleet));
        pair.start()?;
        kill(main, CONTROLLER)?;
        pair.source.systemctl(&["stop", "source.service"])?;
        thread::sleep(Duration::from_secs(3));
        ensure_is(pair.target, "target.service", "active")?;
        main.systemctl(&["start", CONTROLLER])?;
        await_inactive(pair.target, "target.service", SOURCE_GRACE)?;
        pair.ensure_nothing_left()
    });
}

#[test]
fn daemons_that_are_killed_or_restarted_are_not_noticed() {
    scene(layout(), |fleet| {
        let pair = pair(fleet);
        for (node, unit) in [("main", CONTROLLER), ("worker1", AGENT), ("worker2", AGENT)] {
            let before = pair.start()?;
            let node = fleet.node(node);
            kill_and_await(node, unit)?;
            await_all_online(fleet)?;
            pair.ensure_same(before)?;
            node.systemctl(&["restart", unit])?;
            await_all_online(fleet)?;
            pair.ensure_same(before)?;
            pair.ensure_linked()?;
        }
        Ok(())
    });
}

#[test_case("worker1"; "of the source")]
#[test_case("worker2"; "of the target")]
#[test_case("main"; "of the controller")]
fn a_cable_that_is_out_for_nine_seconds_is_not_noticed(node: &str) {
    scene(layout(), |fleet| {
        let pair = pair(fleet);
        let before = pair.start()?;
        fleet.node(node).cut_link()?;
        thread::sleep(Duration::from_secs(9));
        fleet.node(node).heal_link()?;
        // Whatever was about to happen has happened.
        thread::sleep(SOURCE_GRACE);
        await_all_online(fleet)?;
        pair.ensure_same(before)?;
        pair.ensure_linked()
    });
}

#[test_case("main", CONTROLLER)]
#[test_case("worker1", AGENT)]
#[test_case("worker2", AGENT)]
fn a_daemon_that_is_frozen_for_nine_seconds_is_not_noticed(node: &str, unit: &str) {
    scene(layout(), |fleet| {
        let pair = pair(fleet);
        let before = pair.start()?;
        fleet.node(node).freeze(unit)?;
        thread::sleep(Duration::from_secs(9));
        fleet.node(node).thaw(unit)?;
        thread::sleep(SOURCE_GRACE);
        await_all_online(fleet)?;
        pair.ensure_same(before)?;
        pair.ensure_linked()
    });
}

/// The systemd of the node is killed: its peers see the end of its connections. Or nobody hears of it.
#[test_case(true; "its systemd is killed")]
#[test_case(false; "its power is gone")]
fn a_source_stops_in_time_when_the_node_of_its_target_has_died(is_seen: bool) {
    scene(layout(), |fleet| {
        let pair = pair(fleet);
        pair.start()?;
        let begun = Instant::now();
        if is_seen {
            pair.target.kill()?;
        } else {
            pair.target.crash()?;
        }
        let most = THRESHOLD + LOSS_GRACE + Duration::from_secs(1);
        await_inactive(pair.source, "source.service", most)?;
        ensure!(
            begun.elapsed() + Duration::from_millis(500) >= LOSS_GRACE,
            "the source had no grace: {:?}",
            begun.elapsed()
        );
        Ok(())
    });
}

const SHAPES: [&str; 4] = [
    "Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n",
    "Type=notify\nNotifyAccess=all\n\
     ExecStart=/bin/sh -c 'sleep 3; systemd-notify --ready; exec sleep infinity'\n",
    "Type=forking\nExecStart=/bin/sh -c 'sleep infinity &'\n",
    "ExecStart=/bin/sleep infinity\nRestart=always\n",
];

#[test]
fn targets_of_every_shape_are_started_held_and_given_back() {
    let mut builder = layout();
    for (number, shape) in SHAPES.iter().enumerate() {
        let (target, proxy) = (
            format!("shape{number}.service"),
            format!("proxy@worker2_shape{number}.service"),
        );
        builder = builder
            .unit_text(
                "worker2",
                &target,
                &format!("[Unit]\nStopWhenUnneeded=yes\n\n[Service]\n{shape}"),
            )
            .unit_text(
                "worker1",
                &format!("needs{number}.service"),
                &format!(
                    "[Unit]\nBindsTo={proxy}\nAfter={proxy}\n\n[Service]\nExecStart=/bin/sleep infinity\n"
                ),
            );
    }
    scene(builder, |fleet| {
        let (worker1, worker2) = (fleet.node("worker1"), fleet.node("worker2"));
        for number in 0..SHAPES.len() {
            let (source, target) = (
                format!("needs{number}.service"),
                format!("shape{number}.service"),
            );
            worker1.systemctl(&["start", &source])?;
            ensure_is(worker2, &target, "active")?;
            let run = worker2.property(&target, "InvocationID")?;
            for (node, unit) in [("main", CONTROLLER), ("worker1", AGENT), ("worker2", AGENT)] {
                kill_and_await(fleet.node(node), unit)?;
            }
            await_all_online(fleet)?;
            ensure!(
                worker2.property(&target, "InvocationID")? == run,
                "{target}"
            );
            worker2.systemctl(&["stop", &target])?;
            await_inactive(worker1, &source, SOON)?;
            worker1.systemctl(&["start", &source])?;
            worker1.systemctl(&["stop", &source])?;
            await_inactive(worker2, &target, SOON)?;
        }
        Ok(())
    });
}

#[test]
fn a_source_that_starts_with_its_node_is_back_after_a_reboot_and_so_is_its_target() {
    let builder = layout().file(
        "worker1",
        "/etc/systemd/system/multi-user.target.d/source.conf",
        "[Unit]\nWants=source.service\n",
    );
    scene(builder, |fleet| {
        let pair = pair(fleet);
        pair.processes()?;
        for node in [pair.source, pair.target, fleet.node("main")] {
            node.kill()?;
            node.boot()?;
            await_all_online(fleet)?;
            if node.name() == pair.target.name() {
                // What it ran is gone, so the source has stopped; nobody starts it again.
                await_inactive(pair.source, "source.service", SOON)?;
                pair.start()?;
            }
            pair.processes()?;
        }
        pair.ensure_linked()
    });
}
