//! What the programs take when they have nothing to do, and to begin.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use tests::{fleet::Fleet, node::Node, stage::Stage};

use crate::{
    operation::{TRIVIAL, boot, three, timed},
    process::Process,
    table::{Cell, Report, Table},
};

const DAEMONS: [(&str, &str, &str); 3] = [
    ("controller, 3 nodes", "main", "unitlink-controller.service"),
    ("agent beside it", "main", "unitlink-agent.service"),
    ("agent", "worker1", "unitlink-agent.service"),
];

fn process(node: &Node, unit: &str) -> Result<Process> {
    Ok(Process::new(u32::try_from(node.host_pid(unit)?)?))
}

/// Memory and wake-ups of daemons that have been left alone.
fn idle(report: &Report, fleet: &Fleet) -> Result<Table> {
    let mut table = Table::new(
        "Daemons that have nothing to do, with heartbeats every 2 s",
        &[
            "daemon",
            "RSS",
            "PSS",
            "anonymous",
            "sleeps a minute",
            "processor",
        ],
    );
    let watched = report
        .size
        .pick(Duration::from_secs(60), Duration::from_secs(5));
    let before = DAEMONS.map(|(name, node, unit)| {
        let process = process(fleet.node(node), unit)?;
        anyhow::Ok((name, process, process.sleeps()?, process.processor()?))
    });
    let began = Instant::now();
    thread::sleep(watched);
    for daemon in before {
        let (name, process, sleeps, processor) = daemon?;
        let for_secs = began.elapsed().as_secs_f64();
        let slept = process.sleeps()? - sleeps;
        let spent = process.processor()? - processor;
        let memory = process.memory()?;
        #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
        let a_minute = slept as f64 * 60.0 / for_secs;
        table.row(
            name,
            [
                Cell::Bytes(memory.rss),
                Cell::Bytes(memory.pss),
                Cell::Bytes(memory.anonymous),
                Cell::Ratio(a_minute),
                Cell::Percent(spent.as_secs_f64() / for_secs * 100.0),
            ],
        );
    }
    Ok(table)
}

/// How long until the daemons of a node are ready, and how long the helper of a proxy runs.
fn beginnings(report: &Report, fleet: &Fleet) -> Result<Table> {
    let mut table = Table::new(
        "From nothing to ready, as systemd sees it",
        &["what", "runs", "p50", "p99"],
    );
    let times = report.size.pick(20, 3);
    for (name, node, unit) in DAEMONS {
        let command = format!("systemctl restart {unit}");
        let [took] = timed(fleet.node(node), times, [&command])?;
        table.row(
            &format!("restart of {name}"),
            [
                Cell::Count(u64::try_from(took.count())?),
                Cell::time(took.median()),
                Cell::time(took.percentile(99)),
            ],
        );
    }
    let online = ["ctl", "is-online", "node", "worker1", "--wait=20s"];
    fleet.node("main").ok(&online)?;
    let worker1 = fleet.node("worker1");
    let mut sample = crate::sample::Sample::default();
    let proxy = "proxy@worker2_plain.service";
    worker1.systemctl(&["start", "keeps.service"])?;
    for _ in 0..times {
        worker1.systemctl(&["restart", proxy])?;
        let at = |property: &str| -> Result<u64> {
            let value = worker1.property(proxy, property)?;
            value.parse().with_context(|| format!("{property}={value}"))
        };
        let took = at("ExecMainExitTimestampMonotonic")?
            .saturating_sub(at("ExecMainStartTimestampMonotonic")?);
        sample.push(Duration::from_micros(took));
    }
    table.row(
        "run of a proxy's helper",
        [
            Cell::Count(u64::try_from(sample.count())?),
            Cell::time(sample.median()),
            Cell::time(sample.percentile(99)),
        ],
    );
    Ok(table)
}

fn sizes() -> Result<Table> {
    let mut table = Table::new("Programs, stripped", &["program", "size"]);
    let stage = Stage::find()?;
    for program in [
        "usr/libexec/unitlink-controller",
        "usr/libexec/unitlink-agent",
        "usr/libexec/unitlink-proxy",
        "usr/bin/unitlinkctl",
    ] {
        let path = stage.path().join(program);
        let size = fs::metadata(&path)
            .with_context(|| path.display().to_string())?
            .len();
        let name = program.rsplit('/').next().unwrap_or(program);
        table.row(name, [Cell::Bytes(size)]);
    }
    Ok(table)
}

pub(crate) fn measure(report: &mut Report) -> Result<()> {
    // It does not go with the proxy, so the proxy is all that is restarted.
    let keeps = "[Unit]\nWants=proxy@worker2_plain.service\n\n".to_owned() + TRIVIAL;
    let builder = three("bench")
        .unit_text("worker1", "keeps.service", &keeps)
        .unit_text("worker2", "plain.service", TRIVIAL);
    let fleet = boot(builder)?;
    let idle = idle(report, &fleet)?;
    let beginnings = beginnings(report, &fleet)?;
    report.add(idle);
    report.add(beginnings);
    report.add(sizes()?);
    Ok(())
}
