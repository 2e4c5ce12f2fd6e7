//! Nothing of a fleet outlives the process that holds it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use test_case::test_case;
use tests::case::{case, prerequisites};
use tests::fleet::Fleet;

const SOON: Duration = Duration::from_secs(20);

/// Not a test of its own: a process with a fleet, which the tests below kill.
#[test]
#[ignore = "started by other tests"]
fn victim() {
    case(Fleet::builder("victim").bare().node("a").node("b"), |_| {
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
        .args(["--exact", "leftover::victim", "--ignored", "--nocapture"])
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
