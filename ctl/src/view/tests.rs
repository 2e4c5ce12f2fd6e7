//! What people and programs see, as snapshots.

mod deps;
mod ends;
mod logs;
mod verbs;

use std::{collections::BTreeSet, time::Duration};

use insta::assert_snapshot;
use proto::{
    model::{JobId, JobKind},
    name::NodeName,
};

use super::{
    Look, Page, Paint, job,
    job::{Asked, Outcome},
    list, message, status, units,
};
use crate::{
    cli::Output,
    exit::Exit,
    fault::{Daemon, Fault},
    fleet::{Claim, Details, Listed, Missing, Node, Target, Unit},
    jobs::{End, Ended},
};

fn look(output: Output) -> Look {
    Look {
        output,
        legend: true,
        paint: Paint::Plain,
        paint_messages: Paint::Plain,
        terminal: false,
        width: None,
    }
}

/// All that a page says, as somebody sees who has both streams on one terminal.
fn seen(page: &Page) -> String {
    let messages = message::all(&page.messages, Paint::Plain);
    let code = page.exit as u8;
    format!("{}--- messages\n{messages}--- exit {code}", page.data)
}

fn node(name: &str, online: bool) -> Node {
    Node {
        name: name.into(),
        status: if online { "online" } else { "offline" }.into(),
        address: "10.0.0.3".into(),
        transport: "tcp".into(),
        encrypted: Some(false),
        agent_version: "0.1.0".into(),
        protocol: Some(1),
        labels: vec![],
        depends_on: None,
        start_timeout: None,
        on_loss: String::new(),
        is_detailed: true,
        last_seen_ago: Some(Duration::from_secs(if online { 1 } else { 185 })),
        online_for: online.then_some(Duration::from_secs(7200)),
    }
}

fn nodes() -> Vec<Node> {
    let never = Node {
        address: String::new(),
        transport: String::new(),
        encrypted: None,
        agent_version: String::new(),
        protocol: None,
        last_seen_ago: None,
        ..node("worker3", false)
    };
    let main = Node {
        address: String::new(),
        transport: "unix".into(),
        ..node("main", true)
    };
    vec![main, node("worker1", true), node("worker2", false), never]
}

fn fleet() -> status::Fleet {
    status::Fleet {
        nodes: nodes(),
        version: "0.1.0".into(),
        warnings: vec!["tcp [::]:842 is neither encrypted nor authenticated".into()],
    }
}

fn unit(name: &str, active: &str, sub: &str) -> Unit {
    Unit {
        name: name.into(),
        description: "Target service".into(),
        load: "loaded".into(),
        active: active.into(),
        sub: sub.into(),
        freezer: "running".into(),
        enabled: "static".into(),
        state_age: Some(Duration::from_secs(303)),
        result: "success".into(),
        main_status: None,
        main_pid: None,
        status_text: String::new(),
        path: format!("/etc/systemd/system/{name}"),
        details: Details::default(),
    }
}

fn units() -> Vec<Unit> {
    vec![
        unit("source.service", "active", "running"),
        Unit {
            result: "exit-code".into(),
            main_status: Some(1),
            ..unit("target.service", "failed", "failed")
        },
        Unit {
            status_text: "waiting: node worker2 is offline\u{1b}[2J".into(),
            ..unit("proxy@worker2_target.service", "activating", "start")
        },
        unit("old.service", "inactive", "dead"),
        Unit {
            description: String::new(),
            load: "not-found".into(),
            freezer: String::new(),
            enabled: String::new(),
            state_age: None,
            result: String::new(),
            path: String::new(),
            ..unit("nosuch.service", "inactive", "dead")
        },
    ]
}

fn claims() -> Vec<Claim> {
    let claim = |source: &str, state: &str, cause: &str, reason: &str| Claim {
        source: source.into(),
        node: "worker2".into(),
        unit: "target.service".into(),
        state: state.into(),
        cause: cause.into(),
        reason: reason.into(),
        token: "00112233445566778899aabbccddeeff".into(),
        state_age: None,
        gives_up_in: None,
        start_timeout: None,
    };
    vec![
        claim("main", "up", "", ""),
        claim(
            "worker1",
            "waiting",
            "node-offline",
            "node worker2 is offline",
        ),
    ]
}

fn target(unit: &str) -> Target {
    Target {
        node: worker2(),
        unit: unit.parse().expect("valid"),
    }
}

fn worker2() -> NodeName {
    "worker2".parse().expect("valid")
}

fn of_node(of: &[Unit], look: &Look) -> Page {
    units::of_node(&worker2(), of, &jiff::tz::TimeZone::UTC, look)
}

fn ended(result: &str, cause: &str, text: &str) -> End {
    End::Ended(Ended {
        result: result.into(),
        cause: cause.into(),
        text: text.into(),
    })
}

