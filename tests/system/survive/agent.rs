//! An agent is restarted or killed (F7, F8).

use test_case::test_case;

use super::{await_all_online, kill, kill_and_await, layout, pair, without_restart};
use crate::world::{AT_ONCE, SOON, await_inactive, ensure_is, scene};

const UNIT: &str = "unitlink-agent.service";

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
        pair.ensure_linked()
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
        pair.ensure_nothing_left()
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
