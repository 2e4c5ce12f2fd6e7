//! Situations, and what is said in them.

use std::time::Duration;

use test_case::test_case;

use super::*;
use crate::graph::tests::target;

fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

fn node(name: &str, online: bool) -> Node {
    let status = if online { "online" } else { "offline" };
    Node {
        last_seen_ago: seconds(if online { 1 } else { 12 }),
        start_timeout: seconds(90),
        ..Node::from_listing(name.into(), status.into(), String::new())
    }
}

/// A unit in a state since five minutes.
fn told(active: &str, needs: &[(Relation, &str)]) -> Told {
    Told {
        load: "loaded".into(),
        active: active.into(),
        age: seconds(300),
        has_run: true,
        result: "success".into(),
        needs: needs
            .iter()
            .map(|(relation, unit)| (*relation, target(unit)))
            .collect(),
        ..Told::default()
    }
}

fn claim(source: &str, state: &str, reason: &str) -> Claim {
    Claim {
        source: source.into(),
        node: "b".into(),
        unit: "t.service".into(),
        state: state.into(),
        cause: String::new(),
        reason: reason.into(),
        token: String::new(),
        state_age: seconds(60),
        gives_up_in: None,
        start_timeout: None,
    }
}

fn line(text: &str, at: u64) -> Line {
    Line {
        text: text.into(),
        at: Duration::from_secs(at),
    }
}

/// How the claim of `a` on `b/t` has ended.
fn ended(state: &str, cause: &str, reason: &str) -> Ended {
    Ended {
        source: "a".into(),
        of: target("b/t.service"),
        state: state.into(),
        cause: cause.into(),
        reason: reason.into(),
        expired: false,
        age: seconds(12),
    }
}

const NEED: &[(Relation, &str)] = &[(Relation::BindsTo, "a/proxy@b_t.service")];

/// `a/x` is bound to `b/t`; all is well.
fn well() -> Case {
    let proxy = Told {
        users: vec![(Relation::BindsTo, target("a/x.service"))],
        ..told("active", &[])
    };
    let t = Told {
        stops_when_unneeded: true,
        ..told("active", &[])
    };
    let units = [
        ("a/x.service", told("active", NEED)),
        ("a/proxy@b_t.service", proxy),
        ("b/t.service", t),
    ];
    Case {
        nodes: vec![node("a", true), node("b", true)],
        claims: vec![claim("a", "up", "")],
        units: units
            .into_iter()
            .map(|(unit, told)| (target(unit), Ok(told)))
            .collect(),
        ..Case::default()
    }
}

/// The same with units that are otherwise.
fn but(of: Vec<(&str, Told)>) -> Case {
    let mut case = well();
    for (unit, told) in of {
        case.units.insert(target(unit), Ok(told));
    }
    case
}

fn needed() -> Case {
    well()
}

fn not_needed() -> Case {
    Case {
        claims: vec![],
        ..but(vec![("b/t.service", told("active", &[]))])
    }
}

fn source_is_away() -> Case {
    let mut case = well();
    case.nodes = vec![node("a", false), node("b", true)];
    case.claims = vec![Claim {
        gives_up_in: seconds(3),
        ..claim("a", "up", "")
    }];
    case.units
        .insert(target("a/proxy@b_t.service"), Err(Sight::Offline));
    case
}

fn source_was_not_heard() -> Case {
    let mut case = well();
    case.claims = vec![];
    case.adopted = vec![("a".into(), target("b/t.service"), seconds(9))];
    case
}

fn target_is_away() -> Case {
    let mut case = well();
    case.nodes = vec![node("a", true), node("b", false)];
    case.claims = vec![Claim {
        gives_up_in: seconds(7),
        ..claim("a", "lost", "node b is out of sight")
    }];
    case.units
        .insert(target("b/t.service"), Err(Sight::Offline));
    case
}

fn target_failed() -> Case {
    let proxy = Told {
        status_text: "t.service on b failed: exit-code (status 3)".into(),
        result: "exit-code".into(),
        age: seconds(4),
        ..told("failed", &[])
    };
    let t = Told {
        result: "exit-code".into(),
        exit: (1, 3),
        age: seconds(4),
        ..told("failed", &[])
    };
    let mut case = but(vec![
        (
            "a/x.service",
            Told {
                has_run: false,
                ..told("inactive", NEED)
            },
        ),
        ("a/proxy@b_t.service", proxy),
        ("b/t.service", t),
    ]);
    case.claims = vec![];
    let journal = Journal {
        own: Some(line("no disk", 100)),
        manager: Some(line("Failed to start t.service.", 100)),
        ..Journal::default()
    };
    case.journals = BTreeMap::from([(target("b/t.service"), journal)]);
    case
}

