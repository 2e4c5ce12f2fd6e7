//! A whole node is gone (F11, F13), or somebody else calls himself by its name (F18).

use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::{await_all_online, layout, pair};
use crate::world::{
    SOON, THRESHOLD, agent_drop_in, await_inactive, await_status, ctl_ok, ensure_is, four, scene,
    status,
};

#[test]
fn a_source_stops_when_the_node_of_its_target_is_gone_for_the_grace() {
    let grace = Duration::from_secs(3);
    scene(layout("3s", "3s", "stop"), |fleet| {
        let pair = pair(fleet);
        pair.start()?;
        let begun = Instant::now();
        pair.target.crash()?;
        await_inactive(
            pair.source,
            "source.service",
            THRESHOLD + grace + Duration::from_secs(1),
        )?;
        ensure!(
            begun.elapsed() >= grace,
            "the source had no grace: {:?}",
            begun.elapsed()
        );
        let said = pair.source.journal("unitlink-agent.service")?;
        ensure!(
            said.contains("node worker2 has been out of sight for 3 s"),
            "{said}"
        );

        pair.target.heal_link()?;
        pair.target.boot()?;
        await_all_online(fleet)?;
        ensure_is(pair.target, "target.service", "inactive")?;
        pair.start()?;
        pair.ensure_linked()
    });
}

#[test]
fn a_node_that_is_shut_down_stops_what_needs_it_at_once() {
    scene(layout("3s", "1min", "stop"), |fleet| {
        let pair = pair(fleet);
        pair.start()?;
        // Its services are stopped in order, which is no loss.
        pair.target.power_off()?;
        await_inactive(pair.source, "source.service", SOON)?;
        await_status(fleet, "worker2", "offline", SOON)?;
        let said = pair.source.journal("unitlink-agent.service")?;
        ensure!(!said.contains("out of sight"), "{said}");
        Ok(())
    });
}

#[test]
fn a_source_that_is_shut_down_releases_its_target_at_once() {
    scene(layout("1min", "3s", "stop"), |fleet| {
        let pair = pair(fleet);
        pair.start()?;
        pair.source.power_off()?;
        await_inactive(pair.target, "target.service", SOON)
    });
}

#[test]
fn a_source_may_go_on_without_the_node_of_its_target_and_gets_it_back() {
    scene(layout("3s", "1s", "keep"), |fleet| {
        let pair = pair(fleet);
        let (source, _) = pair.start()?;
        pair.target.crash()?;
        await_status(fleet, "worker2", "offline", SOON)?;
        // Longer than the grace, which decides nothing here.
        thread::sleep(Duration::from_secs(4));
        ensure_is(pair.source, "source.service", "active")?;
        pair.target.heal_link()?;
        pair.target.boot()?;
        pair.target.wait_active("target.service", SOON)?;
        ensure!(pair.source.main_pid("source.service")? == source);
        pair.ensure_linked()
    });
}

#[test]
fn a_job_fails_when_its_node_goes_away() {
    scene(layout("3s", "2s", "stop"), |fleet| {
        let (main, worker2) = (fleet.node("main"), fleet.node("worker2"));
        worker2.write(
            "/etc/systemd/system/slow.service",
            "[Service]\nType=oneshot\nExecStart=/bin/sleep 600\n",
        )?;
        worker2.systemctl(&["daemon-reload"])?;
        let child = main
            .command(&["ctl", "start", "worker2", "slow.service"])?
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        worker2.wait_state("slow.service", |active, _| active == "activating", SOON)?;
        let begun = Instant::now();
        worker2.crash()?;
        let output = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(begun.elapsed() < SOON, "ctl waited {:?}", begun.elapsed());
        // The code of a node that is offline.
        ensure!(output.status.code() == Some(6), "{}: {said}", output.status);
        ensure!(
            said.contains("failed to start slow.service on worker2") && said.contains("lost"),
            "{said}"
        );
        Ok(())
    });
}

#[test]
fn a_second_agent_of_a_name_is_refused_until_the_first_is_silent() {
    let name = "node_name = \"worker1\"\n";
    let builder = four("survive").file("worker3", &agent_drop_in("name"), name);
    tests::case::case(builder, |fleet| {
        for node in ["main", "worker1", "worker2"] {
            await_status(fleet, node, "online", SOON)?;
        }
        let (main, stranger) = (fleet.node("main"), fleet.node("worker3"));
        // Whoever was first has the name; this case wants it to be worker1.
        stranger.systemctl(&["stop", "unitlink-agent.service"])?;
        fleet
            .node("worker1")
            .systemctl(&["restart", "unitlink-agent.service"])?;
        await_status(fleet, "worker1", "online", SOON)?;

        let pair = pair(fleet);
        let before = pair.start()?;
        stranger.systemctl(&["start", "unitlink-agent.service"])?;
        let refused = "worker1 is online already";
        stranger.wait_until(
            || {
                stranger
                    .journal("unitlink-agent.service")
                    .is_ok_and(|it| it.contains(refused))
            },
            SOON,
        )?;
        main.wait_until(
            || {
                main.journal("unitlink-controller.service")
                    .is_ok_and(|it| it.contains(refused))
            },
            SOON,
        )?;
        ensure!(status(fleet, "worker1").as_deref() == Some("online"));
        let listed = ctl_ok(fleet, "-o plain status worker1")?;
        ensure!(listed.contains("10.77.0.2"), "{listed}");
        pair.ensure_same(before)?;

        fleet.node("worker1").freeze("unitlink-agent.service")?;
        main.wait_until(
            || ctl_ok(fleet, "-o plain status worker1").is_ok_and(|it| it.contains("10.77.0.4")),
            THRESHOLD + SOON,
        )
    });
}
