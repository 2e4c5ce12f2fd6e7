//! `Upholds=`: a target that ends is started again as long as its source runs.

use test_case::test_case;

use super::stage::{Stage, ms, secs, unit};
use crate::{
    systemd::{State, Verb},
    world::Action,
};

#[test]
fn an_upheld_target_is_started_again_each_time_and_its_source_stays_up() {
    let mut stage = Stage::new(&["a", "b"])
        .target("b", "target.service")
        .runs_for("b", "target.service", secs(5))
        .upholds("a", "source.service", "b", "target.service")
        .begin();
    stage.systemctl(Verb::Start, "a", "source.service");
    stage.run(secs(1));
    let source = stage.run_of("a", "source.service");
    let mut runs = Vec::new();
    for _ in 0..6 {
        runs.push(stage.run_of("b", "target.service"));
        stage.run(ms(5_200));
    }
    runs.dedup();
    assert_eq!(runs.len(), 6);
    assert_eq!(stage.run_of("a", "source.service"), source);
}

/// A source that upholds its target, while a second start of it waits for a slow unit of that node.
fn upheld_but_busy(slow: &str) -> Stage {
    let stage = Stage::new(&["a", "b", "c"])
        .target("b", "target.service")
        .target(slow, "slow.service")
        .start_takes(slow, "slow.service", secs(5))
        .upholds("a", "source.service", "b", "target.service");
    let mut stage = match slow {
        "a" => stage.wants_here("a", "source.service", "slow.service"),
        _ => stage.wants("a", "source.service", slow, "slow.service"),
    }
    .begin();
    stage.systemctl(Verb::Start, "a", "source.service");
    stage.run(secs(10));
    stage.both_run();
    stage.systemctl(Verb::Stop, slow, "slow.service");
    stage.run(secs(2));
    stage.systemctl(Verb::Start, "a", "source.service");
    stage.run(secs(1));
    stage
}

#[test]
fn an_upheld_target_that_dies_while_its_source_has_a_job_is_started_again_after_it() {
    let mut stage = upheld_but_busy("c");
    let source = stage.run_of("a", "source.service");
    let action = Action::KillUnit(stage.at("b"), unit("target.service"));
    stage.act(action);
    stage.run(secs(2));
    stage.is("a", "proxy@b_target.service", State::Inactive);
    stage.run(secs(3));
    stage.both_run();
    assert_eq!(stage.run_of("a", "source.service"), source);
    stage.run(secs(60));
    stage.is_quiet();
}

#[test_case(0; "while the source has its job")]
#[test_case(6; "when the job has ended")]
fn an_upheld_target_that_died_while_there_was_no_agent_is_started_again(seconds: u64) {
    let mut stage = upheld_but_busy("a");
    let action = Action::KillUnit(stage.at("b"), unit("target.service"));
    stage.act(action);
    stage.run(secs(1));
    stage.is("a", "proxy@b_target.service", State::Inactive);
    let action = Action::KillAgent(stage.at("a"), secs(seconds) + ms(50));
    stage.act(action);
    stage.run(secs(10));
    stage.both_run();
    stage.run(secs(60));
    stage.is_quiet();
}

#[test]
fn an_upheld_target_whose_source_stops_after_all_stays_down() {
    let mut stage = upheld_but_busy("c");
    let action = Action::KillUnit(stage.at("b"), unit("target.service"));
    stage.act(action);
    stage.run(secs(1));
    stage.systemctl(Verb::Stop, "a", "source.service");
    stage.run(secs(10));
    stage.is("a", "proxy@b_target.service", State::Inactive);
    stage.is("b", "target.service", State::Failed);
    stage.run(secs(60));
    stage.is_quiet();
}
