//! User mode: managers, buses and folders of a user, on machines where nothing of ours runs for the system.

mod launcher;

use anyhow::{Context, Result, ensure};
use tests::case::case;
use tests::fleet::{Fleet, FleetBuilder};
use tests::node::{Node, Output};

use crate::world::SOON;

const UID: &str = "1000";
const PROXY: &str = "proxy@worker1_target.service";
const AGENT: &str = "org.eclipse.bluechi.Agent";

/// Two machines on which alice can have a manager, and what her home has. Log-ins and their daemon are no
/// part of a node, so what they do is done by files.
fn machines() -> FleetBuilder {
    let pam = "account required pam_permit.so\nsession required pam_permit.so\n";
    let folder = "[Service]\nType=oneshot\nRemainAfterExit=yes\n\
                  ExecStart=/usr/bin/install -d -m 0700 -o %i -g %i /run/user/%i\n";
    let manager = "[Service]\nEnvironment=XDG_RUNTIME_DIR=/run/user/%i\n";
    let source = format!(
        "[Unit]\nRequires={PROXY}\nAfter={PROXY}\n\n[Service]\nExecStart=/bin/sleep infinity\n"
    );
    // The status shows what was said since the start, whose time systemd takes just after the first fork.
    let target = "[Unit]\nStopWhenUnneeded=yes\n\n\
                  [Service]\nExecStartPre=/bin/true\nExecStart=/bin/sh -c 'echo here is the target; exec sleep infinity'\n";
    let mut builder = Fleet::builder("user");
    for node in ["main", "worker1"] {
        builder = builder
            .node(node)
            .file(node, "/etc/pam.d/systemd-user", pam)
            .file(
                node,
                "/etc/systemd/system/user-runtime-dir@.service",
                folder,
            )
            .file(
                node,
                "/etc/systemd/system/user@.service.d/runtime.conf",
                manager,
            );
    }
    builder
        .file("main", "/etc/systemd/user/source.service", &source)
        .file("worker1", "/etc/systemd/user/target.service", target)
}

/// Lets alice have a manager here.
fn log_in(node: &Node) -> Result<()> {
    node.shell(&format!(
        "useradd --uid {UID} --user-group --no-create-home alice
         install -d -o alice -g alice /home /home/alice"
    ))?;
    node.systemctl(&["start", &format!("user@{UID}.service")])?;
    Ok(())
}

/// Runs a command of alice's.
fn alice(node: &Node, line: &str) -> Result<Output> {
    let runtime = format!("XDG_RUNTIME_DIR=/run/user/{UID}");
    let mut all = vec![
        "setpriv",
        "--reuid=alice",
        "--regid=alice",
        "--init-groups",
        "--",
        "env",
        "HOME=/home/alice",
        &runtime,
    ];
    all.extend(line.split(' '));
    node.run(&all)
}

fn alice_ok(node: &Node, line: &str) -> Result<String> {
    alice(node, line)?
        .ok()
        .with_context(|| format!("alice on {}: {line}", node.name()))
}

/// A file in alice's folder of configuration.
fn configure(node: &Node, name: &str, text: &str) -> Result<()> {
    node.write(&format!("/home/alice/.config/unitlink/{name}"), text)
}

/// A property of a unit of alice's.
fn property(node: &Node, unit: &str, name: &str) -> Result<String> {
    alice_ok(
        node,
        &format!("systemctl --user show --value -p {name} {unit}"),
    )
}

fn await_state(node: &Node, unit: &str, wanted: &str) -> Result<()> {
    let is_so = || property(node, unit, "ActiveState").is_ok_and(|it| it == wanted);
    node.wait_until(is_so, SOON)
        .with_context(|| format!("{unit} of alice on {} is not {wanted}", node.name()))
}

fn await_online(main: &Node, node: &str) -> Result<()> {
    let row = format!("{node} online");
    let is_so = || {
        alice(main, "ctl --user -o plain status")
            .is_ok_and(|it| it.stdout.lines().any(|line| line.starts_with(&row)))
    };
    main.wait_until(is_so, SOON)
        .with_context(|| format!("{node} is not online"))
}

