//! Everything that a new generation can do wrong: the old one serves, one line says why, and the code
//! says what kind it is.

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use rustix::process::{Signal, kill_process};
use test_case::test_case;
use tests::load::{Load, Target};

use super::world::{Case, LAUNCHER, PLAIN, runs, text_of};

/// Clients under way at once.
const CLIENTS: u32 = 2;

/// What the new settings say, the exit code of `reload --wait`, and what the line has in it.
#[test_case("environment = [\"WORKER_EXITS=3\"]", 4, "exit 3 before it was ready"; "exits")]
#[test_case("environment = [\"WORKER_EXITS=0\"]", 4, "exit 0 before it was ready"; "exits well")]
#[test_case("environment = [\"WORKER_ABORTS=1\"]", 4, "killed by signal 6 before it was ready"; "aborts")]
#[test_case("environment = [\"WORKER_HANGS=1\"]\nready_timeout = \"300ms\"", 5, "was not ready within 300ms"; "hangs")]
#[test_case("environment = [\"WORKER_FORKS_AWAY=1\"]", 4, "exit 0 before it was ready"; "forks away")]
#[test_case("confirm = \"5s\"\nenvironment = [\"WORKER_DIES_AFTER=300\"]", 4, "exit 9 soon after it was ready"; "dies after it was ready")]
#[test_case("command = [\"/nowhere/server\"]", 4, "could not be started: the command cannot be run: no such file or directory"; "is missing")]
#[test_case("command = [\"/etc/passwd\"]", 4, "could not be started: the command cannot be run: permission denied"; "is not executable")]
#[test_case("command = [\"BAD\"]", 4, "could not be started: the command cannot be run: exec format error"; "is no program")]
#[test_case("chdir = \"/nowhere\"", 3, "chdir: found \"/nowhere\", expected a directory"; "has no directory")]
#[test_case("workers = 0", 3, "settings.toml:3:11: workers: found 0, expected an integer from 1 to 1024"; "has bad settings")]
#[test_case("workers 2", 3, "settings.toml:3:"; "is no toml")]
#[test_case("wrokers = 2", 3, "settings.toml:3:1: wrokers: unknown key, did you mean 'workers'?"; "has an unknown key")]
#[test_case("workers = \"two\"", 3, "settings.toml:3:11: workers: found \"two\", expected an integer from 1 to 1024"; "has a value of the wrong kind")]
#[test_case("workers = 1\nworkers= 2", 3, "settings.toml:4:"; "has a key twice")]
#[test_case("respawn_delay = \"9s\"\nrespawn_delay_max = \"1s\"", 3, "expected respawn_delay_max to be no less than respawn_delay"; "has values that contradict")]
#[test_case("environment = [\"WORKER_HANGS=1\", \"WORKER_IGNORES_TERM=1\"]\nready_timeout = \"200ms\"", 5, "was not ready within 200ms"; "hangs and ignores the end")]
#[test_case("environment_file = [\"/nowhere\"]", 3, "/nowhere: cannot be read"; "has no variables")]
fn a_new_generation_that_fails_leaves_the_old_one(settings: &str, code: i32, text: &str) {
    let case = Case::new();
    let bad = case.path("bad");
    fs::write(&bad, "this is no program").expect("written");
    fs::set_permissions(&bad, fs::Permissions::from_mode(0o755)).expect("set");
    let worker = super::world::worker();
    let command = format!("command = [{:?}]", text_of(&worker));
    let keys = settings.replace("BAD", text_of(&bad));
    case.settings(&format!("{PLAIN}{command}"));
    let file = case.path("settings.toml");
    let launcher = case.start(&["--settings", text_of(&file)]).ready();
    let before = launcher.workers();
    let load = Load::new(Target::Tcp(case.address), CLIENTS).start();

    let mut lines: Vec<_> = PLAIN.lines().map(str::to_owned).collect();
    for key in keys.lines() {
        let name = key.split(' ').next().expect("a key");
        lines.retain(|it| !it.starts_with(name));
        lines.push(key.to_owned());
    }
    if !keys.contains("command") {
        lines.push(command.clone());
    }
    case.settings(&lines.join("\n"));
    let (got, said) = launcher.reload();
    assert!(got == code && said.contains(text), "{got} {said}");
    // Nothing of the new one is left, and the old one has not noticed.
    launcher.wait("only the old ones", || {
        (launcher.workers() == before).then_some(())
    });
    let report = load.stop();
    // Who dies while it serves takes along what it has in its hands: no more than a request of each client.
    let in_hand = if keys.contains("WORKER_DIES_AFTER") {
        u64::from(CLIENTS)
    } else {
        0
    };
    assert!(report.losses() <= in_hand, "{report}");
    assert!(report.answered > 0);
    launcher.wait_log("FAILED, the old generation serves", 1);
    let log = launcher.log();
    let about: Vec<_> = log
        .lines()
        .filter(|it| it.contains("FAILED, the old generation serves"))
        .collect();
    assert_eq!(about.len(), 1, "{log}");
    assert!(
        about[0].contains(text)
            && launcher.status()["line"]
                .as_str()
                .expect("text")
                .contains("last reload FAILED")
    );
    // And the next one may be right again.
    case.settings(&format!("{PLAIN}{command}"));
    assert_eq!(launcher.reload().0, 0);
}

