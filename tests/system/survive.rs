//! What the services must not notice, and what they must, when daemons, cables and nodes fail.
//! `source.service` on worker1 is bound to `target.service` on worker2; the controller is on main.

mod agent;
mod beside;
mod controller;
mod frozen;
mod job;
mod link;
mod manager;
mod node;
mod plain;
mod suspend;

use anyhow::Result;
use tests::fleet::{Fleet, FleetBuilder};
use tests::node::Node;

use crate::pair::Pair;
use crate::world::{SOON, await_status, configure, three};

/// The fleet with graces of these lengths.
fn layout(source_grace: &str, loss_grace: &str, on_loss: &str) -> FleetBuilder {
    let text = format!(
        "[claims]\nsource_grace = \"{source_grace}\"\nloss_grace = \"{loss_grace}\"\n\
         on_loss = \"{on_loss}\"\nstart_timeout = \"1min\"\n"
    );
    configure(three("survive"), "claims", &text)
}

fn pair(fleet: &Fleet) -> Pair<'_> {
    Pair::of(fleet, "worker1", "worker2")
}

/// Lets a daemon stay dead after it was killed, so that things can happen in the gap.
fn without_restart(builder: FleetBuilder, node: &str, unit: &str) -> FleetBuilder {
    let path = format!("/etc/systemd/system/{unit}.d/no-restart.conf");
    builder.file(node, &path, "[Service]\nRestart=no\n")
}

/// Kills a daemon that stays dead.
fn kill(node: &Node, unit: &str) -> Result<()> {
    node.kill_service(unit, "SIGKILL")?;
    node.wait_state(unit, |active, _| active == "failed", SOON)
        .map(drop)
}

/// Kills a daemon, which systemd starts again.
fn kill_and_await(node: &Node, unit: &str) -> Result<()> {
    let first = node.main_pid(unit)?;
    node.kill_service(unit, "SIGKILL")?;
    node.wait_until(|| node.main_pid(unit).is_ok_and(|pid| pid != first), SOON)?;
    node.wait_active(unit, SOON).map(drop)
}

fn await_all_online(fleet: &Fleet) -> Result<()> {
    for node in fleet.nodes() {
        await_status(fleet, node.name(), "online", SOON)?;
    }
    Ok(())
}
