//! A target whose node is offline when the source starts (F12).

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tests::fleet::Fleet;

use crate::world::{
    SOON, await_failed, await_inactive, await_no_holds, await_no_needs, await_status, configure,
    ctl_says, ensure_is, scene, three,
};

const PROXY: &str = "proxy@worker2_target.service";

/// Starts the source while the node of its target is away, and waits until the proxy says so.
fn start_alone(fleet: &Fleet) -> Result<Instant> {
    let worker1 = fleet.node("worker1");
    fleet.node("worker2").crash()?;
    await_status(fleet, "worker2", "offline", SOON)?;
    let begun = Instant::now();
    worker1.systemctl(&["start", "--no-block", "source.service"])?;
    let says = || {
        worker1
            .property(PROXY, "StatusText")
            .is_ok_and(|status| status == "waiting: node worker2 is offline")
    };
    worker1.wait_until(says, SOON)?;
    ensure_is(worker1, PROXY, "activating")?;
    Ok(begun)
}

#[test]
fn a_start_waits_for_the_start_timeout_and_then_says_that_the_node_is_offline() {
    let timeout = Duration::from_secs(3);
    let builder = configure(
        three("offline"),
        "claims",
        "[claims]\nstart_timeout = \"3s\"\n",
    );
    scene(builder, |fleet| {
        let worker1 = fleet.node("worker1");
        let begun = start_alone(fleet)?;
        ctl_says(
            fleet,
            "status worker2",
            6,
            &["offline", "waiting", "target.service on worker2"],
        )?;
        await_failed(worker1, PROXY, SOON)?;
        ensure!(
            begun.elapsed() >= timeout,
            "it gave up after {:?}",
            begun.elapsed()
        );
        ensure!(
            begun.elapsed() < timeout * 3,
            "it gave up only after {:?}",
            begun.elapsed()
        );
        await_inactive(worker1, "source.service", SOON)?;
        let status = worker1.property(PROXY, "StatusText")?;
        ensure!(status.contains("node worker2 is offline"), "{status:?}");
        // Code 14 of unitlink-proxy(8): it is on a node that is offline.
        ensure!(worker1.property(PROXY, "ExecMainStatus")? == "14");
        await_no_needs(worker1)
    });
}

#[test]
fn a_start_that_waits_goes_on_as_soon_as_the_node_is_there() {
    let builder = configure(
        three("offline"),
        "claims",
        "[claims]\nstart_timeout = \"10min\"\n",
    );
    scene(builder, |fleet| {
        let (worker1, worker2) = (fleet.node("worker1"), fleet.node("worker2"));
        start_alone(fleet)?;
        worker2.heal_link()?;
        worker2.boot()?;
        worker1.wait_active("source.service", SOON)?;
        ensure_is(worker2, "target.service", "active")
    });
}

// As on one machine: whoever does not want the source any more does not thereby cancel the start of
// what it needed, which is unneeded once it is up.
#[test]
fn a_source_that_is_called_off_while_it_waits_leaves_nothing_behind() {
    let builder = configure(
        three("offline"),
        "claims",
        "[claims]\nstart_timeout = \"10min\"\n",
    );
    scene(builder, |fleet| {
        let (worker1, worker2) = (fleet.node("worker1"), fleet.node("worker2"));
        start_alone(fleet)?;
        worker1.systemctl(&["stop", "source.service", PROXY])?;
        await_no_needs(worker1)?;

        worker1.systemctl(&["start", "--no-block", "source.service"])?;
        worker1.wait_state(PROXY, |active, _| active == "activating", SOON)?;
        worker1.systemctl(&["stop", "source.service"])?;
        worker2.heal_link()?;
        worker2.boot()?;
        await_no_needs(worker1)?;
        ensure_is(worker1, "source.service", "inactive")?;
        await_status(fleet, "worker2", "online", SOON)?;
        await_no_holds(worker2)?;
        await_inactive(worker2, "target.service", SOON)
    });
}

// Other than on one machine, where systemd forgets to look whether the unit that is up already is needed.
#[test]
fn a_source_that_is_called_off_while_it_waits_gives_back_what_is_up_already() {
    let proxies = "proxy@main_first.service proxy@worker2_target.service";
    let builder = configure(
        three("offline"),
        "claims",
        "[claims]\nstart_timeout = \"10min\"\n",
    )
    .unit_text(
        "main",
        "first.service",
        "[Unit]\nStopWhenUnneeded=yes\n\n[Service]\nExecStart=/bin/sleep infinity\n",
    )
    .unit_text(
        "worker1",
        "source.service",
        &format!(
            "[Unit]\nRequires={proxies}\nAfter={proxies}\n\n[Service]\nExecStart=/bin/sleep infinity\n"
        ),
    );
    scene(builder, |fleet| {
        let (main, worker1) = (fleet.node("main"), fleet.node("worker1"));
        start_alone(fleet)?;
        main.wait_active("first.service", SOON)?;
        worker1.wait_active("proxy@main_first.service", SOON)?;
        worker1.systemctl(&["stop", "source.service"])?;
        await_inactive(main, "first.service", SOON)?;
        await_no_holds(main)?;

        // What somebody else needs stays.
        worker1.systemctl(&["start", "--no-block", "source.service"])?;
        worker1.wait_active("proxy@main_first.service", SOON)?;
        worker1.shell(
            "printf '[Unit]\\nWants=proxy@main_first.service\\n[Service]\\nExecStart=/bin/sleep infinity\\n' \
             >/etc/systemd/system/other.service; systemctl daemon-reload; systemctl start other.service",
        )?;
        let run = main.property("first.service", "InvocationID")?;
        worker1.systemctl(&["stop", "source.service"])?;
        // It says nothing, so there is only time to wait for: twice that from one look to the next.
        std::thread::sleep(Duration::from_secs(8));
        ensure_is(main, "first.service", "active")?;
        ensure!(main.property("first.service", "InvocationID")? == run);
        worker1.systemctl(&["stop", "other.service"])?;
        await_inactive(main, "first.service", SOON)
    });
}

#[test]
fn a_start_without_a_controller_says_so_and_goes_on_with_it() {
    let builder = configure(
        three("offline"),
        "claims",
        "[claims]\nstart_timeout = \"10min\"\n",
    );
    scene(builder, |fleet| {
        let (main, worker1) = (fleet.node("main"), fleet.node("worker1"));
        main.systemctl(&["stop", "unitlink-controller.service"])?;
        worker1.systemctl(&["start", "--no-block", "source.service"])?;
        let says = || {
            worker1
                .property(PROXY, "StatusText")
                .is_ok_and(|status| status.starts_with("waiting: controller not reachable"))
        };
        worker1.wait_until(says, SOON)?;
        main.systemctl(&["start", "unitlink-controller.service"])?;
        worker1.wait_active("source.service", SOON)?;
        Ok(())
    });
}
