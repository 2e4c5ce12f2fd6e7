//! Stops of the daemons while jobs are under way, in order and by interruption.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tests::fleet::{Fleet, FleetBuilder};
use tests::node::Node;

use crate::world::{SOON, agent_drop_in, await_status, controller_drop_in, ctl, scene, three};

const CONTROLLER: &str = "unitlink-controller.service";
const AGENT: &str = "unitlink-agent.service";

/// How long the start of `slow.service` takes.
const SLOW: Duration = Duration::from_secs(4);

/// How much earlier than at its end a job may be seen to have begun.
const AFTER_BEGIN: Duration = Duration::from_millis(1_500);

fn fleet() -> FleetBuilder {
    let slow = format!(
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sleep {}\n",
        SLOW.as_secs()
    );
    three("drain").unit_text("worker1", "slow.service", &slow)
}

/// Has `ctl` start `slow.service` of worker1, which goes on, and waits until systemd is at it.
fn begin(fleet: &Fleet) -> Result<()> {
    let (main, worker1) = (fleet.node("main"), fleet.node("worker1"));
    main.shell(
        "rm -f /run/code; (ctl start worker1 slow.service; echo $? >/run/code) >/run/said 2>&1 </dev/null &",
    )?;
    worker1.wait_state("slow.service", |active, _| active == "activating", SOON)?;
    Ok(())
}

/// Waits until that `ctl` has ended, and well.
fn ended_well(main: &Node) -> Result<()> {
    main.wait_until(
        || main.read("/run/code").is_ok_and(|it| !it.is_empty()),
        SOON,
    )?;
    let (code, said) = (main.read("/run/code")?, main.read("/run/said")?);
    ensure!(code.trim() == "0", "ctl ended with {code}: {said}");
    Ok(())
}

/// Stops a daemon; how long that took.
fn stop(node: &Node, unit: &str) -> Result<Duration> {
    let began = Instant::now();
    node.systemctl(&["stop", unit])?;
    Ok(began.elapsed())
}

/// The limit of a stop, and whether it waits for the job.
const LIMITS: [(&str, bool); 3] = [("60s", true), ("1s", false), ("0s", true)];

#[test]
fn a_controller_waits_for_jobs_as_long_as_it_may_and_the_next_one_hears_of_their_end() {
    scene(fleet(), |fleet| {
        let (main, worker1) = (fleet.node("main"), fleet.node("worker1"));
        for (limit, waits) in LIMITS {
            let text = format!("graceful_shutdown_timeout = \"{limit}\"\n");
            main.write(&controller_drop_in("90-limit"), &text)?;
            main.systemctl(&["reload", CONTROLLER])?;
            begin(fleet)?;
            let run = worker1.property("slow.service", "InvocationID")?;
            let took = stop(main, CONTROLLER)?;
            ensure!(
                (took > SLOW - AFTER_BEGIN) == waits,
                "with {limit} the stop took {took:?}"
            );
            main.systemctl(&["start", CONTROLLER])?;
            ended_well(main)?;
            ensure!(worker1.property("slow.service", "InvocationID")? == run);
            worker1.systemctl(&["stop", "slow.service"])?;
            await_status(fleet, "worker1", "online", SOON)?;
        }
        Ok(())
    });
}

#[test]
fn an_agent_waits_for_jobs_as_long_as_it_may_and_the_next_one_finds_them() {
    scene(fleet(), |fleet| {
        let (main, worker1) = (fleet.node("main"), fleet.node("worker1"));
        for (limit, waits) in LIMITS {
            let text = format!("graceful_shutdown_timeout = \"{limit}\"\n");
            worker1.write(&agent_drop_in("90-limit"), &text)?;
            worker1.systemctl(&["reload", AGENT])?;
            begin(fleet)?;
            let run = worker1.property("slow.service", "InvocationID")?;
            worker1.systemctl(&["stop", "--no-block", AGENT])?;
            worker1.wait_state(AGENT, |active, _| active == "deactivating", SOON)?;
            if waits {
                let refused = ctl(fleet, "start worker1 other.service")?;
                let said = format!("{}{}", refused.stdout, refused.stderr);
                ensure!(!refused.success() && said.contains("stopping"), "{said}");
            }
            let took = stop(worker1, AGENT)?;
            ensure!(
                (took > SLOW - AFTER_BEGIN) == waits,
                "with {limit} the stop took {took:?}"
            );
            worker1.systemctl(&["start", AGENT])?;
            await_status(fleet, "worker1", "online", SOON)?;
            if waits {
                ended_well(main)?;
            } else {
                // Whoever waited was told that the node is gone; the job went on.
                worker1.wait_state("slow.service", |active, _| active == "active", SOON)?;
            }
            ensure!(worker1.property("slow.service", "InvocationID")? == run);
            worker1.systemctl(&["stop", "slow.service"])?;
        }
        Ok(())
    });
}

/// Interrupts the main process of a unit, and tells which of the processes of the unit are still there when it has
/// had its time: 100 ms are promised, and the machine has much else to do. Those that systemd starts anew are others.
fn interrupt(unit: &str) -> String {
    format!(
        "pids=$(grep -ls \"$(systemctl show -P ControlGroup {unit})$\" /proc/[0-9]*/cgroup | cut -d/ -f3); \
         test -n \"$pids\" || exit 1; \
         systemctl kill --kill-whom=main --signal=INT {unit}; sleep 0.4; \
         for pid in $pids; do test ! -e /proc/$pid || cat /proc/$pid/stat; done"
    )
}

#[test]
fn an_interruption_leaves_at_once_and_no_job_is_lost() {
    scene(fleet(), |fleet| {
        let (main, worker1) = (fleet.node("main"), fleet.node("worker1"));
        for (node, unit) in [(main, CONTROLLER), (worker1, AGENT)] {
            begin(fleet)?;
            let (run, pid) = (
                worker1.property("slow.service", "InvocationID")?,
                node.main_pid(unit)?,
            );
            let left = node.shell(&interrupt(unit))?;
            ensure!(left.trim().is_empty(), "of {unit} there is still {left}");
            // systemd starts it again, long before the job has ended.
            node.wait_until(
                || node.main_pid(unit).is_ok_and(|now| now > 1 && now != pid),
                SOON,
            )?;
            ensure!(worker1.state("slow.service")?.active == "activating");
            ended_well(main)?;
            ensure!(worker1.property("slow.service", "InvocationID")? == run);
            worker1.systemctl(&["stop", "slow.service"])?;
            let journal = node.journal(unit)?;
            ensure!(journal.contains("status=130"), "{journal}");
        }
        ctl(fleet, "status")?.ok()?;
        Ok(())
    });
}
