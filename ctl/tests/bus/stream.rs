//! What goes on until somebody ends it: over a restart of the controller and of the bus.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, ChildStderr, ChildStdout, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use test_case::test_case;

use super::{Bus, Controller, ctl};

/// Far longer than anything takes.
const SOON: Duration = Duration::from_secs(20);

/// A command that goes on, and its lines.
struct Stream {
    child: Child,
    out: Receiver<String>,
    err: Receiver<String>,
}

impl Stream {
    fn begin(bus: &Bus, line: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_unitlinkctl"))
            .args(line.split_whitespace())
            .env("DBUS_SYSTEM_BUS_ADDRESS", bus.address())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        let out = lines(child.stdout.take().map(Pipe::Out).expect("piped"));
        let err = lines(child.stderr.take().map(Pipe::Err).expect("piped"));
        Self { child, out, err }
    }

    /// The next line of data that holds all of these.
    #[track_caller]
    fn told(&self, words: &[&str]) -> String {
        await_line(&self.out, words)
    }

    /// The next message that holds all of these.
    #[track_caller]
    fn warned(&self, words: &[&str]) -> String {
        await_line(&self.err, words)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

enum Pipe {
    Out(ChildStdout),
    Err(ChildStderr),
}

fn lines(pipe: Pipe) -> Receiver<String> {
    let (to, from) = channel();
    std::thread::spawn(move || {
        let pipe: Box<dyn std::io::Read> = match pipe {
            Pipe::Out(out) => Box::new(out),
            Pipe::Err(err) => Box::new(err),
        };
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if to.send(line).is_err() {
                return;
            }
        }
    });
    from
}

#[track_caller]
fn await_line(from: &Receiver<String>, words: &[&str]) -> String {
    let mut before = Vec::new();
    loop {
        let next = from.recv_timeout(SOON).ok();
        assert!(next.is_some(), "no line with {words:?} after {before:#?}");
        let line = next.unwrap_or_default();
        if words.iter().all(|word| line.contains(word)) {
            return line;
        }
        before.push(line);
    }
}

#[test]
fn what_happens_is_told_and_the_controller_may_restart() {
    let bus = Bus::start();
    let controller = Controller::serve(&bus);
    let monitor = Stream::begin(&bus, "monitor worker1 target,old");
    monitor.told(&["NODE", "UNIT", "CHANGE"]);
    monitor.told(&["worker1", "target.service", "active (running) [virtual]"]);
    monitor.told(&["worker1", "target.service", "failed (failed)"]);
    monitor.told(&["worker1", "target.service", "Result=exit-code"]);
    monitor.told(&["worker1", "old.service", "removed"]);
    monitor.told(&["worker1", "-", "offline"]);
    let calls = controller.calls();
    assert!(
        calls.contains(
            &"SubscribeList \"worker1\" [\"target.service\", \"old.service\"]".to_owned()
        ),
        "{calls:?}"
    );
    drop(controller);
    monitor.warned(&["warning: the controller is not on the system bus; waiting"]);
    let _controller = Controller::serve(&bus);
    monitor.warned(&["the controller is back, it was away for"]);
    monitor.told(&["worker1", "target.service", "active (running) [virtual]"]);
}

#[test]
fn a_bus_may_restart() {
    let mut bus = Bus::start();
    let controller = Controller::serve(&bus);
    let monitor = Stream::begin(&bus, "monitor -o json * target");
    monitor.told(&["\"event\":\"state\"", "\"reason\":\"virtual\""]);
    bus.stop();
    drop(controller);
    monitor.warned(&["warning: the system bus is lost"]);
    bus.restart();
    let _controller = Controller::serve(&bus);
    monitor.warned(&["the controller is back"]);
    monitor.told(&["\"event\":\"gap\"", "\"away_usec\":"]);
    monitor.told(&["\"event\":\"state\"", "\"reason\":\"virtual\""]);
}

#[test]
fn lines_of_a_journal_go_on_over_a_restart_and_none_comes_twice() {
    let bus = Bus::start();
    let controller = Controller::serve(&bus);
    let logs = Stream::begin(&bus, "logs -f worker1 target -o cat");
    for line in ["one", "two", "four", "six"] {
        assert_eq!(logs.told(&[]), line);
    }
    controller.has_been_told("s=4");
    drop(controller);
    logs.warned(&["warning: the controller is not on the system bus; waiting"]);
    let _controller = Controller::serve(&bus);
    logs.warned(&["the controller is back, it was away for"]);
    assert_eq!(logs.told(&[]), "seven");
}

#[test_case("monitor --changes * *", "failed (failed)"; "only what happened")]
#[test_case("monitor -e removed * *", "removed"; "only some events")]
#[test_case("monitor * o*", "old.service"; "only some units")]
fn what_is_not_wanted_is_left_out(line: &str, first: &str) {
    let bus = Bus::start();
    let _controller = Controller::serve(&bus);
    let monitor = Stream::begin(&bus, &format!("{line} --no-legend"));
    let line = monitor.told(&[]);
    assert!(line.contains(first), "{line}");
}

#[test_case("monitor woker1", 5, "there is no node 'woker1'"; "a mistyped node")]
#[test_case("monitor cam* a", 5, "there is no node 'cam*'"; "a pattern that fits nothing")]
#[test_case("monitor main forbidden", 9, "access denied: not for you"; "a subscription that is refused")]
#[test_case("status --watch woker1", 5, "there is no node 'woker1'"; "a watch of a mistyped node")]
#[test_case("monitor -e loud", 2, "loud"; "no event")]
fn what_cannot_be_followed_ends(line: &str, code: i32, text: &str) {
    let bus = Bus::start();
    let _controller = Controller::serve(&bus);
    let said = ctl(&bus, line);
    assert_eq!(said.code, Some(code), "{}", said.err);
    assert!(said.err.contains(text), "{}", said.err);
}

#[test_case("monitor")]
#[test_case("metrics listen")]
#[test_case("status --watch")]
#[test_case("is-online system --monitor")]
fn without_a_controller_at_the_beginning_it_ends(line: &str) {
    let said = ctl(&Bus::start(), line);
    assert_eq!(said.code, Some(8), "{}", said.err);
    assert!(
        said.err
            .starts_with("error: the controller is not on the system bus"),
        "{}",
        said.err
    );
}

#[test]
fn who_reads_no_more_has_seen_enough() {
    let bus = Bus::start();
    let _controller = Controller::serve(&bus);
    let mut child = Command::new(env!("CARGO_BIN_EXE_unitlinkctl"))
        .args(["monitor", "*", "chatty"])
        .env("DBUS_SYSTEM_BUS_ADDRESS", bus.address())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    drop(child.stdout.take());
    let mut err = String::new();
    let read = child
        .stderr
        .take()
        .map(|mut pipe| pipe.read_to_string(&mut err));
    read.expect("piped").expect("read");
    assert_eq!(child.wait().expect("ended").code(), Some(0), "{err}");
}

#[test]
fn a_watched_status_is_printed_when_it_changes() {
    let bus = Bus::start();
    let controller = Controller::serve(&bus);
    let watch = Stream::begin(&bus, "status --watch -o json worker1 flips");
    watch.told(&["\"active_state\":\"inactive\""]);
    watch.told(&["\"active_state\":\"active\""]);
    drop(controller);
    watch.warned(&["the controller is not on the system bus; waiting"]);
    let _controller = Controller::serve(&bus);
    watch.warned(&["the controller is back"]);
}

#[test]
fn that_a_node_is_offline_does_not_end_a_watch() {
    let bus = Bus::start();
    let controller = Controller::serve(&bus);
    let watch = Stream::begin(&bus, "status --watch -o json worker2 target");
    watch.warned(&["error: node worker2 is offline"]);
    drop(controller);
    watch.warned(&["the controller is not on the system bus; waiting"]);
    let _controller = Controller::serve(&bus);
    watch.warned(&["the controller is back"]);
}

#[test]
fn measurements_are_rows() {
    let bus = Bus::start();
    let _controller = Controller::serve(&bus);
    let listen = Stream::begin(&bus, "metrics listen");
    listen.warned(&["metrics are not enabled"]);
    assert_eq!(ctl(&bus, "metrics enable").code, Some(0));
    listen.told(&["NODE", "UNIT", "JOB", "MEASURED"]);
    listen.told(&[
        "worker1",
        "target.service",
        "start 7",
        "12.500ms",
        "10.000ms",
    ]);
    listen.told(&[
        "worker1",
        "target.service",
        "StartUnit",
        "11.000ms in systemd",
    ]);
}

#[test]
fn the_agent_of_this_machine_is_handed_over() {
    let bus = Bus::start();
    let agent = Controller::serve_as(&bus, "org.eclipse.bluechi.Agent");
    let said = ctl(&bus, "switch-controller 10.0.0.1:842");
    assert_eq!(
        (said.out.as_str(), said.code),
        ("", Some(0)),
        "{}",
        said.err
    );
    assert_eq!(
        agent.calls(),
        ["SwitchController \"tcp:host=10.0.0.1,port=842\""]
    );
    let said = ctl(&bus, "switch-controller tcp:host=nowhere");
    assert_eq!(said.code, Some(2), "{}", said.err);
    assert!(
        said.err.contains("no address of a controller"),
        "{}",
        said.err
    );
    drop(agent);
    let said = ctl(&bus, "switch-controller 10.0.0.1:842");
    assert_eq!(said.code, Some(8), "{}", said.err);
    assert!(
        said.err
            .starts_with("error: the agent of this machine is not on the system bus"),
        "{}",
        said.err
    );
}
