//! The command against a fake controller on a private bus: what is asked, in which order things may
//! come back, and how it ends.

#![expect(
    clippy::expect_used,
    reason = "a failed expectation is the report of a test"
)]

mod controller;
mod logs;
mod online;
mod repeat;
mod several;
mod shells;
mod stream;
mod verbs;

use std::process::{Child, Command, Output, Stdio};

use controller::{Bus, Controller};

/// What the command said and how it ended.
struct Said {
    out: String,
    err: String,
    code: Option<i32>,
}

fn ctl(bus: &Bus, line: &str) -> Said {
    end(spawn(bus, line))
}

fn spawn(bus: &Bus, line: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_unitlinkctl"))
        .args(line.split_whitespace())
        .env("DBUS_SYSTEM_BUS_ADDRESS", bus.address())
        .env_remove("DBUS_SESSION_BUS_ADDRESS")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started")
}

fn end(ctl: Child) -> Said {
    let Output {
        stdout,
        stderr,
        status,
    } = ctl.wait_with_output().expect("ended");
    Said {
        out: String::from_utf8_lossy(&stdout).into_owned(),
        err: String::from_utf8_lossy(&stderr).into_owned(),
        code: status.code(),
    }
}

/// Runs the command once beside a controller that is all ours.
fn said(line: &str) -> Said {
    let bus = Bus::start();
    let _controller = Controller::serve(&bus);
    ctl(&bus, line)
}

#[track_caller]
fn assert_quiet(said: &Said) {
    assert_eq!(
        (said.out.as_str(), said.err.as_str(), said.code),
        ("", "", Some(0))
    );
}

#[track_caller]
fn assert_failed(said: &Said, code: i32, text: &str) {
    assert_eq!(said.code, Some(code), "{}", said.err);
    assert!(said.err.contains(text), "{}", said.err);
}

#[test]
fn a_job_that_is_done_is_silent() {
    let bus = Bus::start();
    let _controller = Controller::serve(&bus);
    for verb in ["start", "stop", "restart", "reload"] {
        assert_quiet(&ctl(&bus, &format!("{verb} worker1 target")));
    }
}

#[test]
fn a_job_that_ends_before_the_reply_is_found() {
    assert_quiet(&said("start worker1 early.service"));
}

#[test]
fn a_controller_that_only_speaks_bluechi_is_enough() {
    assert_quiet(&said("start worker1 plain.service"));
}

#[test]
fn without_waiting_the_job_is_left_alone() {
    assert_quiet(&said("--no-block start worker1 never.service"));
}

#[test]
fn a_failure_names_unit_node_result_and_reason() {
    let said = said("start worker1 fail.service");
    assert_eq!(said.code, Some(1));
    assert_eq!(
        said.err,
        "error: failed to start fail.service on worker1: exit-code (status 1) \
         [failed, unit-failed]\n  \
         see 'ctl status worker1 fail.service', and on worker1 'journalctl -u fail.service'\n"
    );
}

#[test]
fn several_units_are_started_together_and_told_apart() {
    let said = said("start worker1 target early fail nosuch -o plain");
    assert_eq!(
        said.out,
        "worker1 target.service done -\n\
         worker1 early.service done -\n\
         worker1 fail.service failed unit-failed\n\
         worker1 nosuch.service error -\n"
    );
    assert_eq!(said.code, Some(1));
}

#[test]
fn a_unit_that_does_not_exist_has_a_code_of_its_own() {
    let said = said("start worker1 nosuch");
    assert_eq!(said.code, Some(4));
    assert!(
        said.err
            .starts_with("error: there is no unit nosuch.service on worker1\n"),
        "{}",
        said.err
    );
}

