//! A cable is out (F9, F10).

use std::thread;
use std::time::Duration;

use test_case::test_case;
use tests::node::Link;

use super::{await_all_online, layout, pair};
use crate::world::{SOON, await_inactive, await_status, ensure_is, scene};

#[test_case("worker1", Link::Cut; "of the source, silently")]
#[test_case("worker2", Link::Cut; "of the target, silently")]
#[test_case("worker1", Link::Down; "of the source, unplugged")]
fn a_cable_that_is_out_for_nine_seconds_is_not_noticed(node: &str, link: Link) {
    scene(layout("30s", "30s", "stop"), |fleet| {
        let (node, pair) = (fleet.node(node), pair(fleet));
        let before = pair.start()?;
        node.set_link(link)?;
        // Longer than the threshold: the node is offline meanwhile.
        thread::sleep(Duration::from_secs(9));
        await_status(fleet, node.name(), "offline", Duration::ZERO)?;
        node.heal_link()?;
        await_all_online(fleet)?;
        pair.ensure_same(before)?;
        pair.ensure_linked()
    });
}

#[test_case("stop")]
#[test_case("keep")]
fn a_source_out_of_sight_for_longer_than_its_grace_loses_its_target(on_loss: &str) {
    scene(layout("2s", "30s", on_loss), |fleet| {
        let pair = pair(fleet);
        pair.start()?;
        pair.source.cut_link()?;
        await_inactive(pair.target, "target.service", SOON)?;
        // It cannot know, and nothing is stopped because somebody is out of sight.
        ensure_is(pair.source, "source.service", "active")?;
        pair.source.heal_link()?;
        await_status(fleet, "worker1", "online", SOON)?;
        match on_loss {
            "stop" => {
                await_inactive(pair.source, "source.service", SOON)?;
                pair.ensure_nothing_left()?;
                pair.start()?;
            }
            _ => drop(pair.processes()?),
        }
        pair.ensure_linked()
    });
}

#[test]
fn a_target_that_stops_behind_a_cut_cable_stops_its_source_once_it_is_healed() {
    scene(layout("30s", "30s", "stop"), |fleet| {
        let pair = pair(fleet);
        pair.start()?;
        pair.target.cut_link()?;
        pair.target.systemctl(&["stop", "target.service"])?;
        await_status(fleet, "worker2", "offline", SOON)?;
        ensure_is(pair.source, "source.service", "active")?;
        pair.target.heal_link()?;
        await_inactive(pair.source, "source.service", SOON)?;
        pair.ensure_nothing_left()
    });
}
