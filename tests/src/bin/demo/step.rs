//! The steps of the demonstration. docs/tutorial.md tells the same story.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tests::fleet::Fleet;

use crate::screen;

/// Far more than anything here takes.
const SOON: Duration = Duration::from_secs(20);

/// One thing that is shown.
pub(crate) struct Step {
    /// What it is, in a sentence.
    pub(crate) title: &'static str,
    /// Shows and checks it.
    pub(crate) run: fn(&Fleet) -> Result<()>,
}

pub(crate) const STEPS: &[Step] = &[
    Step {
        title: "The nodes have found their controller.",
        run: online,
    },
    Step {
        title: "A service on worker1 needs one on worker2: starting the first starts the second.",
        run: start,
    },
    Step {
        title: "When the one that is needed stops, so does the one that needs it.",
        run: target_stops,
    },
    Step {
        title: "When nobody needs it any more, it is stopped.",
        run: source_stops,
    },
    Step {
        title: "Two nodes need it: it stops with the last of them.",
        run: shared,
    },
    Step {
        title: "It ends by itself, and is upheld: it is started again each time.",
        run: upheld,
    },
    Step {
        title: "When it cannot start, systemctl on the other node says why.",
        run: target_fails,
    },
    Step {
        title: "Controller and agents are killed: no service notices.",
        run: daemons_die,
    },
    Step {
        title: "A cable is out for a second: no service notices.",
        run: cable_out_and_in,
    },
    Step {
        title: "A node is gone for good: after a grace, what needs it is stopped.",
        run: node_gone,
    },
];

fn online(fleet: &Fleet) -> Result<()> {
    let main = fleet.node("main");
    main.wait_until(
        || {
            main.run(&["ctl", "-o", "plain", "status"])
                .is_ok_and(|said| said.stdout.matches("online").count() == 3)
        },
        SOON,
    )?;
    show(fleet, "main", "ctl status", Some(0))
}

fn start(fleet: &Fleet) -> Result<()> {
    show(
        fleet,
        "worker1",
        "cat /etc/systemd/system/source.service",
        Some(0),
    )?;
    show(fleet, "main", "ctl start worker1 source.service", Some(0))?;
    show(fleet, "main", "ctl status worker2 target.service", Some(0))?;
    reaches(fleet, "worker2", "target.service", "active")
}

fn target_stops(fleet: &Fleet) -> Result<()> {
    let since = Instant::now();
    show(fleet, "main", "ctl stop worker2 target.service", Some(0))?;
    reaches(fleet, "worker1", "source.service", "inactive")?;
    screen::holds(&format!(
        "{} ms after the command",
        since.elapsed().as_millis()
    ));
    Ok(())
}

fn source_stops(fleet: &Fleet) -> Result<()> {
    show(fleet, "main", "ctl start worker1 source.service", Some(0))?;
    reaches(fleet, "worker2", "target.service", "active")?;
    show(fleet, "main", "ctl stop worker1 source.service", Some(0))?;
    reaches(fleet, "worker2", "target.service", "inactive")
}

fn shared(fleet: &Fleet) -> Result<()> {
    show(fleet, "main", "ctl start worker1 source.service", Some(0))?;
    show(fleet, "main", "ctl start main source.service", Some(0))?;
    reaches(fleet, "worker2", "target.service", "active")?;
    let before = fleet.node("worker2").main_pid("target.service")?;
    show(fleet, "main", "ctl stop worker1 source.service", Some(0))?;
    reaches(fleet, "worker1", "proxy@worker2_target.service", "inactive")?;
    show(fleet, "main", "ctl status worker2 target.service", Some(0))?;
    ensure!(
        fleet.node("worker2").main_pid("target.service")? == before,
        "target.service was started again"
    );
    screen::holds("main still needs target.service: it is the same process as before");
    show(fleet, "main", "ctl stop main source.service", Some(0))?;
    reaches(fleet, "worker2", "target.service", "inactive")
}

