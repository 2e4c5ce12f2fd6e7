//! Units of several nodes that are restarted with each other: a restart goes round once.

use std::collections::BTreeMap;

use test_case::test_case;

use super::stage::{Stage, ms, secs, unit};
use crate::{
    systemd::{State, Verb},
    world::Action,
};

/// Each of the nodes has a unit that is a part of that of the next one.
fn ring(nodes: &[&str]) -> Stage {
    let next = nodes.iter().cycle().skip(1);
    let pairs = nodes.iter().zip(next);
    pairs.fold(Stage::new(nodes), |stage, (node, next)| {
        stage.part_of(node, "t.service", next, "t.service")
    })
}

/// Starts them all.
fn begin(stage: Stage, nodes: &[&str]) -> Stage {
    let mut stage = stage.begin();
    stage.systemctl(Verb::Start, "a", "t.service");
    stage.run(secs(5));
    for node in nodes {
        stage.is(node, "t.service", State::Active);
    }
    stage
}

/// How often each is started anew within this time.
fn restarts<'a>(stage: &mut Stage, nodes: &[&'a str], seconds: u64) -> BTreeMap<&'a str, usize> {
    let mut counts: BTreeMap<_, _> = nodes.iter().map(|node| (*node, 0)).collect();
    let mut last: BTreeMap<_, _> = BTreeMap::new();
    for _ in 0..seconds * 500 {
        for node in nodes {
            let run = stage.run_of(node, "t.service");
            if last.insert(*node, run).is_some_and(|last| last != run) {
                *counts.entry(*node).or_default() += 1;
            }
        }
        stage.run(ms(2));
    }
    counts
}

#[test_case(&["a", "b"]; "two")]
#[test_case(&["a", "b", "c"]; "three")]
#[test_case(&["a", "b", "c", "d", "e", "f"]; "six")]
fn a_restart_restarts_each_once(nodes: &[&str]) {
    let mut stage = begin(ring(nodes), nodes);
    stage.systemctl(Verb::Restart, "b", "t.service");
    let counts = restarts(&mut stage, nodes, 5);
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
    stage.is_quiet();
}

/// An agent that was killed does not know what it had asked for: the restart may go round once more.
#[test_case("a"; "of the other")]
#[test_case("b"; "of the first")]
fn a_restart_comes_to_an_end_whenever_an_agent_is_killed(whose: &str) {
    let nodes = ["a", "b"];
    for after in (0..120).step_by(4) {
        let mut stage = begin(ring(&nodes), &nodes);
        stage.systemctl(Verb::Restart, "b", "t.service");
        stage.run(ms(after));
        let action = Action::KillAgent(stage.at(whose), ms(50));
        stage.act(action);
        let counts = restarts(&mut stage, &nodes, 8);
        let at_most_twice = counts.values().all(|count| *count <= 2);
        assert!(at_most_twice, "after {after} ms: {counts:?}");
        for node in nodes {
            stage.is(node, "t.service", State::Active);
        }
        stage.is_quiet();
    }
}

/// What else needs the other is restarted with it, and what began is not.
#[test]
fn what_needs_the_other_beside_the_first_is_restarted_too() {
    let nodes = ["a", "b"];
    let stage = ring(&nodes).requires("b", "beside.service", "a", "t.service");
    let mut stage = begin(stage, &nodes);
    stage.systemctl(Verb::Start, "b", "beside.service");
    stage.run(secs(2));
    let before = stage.run_of("b", "beside.service");
    stage.systemctl(Verb::Restart, "b", "t.service");
    let counts = restarts(&mut stage, &nodes, 5);
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
    stage.is("b", "beside.service", State::Active);
    assert_ne!(stage.run_of("b", "beside.service"), before);
    stage.is_quiet();
}

/// One that dies and is started by its own `Restart=` is told of twice, as down and as up again.
#[test]
fn one_that_dies_and_starts_itself_comes_to_rest_with_the_other() {
    let nodes = ["a", "b"];
    let stage = ring(&nodes).restarts("b", "t.service", ms(200));
    let mut stage = begin(stage, &nodes);
    let action = Action::KillUnit(stage.at("b"), unit("t.service"));
    stage.act(action);
    let counts = restarts(&mut stage, &nodes, 8);
    assert!(counts.values().all(|count| *count <= 2), "{counts:?}");
    stage.is_quiet();
}
