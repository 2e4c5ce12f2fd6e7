//! Units of different nodes that need each other (F19).

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tests::fleet::{Fleet, FleetBuilder};

use crate::world::{await_no_holds, await_no_needs, ctl, ensure_is, scene, three};

/// A circle is found within this time, on two slow cores with other cases beside; without that, a
/// start waits for 90 s.
const FOUND: Duration = Duration::from_secs(8);

/// What `unitlink-proxy` exits with for a circle.
const CYCLE: &str = "19";

/// A unit that needs another one, and waits for it.
fn needs(builder: FleetBuilder, node: &str, unit: &str, how: &str, other: &str) -> FleetBuilder {
    let text = format!(
        "[Unit]\n{how}={other}\nAfter={other}\n\n\
         [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n"
    );
    builder.unit_text(node, unit, &text)
}

/// `main/A` needs `worker1/B` needs `main/A`, and a unit on each node that has nothing to do with it.
fn pair(how: &str) -> FleetBuilder {
    let builder = needs(
        three("cycle"),
        "main",
        "A.service",
        how,
        "proxy@worker1_B.service",
    );
    needs(builder, "worker1", "B.service", how, "proxy@main_A.service")
}

/// Starts a unit, which must fail soon; the units of the circle are not active, and nothing is left.
fn fails_at_once(fleet: &Fleet, node: &str, unit: &str) -> Result<()> {
    let begun = Instant::now();
    let started = ctl(fleet, &format!("start {node} {unit}"))?;
    let took = begun.elapsed();
    ensure!(
        started.code() == Some(1) && took < FOUND,
        "start of {unit} on {node} took {took:?} and ended so: {started:?}"
    );
    ensure_is(fleet.node(node), unit, "inactive")?;
    for node in fleet.nodes() {
        await_no_needs(node)?;
        await_no_holds(node)?;
        let jobs = node.systemctl(&["list-jobs", "--no-legend"])?;
        ensure!(jobs.is_empty(), "jobs on {}: {jobs}", node.name());
    }
    Ok(())
}

/// The proxy failed for the circle, and names all of these.
fn says(fleet: &Fleet, node: &str, proxy: &str, names: &[&str]) -> Result<()> {
    let node = fleet.node(node);
    let status = node.property(proxy, "StatusText")?;
    let code = node.property(proxy, "ExecMainStatus")?;
    ensure!(
        code == CYCLE && names.iter().all(|name| status.contains(name)),
        "{proxy} on {} ended with {code}: {status:?}",
        node.name()
    );
    Ok(())
}

#[test]
fn two_units_that_require_each_other_fail_at_once_and_both_nodes_say_why() {
    scene(pair("Requires"), |fleet| {
        let names = ["main/A.service", "worker1/B.service", "in a circle"];
        for (node, unit) in [("main", "A.service"), ("worker1", "B.service")] {
            fails_at_once(fleet, node, unit)?;
            says(fleet, "main", "proxy@worker1_B.service", &names)?;
            says(fleet, "worker1", "proxy@main_A.service", &names)?;
        }
        Ok(())
    });
}

#[test]
fn a_circle_over_three_nodes_and_a_unit_in_between_is_named_as_a_whole() {
    let how = "BindsTo";
    let builder = needs(
        three("cycle"),
        "main",
        "A.service",
        how,
        "proxy@worker1_B.service",
    );
    let builder = needs(builder, "worker1", "B.service", how, "between.service");
    let builder = needs(
        builder,
        "worker1",
        "between.service",
        how,
        "proxy@worker2_C.service",
    );
    let builder = needs(builder, "worker2", "C.service", how, "proxy@main_A.service");
    scene(builder, |fleet| {
        let names = [
            "main/A.service",
            "worker1/B.service",
            "worker1/between.service",
            "worker2/C.service",
        ];
        fails_at_once(fleet, "main", "A.service")?;
        says(fleet, "main", "proxy@worker1_B.service", &names)?;
        says(fleet, "worker1", "proxy@worker2_C.service", &names)?;
        says(fleet, "worker2", "proxy@main_A.service", &names)
    });
}

// On one machine systemd takes a job out of such a circle, and the rest starts.
#[test]
fn units_that_only_want_each_other_start() {
    scene(pair("Wants"), |fleet| {
        let begun = Instant::now();
        let started = ctl(fleet, "start main A.service")?;
        let took = begun.elapsed();
        ensure!(
            started.code() == Some(0) && took < FOUND,
            "{took:?}: {started:?}"
        );
        ensure_is(fleet.node("main"), "A.service", "active")?;
        ensure_is(fleet.node("worker1"), "B.service", "active")?;
        says(fleet, "worker1", "proxy@main_A.service", &["in a circle"])
    });
}

#[test]
fn what_is_nearly_a_circle_works_and_nothing_else_is_touched() {
    let builder = needs(
        pair("Requires"),
        "main",
        "near.service",
        "Requires",
        "proxy@worker1_far.service",
    );
    let builder = needs(
        builder,
        "worker1",
        "far.service",
        "Requires",
        "proxy@main_base.service",
    );
    // Slow, so that it is asked what waits while all of them wait.
    let slow = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sleep 2\n";
    let builder = builder.unit_text("main", "base.service", slow);
    scene(builder, |fleet| {
        let started = ctl(fleet, "start main near.service")?;
        ensure!(started.code() == Some(0), "{started:?}");
        let all = [
            ("main", "near.service"),
            ("worker1", "far.service"),
            ("main", "base.service"),
        ];
        let runs = || -> Result<Vec<String>> {
            let run = |(node, unit): &(&str, &str)| fleet.node(node).property(unit, "InvocationID");
            all.iter().map(run).collect()
        };
        let before = runs()?;
        let refused = ctl(fleet, "start main A.service")?;
        ensure!(refused.code() == Some(1), "{refused:?}");
        ensure!(runs()? == before, "a circle of others was felt");
        for (node, unit) in all {
            ensure_is(fleet.node(node), unit, "active")?;
        }
        Ok(())
    });
}