#[test]
fn what_has_forked_away_is_found_and_killed() {
    let case = Case::new();
    let launcher = case.start_with(PLAIN).ready();
    case.settings(&format!("{PLAIN}environment = [\"WORKER_FORKS_AWAY=1\"]"));
    assert_eq!(launcher.reload().0, 4);
    launcher.wait_log("which a worker that failed has left", 1);
    launcher.wait("one child", || {
        let own = launcher.pid().as_raw_nonzero();
        let children =
            fs::read_to_string(format!("/proc/{own}/task/{own}/children")).expect("read");
        (children.split_whitespace().count() == 1).then_some(())
    });
    assert_eq!(launcher.who("generation"), "1");
}

/// A start that fails ends with what it failed of.
#[test_case(&["--environment", "WORKER_EXITS=3"], 3; "exits")]
#[test_case(&["--environment", "WORKER_EXITS=0"], 75; "exits well")]
#[test_case(&["--environment", "WORKER_ABORTS=1"], 134; "aborts")]
#[test_case(&["--environment", "WORKER_HANGS=1", "--ready-timeout", "200ms"], 75; "hangs")]
#[test_case(&["--workers", "0"], 78; "bad settings")]
#[test_case(&["--wrokers", "1"], 64; "bad command line")]
#[test_case(&["--listen", "192.0.2.1:1"], 69; "bad address")]
#[test_case(&["--reuse-port"], 78; "would lose requests")]
fn a_start_that_fails_has_its_exit_code(options: &[&str], code: i32) {
    let case = Case::new();
    let worker = super::world::worker();
    let all = [&["--ready", "notify"], options, &["--", text_of(&worker)]].concat();
    let mut launcher = case.start(&all);
    assert_eq!(launcher.code(), code, "{}", launcher.log());
    launcher.wait("a line", || (!launcher.log().is_empty()).then_some(()));
}

#[test_case("/nowhere/server", 127)]
#[test_case("no-such-program-at-all", 127)]
#[test_case("/etc/passwd", 126)]
fn a_command_that_cannot_be_run(command: &str, code: i32) {
    let case = Case::new();
    let mut launcher = case.start(&["--", command]);
    assert_eq!(launcher.code(), code, "{}", launcher.log());
}

#[test]
fn a_worker_that_is_killed_is_back_at_once_and_alone() {
    let case = Case::new();
    let launcher = case.start_with(&format!("{PLAIN}workers = 2")).ready();
    let before = launcher.workers();
    let load = Load::new(Target::Tcp(case.address), CLIENTS).start();
    let begun = std::time::Instant::now();
    kill_process(before[0].1, Signal::KILL).expect("sent");
    launcher.wait("another one", || {
        let now = launcher.workers();
        (now.len() == 2 && !now.contains(&before[0])).then_some(())
    });
    launcher.wait("it to be ready", || {
        (launcher.status()["generations"][0]["ready"] == 2).then_some(())
    });
    // 100 ms and a start, with the factor of a busy machine.
    assert!(
        begun.elapsed() < Duration::from_millis(600),
        "{:?}",
        begun.elapsed()
    );
    assert!(
        launcher.workers().contains(&before[1]),
        "the other one was left alone"
    );
    let report = load.stop();
    assert!(
        report.losses() <= u64::from(CLIENTS) && report.answered > 0,
        "no more than what it had in its hands: {report}"
    );
    launcher.wait_log("killed by signal 9; started again in", 1);
}

