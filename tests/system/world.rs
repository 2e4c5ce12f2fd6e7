//! What the cases share: fleets in which a fault is noticed within seconds, `ctl` on the controller's
//! node, and words for what is looked at again and again.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::case::{case, folder};
use tests::fleet::{Fleet, FleetBuilder};
use tests::node::{Node, Output};

/// For what has no limit of its own; far more than anything takes.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// The limit for a stop to be felt on another node (F1, F2).
pub(crate) const AT_ONCE: Duration = Duration::from_secs(1);

/// A peer that is silent for this long is offline.
pub(crate) const THRESHOLD: Duration = Duration::from_secs(2);

const HEARTBEAT: &str = "[heartbeat]\ninterval = \"500ms\"\nthreshold = \"2s\"\n";

/// The nodes `main`, with the controller, `worker1` and `worker2`, and the files of the case.
pub(crate) fn three(case: &str) -> FleetBuilder {
    nodes(case, &["main", "worker1", "worker2"])
}

/// As [`three`], with a `worker3`.
pub(crate) fn four(case: &str) -> FleetBuilder {
    nodes(case, &["main", "worker1", "worker2", "worker3"])
}

fn nodes(case: &str, names: &[&str]) -> FleetBuilder {
    let mut builder = Fleet::builder(case);
    for name in names {
        builder = builder.node(name);
    }
    // A case that needs no files has no folder.
    if folder(case).is_dir() {
        builder = builder.folder(folder(case));
    }
    builder = builder
        .daemons("main")
        .file("main", &controller_drop_in("00-heartbeat"), HEARTBEAT);
    for name in names {
        builder = builder.file(name, &agent_drop_in("00-heartbeat"), HEARTBEAT);
    }
    builder
}

/// The path of a drop-in of the controller's configuration.
pub(crate) fn controller_drop_in(name: &str) -> String {
    format!("/etc/unitlink/controller.toml.d/{name}.toml")
}

/// The path of a drop-in of an agent's configuration.
pub(crate) fn agent_drop_in(name: &str) -> String {
    format!("/etc/unitlink/agent.toml.d/{name}.toml")
}

/// Keeps units of a node loaded, so that systemd still knows their past when they have stopped.
pub(crate) fn remember(builder: FleetBuilder, node: &str, units: &str) -> FleetBuilder {
    builder.file(
        node,
        "/etc/systemd/system/multi-user.target.d/remember.conf",
        &format!("[Unit]\nAfter={units}\n"),
    )
}

/// Adds to the controller's configuration.
pub(crate) fn configure(builder: FleetBuilder, name: &str, text: &str) -> FleetBuilder {
    builder.file("main", &controller_drop_in(name), text)
}

/// Boots the fleet and runs `body` once every node is online.
#[track_caller]
pub(crate) fn scene(builder: FleetBuilder, body: impl FnOnce(&Fleet) -> Result<()>) {
    case(builder, |fleet| {
        for node in fleet.nodes() {
            await_status(fleet, node.name(), "online", SOON)?;
        }
        body(fleet)
    });
}

/// Runs `ctl` on the controller's node, whatever its exit status.
pub(crate) fn ctl(fleet: &Fleet, line: &str) -> Result<Output> {
    let mut args = vec!["ctl"];
    args.extend(line.split(' '));
    fleet.node("main").run(&args)
}

/// Runs `ctl`, which must succeed, and returns what it prints.
pub(crate) fn ctl_ok(fleet: &Fleet, line: &str) -> Result<String> {
    ctl(fleet, line)?
        .ok()
        .with_context(|| format!("ctl {line}"))
}

/// Runs `ctl`, which must end with this code and say each of the words somewhere.
pub(crate) fn ctl_says(fleet: &Fleet, line: &str, code: i32, words: &[&str]) -> Result<Output> {
    let output = ctl(fleet, line)?;
    let said = format!("{}{}", output.stdout, output.stderr);
    ensure!(
        output.code() == Some(code) && words.iter().all(|word| said.contains(word)),
        "'ctl {line}' should end with {code} and say {words:?}; it ended with {:?} and said:\n{said}",
        output.code()
    );
    Ok(output)
}

/// Whether the controller calls a node `online` or `offline`; nothing while it does not answer.
pub(crate) fn status(fleet: &Fleet, node: &str) -> Option<String> {
    let table = ctl(fleet, "-o plain status").ok()?;
    let row = table
        .stdout
        .lines()
        .find(|line| line.split(' ').next() == Some(node))?;
    row.split(' ').nth(1).map(str::to_owned)
}

/// Waits until the controller calls a node `online` or `offline`.
pub(crate) fn await_status(
    fleet: &Fleet,
    node: &str,
    wanted: &str,
    within: Duration,
) -> Result<()> {
    let is_so = || status(fleet, node).as_deref() == Some(wanted);
    fleet
        .node("main")
        .wait_until(is_so, within)
        .with_context(|| format!("{node} is not {wanted}"))
}

/// Waits until a unit is inactive; one that failed is not.
pub(crate) fn await_inactive(node: &Node, unit: &str, within: Duration) -> Result<()> {
    node.wait_state(unit, |active, _| active == "inactive", within)
        .map(drop)
}

/// Waits until a unit has failed.
pub(crate) fn await_failed(node: &Node, unit: &str, within: Duration) -> Result<()> {
    node.wait_state(unit, |active, _| active == "failed", within)
        .map(drop)
}

/// Fails unless the unit is in this active state now.
pub(crate) fn ensure_is(node: &Node, unit: &str, active: &str) -> Result<()> {
    let state = node.state(unit)?;
    ensure!(
        state.active == active,
        "{unit} on {} is {state}, not {active}",
        node.name()
    );
    Ok(())
}

/// A moment of a unit's life in microseconds. All nodes run on one kernel, so these can be compared
/// also between nodes, which real machines do not allow.
pub(crate) fn moment(node: &Node, unit: &str, property: &str) -> Result<u64> {
    let at = node.property(unit, property)?.parse()?;
    ensure!(at > 0, "{property} of {unit} on {} is not set", node.name());
    Ok(at)
}

/// Units of a node that match one of the patterns and are active, or on the way.
fn live(node: &Node, patterns: &[&str]) -> Result<String> {
    let mut args = vec!["list-units", "--plain", "--no-legend"];
    args.push("--state=active,activating,deactivating,reloading");
    args.extend(patterns);
    node.systemctl(&args)
}

/// Waits until no unit of this node needs another node.
pub(crate) fn await_no_needs(node: &Node) -> Result<()> {
    await_none(node, &["proxy@*", "bluechi-proxy@*"])
}

/// Waits until no unit of this node is held for another node.
pub(crate) fn await_no_holds(node: &Node) -> Result<()> {
    await_none(node, &["dep@*", "bluechi-dep@*", "dep-unit@*"])
}

fn await_none(node: &Node, patterns: &[&str]) -> Result<()> {
    node.wait_until(|| live(node, patterns).is_ok_and(|it| it.is_empty()), SOON)
        .with_context(|| live(node, patterns).unwrap_or_default())
}
