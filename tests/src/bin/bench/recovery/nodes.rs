//! On real nodes: a unit is not needed any more in the moment of a fault. It stops once everything is as it
//! was, so that is when all is settled.

use std::{process::Stdio, thread, time::Duration};

use anyhow::{Context, Result, ensure};
use rustix::time::{ClockId, clock_gettime};
use tests::{
    fake::Plan,
    fleet::{Fleet, FleetBuilder},
    node::Link,
};

use crate::{
    operation::{TRIVIAL, boot, three},
    plain::{Ended, SOON, first_line},
    sample::{Sample, ratio},
    table::{Cell, Report, Table},
};

/// How long a cable carries nothing. Shorter than a peer may be silent, so connections stay.
const CUT: Duration = Duration::from_secs(1);

/// How long everything stands before the next fault, which makes a daemon no longer a new one. systemd stops
/// what is not needed any more at most 16 times in 10 s, and else some time later.
const LIFE: Duration = Duration::from_millis(750);

const NEEDED: &str = "proxy@worker2_target.service";
const CONTROLLER: &str = "tcp:host=10.77.0.1,port=842";

#[derive(Clone, Copy, Debug)]
enum Fault {
    Nothing,
    Controller,
    SourceAgent,
    TargetAgent,
    Cut,
}

const FAULTS: [(Fault, &str); 5] = [
    (Fault::Nothing, "no fault"),
    (Fault::Controller, "the controller is killed"),
    (Fault::SourceAgent, "the agent of the source is killed"),
    (Fault::TargetAgent, "the agent of the target is killed"),
    (Fault::Cut, "a cable was cut for 1 s"),
];

fn layout(plan: &Plan) -> FleetBuilder {
    let source =
        format!("[Unit]\nStartLimitIntervalSec=0\nBindsTo={NEEDED}\nAfter={NEEDED}\n\n{TRIVIAL}");
    let target = format!("[Unit]\nStartLimitIntervalSec=0\nStopWhenUnneeded=yes\n\n{TRIVIAL}");
    three("bench")
        .unit_text("worker1", "source.service", &source)
        .unit_text("worker2", "target.service", &target)
        // So that systemd still knows of it when it has stopped.
        .file(
            "worker2",
            "/etc/systemd/system/multi-user.target.d/remember.conf",
            "[Unit]\nAfter=target.service\n",
        )
        .file(
            "main",
            "/etc/unitlink/controller.toml.d/simulated.toml",
            &plan.configuration(),
        )
}

/// Simulated agents of the fleet's controller, which are online.
fn crowd(fleet: &Fleet, count: usize) -> Result<Ended> {
    let own = std::env::current_exe()?;
    let program = own.with_file_name("fake-agents");
    let mut child = fleet
        .command(&program.to_string_lossy())
        .args([CONTROLLER, &count.to_string()])
        .stdout(Stdio::piped())
        .spawn()?;
    let said = child.stdout.take().context("no output")?;
    let agents = Ended(child);
    let line = first_line(said)?;
    ensure!(line == format!("online {count}"), "{line:?}");
    Ok(agents)
}

/// Now, by the clock that systemd's own timestamps are of: all nodes run on one kernel.
fn now() -> Result<Duration> {
    Ok(clock_gettime(ClockId::Monotonic).try_into()?)
}

/// Has the target not needed any more in the moment of the fault; when the fault was over.
fn strike(fleet: &Fleet, fault: Fault) -> Result<Duration> {
    let kill = |node: &str, unit: &str| fleet.node(node).kill_service(unit, "SIGKILL");
    let stop = || fleet.node("worker1").systemctl(&["stop", "source.service"]);
    let begun = now()?;
    match fault {
        Fault::Nothing => {}
        Fault::Controller => kill("main", "unitlink-controller.service")?,
        Fault::SourceAgent => kill("worker1", "unitlink-agent.service")?,
        Fault::TargetAgent => kill("worker2", "unitlink-agent.service")?,
        Fault::Cut => {
            let target = fleet.node("worker2");
            target.set_link(Link::Cut)?;
            stop()?;
            thread::sleep(CUT);
            let healed = now()?;
            target.heal_link()?;
            return Ok(healed);
        }
    }
    stop()?;
    Ok(begun)
}

/// From the fault until the target has stopped.
fn settled(fleet: &Fleet, fault: Fault) -> Result<Duration> {
    let target = fleet.node("worker2");
    let start = ["ctl", "start", "worker1", "source.service"];
    fleet.node("main").ok(&start)?;
    target.wait_active("target.service", SOON)?;
    thread::sleep(LIFE);
    let begun = strike(fleet, fault)?;
    target.wait_state("target.service", |active, _| active == "inactive", SOON)?;
    let at = target.property("target.service", "InactiveEnterTimestampMonotonic")?;
    let at = Duration::from_micros(at.parse()?);
    ensure!(
        at > begun,
        "the target had stopped before the fault was over"
    );
    for node in fleet.nodes() {
        let online = ["ctl", "is-online", "node", node.name(), "--wait=60s"];
        fleet.node("main").ok(&online)?;
    }
    Ok(at.saturating_sub(begun))
}

pub(crate) fn measure(report: &mut Report) -> Result<()> {
    let mut table = Table::new(
        "A unit that is not needed any more in the moment of a fault, until it has stopped",
        &[
            "fault",
            "simulated agents beside",
            "runs",
            "p50",
            "worst",
            "beside no fault",
        ],
    );
    for count in report.size.pick(&[10, 500][..], &[10][..]) {
        let plan = Plan::new(CONTROLLER.parse()?, *count);
        let fleet = boot(layout(&plan))?;
        let _agents = crowd(&fleet, *count)?;
        let mut floor = None;
        for (fault, name) in FAULTS {
            let mut sample = Sample::default();
            for _ in 0..report.size.pick(20, 2) {
                sample.push(settled(&fleet, fault)?);
            }
            let floor = *floor.get_or_insert(sample.median());
            table.row(
                name,
                [
                    Cell::Count(u64::try_from(*count)?),
                    Cell::Count(u64::try_from(sample.count())?),
                    Cell::time(sample.median()),
                    Cell::time(sample.percentile(100)),
                    Cell::Ratio(ratio(sample.median(), floor)),
                ],
            );
        }
    }
    report.add(table);
    Ok(())
}
