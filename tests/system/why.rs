//! Why a unit runs, does not run, or is not stopped: `ctl why`, told in situations in which somebody
//! asks.

use std::{thread::sleep, time::Duration};

use anyhow::{Result, ensure};
use tests::fleet::{Fleet, FleetBuilder};

use crate::world::{
    SOON, await_failed, await_inactive, await_no_needs, await_status, configure, ctl, ctl_ok,
    ctl_says, four, scene,
};

const RUNS: &str = "[Service]\nExecStart=/bin/sleep infinity\n";

/// A unit that says this and runs.
fn unit(builder: FleetBuilder, node: &str, unit: &str, says: &str) -> FleetBuilder {
    builder.unit_text(node, unit, &format!("[Unit]\n{says}\n\n{RUNS}"))
}

fn layout() -> FleetBuilder {
    let needs =
        |how: &str, unit: &str| format!("{how}=proxy@{unit}.service\nAfter=proxy@{unit}.service");
    let mut builder = four("why");
    for node in ["worker1", "worker3"] {
        builder = unit(
            builder,
            node,
            "source.service",
            &needs("BindsTo", "worker2_target"),
        );
    }
    builder = unit(builder, "worker2", "target.service", "StopWhenUnneeded=yes");
    builder = unit(
        builder,
        "worker1",
        "of-broken.service",
        &needs("Requires", "worker2_broken"),
    );
    builder = builder.unit_text(
        "worker2",
        "broken.service",
        "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo no disk here; exit 3'\n",
    );
    builder = unit(
        builder,
        "worker1",
        "of-missing.service",
        &needs("Requires", "worker2_tarket"),
    );
    builder = unit(
        builder,
        "worker1",
        "of-bad.service",
        &needs("Requires", "worker2_bad"),
    );
    builder = builder.unit_text("worker2", "bad.service", "[Service]\nExecStart=nopath\n");
    builder = unit(
        builder,
        "worker1",
        "of-conditional.service",
        &needs("Requires", "worker2_conditional"),
    );
    builder = unit(
        builder,
        "worker2",
        "conditional.service",
        "ConditionPathExists=/nowhere",
    );
    builder = unit(
        builder,
        "worker1",
        "around.service",
        &needs("Requires", "worker2_back"),
    );
    builder = unit(
        builder,
        "worker2",
        "back.service",
        &needs("Requires", "worker1_around"),
    );
    builder = unit(
        builder,
        "worker3",
        "forbidden.service",
        &needs("Requires", "main_base"),
    );
    builder = unit(builder, "main", "base.service", "");
    builder = unit(
        builder,
        "worker1",
        "between.service",
        "Requires=of-broken.service\nAfter=of-broken.service",
    );
    configure(
        builder,
        "why",
        "[node.worker3]\nallow_dependencies_on = [\"worker2\"]\n[claims]\nloss_grace = \"20s\"\nsource_grace = \"20s\"\n",
    )
}

/// Asks about a unit, of which all of this has to be said.
fn says(fleet: &Fleet, line: &str, words: &[&str]) -> Result<()> {
    ctl_says(fleet, line, 0, words).map(drop)
}

#[test]
fn who_needs_a_unit_is_said_with_the_units_of_each_node() {
    scene(layout(), |fleet| {
        let (needed, of) = ("worker1 has needed it", "source.service (BindsTo=)");
        ctl_ok(fleet, "start worker1 source")?;
        let words = [needed, of, "StopWhenUnneeded=yes"];
        says(fleet, "why worker2 target", &words)?;
        let words = ["holds target.service", needed];
        says(fleet, "why worker2 dep@target.service", &words)?;
        let words = ["stands for target.service on worker2", of];
        says(fleet, "why worker1 proxy@worker2_target.service", &words)?;
        ctl_ok(fleet, "start worker3 source")?;
        says(
            fleet,
            "why worker2 target",
            &[needed, "worker3 has needed it"],
        )?;
        ctl_ok(fleet, "start main base")?;
        says(
            fleet,
            "why main base",
            &["does not have StopWhenUnneeded=yes"],
        )
    });
}

