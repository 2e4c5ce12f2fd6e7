//! The helper against a fake agent on a socket, as `proxy@.service` would run it.

#![expect(
    clippy::expect_used,
    reason = "a failed expectation is the report of a test"
)]

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::{UnixDatagram, UnixListener, UnixStream},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use test_case::test_case;

const ID: &str = "00112233445566778899aabbccddeeff";
const NOT_NEEDED: &str = "STATUS=target.service on worker2 is not needed any more";
const NEED: &str = "need proxy@worker2_target.service 00112233445566778899aabbccddeeff\n";

/// A directory with the agent's socket and the service manager's, removed when dropped.
struct Machine {
    dir: PathBuf,
    manager: UnixDatagram,
}

impl Machine {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let dir = std::env::temp_dir().join(format!(
            "unitlink-proxy-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        ));
        fs::create_dir_all(&dir).expect("directory");
        let manager = UnixDatagram::bind(dir.join("notify")).expect("bound");
        Self { dir, manager }
    }

    fn agent(&self) -> UnixListener {
        UnixListener::bind(self.dir.join("agent.sock")).expect("bound")
    }

    fn helper(&self, more: &[&str]) -> Child {
        self.run("up", more)
    }

    fn run(&self, verb: &str, more: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_unitlink-proxy"))
            .args([verb, "proxy@worker2_target.service", "--socket"])
            .arg(self.dir.join("agent.sock"))
            .args(more)
            .env("INVOCATION_ID", ID)
            .env("NOTIFY_SOCKET", self.dir.join("notify"))
            .stderr(Stdio::piped())
            .spawn()
            .expect("started")
    }

    fn status(&self) -> String {
        let mut text = [0; 2048];
        let read = self.manager.recv(&mut text).expect("received");
        String::from_utf8_lossy(&text[..read]).into_owned()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Takes the next helper and reads what it needs.
fn accept(agent: &UnixListener) -> (UnixStream, String) {
    let (stream, _) = agent.accept().expect("accepted");
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line).expect("read");
    (stream, line)
}

fn end(helper: Child) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = helper.wait_with_output().expect("ended");
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

#[test]
fn a_unit_that_is_up_is_a_success() {
    let machine = Machine::new();
    let agent = machine.agent();
    let helper = machine.helper(&[]);
    let (mut stream, need) = accept(&agent);
    assert_eq!(need, NEED);
    stream
        .write_all(b"wait 90000 node worker2 is offline\nup\n")
        .expect("written");
    assert_eq!(machine.status(), "STATUS=waiting: node worker2 is offline");
    assert_eq!(machine.status(), "STATUS=target.service on worker2 is up");
    assert_eq!(end(helper), (Some(0), String::new()));
}

#[test]
fn a_stop_fails_only_if_the_agent_has_left_why() {
    let machine = Machine::new();
    let helper = machine.run("down", &[]);
    assert_eq!(machine.status(), NOT_NEEDED);
    assert_eq!(end(helper), (Some(0), String::new()));

    let reasons = machine.dir.join("agent/reasons");
    fs::create_dir_all(&reasons).expect("folder");
    let reason = reasons.join(ID);
    for (text, code) in [("unit-died x has failed", 24), ("node-lost x is lost", 15)] {
        fs::write(&reason, format!("failed {text}\n")).expect("written");
        let helper = machine.run("down", &[]);
        let (_, text) = text.split_once(' ').expect("words");
        assert_eq!(machine.status(), format!("STATUS={text}"));
        assert_eq!(end(helper), (Some(code), format!("<3>{text}\n")));
        assert!(!reason.exists(), "it is of one stop");
    }
}

#[test_case("failed unit-f"; "of another run")]
#[test_case("up\n"; "no reason")]
#[test_case("\0\n"; "no text")]
fn what_is_no_reason_fails_no_stop(text: &str) {
    let machine = Machine::new();
    let reasons = machine.dir.join("agent/reasons");
    fs::create_dir_all(&reasons).expect("folder");
    let name = if text.contains("unit") {
        "ffffffffffffffffffffffffffffffff"
    } else {
        ID
    };
    fs::write(reasons.join(name), text).expect("written");
    let helper = machine.run("down", &[]);
    assert_eq!(machine.status(), NOT_NEEDED);
    assert_eq!(end(helper), (Some(0), String::new()));
}

// It does not even connect: systemd starts an agent only after the proxy has stopped.
#[test]
fn a_stop_waits_for_no_agent() {
    let machine = Machine::new();
    let agent = machine.agent();
    let helper = machine.run("down", &[]);
    assert_eq!(end(helper), (Some(0), String::new()));
    agent.set_nonblocking(true).expect("set");
    assert!(agent.accept().is_err(), "nobody has asked");
}

#[test]
fn a_failure_is_told_with_its_reason_and_code() {
    let machine = Machine::new();
    let agent = machine.agent();
    let helper = machine.helper(&[]);
    let (mut stream, _) = accept(&agent);
    stream
        .write_all(b"failed not-allowed worker1 may not depend on worker2\n")
        .expect("written");
    assert_eq!(machine.status(), "STATUS=worker1 may not depend on worker2");
    let journal = "<3>worker1 may not depend on worker2\n".to_owned();
    assert_eq!(end(helper), (Some(13), journal));
}

#[test]
fn an_agent_that_restarts_is_asked_again() {
    let machine = Machine::new();
    let agent = machine.agent();
    let helper = machine.helper(&[]);
    let (mut stream, _) = accept(&agent);
    stream.write_all(b"wait 90000 x\n").expect("written");
    drop(stream);
    // In the middle of a line, which then is no answer.
    let (mut stream, _) = accept(&agent);
    stream.write_all(b"failed unit-fai").expect("written");
    drop(stream);
    let (mut stream, need) = accept(&agent);
    assert_eq!(need, NEED);
    stream.write_all(b"up\n").expect("written");
    assert_eq!(end(helper).0, Some(0));
}

#[test]
fn an_agent_that_comes_late_is_found() {
    let machine = Machine::new();
    let helper = machine.helper(&[]);
    let status = machine.status();
    assert!(
        status.starts_with("STATUS=waiting: the agent is not running (unitlink-agent.service)"),
        "{status}"
    );
    let agent = machine.agent();
    let (mut stream, _) = accept(&agent);
    stream.write_all(b"up\n").expect("written");
    assert_eq!(end(helper).0, Some(0));
}

#[test]
fn what_no_agent_says_is_skipped() {
    let machine = Machine::new();
    let agent = machine.agent();
    let helper = machine.helper(&[]);
    let (mut stream, _) = accept(&agent);
    let mut text = vec![b'x'; 5000];
    text.extend_from_slice(b"\nup\0\n\xff\xff\nwait soon x\n\nup\n");
    stream.write_all(&text).expect("written");
    assert_eq!(end(helper).0, Some(0));
}

#[test]
fn without_an_agent_the_start_fails_in_time_and_says_what_to_look_at() {
    let machine = Machine::new();
    let helper = machine.helper(&["--timeout", "1"]);
    let (code, journal) = end(helper);
    assert_eq!(code, Some(17));
    assert!(
        journal.starts_with("<3>cannot ask for target.service on worker2: the agent does not"),
        "{journal}"
    );
    assert!(
        journal.contains("systemctl status unitlink-agent.service"),
        "{journal}"
    );
}

#[test]
fn an_agent_that_is_silent_is_given_up() {
    let machine = Machine::new();
    let agent = machine.agent();
    let helper = machine.helper(&["--timeout", "1"]);
    let (_stream, _) = accept(&agent);
    let (code, journal) = end(helper);
    assert_eq!(code, Some(17));
    assert!(journal.contains("it is silent"), "{journal}");
}

#[test]
fn a_wrong_name_fails_without_an_agent_and_the_status_says_why() {
    let machine = Machine::new();
    let output = Command::new(env!("CARGO_BIN_EXE_unitlink-proxy"))
        .args(["up", "proxy@worker2.service"])
        .env("INVOCATION_ID", ID)
        .env("NOTIFY_SOCKET", machine.dir.join("notify"))
        .output()
        .expect("ran");
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("has no '_' between node and unit"), "{text}");
    assert_eq!(
        format!("<3>{}\n", &machine.status()["STATUS=".len()..]),
        text
    );
}
