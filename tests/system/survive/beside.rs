//! The controller runs beside the source: what befalls the machine of one befalls the other.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use test_case::test_case;
use tests::case::folder;
use tests::fleet::{Fleet, FleetBuilder};
use tests::node::Link;

use super::{await_all_online, kill_and_await, layout};
use crate::pair::Pair;
use crate::world::{AT_ONCE, SOON, await_inactive, await_status, ensure_is, scene};

const AGENT: &str = "unitlink-agent.service";
const CONTROLLER: &str = "unitlink-controller.service";

fn beside(source_grace: &str, loss_grace: &str, on_loss: &str) -> FleetBuilder {
    layout(source_grace, loss_grace, on_loss).unit(
        "main",
        folder("survive").join("worker1").join("source.service"),
    )
}

fn pair(fleet: &Fleet) -> Pair<'_> {
    Pair::of(fleet, "main", "worker2")
}

#[test]
fn a_restart_or_a_death_of_any_daemon_is_not_noticed() {
    scene(beside("3s", "2s", "stop"), |fleet| {
        let pair = pair(fleet);
        for (node, unit) in [
            ("main", CONTROLLER),
            ("main", AGENT),
            ("worker2", AGENT),
            ("worker1", AGENT),
        ] {
            let node = fleet.node(node);
            let before = pair.start()?;
            node.systemctl(&["restart", unit])?;
            await_all_online(fleet)?;
            pair.ensure_same(before)?;
            kill_and_await(node, unit)?;
            await_all_online(fleet)?;
            pair.ensure_same(before)?;
            pair.ensure_linked()?;
        }
        Ok(())
    });
}

#[test]
fn the_death_of_all_daemons_at_once_is_not_noticed() {
    scene(beside("3s", "2s", "stop"), |fleet| {
        let pair = pair(fleet);
        let before = pair.start()?;
        for _ in 0..3 {
            for (node, unit) in [
                ("main", CONTROLLER),
                ("main", AGENT),
                ("worker1", AGENT),
                ("worker2", AGENT),
            ] {
                fleet.node(node).kill_service(unit, "SIGKILL")?;
            }
            await_all_online(fleet)?;
            pair.ensure_same(before)?;
        }
        pair.ensure_linked()
    });
}

#[test_case(|fleet| fleet.node("main").set_link(Link::Cut), |fleet| fleet.node("main").heal_link();
    "the cable of both, silently")]
#[test_case(|fleet| fleet.node("main").set_link(Link::Down), |fleet| fleet.node("main").heal_link();
    "the cable of both, unplugged")]
#[test_case(|fleet| fleet.node("worker2").set_link(Link::Deaf), |fleet| fleet.node("worker2").heal_link();
    "what is sent to the target")]
#[test_case(|fleet| fleet.node("worker2").set_link(Link::Mute), |fleet| fleet.node("worker2").heal_link();
    "what the target sends")]
#[test_case(|fleet| fleet.node("main").freeze(CONTROLLER), |fleet| fleet.node("main").thaw(CONTROLLER);
    "the controller is frozen")]
#[test_case(|fleet| fleet.node("main").freeze(AGENT), |fleet| fleet.node("main").thaw(AGENT);
    "the agent of the source is frozen")]
#[test_case(|fleet| fleet.node("worker2").freeze(AGENT), |fleet| fleet.node("worker2").thaw(AGENT);
    "the agent of the target is frozen")]
fn nine_seconds_out_of_sight_are_not_noticed(
    begin: fn(&Fleet) -> Result<()>,
    end: fn(&Fleet) -> Result<()>,
) {
    scene(beside("30s", "30s", "stop"), |fleet| {
        let pair = pair(fleet);
        let before = pair.start()?;
        begin(fleet)?;
        thread::sleep(Duration::from_secs(9));
        end(fleet)?;
        await_all_online(fleet)?;
        pair.ensure_same(before)?;
        pair.ensure_linked()
    });
}

#[test_case("stop")]
#[test_case("keep")]
fn a_target_that_is_out_of_sight_for_longer_than_the_grace_is_lost(on_loss: &str) {
    scene(beside("30s", "2s", on_loss), |fleet| {
        let (main, pair) = (fleet.node("main"), pair(fleet));
        let (source, _) = pair.start()?;
        main.cut_link()?;
        await_status(fleet, "worker2", "offline", SOON)?;
        if on_loss == "stop" {
            await_inactive(pair.source, "source.service", SOON)?;
            main.heal_link()?;
            await_all_online(fleet)?;
            pair.ensure_nothing_left()?;
            pair.start()?;
        } else {
            thread::sleep(Duration::from_secs(5));
            ensure_is(pair.source, "source.service", "active")?;
            main.heal_link()?;
            await_all_online(fleet)?;
            let (after, _) = pair.processes()?;
            anyhow::ensure!(after == source, "the source was started again");
        }
        pair.ensure_linked()
    });
}

#[test]
fn what_stops_while_the_controller_is_dead_is_felt_when_it_is_back() {
    let builder = super::without_restart(beside("3s", "2s", "stop"), "main", CONTROLLER);
    scene(builder, |fleet| {
        let (main, pair) = (fleet.node("main"), pair(fleet));
        pair.start()?;
        super::kill(main, CONTROLLER)?;
        pair.source.systemctl(&["stop", "source.service"])?;
        ensure_is(pair.target, "target.service", "active")?;
        main.systemctl(&["start", CONTROLLER])?;
        await_inactive(pair.target, "target.service", SOON)?;
        pair.ensure_nothing_left()?;

        pair.start()?;
        super::kill(main, CONTROLLER)?;
        pair.target.systemctl(&["stop", "target.service"])?;
        main.systemctl(&["start", CONTROLLER])?;
        await_inactive(pair.source, "source.service", SOON)?;
        pair.ensure_nothing_left()
    });
}

#[test]
fn a_reboot_of_both_releases_the_target_and_the_source_can_start_again() {
    scene(beside("3s", "2s", "stop"), |fleet| {
        let (main, pair) = (fleet.node("main"), pair(fleet));
        pair.start()?;
        main.kill()?;
        main.boot()?;
        await_all_online(fleet)?;
        pair.ensure_nothing_left()?;
        pair.start()?;
        pair.target.systemctl(&["stop", "target.service"])?;
        await_inactive(pair.source, "source.service", AT_ONCE)?;
        pair.start()?;
        pair.ensure_linked()
    });
}
