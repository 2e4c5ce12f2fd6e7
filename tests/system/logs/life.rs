//! Lives of units and of nodes: which lines are of the last one.

use anyhow::{Context, Result, ensure};
use tests::fleet::Fleet;

use super::{messages, said, say, taken_in};
use crate::world::{SOON, await_status, ctl, ctl_ok, scene, three};

const LIFE: &str = "\
[Unit]
Description=Lives more than once

[Service]
ExecStart=sh -c 'echo begun; exec sleep infinity'

[Install]
Alias=other.service
";

const FAILS: &str = "[Service]\nExecStart=sh -c 'seq 1 15; exit 3'\n";

/// What is below the last empty line: the end of the journal.
fn log(status: &str) -> &str {
    status.rsplit_once("\n\n").map_or("", |(_, log)| log).trim()
}

/// Has a status end with the same lines as that of systemctl on worker1; gives them.
fn same_as_systemctl(fleet: &Fleet, unit: &str) -> Result<String> {
    let worker1 = fleet.node("worker1");
    taken_in(worker1)?;
    let ours = ctl(fleet, &format!("status worker1 {unit}"))?.stdout;
    let theirs = worker1
        .run(&["systemctl", "status", "--full", unit])?
        .stdout;
    // Where there are no lines, there is no empty line before them.
    let theirs = if theirs.contains("\n\n") {
        log(&theirs)
    } else {
        ""
    };
    let details = ours.split_once("\n\n").map_or("", |(_, details)| details);
    let ours = if details.contains("\n\n") {
        log(details)
    } else {
        ""
    };
    ensure!(ours == theirs, "of {unit}:\n{ours}\ninstead of\n{theirs}");
    Ok(ours.to_owned())
}

#[test]
fn the_status_of_a_unit_has_the_lines_that_systemctl_shows() {
    scene(three("logs"), |fleet| {
        let worker1 = fleet.node("worker1");
        worker1.write("/etc/systemd/system/life.service", LIFE)?;
        worker1.write("/etc/systemd/system/fails.service", FAILS)?;
        worker1.systemctl(&["daemon-reload"])?;
        worker1.systemctl(&["enable", "life.service"])?;
        let same = |unit: &str| same_as_systemctl(fleet, unit);
        ensure!(same("life.service")?.is_empty(), "it has never run");

        worker1.systemctl(&["start", "life.service"])?;
        worker1.systemctl(&["stop", "life.service"])?;
        // What is said of the first life is taken in before the second begins.
        taken_in(worker1)?;
        worker1.systemctl(&["start", "life.service"])?;
        let lines = same("life.service")?;
        ensure!(!lines.contains("Stopped"), "of this life only:\n{lines}");
        ensure!(lines.contains("Started"), "{lines}");
        // The journal knows nothing of an alias, and the status is headed by the unit's own name.
        ensure!(same("other.service")? == lines, "of the same unit");
        let alias = ctl_ok(fleet, "status worker1 other")?;
        ensure!(
            alias.contains("\u{25cf} life.service on worker1"),
            "{alias}"
        );

        worker1.systemctl(&["stop", "life.service"])?;
        let lines = same("life.service")?;
        ensure!(
            lines.matches("Stopped").count() == 2,
            "of this boot:\n{lines}"
        );

        // Its other lines are pushed out by what it has said.
        let _ = worker1.run(&["systemctl", "start", "fails.service"])?;
        worker1.wait_state("fails.service", |active, _| active == "failed", SOON)?;
        // journald may take in what a program has said at its end later than what systemd says of that end.
        let all = || same("fails.service").is_ok_and(|lines| lines.lines().count() == 10);
        worker1.wait_until(all, SOON)?;
        worker1.systemctl(&["reset-failed", "fails.service"])?;
        ensure!(same("fails.service")?.lines().count() == 10);

        say(worker1, "1")?;
        ensure!(same("say@1.service")?.contains("]: 1\n"));
        // More than one answer has, the newest of them.
        worker1.shell("systemd-run -u many -r sh -c 'seq 1 1700'")?;
        worker1.wait_state("many.service", |_, sub| sub == "exited", SOON)?;
        taken_in(worker1)?;
        let many = ctl(fleet, "status worker1 many -n 600")?.stdout;
        let many: Vec<&str> = log(&many).lines().collect();
        ensure!(many.len() == 600, "{} lines", many.len());
        ensure!(many.iter().any(|line| line.ends_with("]: 1700")));
        ensure!(many.first().is_some_and(|line| line.ends_with("]: 1101")));
        Ok(())
    });
}

#[test]
fn lines_of_this_boot_are_told_from_those_of_the_last() {
    scene(three("logs"), |fleet| {
        let (main, worker1) = (fleet.node("main"), fleet.node("worker1"));
        let boots = || -> Result<Vec<String>> {
            let call = "busctl call org.unitlink /org/eclipse/bluechi org.unitlink.Fleet1 Dump";
            let state = main.ok(&call.split(' ').collect::<Vec<_>>())?;
            let mut boots = Vec::new();
            for node in ["main", "worker1", "worker2"] {
                let line = state
                    .split("\\n")
                    .find(|it| it.starts_with(&format!("node {node}: ")));
                let boot = line
                    .and_then(|line| line.split_once(", boot "))
                    .context(state.clone())?;
                let boot = boot.1.split(',').next().unwrap_or_default();
                let own = fleet.node(node).read("/proc/sys/kernel/random/boot_id")?;
                ensure!(
                    boot == own.trim().replace('-', ""),
                    "{node}: {boot}, not {own}"
                );
                boots.push(boot.to_owned());
            }
            Ok(boots)
        };
        let before = boots()?;
        ensure!(
            before[0] != before[1] && before[1] != before[2],
            "{before:?}"
        );

        say(worker1, "1")?;
        worker1.power_off()?;
        await_status(fleet, "worker1", "offline", SOON)?;
        worker1.boot()?;
        await_status(fleet, "worker1", "online", SOON)?;
        ensure!(boots()?[1] != before[1], "another boot");

        let status = ctl(fleet, "status worker1 say@1")?.stdout;
        ensure!(!status.contains("]: 1"), "{status}");
        say(worker1, "2")?;
        let lines = said(fleet, "logs worker1 say@1 say@2 -b")?;
        ensure!(messages(&lines) == ["2"], "{lines:?}");
        let all = ctl_ok(fleet, "logs worker1 say@1 say@2")?;
        let boots: Vec<&str> = all
            .lines()
            .filter(|line| line.starts_with("-- Boot "))
            .collect();
        ensure!(boots.len() == 1, "{all}");
        ensure!(all.contains("]: 1\n") && all.contains("]: 2\n"), "{all}");
        Ok(())
    });
}
