//! One target for several sources, on several nodes (F3).

use anyhow::{Result, ensure};
use tests::fleet::{Fleet, FleetBuilder};

use crate::world::{AT_ONCE, await_inactive, await_no_holds, ctl_ok, four, remember, scene};

fn layout() -> FleetBuilder {
    remember(four("shared"), "worker2", "target.service")
}

/// Stops the sources one by one: the target stops with the last and is the same process until then.
fn only_the_last_stops_it(fleet: &Fleet, sources: &[(&str, &str)]) -> Result<()> {
    let worker2 = fleet.node("worker2");
    for (node, source) in sources {
        ctl_ok(fleet, &format!("start {node} {source}"))?;
    }
    let pid = worker2.main_pid("target.service")?;
    let (last, others) = sources.split_last().expect("at least one source");
    for (node, source) in others {
        ctl_ok(fleet, &format!("stop {node} {source}"))?;
        // The release of this source has passed all the way once its proxy has gone and another
        // question has been to the target's node and back.
        await_inactive(fleet.node(node), source, AT_ONCE)?;
        ctl_ok(fleet, "status worker2 target.service")?;
        ensure!(
            worker2.main_pid("target.service")? == pid,
            "the target did not survive the stop of {source} on {node}"
        );
    }
    let (node, source) = last;
    ctl_ok(fleet, &format!("stop {node} {source}"))?;
    await_inactive(worker2, "target.service", AT_ONCE)?;
    ensure!(
        worker2.property("target.service", "ExecMainPID")? == pid.to_string(),
        "the target was started again"
    );
    await_no_holds(worker2)
}

#[test]
fn a_target_stops_with_the_last_of_its_sources_wherever_they_are() {
    scene(layout(), |fleet| {
        let (one, two, three) = (
            ("worker1", "source.service"),
            ("worker3", "source.service"),
            ("main", "source.service"),
        );
        only_the_last_stops_it(fleet, &[one, two])?;
        only_the_last_stops_it(fleet, &[two, one])?;
        only_the_last_stops_it(fleet, &[one, two, three])
    });
}

#[test]
fn two_sources_on_one_node_and_one_elsewhere_share_a_target() {
    scene(layout(), |fleet| {
        let (one, two, elsewhere) = (
            ("worker1", "source.service"),
            ("worker1", "second.service"),
            ("worker3", "source.service"),
        );
        only_the_last_stops_it(fleet, &[one, two])?;
        only_the_last_stops_it(fleet, &[elsewhere, one, two])
    });
}

#[test]
fn a_target_that_stops_is_felt_by_all_of_its_sources() {
    scene(four("shared"), |fleet| {
        let sources = ["worker1", "worker3", "main"].map(|name| fleet.node(name));
        for node in sources {
            ctl_ok(fleet, &format!("start {} source.service", node.name()))?;
        }
        ctl_ok(fleet, "stop worker2 target.service")?;
        for node in sources {
            // Wants= does not stop the source, but its need of the target is over.
            await_inactive(node, "proxy@worker2_target.service", AT_ONCE)?;
        }
        await_no_holds(fleet.node("worker2"))
    });
}
