//! Targets that only run (`Type=oneshot` without `RemainAfterExit=yes`): needed, they have run before
//! their source starts, as on one machine.

use anyhow::{Result, ensure};
use tests::fleet::FleetBuilder;
use tests::node::Node;

use crate::world::{
    SOON, await_no_holds, await_no_needs, ctl, ctl_ok, ensure_is, moment, remember, scene, three,
};

const PROXY: &str = "proxy@worker1_target.service";
const SOURCES: [&str; 2] = ["main", "worker2"];

/// Sources on two nodes; the target leaves a line for each of its runs.
fn sources(target: &str) -> FleetBuilder {
    let source = format!(
        "[Unit]\nRequires={PROXY}\nAfter={PROXY}\n\n[Service]\nExecStart=/bin/sleep infinity\n"
    );
    let target =
        format!("[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo >>/run/runs; {target}'\n");
    let builder = SOURCES.iter().fold(three("once"), |builder, node| {
        builder.unit_text(node, "source.service", &source)
    });
    let builder = builder.unit_text("worker1", "target.service", &target);
    remember(builder, "worker1", "target.service")
}

fn runs(node: &Node) -> usize {
    node.read("/run/runs")
        .map_or(0, |text| text.lines().count())
}

#[test]
fn it_has_run_when_its_source_starts_and_again_for_the_next() {
    scene(sources("sleep 0.5"), |fleet| {
        let (main, worker1) = (fleet.node("main"), fleet.node("worker1"));
        for (count, source) in SOURCES.iter().enumerate() {
            ctl_ok(fleet, &format!("start {source} source.service"))?;
            ensure_is(fleet.node(source), "source.service", "active")?;
            ensure!(runs(worker1) == count + 1);
        }
        let ended = moment(worker1, "target.service", "InactiveEnterTimestampMonotonic")?;
        let last = fleet.node("worker2");
        let started = moment(last, "source.service", "ActiveEnterTimestampMonotonic")?;
        ensure!(
            ended < started,
            "started at {started}, target ended at {ended}"
        );

        let pid = main.main_pid("source.service")?;
        let restart = |node: &Node, unit: &str| -> Result<()> {
            node.systemctl(&["restart", unit])?;
            Ok(())
        };
        restart(worker1, "unitlink-agent.service")?;
        restart(main, "unitlink-agent.service")?;
        restart(main, "unitlink-controller.service")?;
        for node in fleet.nodes() {
            crate::world::await_status(fleet, node.name(), "online", SOON)?;
        }
        ensure!(main.main_pid("source.service")? == pid && runs(worker1) == 2);

        for source in SOURCES {
            ctl_ok(fleet, &format!("stop {source} source.service"))?;
            await_no_needs(fleet.node(source))?;
        }
        await_no_holds(worker1)?;
        ctl_ok(fleet, "start main source.service")?;
        ensure!(runs(worker1) == 3);
        Ok(())
    });
}

#[test]
fn one_that_fails_fails_the_start_of_its_source() {
    scene(sources("exit 3"), |fleet| {
        let main = fleet.node("main");
        let started = ctl(fleet, "start main source.service")?;
        ensure!(started.code() == Some(1), "{started:?}");
        let status = main.property(PROXY, "StatusText")?;
        ensure!(status.contains("exit-code (status 3)"), "{status}");
        ensure!(runs(fleet.node("worker1")) == 1);
        Ok(())
    });
}

// What its result says is from the run before.
#[test]
fn one_that_needs_what_fails_has_not_run_though_it_has_before() {
    let bad =
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/bin/test -e /run/good\n";
    let needs = "[Unit]\nRequires=bad.service\nAfter=bad.service\n";
    let builder = sources("true")
        .unit_text("worker1", "bad.service", bad)
        .file(
            "worker1",
            "/etc/systemd/system/target.service.d/needs.conf",
            needs,
        );
    scene(builder, |fleet| {
        let worker1 = fleet.node("worker1");
        worker1.write("/run/good", "")?;
        ctl_ok(fleet, "start main source.service")?;
        worker1.remove("/run/good")?;
        worker1.systemctl(&["stop", "bad.service"])?;
        let started = ctl(fleet, "start worker2 source.service")?;
        ensure!(started.code() == Some(1), "{started:?}");
        ensure!(runs(worker1) == 1);
        ensure_is(fleet.node("main"), "source.service", "active")
    });
}