#[test]
fn too_many_crashes_are_a_failure() {
    let case = Case::new();
    let mut launcher = case
        .start_with(&format!("{PLAIN}max_crashes = \"3/60s\"\nworkers = 2\nenvironment = [\"WORKER_DIES_AFTER=1000\"]"))
        .ready();
    assert_eq!(launcher.code(), 71, "{}", launcher.log());
    launcher.wait_log("3 crashes within 60s are too many, giving up", 1);
}

/// For as many seconds as `UNITLINK_CRASHES` says, and for a few by default.
#[test]
fn a_crash_loop_starts_seldom_and_costs_nothing() {
    let seconds = std::env::var("UNITLINK_CRASHES");
    let seconds: u64 = seconds.ok().and_then(|it| it.parse().ok()).unwrap_or(4);
    let case = Case::new();
    let mark = case.path("works");
    fs::write(&mark, "").expect("written");
    let starts = case.path("starts");
    // It serves once, and never again.
    let script = format!(
        "echo >>{0}; test -e {1} || exit 3; exec {2}",
        text_of(&starts),
        text_of(&mark),
        text_of(&super::world::worker())
    );
    let address = case.address.to_string();
    let plain = ["--listen", &address, "--ready", "notify"];
    let all = [&plain[..], &["--", "sh", "-c", &script]].concat();
    let launcher = case.launch(&all, &[]).ready();
    fs::remove_file(&mark).expect("removed");
    let (_, pid) = launcher.workers()[0];
    let cpu = || {
        let path = format!("/proc/{}/stat", launcher.pid().as_raw_nonzero());
        let stat = fs::read_to_string(path).expect("runs");
        let fields: Vec<_> = stat
            .rsplit_once(") ")
            .expect("a name")
            .1
            .split(' ')
            .collect();
        let number = |at: usize| fields[at].parse::<u64>().expect("a number");
        number(11) + number(12)
    };
    let before = cpu();
    kill_process(pid, Signal::KILL).expect("sent");
    std::thread::sleep(Duration::from_secs(seconds));
    let ticks = cpu() - before;
    let count = fs::read_to_string(&starts)
        .expect("written")
        .lines()
        .count() as u64
        - 1;
    eprintln!("{count} starts and {ticks} ticks of 10 ms within {seconds} s");
    // 100 ms doubled up to 30 s, each less up to a quarter.
    let doubled = u64::from((10 * seconds).ilog2() + 2).min(10);
    let most = doubled + seconds / 22;
    assert!(
        (2..=most).contains(&count),
        "{count} starts, at most {most}"
    );
    assert!(ticks <= seconds + 4, "{ticks} ticks within {seconds} s");
}

#[test]
fn a_silent_worker_is_aborted_and_replaced() {
    let case = Case::new();
    let launcher = case
        .start_with(&format!(
            "{PLAIN}watchdog = \"400ms\"\nenvironment = [\"WORKER_LIVES=50\"]"
        ))
        .ready();
    let (_, pid) = launcher.workers()[0];
    std::thread::sleep(Duration::from_millis(900));
    assert_eq!(launcher.workers()[0].1, pid, "it says that it lives");
    kill_process(pid, Signal::STOP).expect("sent");
    launcher.wait("another one", || {
        launcher
            .workers()
            .first()
            .filter(|it| it.1 != pid)
            .map(|_| ())
    });
    launcher.wait_log("was silent for 400ms", 1);
    assert!(!runs(pid));
}

#[test]
fn what_would_be_wrong_is_said_without_a_start() {
    let case = Case::new();
    case.settings("workers = 0\ncomand = [\"a\"]\n");
    let file = case.path("settings.toml");
    let output = std::process::Command::new(LAUNCHER)
        .args(["check", "--settings", text_of(&file), "--mode", "slow"])
        .output()
        .expect("ran");
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8_lossy(&output.stderr).replace(text_of(&file), "FILE");
    let lines: Vec<_> = said
        .lines()
        .map(|it| it.trim_start_matches("unitlink-launcher: "))
        .collect();
    assert_eq!(
        lines,
        [
            "FILE:1:11: workers: found 0, expected an integer from 1 to 1024",
            "FILE:2:1: comand: unknown key, did you mean 'command'?",
            "command line: command: missing, expected a program and its arguments, here or after '--'",
            "command line: mode: found \"slow\", expected \"overlap\", \"rolling\" or \"replace\"",
        ]
    );
}