#[test]
fn what_stands_in_the_way_is_said_on_whichever_node_it_is() {
    scene(layout(), |fleet| {
        let circle = [
            "in a circle",
            "worker1/around.service",
            "worker2/back.service",
        ];
        let proxy = "Requires=proxy@worker2_broken.service";
        for (node, unit, words) in [
            (
                "worker1",
                "of-broken",
                &[
                    proxy,
                    "exited with status 3",
                    "It last said: “no disk here”",
                ][..],
            ),
            (
                "worker1",
                "of-missing",
                &["worker2 has no unit tarket.service"],
            ),
            ("worker1", "of-conditional", &["did not become active"]),
            ("worker1", "around", &circle),
            ("worker3", "forbidden", &["allow_dependencies_on"]),
        ] {
            ctl(fleet, &format!("start {node} {unit}"))?;
            says(fleet, &format!("why {node} {unit}"), words)?;
        }
        let words = ["of-broken.service", "exited with status 3"];
        says(fleet, "why worker1 between", &words)?;
        ctl_says(
            fleet,
            "why worker2 tarket",
            4,
            &["Did you mean target.service?"],
        )?;
        let worker2 = fleet.node("worker2");
        worker2.shell("ln -sf /dev/null /etc/systemd/system/conditional.service")?;
        worker2.systemctl(&["daemon-reload"])?;
        says(fleet, "why worker2 conditional", &["it is masked"])
    });
}

#[test]
fn a_node_that_is_away_is_said_to_be_so_and_what_will_come_of_it() {
    scene(layout(), |fleet| {
        let worker1 = fleet.node("worker1");
        ctl_ok(fleet, "start worker1 source")?;
        fleet.node("worker2").crash()?;
        await_status(fleet, "worker2", "offline", SOON)?;
        let lost = [
            "has been running for",
            "target.service on worker2",
            "out of sight",
            "loss_grace",
        ];
        says(fleet, "why worker1 source", &lost)?;
        let away = ["worker2 has been offline for", "worker1 needs it"];
        ctl_says(fleet, "why worker2 target", 6, &away)?;
        worker1.systemctl(&["start", "--no-block", "of-broken.service"])?;
        let proxy = "proxy@worker2_broken.service";
        worker1.wait_state(proxy, |active, _| active == "activating", SOON)?;
        let waits = ["node worker2 is offline", "start_timeout"];
        says(fleet, "why worker1 of-broken", &waits)
    });
}

/// What both sides say when one of them has stopped, although systemd has forgotten both.
#[test]
fn it_is_said_which_side_was_stopped_first() {
    scene(layout(), |fleet| {
        let (worker1, worker2) = (fleet.node("worker1"), fleet.node("worker2"));
        ctl_ok(fleet, "start worker1 source")?;
        ctl_ok(fleet, "start worker3 source")?;
        ctl_ok(fleet, "stop worker3 source")?;
        await_no_needs(fleet.node("worker3"))?;
        says(fleet, "why worker2 target", &["worker1 has needed it"])?;
        let words = ["does not run: it was stopped."];
        let said = ctl_says(fleet, "why worker3 source", 0, &words)?.stdout;
        ensure!(!said.contains("target"), "its target goes on:\n{said}");

        ctl_ok(fleet, "stop worker1 source")?;
        await_inactive(worker2, "target.service", SOON)?;
        let words = [
            "does not run: it was stopped.",
            "worker1 needed it last",
            "worker3 needed it",
        ];
        says(fleet, "why worker2 target", &words)?;
        let said = ctl_ok(fleet, "why worker1 source")?;
        ensure!(
            !said.contains("because it needs"),
            "it was stopped itself:\n{said}"
        );

        ctl_ok(fleet, "start worker1 source")?;
        ctl_ok(fleet, "stop worker2 target")?;
        await_inactive(worker1, "source.service", SOON)?;
        await_no_needs(worker1)?;
        let words = [
            "does not run: it was stopped.",
            "It was stopped because it needs target.service on worker2",
            "(BindsTo=proxy@worker2_target.service), which was stopped",
        ];
        says(fleet, "why worker1 source", &words)?;
        says(
            fleet,
            "why worker2 target",
            &["worker1 needed it when it was stopped"],
        )?;
        // The agent has said it in the journal of the proxy, for whoever has no controller at hand.
        let journal = worker1.journal("proxy@worker2_target.service")?;
        ensure!(journal.contains("was stopped"), "{journal}");
        says(
            fleet,
            "why worker2 conditional",
            &["knows of no run since worker2 was booted"],
        )
    });
}

