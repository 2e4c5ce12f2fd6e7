//! `Upholds=`: a target that ends is started again as long as the source runs (F16).

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::node::Node;

use crate::world::{SOON, await_inactive, await_no_holds, ctl_ok, ensure_is, scene, three};

/// Waits until a unit has been active in so many runs.
fn await_runs(node: &Node, unit: &str, count: usize, within: Duration) -> Result<()> {
    let mut seen = BTreeSet::new();
    node.wait_until(
        || {
            if let Ok(id) = node.property(unit, "InvocationID")
                && !id.is_empty()
            {
                seen.insert(id);
            }
            seen.len() >= count
        },
        within,
    )
    .with_context(|| format!("{unit} on {} was not started {count} times", node.name()))
}

#[test]
fn a_target_that_ends_is_started_again_each_time_and_the_source_stays() {
    scene(three("upholds"), |fleet| {
        let (main, worker1) = (fleet.node("main"), fleet.node("worker1"));
        let worker2 = fleet.node("worker2");
        // The one of five seconds runs meanwhile.
        ctl_ok(fleet, "start main source.service")?;
        ctl_ok(fleet, "start worker1 source.service")?;
        let sources = [main, worker1];
        let runs = sources.map(|node| node.property("source.service", "InvocationID"));

        await_runs(worker2, "short.service", 4, SOON)?;
        await_runs(worker2, "target.service", 2, SOON)?;
        for (node, run) in sources.iter().zip(runs) {
            ensure_is(node, "source.service", "active")?;
            ensure!(
                node.property("source.service", "InvocationID")? == run?,
                "the source on {} was started again",
                node.name()
            );
        }

        for node in sources {
            ctl_ok(fleet, &format!("stop {} source.service", node.name()))?;
        }
        for target in ["short.service", "target.service"] {
            await_inactive(worker2, target, SOON)?;
        }
        await_no_holds(worker2)
    });
}

// The source asks for the target again as soon as its stop begins. As on one machine, the stop is
// not called off by that: the target stops, then it is started again.
#[test]
fn a_target_that_is_stopped_by_hand_stops_and_runs_again() {
    scene(three("upholds"), |fleet| {
        let (main, worker2) = (fleet.node("main"), fleet.node("worker2"));
        worker2.write(
            "/etc/systemd/system/target.service.d/long.conf",
            "[Service]\nExecStart=\nExecStart=/bin/sleep infinity\n",
        )?;
        worker2.systemctl(&["daemon-reload"])?;
        ctl_ok(fleet, "start main source.service")?;
        let proxy = "proxy@worker2_target.service";
        let first = main.property(proxy, "InvocationID")?;
        let before = worker2.main_pid("target.service")?;
        ctl_ok(fleet, "stop worker2 target.service")?;
        let is_new = || {
            main.property(proxy, "InvocationID")
                .is_ok_and(|id| !id.is_empty() && id != first)
        };
        main.wait_until(is_new, SOON)?;
        main.wait_active(proxy, SOON)?;
        ensure_is(worker2, "target.service", "active")?;
        ensure!(
            worker2.main_pid("target.service")? != before,
            "target.service was not stopped"
        );
        ensure_is(main, "source.service", "active")
    });
}
