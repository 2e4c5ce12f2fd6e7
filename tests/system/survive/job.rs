//! Jobs, and `ctl` that waits for them, when the controller or the agent is killed or restarted.

use std::process::Stdio;

use anyhow::{Result, ensure};
use tests::fleet::Fleet;

use super::{await_all_online, kill_and_await, layout};
use crate::world::{SOON, ctl_ok, scene};

const CONTROLLER: &str = "unitlink-controller.service";
const AGENT: &str = "unitlink-agent.service";

/// `ctl VERB worker2 UNIT` while `fault` happens; yields its exit status and what it has said.
fn meanwhile(
    fleet: &Fleet,
    (verb, unit): (&str, &str),
    fault: impl FnOnce(&Fleet) -> Result<()>,
) -> Result<(Option<i32>, String)> {
    let (main, worker) = (fleet.node("main"), fleet.node("worker2"));
    let ctl = main
        .command(&["ctl", verb, "worker2", unit])?
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    worker.wait_state(unit, |active, _| active == "activating", SOON)?;
    fault(fleet)?;
    let output = ctl.wait_with_output()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    Ok((output.status.code(), said))
}

fn kill_controller(fleet: &Fleet) -> Result<()> {
    kill_and_await(fleet.node("main"), CONTROLLER)
}

fn restart_controller(fleet: &Fleet) -> Result<()> {
    // It is given time for what is under way, which is what a restart waits for; the rest goes on.
    fleet
        .node("main")
        .systemctl(&["kill", "--signal=INT", CONTROLLER])?;
    fleet.node("main").wait_active(CONTROLLER, SOON).map(drop)
}

fn kill_agent(fleet: &Fleet) -> Result<()> {
    kill_and_await(fleet.node("worker2"), AGENT)
}

fn kill_both(fleet: &Fleet) -> Result<()> {
    kill_controller(fleet)?;
    kill_agent(fleet)
}

/// Each is done once, and whoever waits hears how it has ended, by itself and not for the fault.
fn survives(fault: fn(&Fleet) -> Result<()>) {
    scene(layout("3s", "2s", "stop"), |fleet| {
        let worker = fleet.node("worker2");
        for (verb, unit, code, word) in [
            ("start", "slow.service", 0, ""),
            ("restart", "slow.service", 0, ""),
            ("start", "doomed.service", 1, "exit-code (status 3)"),
        ] {
            let (ended, said) = meanwhile(fleet, (verb, unit), fault)?;
            ensure!(
                ended == Some(code) && said.contains(word),
                "{verb} {unit} ended with {ended:?} and said:\n{said}"
            );
            await_all_online(fleet)?;
        }
        let runs = worker.read("/run/runs")?;
        let expected = "slow.service\nslow.service\ndoomed.service\n";
        ensure!(runs == expected, "what has run is:\n{runs}");
        let jobs = ctl_ok(fleet, "-o plain list-jobs")?;
        ensure!(!jobs.contains("worker2"), "nothing is open: {jobs}");
        // Once the controller has heard of their ends, what is noted of jobs is only which requests they were for.
        worker.wait_until(
            || {
                let heard = worker.shell("grep -l ' heard ' /run/unitlink/agent/jobs/* | wc -l");
                let noted = worker.shell("ls /run/unitlink/agent/jobs | wc -l");
                [heard, noted].map(|count| count.unwrap_or_default().trim().to_owned())
                    == ["3", "3"]
            },
            SOON,
        )
    });
}

#[test]
fn a_job_ends_with_its_own_result_over_a_controller_that_is_killed() {
    survives(kill_controller);
}

#[test]
fn a_job_ends_with_its_own_result_over_a_controller_that_is_interrupted() {
    survives(restart_controller);
}

#[test]
fn a_job_ends_with_its_own_result_over_an_agent_that_is_killed() {
    survives(kill_agent);
}

#[test]
fn a_job_ends_with_its_own_result_over_controller_and_agent_that_are_killed() {
    survives(kill_both);
}
