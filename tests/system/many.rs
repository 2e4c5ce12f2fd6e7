//! Many proxies of one node at the same time (F21).

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::fleet::FleetBuilder;
use tests::node::Node;

use crate::world::{await_no_holds, await_no_needs, ctl_ok, scene, three};

const COUNT: usize = 200;

/// They share two cores with three systemds, and each is two units and a process.
const LONG: Duration = Duration::from_secs(90);

/// A unit that wants these of the units that need another node.
fn all_of(numbers: std::ops::RangeInclusive<usize>) -> String {
    let needs: Vec<String> = numbers.map(|n| format!("need@{n}.service")).collect();
    let needs = needs.join(" ");
    format!("[Unit]\nWants={needs}\nPropagatesStopTo={needs}\n")
}

/// `worker1` needs all of them from its boot on.
fn layout() -> FleetBuilder {
    let builder = three("many").unit_text("worker1", "all.target", &all_of(1..=COUNT));
    builder.enable("worker1", "all.target")
}

/// Bytes of memory that a daemon has for itself.
fn memory(node: &Node, unit: &str) -> Result<usize> {
    let pid = node.main_pid(unit)?;
    let rollup = node.shell(&format!("cat /proc/{pid}/smaps_rollup"))?;
    let line = rollup
        .lines()
        .find(|line| line.starts_with("Private_Dirty:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    let kib: usize = kib.with_context(|| rollup.clone())?.parse()?;
    Ok(kib * 1024)
}

/// What is needed for a start and given back after it is there already when the second lot comes up.
#[test]
fn a_need_costs_little_memory_on_all_three_machines() {
    let builder = three("many")
        .unit_text("worker1", "first.target", &all_of(1..=COUNT))
        .unit_text("worker1", "second.target", &all_of(COUNT + 1..=2 * COUNT));
    scene(builder, |fleet| {
        let (worker1, worker2) = (fleet.node("worker1"), fleet.node("worker2"));
        let daemons = [
            (worker1, "unitlink-agent.service"),
            (worker2, "unitlink-agent.service"),
            (fleet.node("main"), "unitlink-controller.service"),
        ];
        let up = |target: &str, count: usize| -> Result<Vec<usize>> {
            worker1.systemctl(&["start", "--no-block", target])?;
            worker1.wait_until(
                || active(worker1, "need@*").is_ok_and(|active| active == count),
                LONG,
            )?;
            let memory = daemons.iter().map(|(node, unit)| memory(node, unit));
            memory.collect()
        };
        let first = up("first.target", COUNT)?;
        let second = up("second.target", 2 * COUNT)?;
        for (((node, unit), first), second) in daemons.iter().zip(first).zip(second) {
            let each = second.saturating_sub(first) / COUNT;
            println!("{unit} on {}: {each} bytes for each need", node.name());
            ensure!(
                each < EACH_BYTES_MAX,
                "{unit} on {}: {each} bytes",
                node.name()
            );
        }
        Ok(())
    });
}

/// Four times what was seen; memory comes in pages, and a heap grows by more than it is asked for.
const EACH_BYTES_MAX: usize = 8 * 1024;

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