#[test]
fn a_unit_that_was_started_too_often_is_said_to_be_so_with_its_last_words() {
    let broken = "[Unit]\nStartLimitIntervalSec=60\nStartLimitBurst=3\n\n[Service]\n\
        ExecStart=/bin/sh -c 'echo no disk here; exit 3'\nRestart=always\nRestartSec=100ms\n";
    let builder = layout().unit_text("worker2", "again.service", broken);
    scene(builder, |fleet| {
        let worker2 = fleet.node("worker2");
        worker2.systemctl(&["start", "--no-block", "again.service"])?;
        await_failed(worker2, "again.service", SOON)?;
        let words = [
            "3 times within 1min",
            "StartLimitBurst=",
            "It last said: “no disk here”",
            "ctl reset-failed worker2 again.service",
        ];
        says(fleet, "why worker2 again", &words)
    });
}

#[test]
fn what_runs_on_without_what_it_needs_and_what_must_not_run_is_said_to_be_so() {
    let mut builder = layout();
    for (name, of, how) in [
        ("kept", "keep", "BindsTo=proxy@"),
        ("soft", "dies", "Requires=proxy@"),
        ("against", "rival", "Requires=conflict@"),
    ] {
        let proxy = format!("{how}worker2_{of}.service");
        let (_, after) = proxy.split_once('=').unwrap_or_default();
        let needs = format!("{proxy}\nAfter={after}");
        builder = unit(builder, "worker1", &format!("{name}.service"), &needs);
        builder = unit(builder, "worker2", &format!("{of}.service"), "");
    }
    let keep = "[claims.unit.\"keep.service\"]\non_loss = \"keep\"\n";
    scene(configure(builder, "keep", keep), |fleet| {
        let (worker1, worker2) = (fleet.node("worker1"), fleet.node("worker2"));
        ctl_ok(fleet, "start worker1 soft")?;
        // One that fails at once would count as one that has not started.
        sleep(Duration::from_millis(1100));
        worker2.kill_service("dies.service", "SIGKILL")?;
        await_no_needs(worker1)?;
        let words = ["runs on without dies.service on worker2", "which failed"];
        says(fleet, "why worker1 soft", &words)?;
        let words = ["killed by SIGKILL", "worker1 needed it when it failed"];
        says(fleet, "why worker2 dies", &words)?;

        ctl_ok(fleet, "start worker1 against")?;
        let words = [
            "that it does not run",
            "for its against.service (Requires=)",
        ];
        says(fleet, "why worker2 rival", &words)?;
        ctl_ok(fleet, "start worker2 rival")?;
        await_inactive(worker1, "against.service", SOON)?;
        await_no_needs(worker1)?;
        let words = ["was stopped because it needs that rival.service on worker2 does not run"];
        says(fleet, "why worker1 against", &words)?;

        ctl_ok(fleet, "start worker1 kept")?;
        worker2.crash()?;
        await_status(fleet, "worker2", "offline", SOON)?;
        let words = [
            "out of sight",
            "this unit runs on all the same (on_loss = \"keep\")",
        ];
        says(fleet, "why worker1 kept", &words)
    });
}
