//! Many proxies of one node at the same time (F21).

use std::time::Duration;

use anyhow::{Result, ensure};
use tests::fleet::FleetBuilder;
use tests::node::Node;

use crate::world::{await_no_holds, await_no_needs, ctl_ok, scene, three};

const COUNT: usize = 200;

/// They share two cores with three systemds, and each is two units and a process.
const LONG: Duration = Duration::from_secs(90);

/// `worker1` needs all of them from its boot on.
fn layout() -> FleetBuilder {
    let needs: Vec<String> = (1..=COUNT).map(|n| format!("need@{n}.service")).collect();
    let needs = needs.join(" ");
    let text = format!("[Unit]\nWants={needs}\nPropagatesStopTo={needs}\n");
    let builder = three("many").unit_text("worker1", "all.target", &text);
    builder.enable("worker1", "all.target")
}

fn active(node: &Node, pattern: &str) -> Result<usize> {
    let list = ["list-units", "--plain", "--no-legend", "--state=active"];
    let lines = node.systemctl(&[&list[..], &[pattern]].concat())?;
    Ok(lines.lines().count())
}

#[test]
fn all_come_up_at_boot_and_go_when_they_are_not_needed() {
    scene(layout(), |fleet| {
        let (worker1, worker2) = (fleet.node("worker1"), fleet.node("worker2"));
        worker1.wait_until(
            || active(worker1, "need@*").is_ok_and(|count| count == COUNT),
            LONG,
        )?;
        for (node, pattern) in [
            (worker1, "proxy@*"),
            (worker2, "needed@*"),
            (worker2, "dep@*"),
        ] {
            let count = active(node, pattern)?;
            ensure!(count == COUNT, "{count} {pattern} on {}", node.name());
        }
        let failed = worker1.systemctl(&["--failed", "--plain", "--no-legend"])?;
        ensure!(failed.is_empty(), "{failed}");

        ctl_ok(fleet, "stop worker1 all.target")?;
        worker2.wait_until(
            || active(worker2, "needed@*").is_ok_and(|count| count == 0),
            LONG,
        )?;
        await_no_needs(worker1)?;
        await_no_holds(worker2)
    });
}
