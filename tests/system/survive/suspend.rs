//! Nodes that are suspended and resumed (F24): nothing is stopped that is needed, and nothing done
//! twice. That nobody looks at the wall clock, which may jump meanwhile, is seen to by `clippy.toml` of the daemons.

use std::{thread::sleep, time::Duration};

use anyhow::ensure;
use test_case::test_case;

use super::{await_all_online, layout, pair};
use crate::world::{THRESHOLD, scene};

/// Longer than the threshold by far, and shorter than the graces.
const SLEEP: Duration = Duration::from_secs(3 * THRESHOLD.as_secs());

#[test_case(&["main"]; "the controller")]
#[test_case(&["worker1"]; "the source")]
#[test_case(&["worker2"]; "the target")]
#[test_case(&["main", "worker1", "worker2"]; "all of them")]
fn a_node_that_was_suspended_runs_what_it_ran(names: &[&str]) {
    scene(layout("30s", "30s", "stop"), |fleet| {
        let pair = pair(fleet);
        let before = pair.start()?;
        let runs = pair.source.property("source.service", "InvocationID")?;
        for name in names {
            fleet.node(name).suspend()?;
        }
        sleep(SLEEP);
        for name in names {
            fleet.node(name).resume()?;
        }
        await_all_online(fleet)?;
        pair.ensure_same(before)?;
        ensure!(pair.source.property("source.service", "InvocationID")? == runs);
        pair.ensure_linked()
    });
}
