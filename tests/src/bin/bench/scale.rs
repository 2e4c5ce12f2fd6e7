//! A controller with ever more agents: what a node, a job and a list cost, and whether that grows.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;

use crate::{
    client::Client,
    plain::{Agents, Plain},
    sample::{Sample, ratio},
    table::{Cell, Report, Table},
};

/// Calls and jobs under way at once.
const AT_ONCE: usize = 16;

/// After so long nothing of the connecting is left to do, as the questions that agents of BlueChi's are asked.
const SETTLED: Duration = Duration::from_millis(500);

/// Units of each node, where all of them are listed.
const UNITS: usize = 100;

/// A fleet with more agents lists fewer units of each: it is the number of all that counts there.
const UNITS_ALL: usize = 100_000;

fn cell(count: usize) -> Cell {
    Cell::Count(u64::try_from(count).unwrap_or(u64::MAX))
}

/// What was measured with so many agents.
struct Row {
    online: Duration,
    /// The controller's memory without agents, and with them.
    memory: (u64, u64),
    idle: f64,
    jobs: f64,
    latency: Sample,
    /// The controller's own processor time for each job.
    job: Duration,
    ping: Duration,
    list_nodes: Duration,
    list_units: (usize, Duration),
}

fn median_of(times: usize, mut call: impl FnMut() -> Result<()>) -> Result<Duration> {
    let mut sample = Sample::default();
    for _ in 0..times {
        let began = Instant::now();
        call()?;
        sample.push(began.elapsed());
    }
    Ok(sample.median())
}

#[expect(clippy::cast_precision_loss, reason = "three digits are enough")]
fn row(report: &Report, count: usize, of_bluechi: bool) -> Result<Row> {
    let services = UNITS.min(UNITS_ALL / count);
    let mut plain = Plain::new(count)?;
    let process = plain.process()?;
    let before = process.memory()?.anonymous;
    let online = plain.connect(Agents {
        count,
        services,
        of_bluechi,
    })?;
    let memory = (before, process.memory()?.anonymous);

    let idle_for = report
        .size
        .pick(Duration::from_secs(10), Duration::from_secs(2));
    thread::sleep(SETTLED);
    let begun = (process.processor()?, Instant::now());
    thread::sleep(idle_for);
    let idle = (process.processor()? - begun.0).as_secs_f64() / begun.1.elapsed().as_secs_f64();

    let mut client = Client::connect(&plain.address)?;
    let jobs = report.size.pick(5_000, 500);
    let ping = client.pings(jobs, AT_ONCE)? / u32::try_from(jobs)?;
    // The first jobs of a node make its unit known.
    client.jobs(count, AT_ONCE, AT_ONCE)?;
    let begun = process.processor()?;
    let done = client.jobs(count, jobs, AT_ONCE)?;
    // Heartbeats go on meanwhile, and are no cost of a job.
    let spent = (process.processor()? - begun).saturating_sub(done.took.mul_f64(idle));
    let job = spent / u32::try_from(jobs)?;
    let times = report.size.pick(20, 3);
    Ok(Row {
        online,
        memory,
        idle: idle * 100.0,
        jobs: jobs as f64 / done.took.as_secs_f64(),
        latency: done.each,
        job,
        ping,
        list_nodes: median_of(times, || client.list_nodes().map(drop))?,
        list_units: (
            services * count,
            median_of(times, || client.list_units().map(drop))?,
        ),
    })
}

pub(crate) fn measure(report: &mut Report) -> Result<()> {
    let all = [10, 100, 1_000, 5_000, 10_000].map(|count| (count, false));
    let few = [10, 100, 1_000].map(|count| (count, false));
    let counts = report.size.pick(&all[..], &few[..]);
    let mut fleet = Table::new(
        "A controller with so many simulated agents that say every 2 s that they live",
        &[
            "agents",
            "all online",
            "memory of each",
            "idle",
            "ListNodes",
            "units",
            "ListUnits",
        ],
    );
    let mut jobs = Table::new(
        "Jobs by the public API, 16 at once",
        &[
            "agents",
            "jobs",
            "beside 10",
            "p50",
            "p99",
            "controller, each",
            "beside a Ping",
        ],
    );
    let mut first: Option<(f64, Duration)> = None;
    for (count, of_bluechi) in counts.iter().chain(&[(1_000, true)]) {
        let row = row(report, *count, *of_bluechi)?;
        let name = if *of_bluechi {
            format!("{count}, BlueChi's")
        } else {
            count.to_string()
        };
        let each = row.memory.1.saturating_sub(row.memory.0) / u64::try_from(*count)?;
        fleet.row(
            &name,
            [
                Cell::time(row.online),
                if *count < 100 {
                    Cell::Nothing
                } else {
                    Cell::Bytes(each)
                },
                Cell::Percent(row.idle),
                Cell::time(row.list_nodes),
                cell(row.list_units.0),
                Cell::time(row.list_units.1),
            ],
        );
        let (rate, job) = *first.get_or_insert((row.jobs, row.job));
        jobs.row(
            &name,
            [
                Cell::Rate(row.jobs),
                Cell::Ratio(row.jobs / rate),
                Cell::time(row.latency.median()),
                Cell::time(row.latency.percentile(99)),
                Cell::time(row.job),
                Cell::Ratio(ratio(row.job, row.ping)),
            ],
        );
        if *count == 1_000 {
            fleet.check(
                &format!("bytes of memory for each of {name} agents"),
                f64::from(u32::try_from(each)?),
                16.0 * 1024.0,
            );
            // Processor time, not time: whatever else runs takes none of it. It is a slope; were
            // there a walk over all nodes in a job, it would be tens.
            jobs.check(
                &format!("processor time for a job with {name} agents beside 10"),
                ratio(row.job, job),
                3.0,
            );
        }
    }
    report.add(fleet);
    report.add(jobs);
    Ok(())
}
