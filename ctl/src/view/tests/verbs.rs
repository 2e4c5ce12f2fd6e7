//! What the verbs say that have no job: of one node, and of several.

use std::collections::BTreeMap;

use test_case::test_case;
use zbus::wire::{OwnedVariant, Variant};

use super::*;
use crate::{
    cli::Shell,
    command::Done,
    details::{Ended, Process},
    fleet::{Effect, ListedJob, UnitFile},
    view::{
        act, completion, files, jobs, names,
        show::{self, Which},
        tell::{self, Question},
    },
};

fn done<T>(verb: &'static str, node: &str, unit: &str, answer: Result<T, Fault>) -> Done<T> {
    Done {
        verb,
        node: node.parse().expect("valid"),
        unit: unit.into(),
        answer,
    }
}

fn offline() -> Fault {
    Fault::Offline {
        node: "worker2".into(),
        last_seen_ago: Some(Duration::from_secs(185)),
        address: "10.0.0.3".into(),
    }
}

fn denied() -> Fault {
    Fault::AccessDenied("not for you".into())
}

fn link() -> Effect {
    Effect {
        changes: vec![(
            "symlink".into(),
            "/etc/systemd/system/multi-user.target.wants/a.service".into(),
            "/etc/systemd/system/a.service".into(),
        )],
        lacks_install_info: false,
    }
}

fn bare() -> Effect {
    Effect {
        changes: vec![],
        lacks_install_info: true,
    }
}

fn frozen(output: Output) -> Page {
    let done = [
        done("freeze", "worker1", "a.service", Ok(Effect::default())),
        done("freeze", "worker1", "b.service", Err(denied())),
        done("freeze", "worker2", "a.service", Err(offline())),
    ];
    act::page(&done, true, &look(output))
}

fn enabled(output: Output) -> Page {
    let done = [
        done("enable", "worker1", "a.service", Ok(link())),
        done("enable", "worker1", "b.service", Ok(bare())),
    ];
    act::page(&done, false, &look(output))
}

fn states(output: Output) -> Page {
    let verb = Question::IsActive.verb();
    let told = [
        (
            done(verb, "worker1", "a.service", Ok("active".into())),
            false,
        ),
        (
            done(verb, "worker1", "b.service", Ok("inactive".into())),
            false,
        ),
        (done(verb, "worker2", "a.service", Err(offline())), false),
    ];
    tell::page(Question::IsActive, &told, true, &look(output))
}

fn properties() -> BTreeMap<String, OwnedVariant> {
    let of = [
        (
            "After",
            Variant::from(vec!["basic.target", "sysinit.target"]),
        ),
        ("Documentation", Variant::from(Vec::<&str>::new())),
        ("Id", Variant::from("a.service")),
        ("MainPID", Variant::from(7u32)),
        ("TimeoutStartUSec", Variant::from(90_000_000u64)),
    ];
    let owned = |(name, value): (&str, Variant<'static>)| {
        (
            name.to_owned(),
            OwnedVariant::try_from(value).expect("owned"),
        )
    };
    of.into_iter().map(owned).collect()
}

fn shown(names: &[&str], several: bool, output: Output) -> Page {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let which = Which {
        names: &names,
        only_values: false,
    };
    let done = [
        done("show", "worker1", "a.service", Ok(properties())),
        done("show", "worker2", "a.service", Err(offline())),
    ];
    let count = if several { 2 } else { 1 };
    show::page(&done[..count], &which, several, &look(output))
}

fn unit_files(output: Output) -> Page {
    let file = |node: &str, file: &str, state: &str| UnitFile {
        node: node.into(),
        file: file.into(),
        path: format!("/lib/systemd/system/{file}"),
        state: state.into(),
    };
    let files = [
        file("main", "a.service", "enabled"),
        file("worker1", "b@.service", "disabled"),
    ];
    let missing = [Missing::of(worker2(), &offline())];
    files::page(&files, &missing, &look(output))
}

fn list_of_jobs(output: Output) -> Page {
    let jobs = [
        ListedJob {
            id: 12,
            node: "main".into(),
            unit: "a.service".into(),
            kind: "start".into(),
            state: "running".into(),
        },
        ListedJob {
            id: 13,
            node: "worker1".into(),
            unit: "b.service".into(),
            kind: "stop".into(),
            state: "waiting".into(),
        },
    ];
    jobs::page(&jobs, &look(output))
}

fn canceled(output: Output) -> Page {
    let jobs = [(12, Ok(())), (13, Err(Fault::NoJob(13)))];
    act::canceled(&jobs, &look(output))
}

