//! Daemons that have nothing to do.

use std::time::Duration;

use crate::world::{SOON, scene, three};

const AGENT: &str = "unitlink-agent.service";

/// The interval of heartbeats in all cases.
const BEAT: Duration = Duration::from_millis(500);
const BEATS: u32 = 10;

/// Two sleeps for each heartbeat, one of which ends with the answer, and a few for the rest of the machine: what one
/// more for each would exceed.
#[test]
fn an_agent_that_has_nothing_to_do_wakes_for_its_heartbeats() {
    scene(three("rest"), |fleet| {
        let node = fleet.node("worker1");
        let is_at_rest = || {
            // It has one thread.
            let slept = || {
                node.main_status(AGENT, "voluntary_ctxt_switches")
                    .unwrap_or_default()
            };
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
