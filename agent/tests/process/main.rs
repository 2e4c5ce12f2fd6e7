//! The agent as a process where there is no systemd: with which code it ends, and that it says why.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "clippy takes only functions with #[test] for tests, not what they share"
)]

use std::{fs, process::Command};

use rustix::process::Signal;
use test_case::test_case;
use tests::daemon::{Daemon, Folder, Hung, SOON, after, wait_until};

const FILE: &str = "agent.toml";
const GOOD: &str = "node_name = \"a\"\n";

/// An agent of a user without a service manager, with this configuration.
fn command(folder: &Folder, config: &str) -> Command {
    folder.command(env!("CARGO_BIN_EXE_unitlink-agent"), FILE, config)
}

/// Starts it, and waits until it listens for helpers, which it does before it looks for systemd.
fn listening(folder: &Folder) -> Daemon {
    let agent = Daemon::spawn(folder, command(folder, GOOD));
    let socket = folder.path("unitlink/agent.sock");
    wait_until("it listens", || socket.exists());
    agent
}

/// Starts it, and has it end by itself with this code, and say why.
fn ends(folder: &Folder, command: Command, code: i32, why: &str) {
    let mut agent = Daemon::spawn(folder, command);
    assert_eq!(agent.end_within(2 * SOON).code(), Some(code));
    assert!(agent.log().contains(why), "{}", agent.log());
}

#[test_case(GOOD, &["--no-such-option"], 64, "--no-such-option"; "options that are none")]
#[test_case("node_name = \"a b\"\n", &[], 78, "agent.toml:1:13: node_name: "; "a configuration that is not valid")]
#[test_case(GOOD, &["--check"], 0, ""; "a configuration that is valid")]
fn it_ends_at_the_start_and_says_why(config: &str, options: &[&str], code: i32, why: &str) {
    let folder = Folder::new("agent");
    let mut command = command(&folder, config);
    command.args(options);
    ends(&folder, command, code, why);
}

#[test_case("LISTEN_PID=$$ LISTEN_FDS=1 3>&-", "sockets that were passed"; "sockets that it was promised are not there")]
#[test_case("ulimit -n 4;", "event loop"; "the kernel gives it nothing to wait with")]
fn where_the_machine_does_what_it_never_should_it_says_so(script: &str, why: &str) {
    let folder = Folder::new("agent");
    ends(&folder, after(script, &command(&folder, GOOD)), 70, why);
}

#[test]
fn an_agent_that_cannot_listen_for_helpers_says_so() {
    let folder = Folder::new("agent");
    // A file where its folder would be.
    fs::write(folder.path("unitlink"), "").expect("written");
    ends(&folder, command(&folder, GOOD), 69, "unitlink");
}

#[test]
fn signals_are_blocked_and_a_pipe_without_a_reader_ends_nothing() {
    let folder = Folder::new("agent");
    let agent = listening(&folder);
    for signal in [
        Signal::HUP,
        Signal::TERM,
        Signal::INT,
        Signal::USR1,
        Signal::USR2,
    ] {
        assert!(agent.has("SigBlk", signal), "{signal:?}");
    }
    assert!(agent.has("SigIgn", Signal::PIPE));
}

#[test]
fn usr2_does_nothing_and_usr1_tells_the_state() {
    let folder = Folder::new("agent");
    let mut agent = listening(&folder);
    agent.signal(Signal::USR2);
    agent.signal(Signal::USR1);
    wait_until("the state is told", || agent.log().contains("state: "));
    assert!(agent.is_alive());
}

#[test_case(Signal::TERM, 0; "in order")]
#[test_case(Signal::INT, 130; "at once")]
fn a_signal_ends_it_also_before_systemd_is_reached(by: Signal, code: i32) {
    let folder = Folder::new("agent");
    let mut agent = listening(&folder);
    agent.signal(Signal::HUP);
    agent.signal(by);
    assert_eq!(agent.end().code(), Some(code));
}

#[test]
fn an_agent_that_does_not_reach_systemd_in_time_says_so_and_leaves() {
    let folder = Folder::new("agent");
    let why = "not ready in time: systemd of this node was not reached within 27s";
    ends(&folder, command(&folder, GOOD), 75, why);
    let unit = include_str!("../../../units/systemd/unitlink-agent.service.in");
    assert!(
        unit.contains("\nTimeoutStartSec=30\n"),
        "before its unit gives up"
    );
}

#[test]
fn a_configuration_that_cannot_be_read_in_time_keeps_it_from_starting() {
    let folder = Folder::new("agent");
    let command = command(&folder, GOOD);
    let _hung = Hung::file(&folder.path(FILE));
    let why = "not ready in time: the configuration cannot be read within 20s";
    ends(&folder, command, 75, why);
}
