//! The agent as a process where there is no systemd: with which code it ends, and that it says why.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "clippy takes only functions with #[test] for tests, not what they share"
)]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use test_case::test_case;

/// For what has no limit of its own; far more than anything takes.
const SOON: Duration = Duration::from_secs(20);

/// A folder that goes away with its owner.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let random = host::clock::random_u64().expect("random");
        let path = std::env::temp_dir().join(format!("unitlink-agent-{random:x}"));
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    /// An agent of a user without a service manager, with this configuration.
    fn start(&self, config: &str, options: &[&str]) -> Child {
        let file = self.0.join("agent.toml");
        fs::write(&file, config).expect("configuration");
        Command::new(env!("CARGO_BIN_EXE_unitlink-agent"))
            .arg("--user")
            .arg("--config")
            .arg(&file)
            .args(options)
            .env("XDG_RUNTIME_DIR", &self.0)
            .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus")
            .env_remove("NOTIFY_SOCKET")
            .env_remove("JOURNAL_STREAM")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the agent starts")
    }

    /// Waits until it listens for helpers, which it does before it looks for systemd.
    fn await_socket(&self) {
        let socket = self.0.join("unitlink/agent.sock");
        let began = Instant::now();
        while !socket.exists() {
            assert!(began.elapsed() < SOON, "it does not listen");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn signal(agent: &Child, signal: Signal) {
    let number = i32::try_from(agent.id()).expect("a pid");
    // A signal to 0 or 1 would be one to ourselves, or to the machine.
    assert!(number > 1);
    let pid = Pid::from_raw(number).expect("a pid");
    kill_process(pid, signal).expect("the process is there");
}

/// The code and what was said, once it has ended.
fn end(agent: Child) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = agent.wait_with_output().expect("ended");
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

const GOOD: &str = "node_name = \"a\"\n";

#[test_case(GOOD, &["--no-such-option"], 64, "--no-such-option"; "options that are none")]
#[test_case("node_name = \"a b\"\n", &[], 78, "agent.toml:1:13: node_name: "; "a configuration that is not valid")]
#[test_case(GOOD, &["--check"], 0, ""; "a configuration that is valid")]
fn it_ends_at_the_start_and_says_why(config: &str, options: &[&str], code: i32, why: &str) {
    let folder = Folder::new();
    let (ended, said) = end(folder.start(config, options));
    assert_eq!(ended, Some(code), "{said}");
    assert!(said.contains(why), "{said}");
}

#[test]
fn an_agent_that_cannot_listen_for_helpers_says_so() {
    let folder = Folder::new();
    // A file where its folder would be.
    fs::write(folder.0.join("unitlink"), "").expect("written");
    let (ended, said) = end(folder.start(GOOD, &[]));
    assert_eq!(ended, Some(69), "{said}");
    assert!(said.contains("unitlink"), "{said}");
}

#[test]
fn signals_are_blocked_and_a_pipe_without_a_reader_ends_nothing() {
    let folder = Folder::new();
    let mut agent = folder.start(GOOD, &[]);
    folder.await_socket();
    let status = fs::read_to_string(format!("/proc/{}/status", agent.id())).expect("alive");
    // Bits of these masks begin with signal 1, proc(5).
    let has = |field: &str, signal: Signal| {
        let mask = status.lines().find_map(|line| line.strip_prefix(field));
        let mask = u64::from_str_radix(mask.expect("a mask").trim(), 16).expect("a mask");
        mask & (1 << (signal.as_raw() - 1)) != 0
    };
    for signal in [
        Signal::HUP,
        Signal::TERM,
        Signal::INT,
        Signal::USR1,
        Signal::USR2,
    ] {
        assert!(has("SigBlk:", signal), "{signal:?}");
    }
    assert!(has("SigIgn:", Signal::PIPE));
    let _ = agent.kill();
    let _ = agent.wait();
}

#[test]
fn usr2_does_nothing_and_usr1_tells_the_state() {
    let folder = Folder::new();
    let mut agent = folder.start(GOOD, &[]);
    folder.await_socket();
    signal(&agent, Signal::USR2);
    signal(&agent, Signal::USR1);
    let lines = BufReader::new(agent.stderr.take().expect("piped")).lines();
    let mut lines = lines.map(|line| line.expect("text"));
    // It goes on to say things until it leaves, because there is no systemd.
    assert!(lines.any(|line| line.contains("state: ")), "no state");
    assert!(agent.try_wait().expect("a child").is_none(), "it is alive");
    let _ = agent.kill();
    let _ = agent.wait();
}

#[test_case(Signal::TERM, 0; "in order")]
#[test_case(Signal::INT, 130; "at once")]
fn a_signal_ends_it_also_before_systemd_is_reached(by: Signal, code: i32) {
    let folder = Folder::new();
    let agent = folder.start(GOOD, &[]);
    folder.await_socket();
    signal(&agent, Signal::HUP);
    signal(&agent, by);
    let (ended, said) = end(agent);
    assert_eq!(ended, Some(code), "{said}");
}

#[test]
fn an_agent_that_does_not_reach_systemd_in_time_says_so_and_leaves() {
    let folder = Folder::new();
    let (ended, said) = end(folder.start(GOOD, &[]));
    assert_eq!(ended, Some(75), "{said}");
    let why = "not ready in time: systemd of this node was not reached within 27s";
    assert!(said.contains(why), "{said}");
    let unit = include_str!("../../../units/systemd/unitlink-agent.service.in");
    assert!(
        unit.contains("\nTimeoutStartSec=30\n"),
        "before its unit gives up"
    );
}
