//! Reloads, stops and signals of the daemons themselves.

use std::time::Duration;

use anyhow::{Result, ensure};
use tests::{fleet::Fleet, node::Node};

use crate::world::{
    SOON, agent_drop_in, await_status, configure, controller_drop_in, ctl, ctl_ok, ctl_says, scene,
    status, three,
};

const CONTROLLER: &str = "unitlink-controller.service";
const AGENT: &str = "unitlink-agent.service";

/// Since when each worker is online, which changes with each connection.
fn sessions(fleet: &Fleet) -> Result<String> {
    let state = ctl_ok(fleet, "daemon debug")?;
    let sessions = state.lines().filter(|line| line.starts_with("session "));
    let ids = sessions.filter_map(|line| line.split(':').next());
    Ok(ids.collect::<Vec<_>>().join("\n"))
}

fn digest(fleet: &Fleet) -> Result<String> {
    let text = ctl_ok(fleet, "daemon config")?;
    Ok(text.lines().last().unwrap_or_default().to_owned())
}

/// `systemctl reload` with its exit code, and the status text after it.
fn reload(node: &Node, unit: &str) -> Result<(bool, String)> {
    let done = node.run(&["systemctl", "reload", unit])?;
    Ok((done.success(), node.property(unit, "StatusText")?))
}

#[test]
fn a_reload_that_is_rejected_says_why_everywhere_and_changes_nothing() {
    scene(three("daemon"), |fleet| {
        let main = fleet.node("main");
        let (before, connected) = (digest(fleet)?, sessions(fleet)?);
        let pid = main.main_pid(CONTROLLER)?;
        let path = controller_drop_in("90-new");
        main.write(
            &path,
            "[heartbeat]\nintervall = \"1s\"\n\n[log]\nlevel = \"loud\"\n",
        )?;
        let places = [
            "90-new.toml:2:1",
            "heartbeat.intervall",
            "90-new.toml:5:9",
            "log.level",
        ];

        let (worked, text) = reload(main, CONTROLLER)?;
        ensure!(!worked, "systemctl reload says that it worked");
        ensure!(
            text.starts_with("reload rejected (2 errors), configuration of "),
            "{text}"
        );
        let state = main.state(CONTROLLER)?;
        ensure!(
            state.active == "active" && state.sub == "running",
            "{state}"
        );
        ensure!(main.property(CONTROLLER, "ReloadResult")? == "exit-code");
        let journal = main.journal(CONTROLLER)?;
        for place in places {
            ensure!(journal.contains(place), "no {place} in {journal}");
        }
        ctl_says(fleet, "daemon reload", 3, &places)?;
        ctl_says(fleet, "daemon check-config", 3, &places)?;
        let asked = [
            "busctl",
            "get-property",
            "org.unitlink",
            "/org/eclipse/bluechi",
        ];
        let asked = [asked.as_slice(), &["org.unitlink.Fleet1", "LastReload"]].concat();
        let last = main.run(&asked)?.ok()?;
        ensure!(
            last.contains("\"invalid\"") && last.contains("heartbeat.intervall"),
            "{last}"
        );
        ensure!(digest(fleet)? == before && sessions(fleet)? == connected);

        // A port that is taken: valid, and rejected all the same, with the same log level as before.
        main.shell("systemd-socket-activate -l 10.77.0.1:844 cat & sleep 0.3")?;
        let taken = "[listen]\ntcp = [\"[::]:842\", \"10.77.0.1:844\", \"10.77.0.1:845\"]\n[log]\nlevel = \"debug\"\n";
        main.write(&path, taken)?;
        ctl_says(
            fleet,
            "daemon reload",
            4,
            &["90-new.toml:2:7", "10.77.0.1:844", "in use"],
        )?;
        ensure!(digest(fleet)? == before && sessions(fleet)? == connected);
        let listening = ctl_ok(fleet, "daemon debug")?;
        ensure!(!listening.contains(":845"), "{listening}");

        main.remove(&path)?;
        let (worked, text) = reload(main, CONTROLLER)?;
        ensure!(worked && text == "3 of 3 nodes online", "{text}");
        ensure!(main.main_pid(CONTROLLER)? == pid);
        Ok(())
    });
}

/// Keeps whoever opens a file waiting, as a file system does that does not answer: it holds the lease of it, fcntl(2),
/// until it is stopped.
const HANG: &str = r#"systemd-run --quiet --unit=hang --service-type=notify -p NotifyAccess=all perl -e '
    $SIG{IO} = "IGNORE"; open(F, "+<", "PATH") or die $!; fcntl(F, 1024, 1) or die $!;
    system("systemd-notify --ready"); sleep;'"#;

