//! The harness itself, without any of our daemons.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tests::case::{case, folder};
use tests::fleet::{Fleet, FleetBuilder};
use tests::node::{Link, Node};
use tests::stage::Stage;

const SOON: Duration = Duration::from_secs(20);

/// Two nodes; `b` has the units of the folder, of which `early.service` starts with it.
fn two() -> FleetBuilder {
    Fleet::builder("harness")
        .bare()
        .node("a")
        .folder(folder("harness"))
        .enable("b", "early.service")
}

fn pings(from: &Node, to: &str) -> Result<bool> {
    Ok(from.run(&["ping", "-n", "-c1", "-W1", to])?.success())
}

#[test]
fn a_node_is_a_whole_system_of_its_own() {
    case(two(), |fleet| {
        for node in fleet.nodes() {
            node.wait_active("multi-user.target", SOON)?;
            node.wait_until(
                || {
                    node.ok(&["systemctl", "is-system-running"])
                        .is_ok_and(|state| state == "running")
                },
                SOON,
            )?;
            ensure!(node.ok(&["hostname"])? == node.name());
            ensure!(
                node.ok(&["busctl", "status", "org.freedesktop.systemd1"])?
                    .contains("PID=1")
            );
            ensure!(node.read("/proc/1/comm")? == "systemd\n");
            ensure!(node.ok(&["stat", "-fc%T", "/sys/fs/cgroup"])? == "cgroup2fs");
            ensure!(
                node.run(&["touch", "/usr/x"])?.code() == Some(1),
                "the host's /usr is writable"
            );
        }
        Ok(())
    });
}

#[test]
fn a_unit_laid_out_before_boot_starts_with_the_node() {
    case(two(), |fleet| {
        let b = fleet.node("b");
        b.wait_active("early.service", SOON)?;
        ensure!(b.journal("early.service")?.contains("from etc: hello"));
        ensure!(fleet.node("a").state("early.service")?.load == "not-found");
        Ok(())
    });
}

#[test]
fn nodes_reach_each_other_until_the_link_is_cut_and_again_when_it_is_healed() {
    case(two(), |fleet| {
        let (a, b) = (fleet.node("a"), fleet.node("b"));
        for link in [Link::Cut, Link::Down] {
            for address in ["b", &b.address().to_string(), &b.address6().to_string()] {
                ensure!(pings(a, address)?, "{address}");
            }
            b.set_link(link)?;
            for address in [b.address().to_string(), b.address6().to_string()] {
                ensure!(!pings(a, &address)?, "{address} although {link:?}");
            }
            let unplugged = b
                .ok(&["ip", "link", "show", "host0"])?
                .contains("NO-CARRIER");
            ensure!(
                unplugged == (link == Link::Down),
                "{link:?}: unplugged is {unplugged}"
            );
            b.heal_link()?;
        }
        ensure!(pings(a, "b")?);
        ensure!(
            fleet
                .run(&["ping", "-n", "-c1", "-W1", "fd00::1"], SOON)?
                .success()
        );
        Ok(())
    });
}

#[test]
fn states_are_waited_for_by_event_also_across_a_reexecution_of_systemd() {
    case(two(), |fleet| {
        let b = fleet.node("b");
        b.systemctl(&["start", "--no-block", "gate.service"])?;
        b.wait_state("gate.service", |_, sub| sub == "start-pre", SOON)?;
        thread::scope(|scope| {
            let waiting = scope.spawn(|| b.wait_active("gate.service", SOON));
            b.systemctl(&["daemon-reexec"])?;
            b.write("/run/gate", "")?;
            let state = waiting.join().expect("the waiting thread")?;
            ensure!(state.sub == "running");
            Ok(())
        })?;
        b.kill_service("gate.service", "SIGKILL")?;
        b.wait_state("gate.service", |active, _| active == "failed", SOON)?;
        let error = b
            .wait_active("gate.service", Duration::from_millis(200))
            .unwrap_err();
        ensure!(format!("{error:#}").contains("failed"), "{error:#}");
        Ok(())
    });
}

#[test]
fn processes_can_be_frozen_and_thawed() {
    case(two(), |fleet| {
        let b = fleet.node("b");
        let unit = "sleep.service";
        b.systemctl(&["start", unit])?;
        b.systemctl(&["freeze", unit])?;
        ensure!(b.property(unit, "FreezerState")? == "frozen");
        b.systemctl(&["thaw", unit])?;
        ensure!(b.property(unit, "FreezerState")? == "running");

        let stat = format!("/proc/{}/stat", b.host_pid(unit)?);
        let stopped = || fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") T "));
        b.freeze(unit)?;
        b.wait_until(stopped, SOON)?;
        b.thaw(unit)?;
        b.wait_until(|| !stopped(), SOON)
    });
}

