//! Daemons of this version beside those of the one before, over real links: what a fleet is while it is upgraded, in
//! either order. The programs of before are put into `usr/libexec/before` of the stage by hand; without them there is nothing to try.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use test_case::test_case;
use tests::fleet::{Fleet, FleetBuilder};
use tests::stage::Stage;

use crate::world::{
    SOON, await_inactive, await_no_holds, await_no_needs, await_status, ctl_ok, ensure_is, scene,
    three,
};

/// Where a stage has the programs of the version before.
const BEFORE: &str = "usr/libexec/before";

const SOURCE: &str = "\
[Unit]
BindsTo=proxy@worker2_target.service
After=proxy@worker2_target.service
[Service]
ExecStart=/bin/sleep infinity
";

const TARGET: &str = "[Unit]\nStopWhenUnneeded=yes\n[Service]\nExecStart=/bin/sleep infinity\n";

/// A restart of it takes a while, and each leaves a line.
const SLOW: &str = "\
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'sleep 2; echo once >>/run/restarts'
";

/// Whether there are programs of the version before.
fn are_there() -> bool {
    Stage::find().is_ok_and(|stage| stage.path().join(BEFORE).is_dir())
}

/// Has a daemon of a node be that of the version before.
fn before(builder: FleetBuilder, node: &str, daemon: &str) -> FleetBuilder {
    let text = format!("[Service]\nExecStart=\nExecStart=/{BEFORE}/{daemon}\n");
    let path = format!("/etc/systemd/system/{daemon}.service.d/before.conf");
    builder.file(node, &path, &text)
}

fn layout() -> FleetBuilder {
    three("neighbours")
        .unit_text("worker1", "source.service", SOURCE)
        .unit_text("worker2", "target.service", TARGET)
        .unit_text("worker1", "slow.service", SLOW)
}

/// A dependency holds and ends, and a job is carried out once and told its own end though its controller is killed.
fn is_one_fleet(fleet: &Fleet) -> Result<()> {
    let (main, worker1, worker2) = (
        fleet.node("main"),
        fleet.node("worker1"),
        fleet.node("worker2"),
    );
    ctl_ok(fleet, "start worker1 source")?;
    ensure_is(worker2, "target.service", "active")?;

    main.shell(
        "rm -f /run/code; (ctl restart worker1 slow; echo $? >/run/code) >/run/said 2>&1 </dev/null &",
    )?;
    worker1.wait_state("slow.service", |active, _| active == "activating", SOON)?;
    main.systemctl(&["kill", "--signal=KILL", "unitlink-controller.service"])?;
    let has_ended = || main.read("/run/code").is_ok_and(|it| !it.is_empty());
    main.wait_until(has_ended, SOON)
        .context("ctl does not end")?;
    let (code, said) = (main.read("/run/code")?, main.read("/run/said")?);
    ensure!(code.trim() == "0", "ctl ended with {code}: {said}");
    let restarts = worker1.read("/run/restarts")?;
    ensure!(restarts == "once\n", "restarted more than once: {restarts}");

    for node in ["main", "worker1", "worker2"] {
        await_status(fleet, node, "online", SOON)?;
    }
    ensure_is(worker1, "source.service", "active")?;
    ensure_is(worker2, "target.service", "active")?;
    ctl_ok(fleet, "stop worker1 source")?;
    await_inactive(worker2, "target.service", Duration::from_secs(5))?;
    await_no_needs(worker1)?;
    await_no_holds(worker2)
}

#[test_case(&[("worker1", "unitlink-agent"), ("worker2", "unitlink-agent")]; "agents of before")]
#[test_case(&[("worker1", "unitlink-agent")]; "the agent of the source of before")]
#[test_case(&[("worker2", "unitlink-agent")]; "the agent of the target of before")]
#[test_case(&[("main", "unitlink-controller")]; "a controller of before")]
fn daemons_of_two_versions_are_one_fleet(old: &[(&str, &str)]) {
    if !are_there() {
        println!("skipped: no programs of the version before in usr/libexec/before of the stage");
        return;
    }
    let builder = old.iter().fold(layout(), |builder, (node, daemon)| {
        before(builder, node, daemon)
    });
    scene(builder, is_one_fleet);
}