#[test]
fn a_reload_that_takes_too_long_changes_nothing_and_keeps_nobody_waiting() {
    scene(three("daemon"), |fleet| {
        let main = fleet.node("main");
        let (before, connected) = (digest(fleet)?, sessions(fleet)?);
        let path = controller_drop_in("90-new");
        main.write(&path, "[claims]\nloss_grace = \"31s\"\n")?;
        main.shell(&HANG.replace("PATH", &path))?;
        main.shell("(ctl daemon reload || echo $? >/run/code) >/run/said 2>&1 </dev/null &")?;
        ensure!(digest(fleet)? == before);
        let code = || main.read("/run/code").unwrap_or_default();
        main.wait_until(|| !code().is_empty(), 2 * SOON)?;
        let said = main.read("/run/said")?;
        ensure!(
            code().trim() == "5" && said.contains("not read in time"),
            "{said}"
        );
        let text = main.property(CONTROLLER, "StatusText")?;
        ensure!(
            text.starts_with("reload rejected (not read within 20 s), configuration of "),
            "{text}"
        );
        ensure!(digest(fleet)? == before && sessions(fleet)? == connected);

        main.systemctl(&["stop", "hang.service"])?;
        let (worked, text) = reload(main, CONTROLLER)?;
        ensure!(worked && text == "3 of 3 nodes online", "{text}");
        ensure!(digest(fleet)? != before && sessions(fleet)? == connected);
        Ok(())
    });
}

#[test]
fn every_way_to_reload_is_the_same_and_no_connection_notices() {
    scene(three("daemon"), |fleet| {
        let main = fleet.node("main");
        let (connected, path) = (sessions(fleet)?, controller_drop_in("90-new"));
        let said = |text: &str| ctl_ok(fleet, "daemon config").is_ok_and(|it| it.contains(text));

        main.write(&path, "[claims]\nloss_grace = \"31s\"\n")?;
        let checked = ctl_ok(fleet, "daemon check-config")?;
        ensure!(
            checked.contains("claims.loss_grace") && checked.contains("live"),
            "{checked}"
        );
        main.systemctl(&["reload", CONTROLLER])?;
        ensure!(
            said("\"31s\""),
            "systemctl reload came back before it was done"
        );
        main.write(&path, "[claims]\nloss_grace = \"32s\"\n")?;
        let done = ctl_ok(fleet, "daemon reload")?;
        ensure!(done.contains("configuration 3 is in force"), "{done}");
        ensure!(said("\"32s\""));
        main.write(&path, "[claims]\nloss_grace = \"33s\"\n")?;
        main.systemctl(&["kill", "--kill-whom=main", "--signal=HUP", CONTROLLER])?;
        main.wait_until(|| said("\"33s\""), SOON)?;
        ctl_says(fleet, "daemon reload", 0, &["has not changed"])?;

        // Many at once end with what is in the files last.
        main.write(&path, "[claims]\nloss_grace = \"34s\"\n")?;
        let pid = main.main_pid(CONTROLLER)?;
        ensure!(pid > 1);
        main.shell(&format!("for i in $(seq 100); do kill -HUP {pid}; done"))?;
        main.wait_until(|| said("\"34s\""), SOON)?;

        // A listener moves while agents are connected, and a heartbeat changes.
        main.write(&path, "[listen]\ntcp = [\"[::]:842\", \"[::]:846\"]\nbacklog = 64\n[heartbeat]\ninterval = \"400ms\"\n")?;
        main.systemctl(&["reload", CONTROLLER])?;
        let listening = ctl_ok(fleet, "daemon debug")?;
        ensure!(listening.contains("listening on [::]:846"), "{listening}");
        // The column after what waits is what may wait: also of the socket that was open before.
        let sockets = main.ok(&["ss", "--listening", "--tcp", "--numeric", "--no-header"])?;
        let ours = |port: &str| sockets.lines().find(|line| line.contains(port));
        for port in [":842 ", ":846 "] {
            let words = ours(port).map(|line| line.split_whitespace().nth(2));
            ensure!(words == Some(Some("64")), "{port}: {sockets}");
        }
        main.remove(&path)?;
        main.systemctl(&["reload", CONTROLLER])?;
        let listening = ctl_ok(fleet, "daemon debug")?;
        ensure!(!listening.contains(":846"), "{listening}");
        ensure!(sessions(fleet)? == connected, "somebody was disconnected");
        ensure!(main.main_pid(CONTROLLER)? == pid);
        Ok(())
    });
}

#[test]
fn an_agent_takes_another_name_without_a_restart_and_units_go_on() {
    let builder = configure(three("daemon"), "90-names", "[node.other]\n");
    tests::case::case(builder, |fleet| {
        let (main, worker1) = (fleet.node("main"), fleet.node("worker1"));
        await_status(fleet, "worker1", "online", SOON)?;
        let pid = worker1.main_pid(AGENT)?;
        let path = agent_drop_in("90-new");
        worker1.write(&path, "node_nam = \"other\"\n")?;
        let (worked, text) = reload(worker1, AGENT)?;
        ensure!(
            !worked && text.contains("reload rejected (1 error)"),
            "{text}"
        );
        ctl_says(
            fleet,
            "daemon reload worker1",
            3,
            &["90-new.toml:1:1", "node_name"],
        )?;

        worker1.write(&path, "node_name = \"other\"\n")?;
        let checked = worker1
            .run(&["ctl", "daemon", "check-config", "--agent"])?
            .ok()?;
        ensure!(checked.contains("reconnect"), "{checked}");
        ctl_ok(fleet, "daemon reload worker1")?;
        await_status(fleet, "other", "online", SOON)?;
        main.wait_until(
            || status(fleet, "worker1").as_deref() == Some("offline"),
            SOON,
        )?;
        ensure!(worker1.main_pid(AGENT)? == pid);
        let config = ctl_ok(fleet, "daemon config other")?;
        ensure!(config.contains("90-new.toml:1:13"), "{config}");
        Ok(())
    });
}

