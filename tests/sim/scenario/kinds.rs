//! Kinds of units and dependencies that end otherwise than a service which just runs.

use test_case::test_case;

use super::{
    Stage,
    stage::{self, ms, secs},
};
use crate::{
    systemd::{Start, State, Verb},
    world::Action,
};

#[test]
fn what_only_runs_has_run_when_its_source_starts() {
    let mut stage = Stage::new(&["a", "b"])
        .target("b", "target.service")
        .only_runs("b", "target.service")
        .requires("a", "source.service", "b", "target.service")
        .begin();
    stage.systemctl(Verb::Start, "a", "source.service");
    stage.run(secs(1));
    stage.is("a", "source.service", State::Active);
    stage.is("b", "target.service", State::Inactive);
    stage.is("b", "dep@target.service", State::Inactive);
    stage.is_quiet();
}

/// `app.service` requires `setup.service`, which has run with `target.service` up, and is inactive. A stop does not go
/// on behind what is inactive.
#[test]
fn what_requires_a_unit_that_has_run_stays_when_the_proxy_of_that_is_not_needed() {
    let mut stage = Stage::new(&["a", "b"])
        .target("b", "target.service")
        .requires_here("a", "app.service", "setup.service")
        .only_runs("a", "setup.service")
        .requires("a", "setup.service", "b", "target.service")
        .start("a", "bad.service", Start::Fails)
        .begin();
    stage.systemctl(Verb::Start, "a", "app.service");
    stage.run(secs(1));
    let app = stage.run_of("a", "app.service");
    stage.is("a", "setup.service", State::Inactive);
    stage.is("b", "target.service", State::Inactive);
    // Then systemd is made to look again.
    stage.systemctl(Verb::Start, "a", "bad.service");
    stage.run(secs(10));
    stage.is("a", "app.service", State::Active);
    assert_eq!(stage.run_of("a", "app.service"), app);
    stage.is_quiet();
}

/// What is before the agent when it thaws is older than the attempt that it hears of.
#[test]
fn a_frozen_agent_does_not_call_up_what_has_died_meanwhile() {
    let mut stage = Stage::new(&["a", "b", "d"])
        .target("b", "target.service")
        .bound("a", "source.service", "b", "target.service")
        .bound("d", "source.service", "b", "target.service")
        .begin();
    stage.systemctl(Verb::Start, "a", "source.service");
    stage.run(secs(1));
    stage.both_run();
    let b = stage.at("b");
    stage.act(Action::FreezeAgent(b, secs(3)));
    stage.act(Action::KillUnit(b, stage::unit("target.service")));
    stage.run(ms(100));
    stage.systemctl(Verb::Start, "d", "source.service");
    stage.run(ms(100));
    // It hears of its service manager after its controller.
    stage.act(Action::Suspend(b, secs(1)));
    stage.run(secs(30));
    stage.is("a", "source.service", State::Inactive);
    stage.is("d", "source.service", State::Active);
    stage.is("b", "target.service", State::Active);
    stage.is_quiet();
}

#[test]
fn a_target_that_is_masked_keeps_its_source_from_starting_until_it_is_not() {
    let mut stage = Stage::new(&["a", "b"])
        .target("b", "target.service")
        .bound("a", "source.service", "b", "target.service")
        .begin();
    let mask =
        |stage: &Stage, masked| Action::Mask(stage.at("b"), stage::unit("target.service"), masked);
    let action = mask(&stage, true);
    stage.act(action);
    stage.systemctl(Verb::Start, "a", "source.service");
    stage.run(secs(1));
    stage.is("a", "source.service", State::Inactive);
    stage.is("a", "proxy@b_target.service", State::Failed);
    let action = mask(&stage, false);
    stage.act(action);
    stage.systemctl(Verb::Start, "a", "source.service");
    stage.run(secs(1));
    stage.both_run();
    stage.is_quiet();
}

/// Its service manager has forgotten what the hold is bound to. The unit itself has no job when it dies, also
/// while there is no agent to be told.
#[test_case(false; "while the agent runs")]
#[test_case(true; "while the agent is away")]
fn a_target_that_dies_behind_a_hold_that_is_masked_takes_its_source_along(is_away: bool) {
    let mut stage = Stage::new(&["a", "b"])
        .start_takes("b", "target.service", ms(20))
        .bound("a", "source.service", "b", "target.service")
        .begin();
    stage.systemctl(Verb::Start, "a", "source.service");
    stage.run(secs(1));
    stage.both_run();
    let (b, hold) = (stage.at("b"), stage::unit("dep@target.service"));
    stage.act(Action::Mask(b, hold.clone(), true));
    stage.run(secs(1));
    stage.both_run();
    if is_away {
        stage.act(Action::KillAgent(b, ms(500)));
    }
    stage.act(Action::KillUnit(b, stage::unit("target.service")));
    stage.run(secs(3));
    stage.is("a", "source.service", State::Inactive);
    stage.is("b", "dep@target.service", State::Inactive);
    stage.act(Action::Mask(b, hold, false));
    stage.is_quiet();
}

#[test]
fn a_chain_over_three_nodes_comes_up_and_goes_as_one() {
    let mut stage = Stage::new(&["a", "b", "c"])
        .target("b", "target.service")
        .target("c", "base.service")
        .start_takes("c", "base.service", ms(500))
        .bound("a", "source.service", "b", "target.service")
        .bound("b", "target.service", "c", "base.service")
        .begin();
    stage.systemctl(Verb::Start, "a", "source.service");
    stage.run(ms(400));
    stage.is("b", "target.service", State::Inactive);
    stage.run(secs(2));
    stage.both_run();
    stage.is("c", "base.service", State::Active);
    stage.is_quiet();
    stage.systemctl(Verb::Stop, "c", "base.service");
    stage.run(secs(2));
    stage.is("a", "source.service", State::Inactive);
    stage.is("b", "target.service", State::Inactive);
    stage.is_quiet();
}

/// `target.service` is just starting, on the strength of a proxy that is up for another unit, when it
/// is heard that the unit of that proxy has gone with its machine. The stop of the proxy takes the start with
/// it, and the source is none the wiser: it gets its target all the same.
#[test]
fn a_start_that_makes_way_for_the_stop_of_a_proxy_is_made_again() {
    let mut stage = Stage::new(&["a", "b"])
        .target("a", "base.service")
        .target("b", "target.service")
        .start_takes("b", "target.service", secs(3))
        .bound("a", "source.service", "b", "target.service")
        .bound("b", "target.service", "a", "base.service")
        .bound("b", "other.service", "a", "base.service")
        .begin();
    stage.systemctl(Verb::Start, "b", "other.service");
    stage.run(secs(1));
    stage.is("a", "base.service", State::Active);
    let action = Action::Crash(stage.at("a"), secs(1));
    stage.act(action);
    stage.run(ms(1_020));
    stage.systemctl(Verb::Start, "a", "source.service");
    stage.run(secs(10));
    stage.is("b", "other.service", State::Inactive);
    stage.is("a", "base.service", State::Active);
    stage.both_run();
    stage.is_quiet();
}