fn units_of_nodes(output: Output) -> Page {
    let on = |node: &str, unit: Unit| (node.parse().expect("valid"), unit);
    let found = [
        on("main", unit("source.service", "active", "running")),
        on("worker1", unit("source.service", "inactive", "dead")),
    ];
    let missing = [Missing::of(worker2(), &offline())];
    units::of_nodes(&found, &missing, &look(output))
}

fn jobs_of_nodes(output: Output) -> Page {
    let on = |node: &str, unit: &str| Target {
        node: node.parse().expect("valid"),
        unit: unit.parse().expect("valid"),
    };
    let targets = [on("worker1", "a.service"), on("worker2", "a.service")];
    let asked = Asked {
        kind: JobKind::Start,
        targets: &targets,
        several: true,
    };
    let ends = [ended("done", "", ""), End::Fault(offline())];
    let outcomes: Vec<Outcome> = targets
        .iter()
        .zip(ends)
        .map(|(target, end)| Outcome {
            target: target.clone(),
            id: None,
            end,
        })
        .collect();
    job::page(&asked, &outcomes, &[], &look(output))
}

fn name(output: Output) -> Page {
    let unit = "target.service".parse().expect("valid");
    names::escape(&worker2(), &unit, &look(output)).expect("short")
}

/// A page of every kind.
pub(super) fn pages(output: Output) -> impl Iterator<Item = Page> {
    [
        frozen(output),
        enabled(output),
        canceled(output),
        states(output),
        shown(&[], true, output),
        unit_files(output),
        list_of_jobs(output),
        units_of_nodes(output),
        jobs_of_nodes(output),
        name(output),
    ]
    .into_iter()
}

/// A page as a table, as JSON and as plain lines, with the messages once.
fn all(page: impl Fn(Output) -> Page) -> String {
    let (json, plain) = (page(Output::Json).data, page(Output::Plain).data);
    format!(
        "{}\n--- json\n{json}--- plain\n{plain}",
        seen(&page(Output::Table))
    )
}

#[test]
fn what_is_done_at_once() {
    assert_snapshot!("act_frozen", all(frozen));
    assert_snapshot!("act_enabled", all(enabled));
    assert_snapshot!("act_canceled", all(canceled));
    let one = [done("thaw", "worker1", "a.service", Ok(Effect::default()))];
    let page = act::page(&one, false, &look(Output::Table));
    assert_eq!(page, Page::text(String::new()));
    assert_snapshot!(
        "act_controller",
        all(|output| act::of_daemon("set-loglevel", &look(output)))
    );
}

#[test]
fn answers_of_one_word() {
    assert_snapshot!("tell_several", all(states));
    let one = [(
        done("ask for", "worker1", "a.service", Ok("active".into())),
        false,
    )];
    let page = tell::page(Question::IsActive, &one, false, &look(Output::Table));
    assert_eq!(page, Page::text("active\n".into()));
    assert_snapshot!(
        "tell_online",
        all(|output| {
            tell::online(
                Some(&worker2()),
                "offline",
                Exit::NodeOffline,
                &look(output),
            )
        })
    );
}

const ACTIVE: Question = Question::IsActive;
const FAILED: Question = Question::IsFailed;
const ENABLED: Question = Question::IsEnabled;

#[test_case(ACTIVE, &[("inactive", false), ("active", false)], Exit::Done; "one that is active is enough")]
#[test_case(ACTIVE, &[("reloading", false)], Exit::Done; "what reloads is active")]
#[test_case(ACTIVE, &[("activating", false)], Exit::NotActive; "what is on its way is not")]
#[test_case(ACTIVE, &[("inactive", true)], Exit::NoSuchUnit; "what does not exist")]
#[test_case(ACTIVE, &[("inactive", true), ("inactive", false)], Exit::NotActive; "not all do not exist")]
#[test_case(FAILED, &[("failed", false)], Exit::Done; "failed")]
#[test_case(FAILED, &[("inactive", true)], Exit::JobFailed; "what does not exist has not failed")]
#[test_case(ENABLED, &[("static", false)], Exit::Done; "what needs no enabling")]
#[test_case(ENABLED, &[("disabled", false)], Exit::JobFailed; "disabled")]
#[test_case(ENABLED, &[("not-found", true)], Exit::NoSuchUnit; "no such file")]
fn questions_end_as_those_of_systemctl(question: Question, words: &[(&str, bool)], exit: Exit) {
    let told: Vec<_> = words
        .iter()
        .map(|(word, is_missing)| {
            let word = Ok((*word).to_owned());
            (done("ask", "worker1", "a.service", word), *is_missing)
        })
        .collect();
    assert_eq!(
        tell::page(question, &told, false, &look(Output::Table)).exit,
        exit
    );
}

