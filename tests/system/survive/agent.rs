//! An agent is restarted or killed (F7, F8).

use std::time::Duration;

use anyhow::{Result, ensure};
use test_case::test_case;
use tests::node::Node;

use super::{await_all_online, kill, kill_and_await, layout, pair, without_restart};
use crate::world::{AT_ONCE, SOON, await_inactive, ensure_is, remember, scene};

const UNIT: &str = "unitlink-agent.service";
const CONTROLLER: &str = "unitlink-controller.service";
/// What the controller says of an agent that is back with other sets than before.
const DIFFERS: &str = "agent is back and tells otherwise than before";
const PROXY: &str = "proxy@worker2_target.service";

#[test_case("worker1"; "of the source")]
#[test_case("worker2"; "of the target")]
#[test_case("main"; "beside the controller")]
fn an_agent_that_is_killed_or_restarted_is_not_noticed(node: &str) {
    scene(layout("3s", "2s", "stop"), |fleet| {
        let (node, pair) = (fleet.node(node), pair(fleet));
        let before = pair.start()?;
        for _ in 0..3 {
            kill_and_await(node, UNIT)?;
            await_all_online(fleet)?;
            pair.ensure_same(before)?;
        }
        node.systemctl(&["restart", UNIT])?;
        await_all_online(fleet)?;
        pair.ensure_same(before)?;
        pair.ensure_linked()?;
        let journal = fleet.node("main").journal(CONTROLLER)?;
        ensure!(!journal.contains(DIFFERS), "{journal}");
        Ok(())
    });
}

#[test]
fn a_source_that_stops_without_its_agent_releases_its_target_when_the_agent_is_back() {
    let builder = without_restart(layout("1min", "2s", "stop"), "worker1", UNIT);
    scene(builder, |fleet| {
        let pair = pair(fleet);
        pair.start()?;
        kill(pair.source, UNIT)?;
        pair.source.systemctl(&["stop", "source.service"])?;
        ensure_is(pair.target, "target.service", "active")?;
        pair.source.systemctl(&["start", UNIT])?;
        await_inactive(pair.target, "target.service", SOON)?;
        pair.ensure_nothing_left()?;
        let of_claims = ["--unit", CONTROLLER, "UNITLINK_SET=claims"];
        let line = fleet.node("main").journalctl(&of_claims)?;
        ensure!(
            line.contains(DIFFERS)
                && line.contains("node=worker1")
                && line.contains("added=0 gone=1"),
            "{line}"
        );
        Ok(())
    });
}

/// When a unit has stopped, by the clock of its systemd.
fn stopped_at(node: &Node, unit: &str) -> Result<Duration> {
    let at = node.property(unit, "InactiveEnterTimestampMonotonic")?;
    Ok(Duration::from_micros(at.parse()?))
}

// systemd orders a stop before a start: the agent is started again when the proxy has stopped. So the stop of a proxy
// may not wait for the agent, which would come back that much later.
#[test]
fn a_source_that_stops_as_its_agent_dies_keeps_it_from_nothing() {
    let path = format!("/etc/systemd/system/{UNIT}.d/slow.conf");
    let builder =
        layout("1min", "2s", "stop").file("worker1", &path, "[Service]\nRestartSec=300ms\n");
    let builder = remember(builder, "worker1", &format!("source.service {PROXY}"));
    let builder = remember(builder, "worker2", "target.service");
    scene(builder, |fleet| {
        let pair = pair(fleet);
        pair.start()?;
        pair.source.kill_service(UNIT, "SIGKILL")?;
        pair.source.systemctl(&["stop", "source.service"])?;
        await_inactive(pair.target, "target.service", SOON)?;
        pair.ensure_nothing_left()?;
        let source = stopped_at(pair.source, "source.service")?;
        let proxy = stopped_at(pair.source, PROXY)?;
        let took = proxy.saturating_sub(source);
        ensure!(took < AT_ONCE, "the proxy took {took:?} to stop");
        Ok(())
    });
}

#[test]
fn a_target_that_stops_without_its_agent_stops_its_source_when_the_agent_is_back() {
    let builder = without_restart(layout("3s", "1min", "stop"), "worker2", UNIT);
    scene(builder, |fleet| {
        let pair = pair(fleet);
        pair.start()?;
        kill(pair.target, UNIT)?;
        pair.target.systemctl(&["stop", "target.service"])?;
        ensure_is(pair.source, "source.service", "active")?;
        pair.target.systemctl(&["start", UNIT])?;
        await_inactive(pair.source, "source.service", SOON)?;
        pair.ensure_nothing_left()
    });
}

#[test]
fn a_start_goes_on_over_the_death_of_either_agent() {
    scene(layout("3s", "2s", "stop"), |fleet| {
        let pair = pair(fleet);
        // Its start lasts until there is a file.
        pair.target.write(
            "/etc/systemd/system/target.service.d/slow.conf",
            "[Service]\nExecStartPre=/bin/sh -c 'until test -e /run/go; do sleep 0.05; done'\n",
        )?;
        pair.target.systemctl(&["daemon-reload"])?;
        pair.source
            .systemctl(&["start", "--no-block", "source.service"])?;
        pair.target
            .wait_state("target.service", |active, _| active == "activating", SOON)?;
        for node in [pair.source, pair.target] {
            kill_and_await(node, UNIT)?;
        }
        await_all_online(fleet)?;
        ensure_is(pair.source, "source.service", "inactive")?;
        pair.target.write("/run/go", "")?;
        pair.processes()?;
        pair.target.systemctl(&["stop", "target.service"])?;
        await_inactive(pair.source, "source.service", AT_ONCE)
    });
}
