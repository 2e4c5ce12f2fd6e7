//! One operation on another node, beside systemd's own tool doing the same on that node, which is the floor.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::{
    fleet::{Fleet, FleetBuilder},
    node::Node,
};

use crate::{
    sample::{Sample, ratio},
    table::{Cell, Report, Table},
};

/// A service that is up as soon as it is started.
pub(crate) const TRIVIAL: &str =
    "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n";

/// Runs in one go, before it is the other's turn: what the machine does meanwhile befalls both.
const IN_A_ROW: usize = 20;

/// For one go, however slow the machine is.
const PATIENCE: Duration = Duration::from_secs(300);

/// Times commands in turn, as the shell sees them, and prints microseconds.
const SCRIPT: &str = r#"
n=$1; shift
time_of() {
    begun=$EPOCHREALTIME
    "$@" >/dev/null || exit 1
    ended=$EPOCHREALTIME
    took="$took $(( ${ended/./} - ${begun/./} ))"
}
for ((i = 0; i < n; i++)); do
    took=
    for command in "$@"; do
        # Words of this program's own, none of which needs quotes.
        # shellcheck disable=SC2086
        time_of $command
    done
    echo $took
done
"#;

/// `main` with the controller, `worker1` and `worker2`.
pub(crate) fn three(name: &str) -> FleetBuilder {
    let nodes = ["main", "worker1", "worker2"];
    let builder = nodes
        .into_iter()
        .fold(Fleet::builder(name), FleetBuilder::node);
    builder.daemons("main")
}

/// Boots a fleet and waits until all of its nodes are online.
pub(crate) fn boot(builder: FleetBuilder) -> Result<Fleet> {
    tests::case::prerequisites(true).context("this is measured on real systemd nodes")?;
    let fleet = builder.boot()?;
    for node in fleet.nodes() {
        let online = ["ctl", "is-online", "node", node.name(), "--wait=20s"];
        fleet.node("main").ok(&online)?;
    }
    Ok(fleet)
}

/// Times commands one after the other within a node, so many times each.
pub(crate) fn timed<const N: usize>(
    node: &Node,
    times: usize,
    commands: [&str; N],
) -> Result<[Sample; N]> {
    let times = times.to_string();
    let mut args = vec!["bash", "-c", SCRIPT, "timed", &times];
    args.extend(commands);
    let said = node.run_within(&args, PATIENCE)?.ok()?;
    let mut samples = [const { Vec::new() }; N];
    for line in said.lines() {
        let numbers = line.split(' ').map(str::parse::<u64>);
        let numbers = numbers
            .collect::<Result<Vec<_>, _>>()
            .context(said.clone())?;
        ensure!(numbers.len() == N, "{line}");
        for (sample, micros) in samples.iter_mut().zip(numbers) {
            sample.push(Duration::from_micros(micros));
        }
    }
    Ok(samples.map(|times| {
        let mut sample = Sample::default();
        sample.extend(times);
        sample
    }))
}

/// `ctl` on one node beside `systemctl` on the other.
pub(crate) fn measure(report: &mut Report) -> Result<()> {
    let columns = [
        "operation",
        "runs",
        "systemctl p50",
        "p99",
        "ctl p50",
        "p99",
        "ratio p50",
        "p99",
    ];
    let mut table = Table::new(
        "One operation on another node (ctl), and on its own node (systemctl)",
        &columns,
    );
    let fleet = boot(three("bench").unit_text("worker2", "plain.service", TRIVIAL))?;
    let names = ["start", "status", "stop"];
    let theirs = names.map(|name| format!("systemctl --no-pager {name} plain.service"));
    let ours = names.map(|name| format!("ctl --no-pager {name} worker2 plain.service"));
    let mut floor = [const { Vec::<Sample>::new() }; 3];
    let mut cost = floor.clone();
    for _ in 0..report.size.pick(10, 1) {
        let sides = [
            (fleet.node("worker2"), &theirs, &mut floor),
            (fleet.node("main"), &ours, &mut cost),
        ];
        for (node, commands, samples) in sides {
            let commands = [&*commands[0], &*commands[1], &*commands[2]];
            let took = timed(node, IN_A_ROW, commands)?;
            for (all, took) in samples.iter_mut().zip(took) {
                all.push(took);
            }
        }
    }
    for ((name, floor), cost) in names.into_iter().zip(floor).zip(cost) {
        let (floor, cost) = (Sample::of_all(floor), Sample::of_all(cost));
        let [slow, quick] = [&floor, &cost].map(|it| [it.median(), it.percentile(99)]);
        table.row(
            name,
            [
                Cell::Count(u64::try_from(cost.count())?),
                Cell::time(slow[0]),
                Cell::time(slow[1]),
                Cell::time(quick[0]),
                Cell::time(quick[1]),
                Cell::Ratio(ratio(quick[0], slow[0])),
                Cell::Ratio(ratio(quick[1], slow[1])),
            ],
        );
    }
    report.add(table);
    Ok(())
}
