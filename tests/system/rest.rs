//! Daemons that have nothing to do.

use std::time::Duration;

use anyhow::Result;
use tests::node::Node;

use crate::world::{SOON, scene, three};

/// The interval of heartbeats in all cases.
const BEAT: Duration = Duration::from_millis(500);
const BEATS: u32 = 10;

/// How often the main process of a unit has gone to sleep. Daemons have one thread.
fn sleeps(node: &Node, unit: &str) -> Result<u64> {
    let pid = node.main_pid(unit)?;
    let line = node.shell(&format!("grep ^voluntary /proc/{pid}/status"))?;
    Ok(line.split_whitespace().last().unwrap_or_default().parse()?)
}

/// Two sleeps for each heartbeat, one of which ends with the answer, and a few for the rest of the machine: what one
/// more for each would exceed.
#[test]
fn an_agent_that_has_nothing_to_do_wakes_for_its_heartbeats() {
    scene(three("rest"), |fleet| {
        let node = fleet.node("worker1");
        let is_at_rest = || {
            let slept = || sleeps(node, "unitlink-agent.service").unwrap_or_default();
            let before = slept();
            std::thread::sleep(BEAT * BEATS);
            let more = slept().saturating_sub(before);
            let beats = u64::from(BEATS);
            // Fewer would be an agent that does not live.
            (beats..beats * 5 / 2).contains(&more)
        };
        node.wait_until(is_at_rest, 3 * SOON)
    });
}
