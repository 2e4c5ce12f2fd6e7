//! The harness itself, without any of our daemons.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use test_case::test_case;
use tests::case::{case, folder, prerequisites};
use tests::fleet::{Fleet, FleetBuilder};
use tests::node::{Link, Node};

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
            let carrier = b.read("/sys/class/net/host0/carrier")?;
            ensure!(
                (carrier == "1\n") == (link == Link::Cut),
                "{link:?}: carrier {carrier}"
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

        let mut child = a.command(&["sleep", "4711"])?.spawn()?;
        a.kill()?;
        ensure!(!child.wait()?.success());
        Ok(())
    });
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

/// Not a test of its own: a process with a fleet, which the tests below kill.
#[test]
#[ignore = "started by other tests"]
fn victim() {
    case(two(), |_| {
        println!("\nup");
        thread::sleep(Duration::from_secs(600));
        Ok(())
    });
}

#[test_case("INT")]
#[test_case("TERM")]
#[test_case("KILL")]
fn nothing_stays_when_the_owner_of_a_fleet_is_ended_by(signal: &str) {
    if prerequisites(false).is_err() {
        return;
    }
    let mut victim = start_victim();
    assert!(!remains(&victim).is_empty());
    send(signal, victim.id());
    victim.wait().unwrap();
    await_nothing_remains(&victim);
}

#[test]
fn the_next_fleet_removes_what_stayed_when_owner_and_supervisor_were_killed() {
    if prerequisites(false).is_err() {
        return;
    }
    let mut victim = start_victim();
    let id = victim.id().to_string();
    let supervisors = Command::new("pgrep")
        .args(["-f", "-P", &id, "unitlink-test-island"])
        .output();
    let supervisor = String::from_utf8(supervisors.unwrap().stdout).unwrap();
    send("KILL", supervisor.trim().parse().unwrap());
    send("KILL", victim.id());
    victim.wait().unwrap();
    assert!(!remains(&victim).is_empty());
    case(Fleet::builder("next").bare(), |_| Ok(()));
    await_nothing_remains(&victim);
}

fn start_victim() -> Child {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "harness::victim", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(victim.stdout.take().unwrap());
    assert!(
        stdout.lines().any(|line| line.unwrap() == "up"),
        "the victim did not come up"
    );
    victim
}

fn send(signal: &str, pid: u32) {
    assert!(pid > 1);
    let status = Command::new("kill")
        .args(["-s", signal, &pid.to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

/// The cgroups of fleets of this process. Everything else of a fleet is in namespaces, which live
/// as long as a process in one of these cgroups does.
fn remains(victim: &Child) -> Vec<String> {
    let prefix = format!("unitlink-test-{}-", victim.id());
    [
        "/sys/fs/cgroup",
        "/sys/fs/cgroup/unified",
        "/sys/fs/cgroup/systemd",
    ]
    .iter()
    .filter_map(|dir| fs::read_dir(dir).ok())
    .flat_map(|entries| entries.flatten())
    .map(|entry| entry.path().display().to_string())
    .filter(|path| path.contains(&prefix))
    .collect()
}

fn await_nothing_remains(victim: &Child) {
    let until = Instant::now() + SOON;
    while !remains(victim).is_empty() {
        assert!(Instant::now() < until, "{:?}", remains(victim));
        // The removal of a cgroup has no event that the standard library could wait for.
        thread::sleep(Duration::from_millis(20));
    }
}