#[test]
fn properties_of_units() {
    assert_snapshot!("show_one", all(|output| shown(&[], false, output)));
    assert_snapshot!(
        "show_asked",
        all(|output| shown(&["MainPID", "Documentation", "Idd"], false, output))
    );
    assert_snapshot!("show_several", all(|output| shown(&["Id"], true, output)));
}

#[test]
fn lists() {
    assert_snapshot!("unit_files", all(unit_files));
    assert_snapshot!("list_of_jobs", all(list_of_jobs));
}

#[test]
fn units_and_jobs_of_several_nodes() {
    assert_snapshot!("units_of_nodes", all(units_of_nodes));
    assert_snapshot!("jobs_of_nodes", all(jobs_of_nodes));
    let nodes = nodes();
    assert_snapshot!(
        "some_nodes",
        all(|output| status::nodes(&nodes[1..3], &look(output)))
    );
}

#[test]
fn a_single_unit_has_details() {
    let mut service = unit("target.service", "failed", "failed");
    service.result = "exit-code".into();
    service.main_status = Some(1);
    service.main_pid = Some(4711);
    service.status_text = "ready\u{1b}[2J".into();
    service.details = Details {
        since: Some(Duration::from_secs(1_795_190_400)),
        restarts: Some(3),
        memory: Some(1_572_864),
        memory_peak: Some(3_145_728),
        cpu: Some(Duration::from_millis(1_512)),
        tasks: Some(2),
        tasks_max: Some(4915),
        cgroup: "/system.slice/target.service".into(),
        needs_reload: true,
        drop_ins: vec!["/etc/systemd/system/target.service.d/a.conf".into()],
        documentation: vec!["man:target(8)".into(), "https://example.org".into()],
        program: "target".into(),
        processes: vec![Process {
            setting: "ExecStartPre",
            words: vec!["/bin/false".into(), "x".into()],
            ended: Ended {
                pid: 4710,
                code: 1,
                status: 1,
            },
        }],
        triggered_by: vec!["target.socket".into()],
        claims: claims(),
        ..Details::default()
    };
    let page = |unit: &Unit| seen(&of_node(std::slice::from_ref(unit), &look(Output::Table)));
    assert_snapshot!("detail_service", page(&service));
    service.main_pid = None;
    service.details.main = Some(Ended {
        pid: 4711,
        code: 2,
        status: 9,
    });
    assert!(page(&service).contains("Main PID: 4711 (code=killed, signal=KILL)"));
    let details = Details {
        needed_by: vec!["source.service".into()],
        claims: vec![Claim {
            source: "worker2".into(),
            node: "worker2".into(),
            ..claims().remove(1)
        }],
        ..Details::default()
    };
    let proxy = Unit {
        status_text: "waiting: node worker2 is offline".into(),
        details,
        ..unit("proxy@worker2_target.service", "activating", "start")
    };
    assert_snapshot!("detail_proxy", page(&proxy));
    assert_snapshot!(
        "detail_hold",
        page(&unit("dep@target.service", "active", "running"))
    );
    let missing = &units()[4];
    assert!(!page(missing).contains("Loaded:"));
}

#[test]
fn an_alias_is_shown_by_the_own_name_of_its_unit() {
    let details = Details {
        id: "target.service".into(),
        ..Details::default()
    };
    let alias = Unit {
        details,
        ..unit("alias.service", "active", "running")
    };
    let alias = std::slice::from_ref(&alias);
    let table = seen(&of_node(alias, &look(Output::Table)));
    assert!(
        table.contains("\u{25cf} target.service on worker2"),
        "{table}"
    );
    assert!(table.contains("\ntarget.service | loaded"), "{table}");
    let json = seen(&of_node(alias, &look(Output::Json)));
    assert!(
        json.contains(r#""unit":"alias.service","id":"target.service""#),
        "{json}"
    );
    let plain = seen(&of_node(alias, &look(Output::Plain)));
    assert!(plain.starts_with("alias.service "), "{plain}");
}

#[test]
fn quiet_leaves_errors() {
    let page = frozen(Output::Table).quiet();
    assert_eq!((page.data.as_str(), page.messages.len()), ("", 2));
    assert_eq!(enabled(Output::Table).quiet().messages, []);
}

#[test]
fn names_are_told_apart() {
    assert_snapshot!("names", all(name));
    let told = |text: &str| names::unescape(text, &look(Output::Table)).map(|page| page.data);
    assert_eq!(
        told("proxy@worker2_target.service"),
        Ok("worker2 target.service\n".into())
    );
    assert_eq!(told("dep@target.service"), Ok("target.service\n".into()));
    assert_eq!(
        told("target.service").expect_err("no proxy").exit(),
        Exit::Usage
    );
}

#[test]
fn scripts_of_shells_are_not_empty() {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        assert!(completion::page(shell).data.contains("list-unit-files"));
    }
}