#[test]
fn a_controller_that_stops_refuses_new_jobs_and_waits_for_old_ones() {
    let slow = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sleep 4\n";
    let builder = three("daemon").unit_text("worker1", "slow.service", slow);
    scene(builder, |fleet| {
        let main = fleet.node("main");
        let start =
            "(ctl start worker1 slow.service; echo $? >/run/code) >/run/said 2>&1 </dev/null &";
        main.shell(start)?;
        fleet.node("worker1").wait_state(
            "slow.service",
            |active, _| active == "activating",
            SOON,
        )?;
        main.systemctl(&["stop", "--no-block", CONTROLLER])?;
        main.wait_state(CONTROLLER, |active, _| active == "deactivating", SOON)?;
        let refused = ctl(fleet, "start worker2 slow.service")?;
        let said = format!("{}{}", refused.stdout, refused.stderr);
        ensure!(!refused.success() && said.contains("stopping"), "{said}");
        let text = main.property(CONTROLLER, "StatusText")?;
        ensure!(text.contains("waiting for 1 job"), "{text}");
        main.wait_state(CONTROLLER, |active, _| active == "inactive", SOON)?;
        main.wait_until(
            || main.read("/run/code").is_ok_and(|it| it.trim() == "0"),
            SOON,
        )?;
        ensure!(main.property(CONTROLLER, "ExecMainStatus")? == "0");

        // Nothing runs: it is gone at once.
        main.systemctl(&["start", CONTROLLER])?;
        await_status(fleet, "worker1", "online", SOON)?;
        let began = std::time::Instant::now();
        main.systemctl(&["restart", CONTROLLER])?;
        ensure!(
            began.elapsed() < Duration::from_secs(3),
            "{:?}",
            began.elapsed()
        );
        await_status(fleet, "worker1", "online", SOON)
    });
}

#[test]
fn no_hup_ends_a_daemon_that_starts() {
    scene(three("daemon"), |fleet| {
        for (node, unit) in [("main", CONTROLLER), ("worker1", AGENT)] {
            let node = fleet.node(node);
            // systemctl comes back when the daemon is ready, so the signals are sent meanwhile. Those
            // that come before its first action, while systemd still makes its sandbox, end it as any
            // process, and systemd starts it again.
            let storm = format!(
                "for i in $(seq 30); do systemctl restart {unit} & \
                 for j in $(seq 8); do pid=$(systemctl show -P MainPID {unit}); \
                 test \"$pid\" -le 1 || kill -HUP $pid || true; done; wait; done"
            );
            node.shell(&storm)?;
            node.wait_active(unit, SOON)?;
        }
        for node in fleet.nodes() {
            await_status(fleet, node.name(), "online", SOON)?;
        }
        Ok(())
    });
}

#[test]
fn a_socket_of_systemds_is_the_same_after_reloads_and_restarts() {
    let builder = three("daemon").enable("main", "unitlink-controller.socket");
    scene(builder, |fleet| {
        let main = fleet.node("main");
        // The inode of the socket that listens: the same socket, not only the same path.
        let inode = || -> Result<String> {
            let sockets = main.ok(&["ss", "--listening", "--unix", "--extended", "--no-header"])?;
            let of_agents = |line: &&str| line.contains("/run/unitlink/controller.sock");
            let socket = sockets.lines().find(of_agents).unwrap_or_default();
            Ok(socket
                .split_whitespace()
                .nth(5)
                .unwrap_or_default()
                .to_owned())
        };
        let (first, pid) = (inode()?, main.main_pid(CONTROLLER)?);
        ensure!(first.parse::<u64>().is_ok(), "no inode: {first:?}");
        main.write(&controller_drop_in("90-new"), "[listen]\nbacklog = 64\n")?;
        main.systemctl(&["reload", CONTROLLER])?;
        ensure!(inode()? == first, "a reload has made another socket");
        main.systemctl(&["restart", CONTROLLER])?;
        main.kill_service(CONTROLLER, "KILL")?;
        main.wait_until(
            || {
                main.main_pid(CONTROLLER)
                    .is_ok_and(|it| it > 1 && it != pid)
            },
            SOON,
        )?;
        await_status(fleet, "main", "online", SOON)?;
        ensure!(inode()? == first, "a restart has made another socket");
        Ok(())
    });
}
