//! A dependency on a unit of another node, beside the same pair of units on one node.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::{
    fleet::{Fleet, FleetBuilder},
    node::Node,
};

use crate::{
    operation::{TRIVIAL, boot, three, timed},
    sample::{Sample, ratio},
    table::{Cell, Report, Table},
};

/// How many pairs are started at once.
const CROWDS: [usize; 2] = [50, 200];

/// For what has no limit of its own, on a machine that is busy.
const SOON: Duration = Duration::from_secs(120);

/// Sources, what each of them needs, and targets that want many of them at once.
fn units(builder: FleetBuilder, node: &str, needed: impl Fn(usize) -> String) -> FleetBuilder {
    let most = CROWDS.into_iter().max().unwrap_or(1);
    let mut builder = builder;
    for number in 1..=most {
        let needed = needed(number);
        let text = format!("[Unit]\nRequires={needed}\nAfter={needed}\n\n{TRIVIAL}");
        builder = builder.unit_text(node, &format!("source{number}.service"), &text);
    }
    for crowd in CROWDS {
        let sources = (1..=crowd).map(|number| format!("source{number}.service"));
        let sources = sources.collect::<Vec<_>>().join(" ");
        let text = format!("[Unit]\nWants={sources}\nPropagatesStopTo={sources}\n");
        builder = builder.unit_text(node, &format!("all{crowd}.target"), &text);
    }
    builder
}

fn layout() -> FleetBuilder {
    let most = CROWDS.into_iter().max().unwrap_or(1);
    let mut builder = three("bench");
    for number in 1..=most {
        let text = format!("[Unit]\nStopWhenUnneeded=yes\n\n{TRIVIAL}");
        builder = builder.unit_text("worker2", &format!("target{number}.service"), &text);
    }
    let builder = units(builder, "worker2", |number| {
        format!("target{number}.service")
    });
    units(builder, "worker1", |number| {
        format!("proxy@worker2_target{number}.service")
    })
}

/// Waits until no target is up and none is held.
fn settle(fleet: &Fleet) -> Result<()> {
    let worker2 = fleet.node("worker2");
    let nothing_is_left = || {
        let list = ["list-units", "--plain", "--no-legend"];
        let left = worker2.systemctl(&[&list[..], &["target*.service", "dep@*"]].concat());
        left.is_ok_and(|left| left.is_empty())
    };
    worker2
        .wait_until(nothing_is_left, SOON)
        .context("targets are still up")
}

/// From the start of what needs them until all are up, and down again.
fn one(node: &Node, name: &str, fleet: &Fleet) -> Result<Sample> {
    let unit = if name == "1" {
        "source1.service".to_owned()
    } else {
        format!("all{name}.target")
    };
    let [took] = timed(node, 1, [&format!("systemctl start {unit}")])?;
    let sources = node.systemctl(&[
        "list-units",
        "--plain",
        "--no-legend",
        "--state=active",
        "source*.service",
    ])?;
    ensure!(
        sources.lines().count() == name.parse::<usize>()?,
        "{sources}"
    );
    node.systemctl(&["stop", &unit, "source*.service"])?;
    settle(fleet)?;
    Ok(took)
}

pub(crate) fn measure(report: &mut Report) -> Result<()> {
    let columns = [
        "pairs at once",
        "runs",
        "one node p50",
        "p99",
        "two nodes p50",
        "p99",
        "more",
        "ratio",
    ];
    let mut table = Table::new(
        "A source and the unit that it needs, until both are up: on one node, and on two",
        &columns,
    );
    let fleet = boot(layout())?;
    let (one_node, two_nodes) = (fleet.node("worker2"), fleet.node("worker1"));
    let crowds = [
        ("1", report.size.pick(100, 5)),
        ("50", report.size.pick(10, 1)),
        ("200", report.size.pick(5, 1)),
    ];
    for (name, times) in crowds {
        let (mut local, mut remote) = (Sample::default(), Sample::default());
        for _ in 0..times {
            local = Sample::of_all(vec![local, one(one_node, name, &fleet)?]);
            remote = Sample::of_all(vec![remote, one(two_nodes, name, &fleet)?]);
        }
        let (floor, cost) = (local.median(), remote.median());
        table.row(
            name,
            [
                Cell::Count(u64::try_from(remote.count())?),
                Cell::time(floor),
                Cell::time(local.percentile(99)),
                Cell::time(cost),
                Cell::time(remote.percentile(99)),
                Cell::time(cost.saturating_sub(floor)),
                Cell::Ratio(ratio(cost, floor)),
            ],
        );
    }
    report.add(table);
    Ok(())
}
