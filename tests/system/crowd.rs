//! A controller with three hundred nodes.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tests::fake::Plan;
use tests::fleet::{Fleet, FleetBuilder};

use crate::world::{SOON, configure, ctl_ok, scene, three};

const COUNT: usize = 300;

/// Those that say that they live and answer nothing.
const SILENT: usize = 2;

/// How long a call may wait for a node.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// What a list of the fleet may take besides: well under a second, on a machine that is busy.
const QUICK: Duration = Duration::from_secs(1);

fn plan(silent: usize) -> Result<Plan> {
    let mut plan = Plan::new("tcp:host=10.77.0.1,port=842".parse()?, COUNT);
    plan.silent = silent;
    plan.heartbeat = Duration::from_millis(500);
    Ok(plan)
}

pub(crate) fn layout() -> FleetBuilder {
    let plan = plan(0).expect("an address");
    let builder = configure(three("crowd"), "crowd", &plan.configuration());
    configure(builder, "limits", "[limits]\ncall_timeout = \"2s\"\n")
}

/// Has all of them connected while `body` runs.
pub(crate) fn crowd(fleet: &Fleet, silent: usize, body: impl FnOnce() -> Result<()>) -> Result<()> {
    let mut agents = fleet
        .command(env!("CARGO_BIN_EXE_fake-agents"))
        .args(["tcp:host=10.77.0.1,port=842", &COUNT.to_string()])
        .args(["--heartbeat", "500", "--silent", &silent.to_string()])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let said = agents.stdout.take().context("no output")?;
    BufReader::new(said).read_line(&mut line)?;
    let result = if line == format!("online {COUNT}\n") {
        body()
    } else {
        Err(anyhow::anyhow!("they are not online: {line:?}"))
    };
    agents.kill()?;
    agents.wait()?;
    result
}

/// Calls the fleet's own interface; yields the answer and how long it took.
fn ask(fleet: &Fleet, member: &str) -> Result<(String, Duration)> {
    let begun = Instant::now();
    let call = [
        "busctl",
        "call",
        "org.unitlink",
        "/org/eclipse/bluechi",
        "org.unitlink.Fleet1",
    ];
    let answer = fleet.node("main").ok(&[&call[..], &[member]].concat())?;
    Ok((answer, begun.elapsed()))
}

#[test]
fn lists_of_three_hundred_nodes_come_at_once() {
    scene(layout(), |fleet| {
        crowd(fleet, 0, || {
            for (member, word) in [
                ("ListNodes", "\"fake00300\""),
                ("ListUnits", "\"app10.service\""),
                ("ListClaims", "aa{sv}"),
            ] {
                let (answer, took) = ask(fleet, member)?;
                ensure!(answer.contains(word), "{member}: {answer}");
                ensure!(took < QUICK, "{member} took {took:?}");
            }
            Ok(())
        })
    });
}

#[test]
fn a_list_comes_in_its_time_with_the_nodes_marked_that_did_not_answer() {
    scene(layout(), |fleet| {
        crowd(fleet, SILENT, || {
            let (answer, took) = ask(fleet, "ListUnits")?;
            ensure!(took < CALL_TIMEOUT + QUICK, "it took {took:?}");
            let (_, missing) = answer.rsplit_once(" 2 \"fake").context("two are missing")?;
            for word in [
                "00299\"",
                "\"fake00300\"",
                "org.freedesktop.DBus.Error.Timeout",
            ] {
                ensure!(missing.contains(word), "{missing}");
            }
            ensure!(answer.contains("\"fake00298\""));
            Ok(())
        })
    });
}

#[test]
fn the_state_has_every_session_and_every_job() {
    let slow = "[Service]\nType=oneshot\nExecStart=/bin/sleep infinity\nTimeoutStartSec=infinity\n";
    scene(
        layout().unit_text("worker1", "slow.service", slow),
        |fleet| {
            crowd(fleet, 0, || {
                let main = fleet.node("main");
                ctl_ok(fleet, "start --no-block worker1 slow.service")?;
                let is_whole = |text: &str| {
                    let sessions = text.matches("session ").count();
                    sessions == COUNT + 3 && text.contains("start of slow.service on worker1")
                };
                let asked = ctl_ok(fleet, "daemon debug")?;
                ensure!(is_whole(&asked), "{asked}");
                let unit = "unitlink-controller.service";
                main.systemctl(&["kill", "--kill-whom=main", "--signal=USR1", unit])?;
                let told = || {
                    let journal = main.journal(unit).unwrap_or_default();
                    let state = journal.lines().filter(|line| line.contains("state: "));
                    is_whole(&state.collect::<Vec<_>>().join("\n"))
                };
                main.wait_until(told, SOON)
            })
        },
    );
}
