//! `conflict@.service`: of a unit here and one of another node only one runs, as with `Conflicts=` on one
//! machine (F28).

use anyhow::{Result, ensure};
use tests::fleet::{Fleet, FleetBuilder};

use crate::world::{
    SOON, await_inactive, await_no_holds, await_status, configure, ctl, ctl_ok, ensure_is, moment,
    remember, scene, three,
};

const CONFLICT: &str = "conflict@worker1_target.service";

fn service(conflict: &str) -> String {
    format!(
        "[Unit]\nRequires={conflict}\nAfter={conflict}\n\n[Service]\nExecStart=/bin/sleep infinity\n"
    )
}

fn pair() -> FleetBuilder {
    let slow = "[Service]\nExecStart=/bin/sleep infinity\nExecStop=/bin/sleep 0.5\n";
    let builder = three("conflict")
        .unit_text("main", "source.service", &service(CONFLICT))
        .unit_text(
            "main",
            "unknown.service",
            &service("conflict@worker9_target.service"),
        )
        .unit_text(
            "main",
            "missing.service",
            &service("conflict@worker1_missing.service"),
        )
        .unit_text("worker1", "target.service", slow);
    remember(builder, "worker1", "target.service")
}

fn starts_after_the_stop(fleet: &Fleet) -> Result<()> {
    let (main, worker1) = (fleet.node("main"), fleet.node("worker1"));
    ctl_ok(fleet, "start worker1 target.service")?;
    ctl_ok(fleet, "start main source.service")?;
    ensure_is(worker1, "target.service", "inactive")?;
    let stopped = moment(worker1, "target.service", "InactiveEnterTimestampMonotonic")?;
    let started = moment(main, "source.service", "ActiveEnterTimestampMonotonic")?;
    ensure!(
        stopped < started,
        "started at {started}, target stopped at {stopped}"
    );
    ensure_is(main, "source.service", "active")
}

#[test]
fn the_remote_unit_is_stopped_each_time_before_the_source_starts() {
    scene(pair(), |fleet| {
        let main = fleet.node("main");
        for _ in 0..2 {
            starts_after_the_stop(fleet)?;
            let status = main.property(CONFLICT, "StatusText")?;
            ensure!(
                status == "target.service on worker1 does not run",
                "{status}"
            );
            ctl_ok(fleet, "stop main source.service")?;
            await_inactive(main, CONFLICT, SOON)?;
        }
        Ok(())
    });
}

#[test]
fn a_start_of_the_remote_unit_stops_the_source() {
    scene(pair(), |fleet| {
        let (main, worker1) = (fleet.node("main"), fleet.node("worker1"));
        for verb in ["start", "restart"] {
            ctl_ok(fleet, "start main source.service")?;
            worker1.wait_active("against@target.service", SOON)?;
            worker1.systemctl(&[verb, "target.service"])?;
            await_inactive(main, "source.service", SOON)?;
            ensure_is(worker1, "target.service", "active")?;
            await_inactive(main, CONFLICT, SOON)?;
            await_no_holds(worker1)?;
            ensure_is(worker1, "against@target.service", "inactive")?;
        }
        Ok(())
    });
}

// It is the hold on the target's node that keeps both apart, and it is not given up for a loss.
#[test]
fn a_start_while_the_daemons_or_the_source_are_away_is_heard_of() {
    let builder = configure(pair(), "50-grace", "[claims]\nloss_grace = \"1s\"\n");
    scene(builder, |fleet| {
        let (main, worker1) = (fleet.node("main"), fleet.node("worker1"));
        ctl_ok(fleet, "start main source.service")?;
        let pid = main.main_pid("source.service")?;
        worker1.cut_link()?;
        await_status(fleet, "worker1", "offline", SOON)?;
        std::thread::sleep(std::time::Duration::from_secs(3));
        ensure!(main.main_pid("source.service")? == pid);
        worker1.heal_link()?;
        await_status(fleet, "worker1", "online", SOON)?;
        ensure!(main.main_pid("source.service")? == pid);

        main.systemctl(&["stop", "unitlink-controller.service"])?;
        worker1.systemctl(&["stop", "unitlink-agent.service"])?;
        worker1.systemctl(&["start", "target.service"])?;
        ensure_is(main, "source.service", "active")?;
        main.systemctl(&["start", "unitlink-controller.service"])?;
        worker1.systemctl(&["start", "unitlink-agent.service"])?;
        await_inactive(main, "source.service", SOON)?;
        ensure_is(worker1, "target.service", "active")
    });
}

#[test]
fn what_does_not_run_need_not_be_there_but_its_node_must() {
    scene(pair(), |fleet| {
        ctl_ok(fleet, "start main source.service")?;
        ctl_ok(fleet, "start main missing.service")?;
        let unknown = ctl(fleet, "start main unknown.service")?;
        ensure!(unknown.code() == Some(1), "{unknown:?}");
        let status = fleet
            .node("main")
            .property("conflict@worker9_target.service", "StatusText")?;
        ensure!(status.contains("worker9 is unknown"), "{status}");
        Ok(())
    });
}

#[test]
fn who_may_not_depend_on_a_node_may_not_stop_its_units_either() {
    let builder = configure(
        pair(),
        "50-deny",
        "[node.main]\nallow_dependencies_on = []\n",
    );
    scene(builder, |fleet| {
        ctl_ok(fleet, "start worker1 target.service")?;
        let started = ctl(fleet, "start main source.service")?;
        ensure!(started.code() == Some(1), "{started:?}");
        let status = fleet.node("main").property(CONFLICT, "StatusText")?;
        ensure!(status.contains("allow_dependencies_on"), "{status}");
        ensure_is(fleet.node("worker1"), "target.service", "active")
    });
}

// A stop of what others need is a stop like any other: they stop with it.
#[test]
fn who_needs_the_remote_unit_stops_with_it() {
    let proxy = "proxy@worker1_target.service";
    let bound = format!(
        "[Unit]\nBindsTo={proxy}\nAfter={proxy}\n\n[Service]\nExecStart=/bin/sleep infinity\n"
    );
    scene(
        pair().unit_text("worker2", "bound.service", &bound),
        |fleet| {
            ctl_ok(fleet, "start worker2 bound.service")?;
            ctl_ok(fleet, "start main source.service")?;
            await_inactive(fleet.node("worker2"), "bound.service", SOON)?;
            ensure_is(fleet.node("worker1"), "target.service", "inactive")?;
            ensure_is(fleet.node("main"), "source.service", "active")
        },
    );
}

// What the guide says for both directions.
#[test]
fn of_two_that_stop_each_other_the_last_one_that_was_started_runs() {
    let other = service("conflict@main_source.service");
    scene(
        pair().unit_text("worker1", "target.service", &other),
        |fleet| {
            let (main, worker1) = (fleet.node("main"), fleet.node("worker1"));
            for _ in 0..2 {
                ctl_ok(fleet, "start main source.service")?;
                ensure_is(main, "source.service", "active")?;
                ensure_is(worker1, "target.service", "inactive")?;
                ctl_ok(fleet, "start worker1 target.service")?;
                ensure_is(worker1, "target.service", "active")?;
                ensure_is(main, "source.service", "inactive")?;
            }
            Ok(())
        },
    );
}