#[test]
fn a_mistyped_node_is_answered_with_the_nearest() {
    let bus = Bus::start();
    let _controller = Controller::serve(&bus);
    for line in [
        "start woker1 target",
        "status woker1",
        "status woker1 target",
        "list-units woker1",
    ] {
        let said = ctl(&bus, line);
        assert_eq!(said.code, Some(5), "{line}: {}", said.err);
        assert_eq!(
            said.err,
            "error: there is no node 'woker1'\n  \
             did you mean worker1? known nodes: main, worker1, worker2\n",
            "{line}"
        );
    }
}

#[test]
fn an_offline_node_is_said_since_when() {
    let bus = Bus::start();
    let _controller = Controller::serve(&bus);
    for line in [
        "start worker2 target",
        "status worker2 target",
        "list-units worker2",
    ] {
        let said = ctl(&bus, line);
        assert_eq!(said.code, Some(6), "{line}: {}", said.err);
        assert!(
            said.err.starts_with(
                "error: node worker2 is offline since 3min 5s (last seen from 10.0.0.3)\n"
            ),
            "{line}: {}",
            said.err
        );
    }
}

#[test]
fn no_job_is_waited_for_forever() {
    let said = said("--timeout 200ms start worker1 never.service");
    assert_eq!(said.code, Some(7));
    assert!(
        said.err.contains("not done after 200ms") && said.err.contains("the job goes on"),
        "{}",
        said.err
    );
}

#[test]
fn a_controller_that_goes_away_is_noticed() {
    let said = said("start worker1 crash.service");
    assert_eq!(said.code, Some(8));
    assert!(
        said.err.contains("the controller went away while the job"),
        "{}",
        said.err
    );
}

#[test]
fn a_controller_that_is_not_there_is_noticed() {
    let bus = Bus::start();
    for line in ["start worker1 target", "status", "list-units"] {
        let said = ctl(&bus, line);
        assert_eq!(said.code, Some(8), "{line}");
        assert!(
            said.err.contains("systemctl status unitlink-controller"),
            "{line}: {}",
            said.err
        );
    }
}

#[test]
fn a_bus_that_is_not_there_is_noticed() {
    let bus = Bus::absent();
    let said = ctl(&bus, "status");
    assert_eq!(said.code, Some(8));
    assert!(
        said.err
            .starts_with("error: failed to connect to the system bus"),
        "{}",
        said.err
    );
}

#[test]
fn a_bus_that_goes_away_is_noticed() {
    let mut bus = Bus::start();
    let controller = Controller::serve(&bus);
    let ctl = spawn(&bus, "start worker1 never.service");
    controller.has_started_a_job();
    bus.stop();
    let said = end(ctl);
    assert_eq!(said.code, Some(8));
    assert!(
        said.err.starts_with("error: the system bus is lost"),
        "{}",
        said.err
    );
}

#[test]
fn access_denied_has_a_code_of_its_own() {
    let said = said("stop worker1 forbidden");
    assert_eq!(said.code, Some(9));
    assert!(
        said.err.contains("access denied: not for you"),
        "{}",
        said.err
    );
}

#[test]
fn the_status_of_the_fleet_has_its_warnings() {
    let said = said("status");
    assert_eq!(
        said.out,
        "NODE    | STATUS  | ADDRESS  | LAST SEEN   | AGENT | LABELS\n\
         ----------------------------------------------------------------\n\
         main    | online  | 10.0.0.1 | now         | 0.1.0 | -\n\
         worker1 | online  | 10.0.0.2 | now         | 0.1.0 | front\n\
         worker2 | offline | 10.0.0.3 | 3min 5s ago | 0.1.0 | front,rear\n\
         \n\
         2 of 3 nodes online\n"
    );
    assert_eq!(
        said.err,
        "warning: tcp [::]:842 is neither encrypted nor authenticated\n"
    );
    assert_eq!(said.code, Some(0));
}

#[test]
fn the_status_of_a_node_has_its_claims() {
    let said = said("status worker1 --no-legend");
    assert_eq!(
        said.out,
        "worker1 | online | 10.0.0.2 | now | 0.1.0 | front\n\
         \n\
         worker1 | target.service on worker2 | waiting | node worker2 is offline\n"
    );
    assert_eq!(said.code, Some(0));
}

