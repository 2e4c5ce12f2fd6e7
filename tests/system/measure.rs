//! Not tests but measurements:
//! `cargo test -p tests --test system -- --ignored --nocapture --test-threads 1 measure`.

use std::time::{Duration, Instant};

use anyhow::Result;
use tests::node::Node;

use crate::world::{await_no_holds, scene, three};

const ROUNDS: usize = 50;

const TRIVIAL: &str = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n";

fn source(proxy: &str) -> String {
    format!("[Unit]\nRequires={proxy}\nAfter={proxy}\n\n{TRIVIAL}")
}

/// Median and 90th percentile of the time that a command takes, which another one undoes.
fn timed(node: &Node, on: &[&str], off: (&Node, &[&str])) -> Result<(Duration, Duration)> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        node.ok(on)?;
        times.push(begun.elapsed());
        off.0.ok(off.1)?;
        await_no_holds(off.0)?;
    }
    times.sort();
    Ok((times[ROUNDS / 2], times[ROUNDS * 9 / 10]))
}

/// As systemd itself measures it: from the first moment of the proxy, or of what stands for it, to
/// the last of the source.
fn in_systemd(node: &Node, first: &str) -> Result<(u64, u64)> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        node.systemctl(&["start", "source.service"])?;
        let at = |unit: &str, property: &str| -> Result<u64> {
            Ok(node.property(unit, property)?.parse()?)
        };
        let begun = at(first, "InactiveExitTimestampMonotonic")?;
        times.push(at("source.service", "ActiveEnterTimestampMonotonic")? - begun);
        node.systemctl(&["stop", "source.service"])?;
        await_no_holds(node)?;
    }
    times.sort_unstable();
    Ok((times[ROUNDS / 2], times[ROUNDS * 9 / 10]))
}

#[test]
#[ignore = "a measurement"]
fn time_of_a_start_elsewhere() {
    scene(
        three("measure").unit_text("worker2", "plain.service", TRIVIAL),
        |fleet| {
            let (main, worker2) = (fleet.node("main"), fleet.node("worker2"));
            let off = (worker2, &["systemctl", "stop", "plain.service"][..]);
            let systemctl = timed(worker2, &["systemctl", "start", "plain.service"], off)?;
            let ctl = timed(main, &["ctl", "start", "worker2", "plain.service"], off)?;
            let nothing = timed(main, &["true"], (worker2, &["true"]))?;
            println!("start of a trivial service, 50 runs, (median, 90 %):");
            println!("  systemctl start, on its node: {systemctl:?}");
            println!("  ctl start, from another node: {ctl:?}");
            println!("  of both, to enter the node's namespaces: {nothing:?}");
            Ok(())
        },
    );
}

#[test]
#[ignore = "a measurement"]
fn time_of_a_dependency_elsewhere() {
    let target = format!("[Unit]\nStopWhenUnneeded=yes\n\n{TRIVIAL}");
    let builder = three("measure")
        .unit_text(
            "worker1",
            "source.service",
            &source("proxy@worker2_target.service"),
        )
        .unit_text("worker2", "target.service", &target)
        .unit_text("worker2", "source.service", &source("target.service"));
    scene(builder, |fleet| {
        let local = in_systemd(fleet.node("worker2"), "target.service")?;
        let remote = in_systemd(fleet.node("worker1"), "proxy@worker2_target.service")?;
        println!(
            "from the start of what is needed until the source is up, 50 runs, µs (median, 90 %):"
        );
        println!("  both on one node: {local:?}");
        println!("  the target on another node: {remote:?}");
        Ok(())
    });
}
