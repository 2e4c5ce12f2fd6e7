//! What depends on what, over all nodes: `ctl deps` and `ctl list-dependencies`.

use anyhow::{Result, ensure};
use tests::fleet::{Fleet, FleetBuilder};

use crate::world::{SOON, await_status, ctl_ok, ctl_says, four, scene};

const RUNS: &str = "[Service]\nExecStart=/bin/sleep infinity\n";

/// A unit that says this and runs.
fn unit(builder: FleetBuilder, node: &str, unit: &str, says: &str) -> FleetBuilder {
    builder.unit_text(node, unit, &format!("[Unit]\n{says}\n\n{RUNS}"))
}

/// `worker1/source` needs `worker1/middle` needs `worker2/target` needs `main/base`; `worker3` needs
/// the target as well, in a unit that nobody has loaded.
fn layout() -> FleetBuilder {
    let after = |how: &str, unit: &str| format!("{how}={unit}\nAfter={unit}");
    let builder = four("deps");
    let builder = unit(
        builder,
        "worker1",
        "source.service",
        &after("Requires", "middle.service"),
    );
    let proxy = "proxy@worker2_target.service";
    let builder = unit(
        builder,
        "worker1",
        "middle.service",
        &after("BindsTo", proxy),
    );
    let target = after("Wants", "proxy@main_base.service") + "\nStopWhenUnneeded=yes";
    let builder = unit(builder, "worker2", "target.service", &target);
    let builder = unit(builder, "worker3", "far.service", &after("Upholds", proxy));
    unit(builder, "main", "base.service", "")
}

/// Fails unless a screen is what it should be.
fn shows(fleet: &Fleet, line: &str, screen: &str) -> Result<()> {
    let shown = ctl_ok(fleet, line)?;
    ensure!(
        shown.trim_end() == screen.trim(),
        "'ctl {line}' should show\n{screen}\nand shows\n{shown}"
    );
    Ok(())
}

#[test]
fn a_unit_is_shown_with_what_it_needs_and_who_needs_it_over_all_nodes() {
    scene(layout(), |fleet| {
        ctl_ok(fleet, "start worker1 source.service")?;
        fleet.node("main").wait_active("base.service", SOON)?;
        shows(
            fleet,
            "deps worker2 target",
            "worker2/target.service: active (running)

Needed by
● ├─worker1/proxy@worker2_target.service
● │ └─middle.service (BindsTo)
● │   └─source.service (Requires)
○ └─worker3/proxy@worker2_target.service
○   └─far.service (Upholds)

Needs
● └─proxy@main_base.service (Wants)
●   └─main/base.service",
        )?;
        shows(
            fleet,
            "deps worker1 source",
            "worker1/source.service: active (running)

Needed by
Nothing that is known needs it.

Needs
● └─middle.service (Requires)
●   └─proxy@worker2_target.service (BindsTo)
●     └─worker2/target.service
●       └─proxy@main_base.service (Wants)
●         └─main/base.service",
        )?;
        let drawn = ctl_ok(fleet, "deps worker2 target --output dot")?;
        let arrow = "\"worker1/proxy@worker2_target.service\" -> \"worker2/target.service\"";
        ensure!(
            drawn.starts_with("digraph") && drawn.contains(arrow),
            "{drawn}"
        );
        ctl_says(fleet, "status worker1 -o dot", 2, &["deps"])?;
        ctl_says(fleet, "deps worker1 nosuch", 4, &["nosuch.service"])?;
        Ok(())
    });
}

#[test]
fn the_tree_of_systemctl_goes_on_at_the_other_node() {
    scene(layout(), |fleet| {
        ctl_ok(fleet, "start worker1 source.service")?;
        shows(
            fleet,
            "list-dependencies --reverse worker2 target",
            "worker2/target.service
● ├─worker1/proxy@worker2_target.service
● │ └─middle.service
● ├─dep@target.service
○ └─worker3/proxy@worker2_target.service
○   └─far.service",
        )?;
        let tree = ctl_ok(fleet, "list-dependencies worker1 middle")?;
        for line in [
            "● ├─proxy@worker2_target.service",
            "● │ └─worker2/target.service",
            "● │   ├─proxy@main_base.service",
            "● │   │ ├─main/base.service",
            "● └─system.slice",
        ] {
            ensure!(tree.lines().any(|it| it == line), "no '{line}' in\n{tree}");
        }
        // As systemctl does, it follows only targets, and all only with --all.
        let above = ctl_ok(fleet, "list-dependencies worker1 source")?;
        let all = ctl_ok(fleet, "list-dependencies --all worker1 source")?;
        ensure!(
            above.contains("middle.service") && !above.contains("target.service\n"),
            "{above}"
        );
        ensure!(all.contains("main/base.service"), "{all}");
        let names = ctl_ok(fleet, "list-dependencies --plain worker1 middle")?;
        ensure!(
            names.contains("●   proxy@worker2_target.service"),
            "{names}"
        );
        let after = ctl_ok(fleet, "list-dependencies --after worker1 middle")?;
        ensure!(after.contains("worker2/target.service"), "{after}");
        Ok(())
    });
}

#[test]
fn units_of_a_node_that_is_away_are_shown_as_unknown() {
    scene(layout(), |fleet| {
        ctl_ok(fleet, "start worker1 source.service")?;
        fleet.node("worker2").crash()?;
        await_status(fleet, "worker2", "offline", SOON)?;
        let unknown = "worker2/target.service: not known, its node is offline";
        ctl_says(
            fleet,
            "deps worker1 middle",
            0,
            &[unknown, "needs of worker2 are missing"],
        )?;
        // Who needs it can still be said.
        let words = [unknown, "middle.service (BindsTo)", "That is not known"];
        ctl_says(fleet, "deps worker2 target", 6, &words)?;
        Ok(())
    });
}