#[test]
fn a_user_has_a_fleet_of_the_own_without_configuration_and_grows_it_by_a_reload() {
    case(machines(), |fleet| {
        let (main, worker1) = (fleet.node("main"), fleet.node("worker1"));
        log_in(main)?;
        log_in(worker1)?;

        // Nothing is configured.
        alice_ok(
            main,
            "systemctl --user enable --now unitlink-controller.service unitlink-agent.service",
        )?;
        await_online(main, "main")?;
        ensure!(main.state("unitlink-agent.service")?.active == "inactive");

        // A second machine, by a reload.
        let fleet_of_two = "[listen]\ntcp = [\"[::]:8420\"]\n\n[node.main]\n\
                            allow_dependencies_on = [\"worker1\"]\n\n[node.worker1]\n";
        configure(main, "controller.toml.d/fleet.toml", fleet_of_two)?;
        let agent = format!("controller = [\"tcp:host={},port=8420\"]\n", main.address());
        configure(worker1, "agent.toml", &agent)?;
        alice_ok(main, "ctl --user daemon check-config")?;
        alice_ok(main, "systemctl --user reload unitlink-controller.service")?;
        alice_ok(worker1, "systemctl --user start unitlink-agent.service")?;
        await_online(main, "worker1")?;

        // A dependency over both.
        alice_ok(main, "ctl --user start main source.service")?;
        ensure!(property(worker1, "target.service", "ActiveState")? == "active");
        ensure!(property(worker1, "dep@target.service", "ActiveState")? == "active");
        worker1.ok(&["journalctl", "--sync"])?;
        let logs = alice_ok(main, "ctl --user logs worker1 target.service")?;
        ensure!(logs.contains("here is the target"), "{logs}");
        let status = alice_ok(main, "ctl --user status worker1 target.service")?;
        ensure!(status.contains("here is the target"), "{status}");
        let cat = alice_ok(main, "ctl --user cat main source.service")?;
        ensure!(
            cat.contains("/etc/systemd/user/source.service") && cat.contains(PROXY),
            "{cat}"
        );

        // Nothing stops because the daemons do.
        let pids = || -> Result<(String, String)> {
            Ok((
                property(main, "source.service", "MainPID")?,
                property(worker1, "target.service", "MainPID")?,
            ))
        };
        let before = pids()?;
        for unit in ["unitlink-agent.service", "unitlink-controller.service"] {
            alice_ok(main, &format!("systemctl --user restart {unit}"))?;
            await_online(main, "main")?;
            await_online(main, "worker1")?;
        }
        alice_ok(
            worker1,
            "systemctl --user kill --signal=KILL unitlink-agent.service",
        )?;
        await_online(main, "worker1")?;
        ensure!(pids()? == before);

        // And what is needed no more stops.
        alice_ok(main, "ctl --user stop main source.service")?;
        await_state(worker1, "target.service", "inactive")?;
        await_state(main, PROXY, "inactive")
    });
}

#[test]
fn the_agent_of_a_user_is_on_the_session_bus_and_reloads() {
    case(machines(), |fleet| {
        let main = fleet.node("main");
        log_in(main)?;
        alice_ok(
            main,
            "systemctl --user start unitlink-controller.service unitlink-agent.service",
        )?;
        await_online(main, "main")?;

        let seen = alice_ok(
            main,
            &format!("busctl --user introspect {AGENT} /org/eclipse/bluechi"),
        )?;
        for word in ["org.eclipse.bluechi.Agent", "SwitchController", "Status"] {
            ensure!(seen.contains(word), "{seen}");
        }
        let get = format!("busctl --user get-property {AGENT} /org/eclipse/bluechi {AGENT}");
        ensure!(alice_ok(main, &format!("{get} Status"))? == "s \"online\"");
        let at = alice_ok(main, &format!("{get} ControllerAddress"))?;
        ensure!(
            at.contains(&format!("/run/user/{UID}/unitlink/controller.sock")),
            "{at}"
        );
        ensure!(!main.run(&["busctl", "status", AGENT])?.success());
        alice_ok(main, "ctl --user is-online agent")?;

        // Another name, by a signal: the agent connects anew and is refused under it.
        let pid = property(main, "unitlink-agent.service", "MainPID")?;
        configure(main, "agent.toml", "node_name = \"front\"\n")?;
        configure(main, "controller.toml", "[nodes]\nallowed = [\"front\"]\n")?;
        alice_ok(main, &format!("kill -HUP {pid}"))?;
        alice_ok(main, "ctl --user daemon reload controller")?;
        await_online(main, "front")?;
        ensure!(property(main, "unitlink-agent.service", "MainPID")? == pid);

        // Nobody else is let in.
        let socket = format!("/run/user/{UID}/unitlink/agent.sock");
        main.shell("useradd --no-create-home --user-group stranger")?;
        let denied = main.run(&[
            "setpriv",
            "--reuid=stranger",
            "--regid=stranger",
            "--clear-groups",
            "--",
            "test",
            "-e",
            &socket,
        ])?;
        ensure!(!denied.success(), "{socket} can be seen by others");
        Ok(())
    });
}
