//! Clients of the bus that call while the controller is away.

use anyhow::{Context, Result, ensure};
use test_case::test_case;
use tests::{fleet::Fleet, node::Node};

use crate::world::{SOON, await_status, scene, three};

const CONTROLLER: &str = "unitlink-controller.service";

/// Asks by each name of the controller which nodes there are.
fn ask(main: &Node) -> Result<()> {
    for name in ["org.eclipse.bluechi", "org.unitlink"] {
        let call = [
            "busctl",
            "--timeout=20",
            "call",
            name,
            "/org/eclipse/bluechi",
        ];
        let method = ["org.eclipse.bluechi.Controller", "ListNodes"];
        let nodes = main.run(&[&call[..], &method].concat())?.ok();
        let nodes = nodes.with_context(|| format!("a call to {name}"))?;
        ensure!(nodes.contains("\"worker1\""), "{nodes}");
    }
    Ok(())
}

/// Until it has ended: what still reaches it is lost with it, and no bus can keep that.
fn kill(main: &Node) -> Result<()> {
    let before = main.main_pid(CONTROLLER)?;
    main.kill_service(CONTROLLER, "KILL")?;
    let has_ended = || main.main_pid(CONTROLLER).ok() != Some(before);
    main.wait_until(has_ended, SOON)
}

fn restart(main: &Node) -> Result<()> {
    main.systemctl(&["restart", "--no-block", CONTROLLER])
        .map(drop)
}

fn stop(main: &Node) -> Result<()> {
    main.systemctl(&["stop", CONTROLLER]).map(drop)
}

/// The bus keeps each call until there is a controller again, and has systemd start one if need be.
#[test_case(kill; "a controller that is killed")]
#[test_case(restart; "one that is restarted")]
#[test_case(stop; "one that is stopped, which a call starts")]
fn a_call_waits_for_the_next_controller(ends: fn(&Node) -> Result<()>) {
    scene(three("held"), |fleet: &Fleet| {
        let main = fleet.node("main");
        // Only a controller that is enabled is started by a call.
        main.systemctl(&["enable", CONTROLLER])?;
        for _ in 0..5 {
            ends(main)?;
            ask(main)?;
        }
        await_status(fleet, "worker1", "online", SOON)
    });
}