#[test]
fn the_end_of_a_node_is_seen_and_its_journal_is_read_after_it() {
    case(two(), |fleet| {
        let (a, b) = (fleet.node("a"), fleet.node("b"));
        b.wait_active("early.service", SOON)?;
        let first = b.ok(&["systemctl", "show", "-p", "UserspaceTimestampMonotonic"])?;
        b.crash()?;
        ensure!(!b.is_running() && a.is_running());
        ensure!(!pings(a, "b")?);
        ensure!(b.run(&["true"]).is_err());
        ensure!(b.journal("early.service")?.contains("from etc: hello"));

        b.heal_link()?;
        b.boot()?;
        ensure!(b.ok(&["systemctl", "show", "-p", "UserspaceTimestampMonotonic"])? != first);
        ensure!(pings(a, "b")?);

        b.power_off()?;
        ensure!(!b.is_running());
        ensure!(
            b.journalctl(&[])?
                .contains("Reached target poweroff.target")
        );
        b.boot()
    });
}

#[test]
fn a_command_inside_ends_at_its_deadline_and_with_the_node() {
    case(two(), |fleet| {
        let a = fleet.node("a");
        let begun = Instant::now();
        let error = a
            .run_within(&["sleep", "4711"], Duration::from_millis(300))
            .unwrap_err();
        ensure!(begun.elapsed() < SOON, "{error:#}");
        a.wait_until(
            || {
                a.run(&["pgrep", "-f", "sleep 4711"])
                    .is_ok_and(|it| !it.success())
            },
            SOON,
        )?;

        let mut child = a.command(&["sleep", "4712"])?.spawn()?;
        a.wait_until(
            || {
                a.run(&["pgrep", "-f", "sleep 4712"])
                    .is_ok_and(|it| it.success())
            },
            SOON,
        )?;
        a.kill()?;
        ensure!(!child.wait()?.success());
        Ok(())
    });
}

#[test]
fn a_stage_is_laid_over_usr_and_copied_into_etc() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stage");
    let unit = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/bin/staged\n";
    let files = [
        ("usr/lib/systemd/system/staged.service", unit),
        ("usr/bin/staged", "#!/bin/sh\ncat /etc/unitlink/staged\n"),
        ("etc/unitlink/staged", "from the stage\n"),
    ];
    for (file, text) in files {
        let file = path.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o755)).unwrap();
    }
    let stage = Stage::at(&path).unwrap();
    let builder = Fleet::builder("stage")
        .node("a")
        .stage(stage)
        .enable("a", "staged.service");
    case(builder, |fleet| {
        let a = fleet.node("a");
        a.wait_active("staged.service", SOON)?;
        ensure!(a.journal("staged.service")?.contains("from the stage"));
        ensure!(a.ok(&["test", "-x", "/usr/bin/systemctl"]).is_ok());
        ensure!(!Path::new("/usr/bin/staged").exists());
        Ok(())
    });
}

#[test]
fn files_are_written_and_removed_inside_the_node_wherever_its_links_lead() {
    case(two(), |fleet| {
        let a = fleet.node("a");
        a.write(
            "/etc/systemd/system/new.service",
            "[Service]\nExecStart=/bin/sleep infinity\n",
        )?;
        a.systemctl(&["daemon-reload"])?;
        a.systemctl(&["start", "new.service"])?;
        a.remove("/etc/systemd/system/new.service")?;

        a.shell("mkdir /run/there; ln -s /run/there /run/link; ln -s /run/there/x /run/x")?;
        a.write("/run/link/inside", "1")?;
        ensure!(a.ok(&["cat", "/run/there/inside"])? == "1");
        a.write("/run/x", "2")?;
        ensure!(
            a.run(&["test", "-e", "/run/there/x"])?.code() == Some(1),
            "written through"
        );
        ensure!(!Path::new("/run/there").exists());
        ensure!(a.read("/run/x")? == "2");
        Ok(())
    });
}

/// Not a test but a measurement: `cargo test -p tests --test system -- --ignored --nocapture boot`.
#[test]
#[ignore = "a measurement"]
fn time_to_boot() {
    for count in [1, 3] {
        let times: Vec<_> = (0..5)
            .map(|_| {
                let names: Vec<_> = (0..count).map(|n| format!("n{n}")).collect();
                let builder = Fleet::builder("time").bare();
                let builder = names
                    .iter()
                    .fold(builder, |builder, name| builder.node(name));
                let begun = Instant::now();
                let fleet = builder.boot().unwrap();
                let booted = begun.elapsed();
                drop(fleet);
                (booted, begun.elapsed() - booted)
            })
            .collect();
        println!("{count} nodes, (up, down): {times:?}");
    }
}

#[test]
fn a_wrong_layout_is_told_before_anything_boots() {
    for (builder, part) in [
        (Fleet::builder("x").bare().node("A"), "not a host name"),
        (Fleet::builder("x").bare().node("a").node("a"), "two nodes"),
        (
            Fleet::builder("x").bare().file("a", "/etc/x", ""),
            "no node a",
        ),
        (
            Fleet::builder("x")
                .bare()
                .node("a")
                .unit("a", "/nowhere/x.service"),
            "cannot read",
        ),
    ] {
        let error = format!("{:#}", builder.boot().unwrap_err());
        assert!(error.contains(part), "{error}");
    }
}
