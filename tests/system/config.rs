//! How the daemons take their configuration.

use anyhow::{Result, ensure};
use tests::fleet::Fleet;

use crate::world::{
    SOON, agent_drop_in, await_failed, await_status, controller_drop_in, ctl_ok, four, scene, three,
};

/// A daemon that was told nonsense ends with 78 (`EX_CONFIG`), says where it is, and is not started
/// again and again.
fn refuses(
    fleet: &Fleet,
    node: &str,
    unit: &str,
    path: &str,
    text: &str,
    words: &[&str],
) -> Result<()> {
    let node = fleet.node(node);
    node.write(path, text)?;
    let _ = node.run(&["systemctl", "restart", unit])?;
    await_failed(node, unit, SOON)?;
    ensure!(node.property(unit, "ExecMainStatus")? == "78");
    let journal = node.journal(unit)?;
    for word in words {
        ensure!(journal.contains(word), "no {word:?} in {journal}");
    }
    ensure!(node.property(unit, "NRestarts")? == "0");
    ensure!(node.state(unit)?.sub == "failed", "it is started again");

    node.remove(path)?;
    node.systemctl(&["start", unit])?;
    for node in fleet.nodes() {
        await_status(fleet, node.name(), "online", SOON)?;
    }
    Ok(())
}

#[test]
fn a_controller_that_cannot_read_its_configuration_says_where_and_stays_down() {
    scene(three("config"), |fleet| {
        let path = controller_drop_in("bad");
        let (main, unit) = ("main", "unitlink-controller.service");
        refuses(
            fleet,
            main,
            unit,
            &path,
            "# one\n[heartbeat]\nintervall = \"1s\"\n",
            &[
                "controller.toml.d/bad.toml:3",
                "heartbeat.intervall",
                "interval",
            ],
        )?;
        refuses(
            fleet,
            main,
            unit,
            &path,
            "[claims]\nsource_grace = 15\n\n[log]\nlevel = \"loud\"\n",
            &[
                "bad.toml:2",
                "claims.source_grace",
                "bad.toml:5",
                "log.level",
                "loud",
            ],
        )?;
        refuses(fleet, main, unit, &path, "[claims\n", &["bad.toml:1"])
    });
}

#[test]
fn an_agent_that_cannot_read_its_configuration_says_where_and_stays_down() {
    scene(three("config"), |fleet| {
        refuses(
            fleet,
            "worker1",
            "unitlink-agent.service",
            &agent_drop_in("bad"),
            "controller = [\"tcp:port=842\"]\n",
            &["agent.toml.d/bad.toml:1", "controller", "tcp:port=842"],
        )
    });
}

#[test]
fn a_drop_in_adds_a_node() {
    // A machine whose name the controller has never heard of.
    let builder = four("config").file(
        "worker3",
        &agent_drop_in("name"),
        "node_name = \"newcomer\"\n",
    );
    tests::case::case(builder, |fleet| {
        let (main, newcomer) = (fleet.node("main"), fleet.node("worker3"));
        await_status(fleet, "worker1", "online", SOON)?;
        let refused = || {
            newcomer
                .journal("unitlink-agent.service")
                .is_ok_and(|it| it.contains("node newcomer is not allowed"))
        };
        newcomer.wait_until(refused, SOON)?;
        main.write(&controller_drop_in("50-newcomer"), "[node.newcomer]\n")?;
        main.systemctl(&["restart", "unitlink-controller.service"])?;
        await_status(fleet, "newcomer", "online", SOON)
    });
}

#[test]
fn the_level_of_the_log_is_configured() {
    scene(three("config"), |fleet| {
        for (node, unit, path) in [
            (
                "main",
                "unitlink-controller.service",
                controller_drop_in("log"),
            ),
            ("worker1", "unitlink-agent.service", agent_drop_in("log")),
        ] {
            let node = fleet.node(node);
            // A priority of 7 is a line for debugging (syslog(3)).
            let debug = || {
                let of = format!("_SYSTEMD_UNIT={unit}");
                node.journalctl(&["PRIORITY=7", of.as_str()])
            };
            ensure!(debug()?.is_empty(), "{unit}: {}", debug()?);
            node.write(&path, "[log]\nlevel = \"debug\"\n")?;
            node.systemctl(&["restart", unit])?;
            await_status(fleet, "worker1", "online", SOON)?;
            // What becomes of a need is said step by step.
            let _ = fleet.node("worker1").run(&[
                "systemctl",
                "start",
                "proxy@worker2_nosuch.service",
            ])?;
            node.wait_until(|| debug().is_ok_and(|it| !it.is_empty()), SOON)?;
        }
        Ok(())
    });
}

#[test]
fn an_agent_finds_its_controller_by_name_and_by_either_address() {
    let to = |address: &str| format!("controller = [\"{address}\"]\n");
    let builder = four("config")
        .file(
            "worker1",
            &agent_drop_in("to"),
            &to("tcp:host=main,port=842"),
        )
        .file(
            "worker2",
            &agent_drop_in("to"),
            &to("tcp:host=10.77.0.1,port=842"),
        )
        .file(
            "worker3",
            &agent_drop_in("to"),
            &to("tcp:host=fd00::1,port=842"),
        );
    scene(builder, |fleet| {
        let listed = ctl_ok(fleet, "-o plain status")?;
        for address in ["10.77.0.3", "fd00::4"] {
            ensure!(listed.contains(address), "{listed}");
        }
        Ok(())
    });
}

#[test]
fn an_agent_tries_its_addresses_in_turn() {
    let builder = three("config").file(
        "worker1",
        &agent_drop_in("to"),
        "controller = [\"tcp:host=10.77.0.3,port=842\", \"tcp:host=nowhere.invalid,port=842\", \
         \"tcp:host=main,port=842\"]\n",
    );
    scene(builder, |_| Ok(()));
}
