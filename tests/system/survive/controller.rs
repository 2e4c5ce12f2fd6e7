//! The controller is restarted, killed, or away for long (F4, F5, F6).

use std::thread;
use std::time::Duration;

use anyhow::ensure;

use super::{await_all_online, kill, layout, pair, without_restart};
use crate::world::{SOON, await_inactive, ensure_is, scene};

const UNIT: &str = "unitlink-controller.service";

#[test]
fn a_restart_of_the_controller_is_not_noticed() {
    scene(layout("3s", "2s", "stop"), |fleet| {
        let (main, pair) = (fleet.node("main"), pair(fleet));
        let before = pair.start()?;
        for _ in 0..3 {
            main.systemctl(&["restart", UNIT])?;
            await_all_online(fleet)?;
            pair.ensure_same(before)?;
        }
        pair.ensure_linked()
    });
}

#[test]
fn a_controller_that_is_killed_comes_back_and_is_not_missed() {
    scene(layout("3s", "2s", "stop"), |fleet| {
        let (main, pair) = (fleet.node("main"), pair(fleet));
        let before = pair.start()?;
        let first = main.main_pid(UNIT)?;
        main.kill_service(UNIT, "SIGKILL")?;
        main.wait_until(|| main.main_pid(UNIT).is_ok_and(|pid| pid != first), SOON)?;
        await_all_online(fleet)?;
        pair.ensure_same(before)?;
        pair.ensure_linked()
    });
}

#[test]
fn services_outlive_any_absence_of_the_controller() {
    scene(layout("1s", "1s", "stop"), |fleet| {
        let (main, pair) = (fleet.node("main"), pair(fleet));
        let before = pair.start()?;
        main.systemctl(&["stop", UNIT])?;
        // Longer than every grace and threshold together, over and over.
        thread::sleep(Duration::from_secs(20));
        pair.ensure_same(before)?;
        main.systemctl(&["start", UNIT])?;
        await_all_online(fleet)?;
        // And longer than the graces that begin when the controller is back.
        thread::sleep(Duration::from_secs(3));
        pair.ensure_same(before)?;
        pair.ensure_linked()
    });
}

#[test]
fn a_source_that_stops_while_the_controller_is_dead_releases_its_target_afterwards() {
    let builder = without_restart(layout("3s", "2s", "stop"), "main", UNIT);
    scene(builder, |fleet| {
        let (main, pair) = (fleet.node("main"), pair(fleet));
        let (_, target) = pair.start()?;
        kill(main, UNIT)?;
        pair.source.systemctl(&["stop", "source.service"])?;
        ensure_is(pair.target, "target.service", "active")?;
        ensure!(pair.target.main_pid("target.service")? == target);
        main.systemctl(&["start", UNIT])?;
        await_inactive(pair.target, "target.service", SOON)?;
        pair.ensure_nothing_left()?;
        pair.start()?;
        pair.ensure_linked()
    });
}

#[test]
fn a_target_that_stops_while_the_controller_is_dead_stops_its_source_afterwards() {
    let builder = without_restart(layout("3s", "2s", "stop"), "main", UNIT);
    scene(builder, |fleet| {
        let (main, pair) = (fleet.node("main"), pair(fleet));
        pair.start()?;
        kill(main, UNIT)?;
        pair.target.systemctl(&["stop", "target.service"])?;
        ensure_is(pair.source, "source.service", "active")?;
        main.systemctl(&["start", UNIT])?;
        await_inactive(pair.source, "source.service", SOON)?;
        pair.ensure_nothing_left()
    });
}
