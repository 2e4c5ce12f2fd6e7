//! An agent that is alive and does not answer (F17).

use std::time::{Duration, Instant};

use anyhow::ensure;

use super::{await_all_online, layout, pair};
use crate::world::{SOON, THRESHOLD, await_status, ctl_ok, ctl_says, scene};

#[test]
fn a_frozen_agent_is_offline_within_the_threshold_and_slows_nobody() {
    scene(layout("30s", "30s", "stop"), |fleet| {
        let (worker1, pair) = (fleet.node("worker1"), pair(fleet));
        let before = pair.start()?;
        worker1.freeze("unitlink-agent.service")?;
        let frozen = Instant::now();

        // Before it is noticed: calls to others do not wait for it, calls to it end when it is.
        for _ in 0..5 {
            let begun = Instant::now();
            ctl_ok(fleet, "status worker2 target.service")?;
            ctl_ok(fleet, "status")?;
            ensure!(
                begun.elapsed() < Duration::from_secs(1),
                "two questions took {:?}",
                begun.elapsed()
            );
        }
        ctl_says(
            fleet,
            "list-units",
            6,
            &["the units of worker1 are missing"],
        )?;
        ensure!(
            frozen.elapsed() < Duration::from_secs(12),
            "the list took {:?}",
            frozen.elapsed()
        );
        await_status(
            fleet,
            "worker1",
            "offline",
            (THRESHOLD + Duration::from_secs(1)).saturating_sub(frozen.elapsed()),
        )?;

        worker1.thaw("unitlink-agent.service")?;
        await_all_online(fleet)?;
        pair.ensure_same(before)?;
        pair.ensure_linked()
    });
}

#[test]
fn an_agent_without_an_answer_from_its_controller_connects_again() {
    scene(layout("30s", "30s", "stop"), |fleet| {
        let (main, pair) = (fleet.node("main"), pair(fleet));
        let before = pair.start()?;
        let lost = |node: &str| {
            fleet
                .node(node)
                .journal("unitlink-agent.service")
                .map(|it| it.matches("controller").count())
                .unwrap_or_default()
        };
        let said = lost("worker2");
        main.freeze("unitlink-controller.service")?;
        main.wait_until(|| lost("worker2") > said, SOON)?;
        main.thaw("unitlink-controller.service")?;
        await_all_online(fleet)?;
        pair.ensure_same(before)?;
        pair.ensure_linked()
    });
}