/// The page of one call with these units and ends.
fn jobs(kind: JobKind, ends: Vec<(&str, End)>, output: Output) -> Page {
    let targets: Vec<Target> = ends.iter().map(|(unit, _)| target(unit)).collect();
    let asked = Asked {
        kind,
        targets: &targets,
        several: false,
    };
    let outcomes: Vec<Outcome> = ends
        .into_iter()
        .zip(7..)
        .map(|((unit, end), id)| Outcome {
            target: target(unit),
            id: Some(JobId(id)),
            end,
        })
        .collect();
    job::page(&asked, &outcomes, &[], &look(output))
}

fn mixed() -> Vec<(&'static str, End)> {
    let failed = "unit target.service on node worker2 failed: exit-code (status 1)";
    let no_unit = Fault::NoUnit {
        node: "worker2".into(),
        unit: "nosuch.service".into(),
    };
    vec![
        ("source.service", ended("done", "", "")),
        ("target.service", ended("failed", "unit-failed", failed)),
        ("nosuch.service", End::Fault(no_unit)),
        ("old.service", ended("dependency", "", "")),
    ]
}

#[test]
fn the_fleet() {
    assert_snapshot!(
        "fleet_table",
        seen(&status::fleet(&fleet(), &look(Output::Table)))
    );
    assert_snapshot!(
        "fleet_json",
        seen(&status::fleet(&fleet(), &look(Output::Json)))
    );
    assert_snapshot!(
        "fleet_plain",
        seen(&status::fleet(&fleet(), &look(Output::Plain)))
    );
}

#[test]
fn what_a_controller_of_bluechi_does_not_say_is_left_open() {
    let node = |name: &str, status: &str, address: &str| {
        Node::from_listing(name.into(), status.into(), address.into())
    };
    let fleet = status::Fleet {
        nodes: vec![
            node("main", "online", "10.0.0.1"),
            node("worker1", "offline", ""),
        ],
        version: String::new(),
        warnings: vec![],
    };
    assert_snapshot!(
        "fleet_of_bluechi",
        seen(&status::fleet(&fleet, &look(Output::Table)))
    );
}

#[test]
fn labels_are_a_column_when_there_are_any() {
    let mut fleet = fleet();
    fleet.nodes[1].labels = vec!["front".into(), "left".into()];
    assert_snapshot!(
        "fleet_labels",
        seen(&status::fleet(&fleet, &look(Output::Table)))
    );
}

#[test]
fn one_node() {
    let (nodes, claims) = (nodes(), claims());
    let page = |output| seen(&status::node(&nodes[2], &claims, &look(output)));
    assert_snapshot!("node_table", page(Output::Table));
    assert_snapshot!("node_json", page(Output::Json));
    assert_snapshot!("node_plain", page(Output::Plain));
}

#[test]
fn units_of_a_node() {
    let page = |output| seen(&of_node(&units(), &look(output)));
    assert_snapshot!("units_table", page(Output::Table));
    assert_snapshot!("units_json", page(Output::Json));
    assert_snapshot!("units_plain", page(Output::Plain));
}

/// All keys of all objects in a value.
fn keys(value: &serde_json::Value, into: &mut BTreeSet<String>) {
    if let Some(object) = value.as_object() {
        into.extend(object.keys().cloned());
        // Below `properties` the names are those of systemd.
        let ours = object.iter().filter(|(key, _)| *key != "properties");
        ours.for_each(|(_, value)| keys(value, into));
    }
    let elements = value.as_array().into_iter().flatten();
    elements.for_each(|value| keys(value, into));
}

#[test]
fn every_field_is_in_the_reference() {
    let reference = include_str!("../../../docs/reference/json.md");
    let look = look(Output::Json);
    let (nodes, listed) = (nodes(), listed());
    let pages = [
        status::fleet(&fleet(), &look).data,
        status::node(&nodes[2], &claims(), &look).data,
        of_node(&units(), &look).data,
        list::page(&listed, &missing(), &look).data,
        jobs(JobKind::Start, mixed(), Output::Json).data,
        super::version(&look).data,
    ];
    let pages = pages
        .into_iter()
        .chain(verbs::pages(Output::Json).map(|page| page.data));
    let mut fields = BTreeSet::new();
    for page in pages {
        keys(&serde_json::from_str(&page).expect("valid"), &mut fields);
    }
    for field in fields {
        let (column, object) = (format!("`{field}`"), format!("\"{field}\": "));
        assert!(
            reference.contains(&column) || reference.contains(&object),
            "{field}"
        );
    }
}

#[test]
fn the_table_of_the_scenario_has_its_columns_and_fits_a_terminal() {
    let page = of_node(&units()[..1], &look(Output::Table));
    let header = page.data.lines().next().unwrap_or_default();
    let columns: Vec<&str> = header.split('|').map(str::trim).collect();
    assert_eq!(
        columns,
        [
            "UNIT",
            "LOADED",
            "ACTIVE",
            "SUBSTATE",
            "FREEZERSTATE",
            "ENABLED",
            "FOR"
        ]
    );
    let wide = |line: &&str| line.contains('|') && line.len() > 80;
    assert_eq!(page.data.lines().find(wide), None);
}