fn target_was_stopped() -> Case {
    Case {
        claims: vec![],
        ..but(vec![
            ("a/x.service", told("inactive", NEED)),
            ("a/proxy@b_t.service", told("inactive", &[])),
            ("b/t.service", told("inactive", &[])),
        ])
    }
}

/// As systemd knows a unit to which nothing refers: nothing.
fn unloaded(needs: &[(Relation, &str)]) -> Told {
    Told {
        age: None,
        has_run: false,
        ..told("inactive", needs)
    }
}

/// Both have ended, and the controller remembers how.
fn over(state: &str, cause: &str, reason: &str) -> Case {
    let t = Told {
        stops_when_unneeded: true,
        ..unloaded(&[])
    };
    let mut case = but(vec![
        ("a/x.service", unloaded(NEED)),
        ("a/proxy@b_t.service", unloaded(&[])),
        ("b/t.service", t),
    ]);
    case.claims = vec![];
    case.ended = vec![ended(state, cause, reason)];
    let journal = |words: &str, at| Journal {
        manager: Some(line(words, at)),
        ..Journal::default()
    };
    case.journals = BTreeMap::from([
        (target("a/x.service"), journal("Stopped x.service.", 101)),
        (
            target("a/proxy@b_t.service"),
            journal("Stopped proxy.", 100),
        ),
        (target("b/t.service"), journal("Stopped t.service.", 777)),
    ]);
    case
}

fn expired() -> Case {
    let mut case = over("up", "", "");
    case.ended = vec![Ended {
        expired: true,
        ..ended("up", "", "")
    }];
    case
}

fn never_ran() -> Case {
    let mut case = over("up", "", "");
    case.ended = vec![];
    case.journals = BTreeMap::from([(target("b/t.service"), Journal::default())]);
    case
}

fn waits() -> Case {
    let proxy = Told {
        status_text: "waiting: node b is offline".into(),
        age: seconds(20),
        ..told("activating", &[])
    };
    let mut case = but(vec![
        (
            "a/x.service",
            Told {
                has_job: true,
                has_run: false,
                ..told("inactive", NEED)
            },
        ),
        ("a/proxy@b_t.service", proxy),
    ]);
    case.nodes = vec![node("a", true), node("b", false)];
    // Longer for this unit than for others of the node.
    case.claims = vec![Claim {
        start_timeout: seconds(120),
        ..claim("a", "waiting", "node b is offline")
    }];
    case.units
        .insert(target("b/t.service"), Err(Sight::Offline));
    case
}

fn state(load: &str, change: impl FnOnce(&mut Told)) -> Case {
    let mut t = Told {
        load: load.into(),
        ..told("inactive", &[])
    };
    change(&mut t);
    let mut case = but(vec![("b/t.service", t)]);
    case.claims = vec![];
    case.files = vec!["tt.service".into(), "t2.service".into()];
    case
}

/// `b` was out of sight for too long, and the proxy says so.
fn given_up() -> Case {
    let reason = "node b has been out of sight for 5 s";
    let mut case = over("down", "node-lost", reason);
    let proxy = Told {
        status_text: reason.into(),
        ..told("failed", &[])
    };
    case.units.insert(target("a/proxy@b_t.service"), Ok(proxy));
    case
}

/// `b` is out of sight, and `a` keeps what needs it.
fn target_is_away_and_kept() -> Case {
    let mut case = target_is_away();
    for claim in &mut case.claims {
        claim.gives_up_in = None;
    }
    case
}

/// `a/x` only requires `b/t`, which was killed.
fn target_died() -> Case {
    const SOFT: &[(Relation, &str)] = &[(Relation::Requires, "a/proxy@b_t.service")];
    let t = Told {
        result: "signal".into(),
        exit: (2, 9),
        age: seconds(12),
        ..told("failed", &[])
    };
    let mut case = but(vec![
        ("a/x.service", told("active", SOFT)),
        ("a/proxy@b_t.service", told("failed", &[])),
        ("b/t.service", t),
    ]);
    case.claims = vec![];
    case.ended = vec![ended("down", "unit-died", "it failed: signal (signal 9)")];
    case
}