#[test]
fn the_status_of_units_is_a_table() {
    let said = said("status worker1 target gone");
    assert_eq!(
        said.out,
        "UNIT           | LOADED    | ACTIVE   | SUBSTATE | FREEZERSTATE | ENABLED | FOR\n\
         ------------------------------------------------------------------------------------\n\
         target.service | loaded    | active   | running  | running      | static  | 5min 3s\n\
         gone.service   | not-found | inactive | dead     | -            | -       | -\n"
    );
    assert_eq!(said.code, Some(4));
}

#[test]
fn an_agent_of_bluechi_is_asked_its_own_way() {
    let said = said("-o plain --no-legend status main target");
    let columns: Vec<&str> = said.out.split_whitespace().collect();
    assert_eq!(
        columns.get(..6),
        Some(
            &[
                "target.service",
                "loaded",
                "active",
                "running",
                "running",
                "static"
            ][..]
        ),
        "{} {}",
        said.out,
        said.err
    );
    assert_eq!(said.code, Some(0));
}

#[test]
fn listed_units_are_those_of_all_nodes_that_answer() {
    let said = said("list-units -o plain");
    assert_eq!(
        said.out,
        "main source.service loaded active running\n\
         worker1 target.service loaded active running\n"
    );
    assert!(
        said.err.starts_with(
            "error: the units of worker2 are missing: node worker2 is offline since 3min 5s"
        ),
        "{}",
        said.err
    );
    assert_eq!(said.code, Some(6));
}

#[test]
fn listed_units_are_filtered() {
    let bus = Bus::start();
    let _controller = Controller::serve(&bus);
    let names = |line: &str| {
        let said = ctl(&bus, line);
        let unit = |line: &str| line.split(' ').nth(1).unwrap_or_default().to_owned();
        said.out.lines().map(unit).collect::<Vec<_>>()
    };
    assert_eq!(
        names("list-units worker1 --all -o plain"),
        ["old.service", "target.service"]
    );
    assert_eq!(
        names("list-units worker1 --state dead -o plain"),
        ["old.service"]
    );
    assert!(names("list-units worker1 --type socket -o plain").is_empty());
}

#[test]
fn json_is_one_object() {
    let bus = Bus::start();
    let _controller = Controller::serve(&bus);
    for line in [
        "status",
        "status worker1",
        "status worker1 target gone",
        "list-units",
        "start worker1 target fail",
        "version",
        "status --all target",
        "status @front",
        "list-unit-files",
        "list-jobs",
        "show worker1 target",
        "is-active worker1,worker2 target",
        "is-enabled main target",
        "get-default --all",
        "is-online system",
        "freeze @front target",
        "enable worker1 target",
        "set-loglevel controller debug",
        "cancel 7 8",
        "escape worker2 target",
        "unescape proxy@worker2_target.service",
    ] {
        let said = ctl(&bus, &format!("{line} -o json"));
        let read: Result<serde_json::Value, _> = serde_json::from_str(&said.out);
        assert!(
            read.is_ok_and(|value| value.is_object()),
            "{line}: {}",
            said.out
        );
    }
}

#[test]
fn version_and_help_need_no_bus() {
    let bus = Bus::absent();
    for line in ["version", "--version", "help", "--help", "start --help"] {
        let said = ctl(&bus, line);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{line}");
        assert!(!said.out.is_empty(), "{line}");
    }
}

#[test]
fn colours_are_asked_for_or_not() {
    let bus = Bus::start();
    let _controller = Controller::serve(&bus);
    assert!(
        ctl(&bus, "--color always status")
            .out
            .contains("\u{1b}[32m")
    );
    assert!(!ctl(&bus, "status").out.contains('\u{1b}'));
}
