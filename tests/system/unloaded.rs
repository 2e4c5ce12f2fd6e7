//! Units that are masked, disabled or removed while they run (F25): nothing happens to what runs, and
//! what is needed no more is given back.

use anyhow::{Result, ensure};
use test_case::test_case;
use tests::fleet::Fleet;
use tests::node::Node;

use crate::pair::Pair;
use crate::world::{
    SOON, await_failed, await_inactive, await_no_holds, await_no_needs, ctl_ok, ctl_says,
    ensure_is, scene, three,
};

const SOURCE: &str = "[Unit]\nBindsTo=proxy@worker2_target.service\n\
    After=proxy@worker2_target.service\n\n\
    [Service]\nExecStart=/bin/sleep infinity\n\n[Install]\nWantedBy=multi-user.target\n";
const TARGET: &str = "[Unit]\nStopWhenUnneeded=yes\n\n[Service]\nExecStart=/bin/sleep infinity\n\n\
    [Install]\nWantedBy=multi-user.target\n";

/// The reason why a hold or a proxy cannot be started shows which unit was meant.
const PROXY: &str = "proxy@worker2_target.service";
const HOLD: &str = "dep@target.service";

fn running(body: impl FnOnce(&Fleet, &Pair<'_>) -> Result<()>) {
    let builder = three("unloaded")
        .unit_text("worker1", "source.service", SOURCE)
        .unit_text("worker2", "target.service", TARGET);
    scene(builder, |fleet| {
        let pair = Pair::of(fleet, "worker1", "worker2");
        pair.start()?;
        body(fleet, &pair)
    });
}

/// As `systemctl mask`, which leaves alone a unit whose file is in `/etc`.
fn mask(node: &Node, unit: &str) -> Result<()> {
    node.shell(&format!(
        "ln -sf /dev/null /etc/systemd/system/{unit}; systemctl daemon-reload"
    ))?;
    ensure!(node.property(unit, "LoadState")? == "masked");
    Ok(())
}

/// Makes it as it was.
fn restore(node: &Node, unit: &str, text: Option<&str>) -> Result<()> {
    let path = format!("/etc/systemd/system/{unit}");
    node.remove(&path)?;
    if let Some(text) = text {
        node.write(&path, text)?;
    }
    node.systemctl(&["daemon-reload"])?;
    Ok(())
}

#[test_case("ln -sf /dev/null /etc/systemd/system/target.service"; "masked")]
#[test_case("rm /etc/systemd/system/target.service"; "removed")]
#[test_case("systemctl enable target.service; systemctl disable target.service"; "disabled")]
fn a_target_that_is_taken_away_while_it_runs_is_still_held_and_then_given_back(how: &str) {
    running(|fleet, pair| {
        let (worker1, worker2) = (pair.source, pair.target);
        let before = pair.processes()?;
        worker2.shell(&format!("{how}; systemctl daemon-reload"))?;
        worker2.systemctl(&["restart", "unitlink-agent.service"])?;
        pair.ensure_same(before)?;
        ctl_ok(fleet, "stop worker1 source.service")?;
        await_no_needs(worker1)?;
        await_no_holds(worker2)?;
        // Without its file, systemd does not know any more that it is to stop when it is not needed.
        ctl_ok(fleet, "stop worker2 target.service")?;
        if !how.contains("disable") {
            ctl_says(fleet, "start worker1 source.service", 1, &[])?;
            let why = worker1.property(PROXY, "StatusText")?;
            ensure!(why.contains("masked") || why.contains("not found"), "{why}");
            restore(worker2, "target.service", Some(TARGET))?;
        }
        pair.start()?;
        pair.ensure_linked()
    });
}

#[test_case("ln -sf /dev/null /etc/systemd/system/source.service"; "masked")]
#[test_case("rm /etc/systemd/system/source.service"; "removed")]
fn a_source_that_is_taken_away_while_it_runs_gives_its_target_back(how: &str) {
    running(|fleet, pair| {
        let (worker1, worker2) = (pair.source, pair.target);
        worker1.shell(&format!("{how}; systemctl daemon-reload"))?;
        // Its systemd does not know any more that it needs something.
        ctl_ok(fleet, "stop worker1 source.service")?;
        await_no_needs(worker1)?;
        await_no_holds(worker2)?;
        await_inactive(worker2, "target.service", SOON)?;
        restore(worker1, "source.service", Some(SOURCE))?;
        pair.start()?;
        pair.ensure_linked()
    });
}

#[test]
fn a_proxy_that_is_masked_while_it_is_active_is_a_need_until_it_is_stopped() {
    running(|fleet, pair| {
        let (worker1, worker2) = (pair.source, pair.target);
        let before = pair.processes()?;
        mask(worker1, PROXY)?;
        worker1.systemctl(&["restart", "unitlink-agent.service"])?;
        pair.ensure_same(before)?;
        // A stop of the target still reaches the source.
        ctl_ok(fleet, "stop worker2 target.service")?;
        await_inactive(worker1, "source.service", SOON)?;
        await_no_needs(worker1)?;
        await_no_holds(worker2)?;
        ctl_says(fleet, "start worker1 source.service", 1, &["masked"])?;
        restore(worker1, PROXY, None)?;
        pair.start()?;
        pair.ensure_linked()
    });
}

/// systemd knows nothing any more of what a unit that is masked is bound to: a target that stops when it is not
/// needed is needed by nobody then, and is stopped at once.
#[test]
fn a_hold_that_is_masked_while_it_is_active_ends_with_its_unit_and_so_does_the_source() {
    running(|_, pair| {
        let (worker1, worker2) = (pair.source, pair.target);
        mask(worker2, HOLD)?;
        await_inactive(worker2, "target.service", SOON)?;
        await_inactive(worker1, "source.service", SOON)?;
        await_no_needs(worker1)?;
        await_no_holds(worker2)?;
        restore(worker2, HOLD, None)?;
        pair.start()?;
        pair.ensure_linked()
    });
}

#[test]
fn a_hold_that_is_masked_while_it_is_active_holds_a_target_that_runs_on_until_that_is_stopped() {
    running(|fleet, pair| {
        let (worker1, worker2) = (pair.source, pair.target);
        let before = pair.processes()?;
        let drop_in = "target.service.d/runs-on.conf";
        let path = format!("/etc/systemd/system/{drop_in}");
        worker2.write(&path, "[Unit]\nStopWhenUnneeded=no\n")?;
        mask(worker2, HOLD)?;
        worker2.systemctl(&["restart", "unitlink-agent.service"])?;
        pair.ensure_same(before)?;
        ctl_ok(fleet, "stop worker2 target.service")?;
        await_inactive(worker1, "source.service", SOON)?;
        await_no_needs(worker1)?;
        await_no_holds(worker2)?;
        restore(worker2, drop_in, None)?;
        restore(worker2, HOLD, None)?;
        pair.start()?;
        pair.ensure_linked()
    });
}

/// It has ended by itself, of which no job tells; while there is no agent, nothing does.
#[test_case(false; "while the agent runs")]
#[test_case(true; "while the agent is away")]
fn a_target_that_dies_behind_a_hold_that_is_masked_takes_its_source_along(is_away: bool) {
    running(|_, pair| {
        let (worker1, worker2) = (pair.source, pair.target);
        let drop_in = "target.service.d/runs-on.conf";
        let path = format!("/etc/systemd/system/{drop_in}");
        worker2.write(&path, "[Unit]\nStopWhenUnneeded=no\n")?;
        mask(worker2, HOLD)?;
        if is_away {
            worker2.systemctl(&["stop", "unitlink-agent.socket", "unitlink-agent.service"])?;
        }
        worker2.kill_service("target.service", "KILL")?;
        if is_away {
            await_failed(worker2, "target.service", SOON)?;
            worker2.systemctl(&["start", "unitlink-agent.socket", "unitlink-agent.service"])?;
        }
        await_inactive(worker1, "source.service", SOON)?;
        let why = worker1.property(PROXY, "StatusText")?;
        ensure!(why.contains("signal") || is_away, "{why}");
        await_no_needs(worker1)?;
        await_no_holds(worker2)?;
        restore(worker2, drop_in, None)?;
        restore(worker2, HOLD, None)?;
        pair.start()?;
        pair.ensure_linked()
    });
}

#[test]
fn a_hold_that_is_masked_cannot_be_made_and_says_so() {
    running(|fleet, pair| {
        let (worker1, worker2) = (pair.source, pair.target);
        pair.source_stop_stops_target()?;
        mask(worker2, HOLD)?;
        ctl_says(fleet, "start worker1 source.service", 1, &[])?;
        let why = worker1.property(PROXY, "StatusText")?;
        ensure!(why.contains(HOLD) && why.contains("masked"), "{why}");
        ensure_is(worker2, "target.service", "inactive")?;
        restore(worker2, HOLD, None)?;
        pair.start()?;
        pair.ensure_linked()
    });
}