#[test]
fn colours_are_for_terminals() {
    let look = Look {
        paint: Paint::Colour,
        legend: false,
        ..look(Output::Table)
    };
    let page = of_node(&units(), &look);
    assert_snapshot!("units_colour", page.data.replace('\u{1b}', "^"));
}

fn listed() -> Vec<Listed> {
    let listed = |node: &str, unit: &str, active: &str, sub: &str, job_id| Listed {
        node: node.into(),
        unit: unit.into(),
        description: "A unit".into(),
        load: "loaded".into(),
        active: active.into(),
        sub: sub.into(),
        following: String::new(),
        job_id,
        job_type: if job_id > 0 {
            "start".into()
        } else {
            String::new()
        },
    };
    vec![
        listed("main", "source.service", "active", "running", 0),
        listed("worker1", "late.service", "activating", "start", 12),
        listed("worker1", "target.service", "failed", "failed", 0),
    ]
}

fn missing() -> Vec<Missing> {
    vec![Missing {
        node: "worker2".into(),
        error: "org.freedesktop.DBus.Error.Timeout".into(),
        text: "no answer after 10s".into(),
        exit: Exit::Timeout,
    }]
}

#[test]
fn a_list_of_units() {
    let page = |output| seen(&list::page(&listed(), &missing(), &look(output)));
    assert_snapshot!("list_table", page(Output::Table));
    assert_snapshot!("list_json", page(Output::Json));
    assert_snapshot!("list_plain", page(Output::Plain));
}

#[test]
fn a_terminal_has_dots_and_descriptions_and_an_end() {
    let look = Look {
        terminal: true,
        width: Some(60),
        ..look(Output::Table)
    };
    assert_snapshot!("list_terminal", seen(&list::page(&listed(), &[], &look)));
    assert_snapshot!("units_terminal", seen(&of_node(&units()[..3], &look)));
}

#[test]
fn a_job_that_is_done_needs_no_word() {
    let ends = vec![("target.service", ended("done", "", ""))];
    let page = jobs(JobKind::Start, ends, Output::Table);
    assert_eq!(page, Page::data(String::new(), Exit::Done));
}

#[test]
fn several_jobs() {
    let page = |output| seen(&jobs(JobKind::Start, mixed(), output));
    assert_snapshot!("jobs_table", page(Output::Table));
    assert_snapshot!("jobs_json", page(Output::Json));
    assert_snapshot!("jobs_plain", page(Output::Plain));
}

#[test]
fn a_fault_of_all_is_said_once() {
    let offline = || {
        End::Fault(Fault::Offline {
            node: "worker2".into(),
            last_seen_ago: Some(Duration::from_secs(185)),
            address: "10.0.0.3".into(),
        })
    };
    let ends = vec![("a.service", offline()), ("b.service", offline())];
    assert_snapshot!(
        "jobs_offline",
        seen(&jobs(JobKind::Stop, ends, Output::Table))
    );
}

#[test]
fn what_the_service_manager_refuses_has_failed() {
    let fault = Fault::Refused {
        name: "org.freedesktop.systemd1.UnitMasked".into(),
        text: "Unit target.service is masked.".into(),
    };
    let ends = vec![("target.service", End::Fault(fault))];
    assert_snapshot!(
        "jobs_masked",
        seen(&jobs(JobKind::Restart, ends, Output::Table))
    );
}

#[test]
fn every_fault_says_what_to_do_next() {
    let hint = || "see 'ctl status worker2 target.service'".to_owned();
    let faults = [
        Fault::NoBus {
            bus: "system",
            cause: "No such file or directory".into(),
            service: None,
        },
        Fault::absent(Daemon::Controller, "system"),
        Fault::ControllerLost("while the job was waited for; the job goes on"),
        Fault::Timeout {
            text: "not done after 5min".into(),
            hint: hint(),
        },
        Fault::NoNode {
            node: "woker1".into(),
            known: vec!["main".into(), "worker1".into()],
        },
        Fault::NoNode {
            node: "x".into(),
            known: vec![],
        },
        Fault::NoLabel {
            label: "frnt".into(),
            known: vec!["front".into(), "rear".into()],
        },
        Fault::NoJob(7),
        Fault::NoFit {
            node: "worker1".into(),
            pattern: "cam*".into(),
        },
        Fault::AccessDenied("Sender is not authorized to send message".into()),
        Fault::Interrupted { hint: hint() },
        Fault::Refused {
            name: "org.freedesktop.DBus.Error.Failed".into(),
            text: "it is full".into(),
        },
        Fault::Answer {
            asked: "ListNodes",
            cause: "signature mismatch".into(),
        },
    ];
    let pages = faults.iter().map(|fault| seen(&Page::fault(fault)));
    assert_snapshot!("faults", pages.collect::<Vec<_>>().join("\n\n"));
}
