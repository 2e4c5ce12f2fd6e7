//! `Upholds=`: a target that ends is started again as long as the source runs (F16).

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use test_case::test_case;
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

const PROXY: &str = "proxy@worker2_target.service";
const GATE: &str = "proxy@main_gate.service";

/// systemd passes over a unit that upholds another one while it has a job, here a second start that waits for another
/// node, and does not look again when that has ended; the agent has it look.
#[test_case(false; "with its agent")]
#[test_case(true; "while its agent is killed")]
fn a_target_that_dies_while_its_source_has_a_job_runs_again_after_it(kills: bool) {
    let source = format!(
        "[Unit]\nUpholds={PROXY}\nWants={GATE}\nAfter={PROXY} {GATE}\n\n[Service]\nExecStart=/bin/sleep infinity\n"
    );
    let target = "[Service]\nExecStart=/bin/sleep infinity\n";
    let gate = "[Service]\nType=oneshot\nRemainAfterExit=yes\n\
                ExecStart=/bin/sh -c 'until test -e /run/open; do sleep 0.05; done'\n";
    let builder = three("overlooked")
        .unit_text("worker1", "source.service", &source)
        .unit_text("worker2", "target.service", target)
        .unit_text("main", "gate.service", gate);
    scene(builder, |fleet| {
        let (main, worker1) = (fleet.node("main"), fleet.node("worker1"));
        let worker2 = fleet.node("worker2");
        main.write("/run/open", "")?;
        worker1.systemctl(&["start", "source.service"])?;
        let before = (
            worker1.main_pid("source.service")?,
            worker2.main_pid("target.service")?,
        );
        main.remove("/run/open")?;
        main.systemctl(&["stop", "gate.service"])?;
        await_inactive(worker1, GATE, SOON)?;
        worker1.systemctl(&["start", "--no-block", "source.service"])?;
        worker1.wait_state(GATE, |active, _| active == "activating", SOON)?;

        worker2.kill_service("target.service", "KILL")?;
        let is_down = || {
            let state = worker1.state(PROXY).is_ok_and(|it| it.active == "failed");
            state
                && worker1
                    .property(PROXY, "Job")
                    .is_ok_and(|job| job.is_empty())
        };
        worker1.wait_until(is_down, SOON)?;
        ensure!(
            !worker1.property("source.service", "Job")?.is_empty(),
            "the source has no job any more"
        );
        if kills {
            worker1.systemctl(&["kill", "-s", "KILL", "unitlink-agent.service"])?;
        }

        main.write("/run/open", "")?;
        worker1.wait_active(PROXY, SOON)?;
        worker2.wait_active("target.service", SOON)?;
        ensure_is(worker1, "source.service", "active")?;
        ensure!(worker1.main_pid("source.service")? == before.0);
        ensure!(worker2.main_pid("target.service")? != before.1);
        Ok(())
    });
}
