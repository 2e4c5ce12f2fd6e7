//! Needs that no waiting will satisfy: they fail at once, and say why.

use std::time::Instant;

use anyhow::{Result, ensure};
use tests::fleet::{Fleet, FleetBuilder};

use crate::world::{SOON, await_no_holds, await_no_needs, configure, ctl_says, scene, three};

/// A start timeout that is longer than a case would wait.
fn layout() -> FleetBuilder {
    configure(
        three("refused"),
        "claims",
        "[claims]\nstart_timeout = \"10min\"\n",
    )
}

fn fails(fleet: &Fleet, unit: &str, proxy: &str, words: &[&str]) -> Result<()> {
    let worker1 = fleet.node("worker1");
    let begun = Instant::now();
    ctl_says(fleet, &format!("start worker1 {unit}"), 1, &[])?;
    ensure!(begun.elapsed() < SOON, "it was waited for");
    ensure!(
        worker1.property(unit, "ActiveEnterTimestampMonotonic")? == "0",
        "{unit} was started"
    );
    let journal = worker1.journal(proxy)?;
    ensure!(
        words.iter().all(|word| journal.contains(word)),
        "{proxy} should say {words:?}: {journal}"
    );
    Ok(())
}

#[test]
fn a_node_that_may_not_depend_on_another_is_refused() {
    let builder = configure(
        layout(),
        "policy",
        "[node.worker1]\nallow_dependencies_on = [\"main\"]\n",
    );
    scene(builder, |fleet| {
        let proxy = "proxy@worker2_target.service";
        fails(
            fleet,
            "forbidden.service",
            proxy,
            &["worker2", "allow_dependencies_on"],
        )?;
        let status = fleet.node("worker1").property(proxy, "StatusText")?;
        ensure!(status.contains("allow_dependencies_on"), "{status}");
        ensure!(
            fleet
                .node("worker2")
                .property("target.service", "ActiveEnterTimestampMonotonic")?
                == "0",
            "the target was started"
        );
        await_no_holds(fleet.node("worker2"))
    });
}

#[test]
fn a_node_that_the_controller_does_not_know_is_refused() {
    scene(layout(), |fleet| {
        let proxy = "proxy@nowhere_target.service";
        fails(fleet, "lost.service", proxy, &["node nowhere is unknown"])?;
        let status = fleet.node("worker1").property(proxy, "StatusText")?;
        ensure!(status.contains("node nowhere is unknown"), "{status}");
        await_no_needs(fleet.node("worker1"))
    });
}

#[test]
fn a_proxy_whose_name_is_none_is_refused_with_the_right_one() {
    scene(layout(), |fleet| {
        fails(
            fleet,
            "misspelt.service",
            "proxy@worker2_target.service.service",
            &["write 'proxy@worker2_target.service'"],
        )?;
        fails(
            fleet,
            "half.service",
            "proxy@worker2.service",
            &["'proxy@NODE_UNIT.service'"],
        )
    });
}
