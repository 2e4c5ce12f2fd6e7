//! A fleet that is moved node by node: an agent that only knows BlueChi's protocol beside ours. It is
//! played byte by byte; what it cannot know is that the others are of another kind.

use std::time::Duration;

use anyhow::{Result, ensure};
use tests::fleet::{Fleet, FleetBuilder};

use crate::peer::{Message, Peer, texts, texts_of};
use crate::world::{
    SOON, THRESHOLD, await_failed, await_inactive, await_no_holds, await_status, configure,
    ensure_is, scene, three,
};

/// Longer than everything that follows a silence: threshold, grace of a source, grace of a loss.
const ALL_GRACES: Duration = Duration::from_secs(8);

const SERVICE: &str = "[Unit]\nStopWhenUnneeded=yes\n[Service]\nExecStart=/bin/sleep infinity\n";

const SOURCE: &str = "\
[Unit]
BindsTo=proxy@old_target.service
After=proxy@old_target.service
[Service]
ExecStart=/bin/sleep infinity
";

const RIVAL: &str = "\
[Unit]
Requires=conflict@old_target.service
After=conflict@old_target.service
[Service]
ExecStart=/bin/sleep infinity
";

const CONTROLLER: &str = "\
[node.old]
allow_dependencies_on = [\"worker2\"]
[node.worker1]
allow_dependencies_on = [\"old\"]
[claims]
source_grace = \"2s\"
loss_grace = \"2s\"
";

const PROXY: &str = "/org/eclipse/bluechi/internal/proxy/1";

fn layout() -> FleetBuilder {
    let builder = configure(three("bluechi"), "old", CONTROLLER)
        .unit_text("worker1", "source.service", SOURCE)
        .unit_text("worker1", "rival.service", RIVAL)
        .unit_text("worker2", "target.service", SERVICE);
    builder.unit_text(
        "worker2",
        "broken.service",
        "[Service]\nExecStart=/bin/false\nType=oneshot\n",
    )
}

/// The node `old`, registered.
fn old(fleet: &Fleet) -> Result<Peer> {
    old_that_needs(fleet, &[])
}

/// One that has proxies for these units as it connects; it tells of them before it says that it lives.
fn old_that_needs(fleet: &Fleet, units: &[&str]) -> Result<Peer> {
    let mut peer = Peer::connect(fleet)?;
    peer.register("old")?;
    peer.read_handshake()?;
    ensure!(peer.read()?.kind == 2, "not registered");
    for unit in units {
        announce(&mut peer, unit)?;
    }
    peer.keep_alive()?;
    await_status(fleet, "old", "online", SOON)?;
    Ok(peer)
}

/// The next call of one of these methods. What else is called is answered.
fn next_of(peer: &mut Peer, members: &[&str]) -> Result<(Message, Vec<String>)> {
    loop {
        let message = peer.read()?;
        if message.kind != 1 {
            continue;
        }
        if members.iter().any(|member| message.header.contains(member)) {
            let texts = texts_of(&message)?;
            return Ok((message, texts));
        }
        peer.answer(&message)?;
    }
}

fn expect(peer: &mut Peer, member: &str, arguments: &[&str]) -> Result<()> {
    let (message, texts) = next_of(peer, &[member])?;
    ensure!(texts == arguments, "{member}: {texts:?} in {message:?}");
    Ok(())
}

fn announce(peer: &mut Peer, unit: &str) -> Result<()> {
    peer.emit("ProxyNew", "sso", &texts(&["worker2", unit, PROXY]))
}

fn state(peer: &mut Peer, active: &str, sub: &str) -> Result<()> {
    let body = texts(&["target.service", active, sub, "real"]);
    peer.emit("UnitStateChanged", "ssss", &body)
}

#[test]
fn a_conflict_with_a_unit_of_an_old_agent_is_refused_with_its_reason() {
    scene(layout(), |fleet| {
        let worker1 = fleet.node("worker1");
        let _old = old(fleet)?;
        let start = worker1.run(&["systemctl", "start", "rival.service"])?;
        ensure!(!start.success(), "{start:?}");
        let why = worker1.property("conflict@old_target.service", "StatusText")?;
        ensure!(
            why.contains("needs an agent of Unitlink on node old"),
            "{why}"
        );
        Ok(())
    });
}

#[test]
fn a_proxy_of_an_old_agent_is_a_claim_on_ours() {
    scene(layout(), |fleet| {
        let worker2 = fleet.node("worker2");
        let mut old = old(fleet)?;
        announce(&mut old, "target.service")?;
        expect(
            &mut old,
            "TargetStateChanged",
            &["active", "running", "real"],
        )?;
        ensure_is(worker2, "target.service", "active")?;

        // F2: who needed it is gone.
        old.emit("ProxyRemoved", "ss", &texts(&["worker2", "target.service"]))?;
        await_inactive(worker2, "target.service", SOON)?;
        await_no_holds(worker2)?;

        // F1: it is stopped.
        announce(&mut old, "target.service")?;
        expect(
            &mut old,
            "TargetStateChanged",
            &["active", "running", "real"],
        )?;
        worker2.systemctl(&["stop", "target.service"])?;
        expect(
            &mut old,
            "TargetStateChanged",
            &["inactive", "dead", "real"],
        )?;
        old.emit("ProxyRemoved", "ss", &texts(&["worker2", "target.service"]))?;

        // What cannot be up is told with its reason.
        for (node, unit, word) in [
            ("worker2", "broken.service", "failed"),
            ("worker2", "missing.service", "missing.service"),
            ("worker1", "target.service", "allow_dependencies_on"),
            ("nobody", "target.service", "unknown"),
        ] {
            old.emit("ProxyNew", "sso", &texts(&[node, unit, PROXY]))?;
            let (message, texts) = next_of(&mut old, &["Error", "TargetStateChanged"])?;
            let said = texts.first().is_some_and(|text| text.contains(word));
            ensure!(
                said && message.header.contains("Error"),
                "{unit}: {texts:?}"
            );
        }
        Ok(())
    });
}

#[test]
fn what_an_old_agent_needs_outlives_its_absence_for_the_grace() {
    scene(layout(), |fleet| {
        let worker2 = fleet.node("worker2");
        let mut first = old(fleet)?;
        announce(&mut first, "target.service")?;
        expect(
            &mut first,
            "TargetStateChanged",
            &["active", "running", "real"],
        )?;
        let pid = worker2.property("target.service", "MainPID")?;
        drop(first);
        await_status(fleet, "old", "offline", SOON)?;
        let mut second = old_that_needs(fleet, &["target.service"])?;
        // It is told again what it may have missed.
        expect(
            &mut second,
            "TargetStateChanged",
            &["active", "running", "virtual"],
        )?;
        ensure!(worker2.property("target.service", "MainPID")? == pid);

        // The controller is another one: it is told all again.
        fleet
            .node("main")
            .systemctl(&["restart", "unitlink-controller.service"])?;
        second.read_to_end()?;
        let mut third = old_that_needs(fleet, &["target.service"])?;
        expect(
            &mut third,
            "TargetStateChanged",
            &["active", "running", "real"],
        )?;
        ensure!(worker2.property("target.service", "MainPID")? == pid);

        drop(third);
        await_inactive(worker2, "target.service", THRESHOLD + ALL_GRACES)?;
        await_no_holds(worker2)
    });
}

#[test]
fn a_claim_on_a_unit_of_an_old_agent_starts_and_stops_its_hold() {
    scene(layout(), |fleet| {
        let worker1 = fleet.node("worker1");
        let mut old = old(fleet)?;
        let start = |old: &mut Peer| -> Result<()> {
            worker1.systemctl(&["start", "--no-block", "source.service"])?;
            expect(old, "StartDep", &["target.service"])
        };
        start(&mut old)?;
        state(&mut old, "activating", "start")?;
        state(&mut old, "active", "running")?;
        worker1.wait_active("source.service", SOON)?;

        // F2.
        worker1.systemctl(&["stop", "source.service"])?;
        expect(&mut old, "StopDep", &["target.service"])?;

        // F1.
        start(&mut old)?;
        state(&mut old, "active", "running")?;
        worker1.wait_active("source.service", SOON)?;
        state(&mut old, "inactive", "dead")?;
        await_inactive(worker1, "source.service", SOON)?;
        expect(&mut old, "StopDep", &["target.service"])?;

        // F14.
        start(&mut old)?;
        state(&mut old, "failed", "failed")?;
        await_failed(worker1, "proxy@old_target.service", SOON)?;
        ensure_is(worker1, "source.service", "inactive")?;
        let why = worker1.run(&["systemctl", "status", "proxy@old_target.service"])?;
        ensure!(
            why.stdout
                .contains("target.service on node old did not start"),
            "{}",
            why.stdout
        );
        expect(&mut old, "StopDep", &["target.service"])?;

        // F11: it is gone for good.
        start(&mut old)?;
        state(&mut old, "active", "running")?;
        worker1.wait_active("source.service", SOON)?;
        drop(old);
        await_inactive(worker1, "source.service", THRESHOLD + ALL_GRACES)
    });
}