/// `a/x` needs that `b/t` does not run.
fn conflict(source: &str, rivalled: &str) -> Case {
    const AGAINST: &[(Relation, &str)] = &[(Relation::Requires, "a/conflict@b_t.service")];
    let proxy = Told {
        users: vec![(Relation::Requires, target("a/x.service"))],
        ..told(source, &[])
    };
    let mut case = but(vec![
        ("a/x.service", told(source, AGAINST)),
        ("a/conflict@b_t.service", proxy),
        ("b/t.service", told(rivalled, &[])),
    ]);
    case.claims = vec![];
    if source == "active" {
        case.claims.push(Claim {
            unit: "against@t.service".into(),
            ..claim("a", "up", "")
        });
    }
    case
}

#[test_case("needed", needed(), "b/t.service")]
#[test_case(
    "the target was given up and its proxy failed",
    given_up(),
    "a/x.service"
)]
#[test_case(
    "the target is away and kept",
    target_is_away_and_kept(),
    "a/x.service"
)]
#[test_case(
    "the target is away and kept, asked about it",
    target_is_away_and_kept(),
    "b/t.service"
)]
#[test_case("the target died", target_died(), "a/x.service")]
#[test_case("the target died, asked about it", target_died(), "b/t.service")]
#[test_case("a conflict", conflict("active", "inactive"), "b/t.service")]
#[test_case(
    "a conflict, the other was started",
    conflict("inactive", "active"),
    "a/x.service"
)]
#[test_case("not needed", not_needed(), "b/t.service")]
#[test_case("a hold", needed(), "b/dep@t.service")]
#[test_case("a proxy", needed(), "a/proxy@b_t.service")]
#[test_case("a source", needed(), "a/x.service")]
#[test_case("the source is away", source_is_away(), "b/t.service")]
#[test_case("the source was not heard", source_was_not_heard(), "b/t.service")]
#[test_case("the target is away", target_is_away(), "a/x.service")]
#[test_case("the target is away, asked about it", target_is_away(), "b/t.service")]
#[test_case("the target failed", target_failed(), "a/x.service")]
#[test_case("the target was stopped", target_was_stopped(), "a/x.service")]
#[test_case(
    "the target was stopped, forgotten",
    over("down", "unit-stopped", "unit t.service on node b was stopped"),
    "a/x.service"
)]
#[test_case(
    "the target was stopped, asked about it",
    over("down", "unit-stopped", "unit t.service on node b was stopped"),
    "b/t.service"
)]
#[test_case(
    "the target was given up",
    over("down", "node-lost", "node b has been out of sight for 5 s"),
    "a/x.service"
)]
#[test_case("the source was stopped", over("up", "", ""), "a/x.service")]
#[test_case(
    "the source was stopped, asked about the target",
    over("up", "", ""),
    "b/t.service"
)]
#[test_case("the source was away for too long", expired(), "b/t.service")]
#[test_case("never ran", never_ran(), "b/t.service")]
#[test_case("waits", waits(), "a/x.service")]
#[test_case("waits, the proxy", waits(), "a/proxy@b_t.service")]
#[test_case("not found", state("not-found", |_| ()), "b/t.service")]
#[test_case("masked", state("masked", |_| ()), "b/t.service")]
#[test_case("broken", state("bad-setting", |t| t.load_error = "Unit t.service has a bad unit file setting.".into()), "b/t.service")]
#[test_case("condition", state("loaded", |t| t.unmet = Some("ConditionPathExists=/x".into())), "b/t.service")]
#[test_case("start limit", state("loaded", |t| { t.active = "failed".into(); t.result = "start-limit-hit".into(); t.start_limit = (5, Duration::from_secs(10)); }), "b/t.service")]
#[test_case("killed", state("loaded", |t| { t.active = "failed".into(); t.result = "signal".into(); t.exit = (2, 9); }), "b/t.service")]
fn it_is_said_in_plain_sentences(name: &str, case: Case, unit: &str) {
    let sentences = explain(&case, &target(unit));
    let lines: Vec<String> = sentences
        .iter()
        .map(|it| format!("{:7} {}", it.about.as_str(), it.text))
        .collect();
    insta::assert_snapshot!(name.replace([' ', ','], "_"), lines.join("\n"));
}
