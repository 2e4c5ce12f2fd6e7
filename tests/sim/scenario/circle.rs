//! Circles over nodes (F19): the start that closes one fails at once, and nothing else happens.

use super::{
    Stage,
    stage::{ms, secs},
};
use crate::systemd::{State, Verb};

const A: &str = "source.service";
const B: &str = "target.service";

/// Nobody hangs: what could not be started has failed long before any timeout.
fn fails_at_once(mut stage: Stage) -> Stage {
    stage.run(secs(3));
    stage.is("a", A, State::Inactive);
    stage.is("b", B, State::Inactive);
    stage.is("b", "dep@target.service", State::Inactive);
    stage.is("a", "dep@source.service", State::Inactive);
    stage.is_quiet();
    stage
}

#[test]
fn two_units_that_require_each_other_fail_at_once() {
    let mut stage = Stage::new(&["a", "b"])
        .requires("a", A, "b", B)
        .requires("b", B, "a", A)
        .begin();
    stage.systemctl(Verb::Start, "a", A);
    let mut stage = fails_at_once(stage);
    stage.systemctl(Verb::Start, "b", B);
    fails_at_once(stage);
}

#[test]
fn both_may_be_started_at_the_same_time() {
    let mut stage = Stage::new(&["a", "b"])
        .requires("a", A, "b", B)
        .requires("b", B, "a", A)
        .begin();
    stage.systemctl(Verb::Start, "a", A);
    stage.systemctl(Verb::Start, "b", B);
    fails_at_once(stage);
}

#[test]
fn a_circle_may_lead_over_three_nodes() {
    let mut stage = Stage::new(&["a", "b", "c"])
        .requires("a", A, "b", B)
        .requires("b", B, "c", "third.service")
        .requires("c", "third.service", "a", A)
        .begin();
    stage.systemctl(Verb::Start, "a", A);
    let stage = fails_at_once(stage);
    stage.is("c", "third.service", State::Inactive);
}

#[test]
fn a_circle_may_lead_over_a_unit_in_between() {
    let mut stage = Stage::new(&["a", "b"])
        .requires("a", A, "b", B)
        .requires_here("b", B, "between.service")
        .requires("b", "between.service", "a", A)
        .begin();
    stage.systemctl(Verb::Start, "a", A);
    fails_at_once(stage);
}

#[test]
fn a_circle_that_is_only_wanted_is_opened_and_all_start() {
    let mut stage = Stage::new(&["a", "b"])
        .wants("a", A, "b", B)
        .wants("b", B, "a", A)
        .begin();
    stage.systemctl(Verb::Start, "a", A);
    stage.run(secs(3));
    stage.is("a", A, State::Active);
    stage.is("b", B, State::Active);
    stage.is_quiet();
}

#[test]
fn what_is_nearly_a_circle_works() {
    let mut stage = Stage::new(&["a", "b"])
        .requires("a", A, "b", B)
        .requires("b", B, "a", "base.service")
        .start_takes("a", "base.service", ms(2_000))
        .begin();
    stage.systemctl(Verb::Start, "a", A);
    stage.run(secs(1));
    stage.is("a", A, State::Inactive);
    stage.run(secs(3));
    stage.is("a", A, State::Active);
    stage.is("b", B, State::Active);
    stage.is("a", "base.service", State::Active);
    stage.is_quiet();
}

#[test]
fn what_does_not_wait_for_the_circle_goes_on() {
    let mut stage = Stage::new(&["a", "b", "d"])
        .requires("a", A, "b", B)
        .requires("b", B, "a", A)
        .target("b", "innocent.service")
        .requires("d", "other.service", "b", "innocent.service")
        .begin();
    stage.systemctl(Verb::Start, "d", "other.service");
    stage.systemctl(Verb::Start, "a", A);
    let stage = fails_at_once(stage);
    stage.is("d", "other.service", State::Active);
    stage.is("b", "innocent.service", State::Active);
}