fn upheld(fleet: &Fleet) -> Result<()> {
    let worker2 = fleet.node("worker2");
    let pid = || worker2.main_pid("short.service").unwrap_or(0);
    show(fleet, "main", "ctl start main keeper.service", Some(0))?;
    reaches(fleet, "worker2", "short.service", "active")?;
    show(fleet, "main", "ctl status worker2 short.service", Some(0))?;
    let first = pid();
    worker2.wait_until(|| pid() > 0 && pid() != first, SOON)?;
    show(fleet, "main", "ctl status main keeper.service", Some(0))?;
    screen::holds("short.service on worker2 has ended and is another process now");
    show(fleet, "main", "ctl stop main keeper.service", Some(0))?;
    reaches(fleet, "worker2", "short.service", "inactive")
}

fn target_fails(fleet: &Fleet) -> Result<()> {
    show(
        fleet,
        "main",
        "ctl start worker1 needs-broken.service",
        Some(1),
    )?;
    let status = fleet
        .node("worker1")
        .property("proxy@worker2_broken.service", "StatusText")?;
    show(
        fleet,
        "worker1",
        "systemctl --no-pager --lines=0 status proxy@worker2_broken.service",
        Some(3),
    )?;
    ensure!(
        status.contains("broken.service") && status.contains("exit-code"),
        "the status of the proxy does not say why: {status:?}"
    );
    screen::holds("the reason is that of the unit on worker2");
    Ok(())
}

fn daemons_die(fleet: &Fleet) -> Result<()> {
    show(fleet, "main", "ctl start worker1 source.service", Some(0))?;
    reaches(fleet, "worker2", "target.service", "active")?;
    let before = pids(fleet)?;
    for (node, unit) in [
        ("main", "unitlink-controller.service"),
        ("worker1", "unitlink-agent.service"),
        ("worker2", "unitlink-agent.service"),
    ] {
        screen::command(node, &format!("systemctl kill -s KILL {unit}"));
        fleet.node(node).kill_service(unit, "SIGKILL")?;
    }
    online(fleet)?;
    same(fleet, before)
}

fn cable_out_and_in(fleet: &Fleet) -> Result<()> {
    let before = pids(fleet)?;
    let (main, worker2) = (fleet.node("main"), fleet.node("worker2"));
    screen::say("  The cable of worker2 is pulled,");
    worker2.cut_link()?;
    main.wait_until(
        || {
            main.run(&["ctl", "-o", "plain", "status"])
                .is_ok_and(|said| said.stdout.contains("offline"))
        },
        SOON,
    )?;
    screen::say("  the controller has seen it, and the cable is back.");
    worker2.heal_link()?;
    online(fleet)?;
    same(fleet, before)
}

fn node_gone(fleet: &Fleet) -> Result<()> {
    screen::say("  worker2 loses its power.");
    let since = Instant::now();
    fleet.node("worker2").crash()?;
    reaches(fleet, "worker1", "source.service", "inactive")?;
    screen::holds(&format!(
        "{:.1} s later: 1.5 s until it is missed, and 2 s of grace (10 s if not configured)",
        since.elapsed().as_secs_f64()
    ));
    show(fleet, "main", "ctl status", Some(0))
}

/// Runs a command on a node, and shows it with what it says.
fn show(fleet: &Fleet, node: &str, line: &str, code: Option<i32>) -> Result<()> {
    screen::command(node, line);
    // The node does not have the directory that we are in.
    let said = fleet
        .node(node)
        .run(&["env", "--chdir=/", "sh", "-c", line])?;
    screen::output(&said.stdout);
    screen::output(&said.stderr);
    ensure!(
        said.code() == code,
        "'{line}' on {node} ended with {:?}, not with {code:?}",
        said.code()
    );
    Ok(())
}

/// Waits until a unit is in a state.
fn reaches(fleet: &Fleet, node: &str, unit: &str, state: &str) -> Result<()> {
    fleet
        .node(node)
        .wait_state(unit, |active, _| active == state, SOON)?;
    screen::holds(&format!("{unit} on {node} is {state}"));
    Ok(())
}

/// The main processes of the two services.
fn pids(fleet: &Fleet) -> Result<(i32, i32)> {
    Ok((
        fleet.node("worker1").main_pid("source.service")?,
        fleet.node("worker2").main_pid("target.service")?,
    ))
}

fn same(fleet: &Fleet, before: (i32, i32)) -> Result<()> {
    let after = pids(fleet)?;
    ensure!(
        after == before,
        "the services were started again: {before:?}, now {after:?}"
    );
    screen::holds("both services are the same processes as before");
    Ok(())
}
