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

/// A unit that is up without a process. Whoever starts a process has it moved into its cgroup, for which the kernel
/// makes systemd wait several milliseconds, and as many for `systemctl` as for `ctl`.
const BARE: &str = "[Unit]\nDescription=Nothing but a name\n";

/// What is timed, in the order in which it is done each time, which leaves all as it was.
const OPERATIONS: [(&str, &str); 5] = [
    ("start", "start plain.service"),
    ("status", "status plain.service"),
    ("stop", "stop plain.service"),
    ("start, no process", "start bare.target"),
    ("stop, no process", "stop bare.target"),
];

/// Runs in one go, before it is the other's turn: what the machine does meanwhile befalls both.
const IN_A_ROW: usize = 20;

/// For one go, however slow the machine is.
const PATIENCE: Duration = Duration::from_secs(300);

/// Times commands in turn, as the shell sees them, and prints microseconds. Before each is a pause of no certain length:
/// what waits in the kernel is let go at a tick of its clock, and commands without a pause would fall into step with it.
const SCRIPT: &str = r#"
n=$1; shift
# Nothing is ever to be read here, and it has no end.
exec {never}<> <(:)
time_of() {
    read -r -t "0.00$(( RANDOM % 8 + 1 ))" -u "$never"
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
    let fleet = boot(
        three("bench")
            .unit_text("worker2", "plain.service", TRIVIAL)
            .unit_text("worker2", "bare.target", BARE),
    )?;
    let theirs = OPERATIONS.map(|(_, line)| format!("systemctl --no-pager {line}"));
    let ours = OPERATIONS.map(|(_, line)| {
        let line = line.replace(' ', " worker2 ");
        format!("ctl --no-pager {line}")
    });
    let mut floor = OPERATIONS.map(|_| Vec::<Sample>::new());
    let mut cost = floor.clone();
    for _ in 0..report.size.pick(10, 1) {
        let sides = [
            (fleet.node("worker2"), &theirs, &mut floor),
            (fleet.node("main"), &ours, &mut cost),
        ];
        for (node, commands, samples) in sides {
            let took = timed(node, IN_A_ROW, commands.each_ref().map(String::as_str))?;
            for (all, took) in samples.iter_mut().zip(took) {
                all.push(took);
            }
        }
    }
    for (((name, _), floor), cost) in OPERATIONS.into_iter().zip(floor).zip(cost) {
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
