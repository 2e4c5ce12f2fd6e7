//! What a controller that starts finds on targets, and who has a turn before anything is given up.

use std::time::Duration;

use proto::{message::ToController, model::ClaimState, wave::Wave};
use test_case::test_case;

use super::{
    claims::{T, up},
    world::{World, settings},
};
use crate::ClaimPolicy;
/// A controller that has just started, with one grace of each node as it is made here.
fn impatient(change: impl Fn(&mut ClaimPolicy)) -> World {
    let mut settings = settings("a b");
    for node in settings.nodes.values_mut() {
        change(&mut node.claims);
    }
    World::with(settings)
}

#[test]
fn a_controller_that_starts_holds_what_it_finds_until_the_source_is_heard() {
    let mut world = World::new("a b");
    let b = world.hello("b", 1, 1);
    world.hold_states(
        b,
        true,
        &[
            (T, "a", 1, ClaimState::Up),
            ("u.service", "a", 2, ClaimState::Up),
        ],
    );
    let lines = world.take();
    assert_eq!(
        lines.last().map(String::as_str),
        Some("1 < holds = +t.service for a 1 keep +u.service for a 2 keep")
    );
    world.pass(14_000);
    let a = world.hello("a", 1, 1);
    world.hold_states(a, true, &[]);
    world.pass(60_000);
    world.take();
    world.claims(a, true, &[("b", T, 1, true)]);
    assert_eq!(
        world.take(),
        ["2 < states = +b/t.service 1 up", "1 < holds -1"]
    );
}

#[test_case(ClaimState::Starting, "start"; "starting")]
#[test_case(ClaimState::Up, "keep"; "up")]
#[test_case(ClaimState::Restarted(Wave::default()), "keep"; "restarted")]
fn what_is_found_is_told_back_as_it_stands(state: ClaimState, attempt: &str) {
    let mut world = World::new("a b");
    let b = world.hello("b", 1, 1);
    world.hold_states(b, true, &[(T, "a", 1, state)]);
    let told = format!("1 < holds = +t.service for a 1 {attempt}");
    assert_eq!(world.take().last(), Some(&told));
}

#[test]
fn what_is_found_is_released_when_its_source_does_not_come() {
    let mut world = World::new("a b");
    let b = world.hello("b", 1, 1);
    world.hold_states(
        b,
        true,
        &[
            (T, "a", 1, ClaimState::Up),
            (T, "stranger", 1, ClaimState::Up),
        ],
    );
    assert_eq!(
        world.take().last().map(String::as_str),
        Some("1 < holds = +t.service for a 1 keep")
    );
    world.pass(14_999);
    assert!(world.take().is_empty());
    world.pass(1);
    assert_eq!(world.take(), ["warn ClaimsExpired", "1 < holds -1"]);
}

#[test]
fn a_source_that_was_not_heard_has_its_turn_however_short_the_grace() {
    let mut world = impatient(|policy| policy.source_grace = Duration::from_secs(1));
    let b = world.hello("b", 1, 1);
    world.hold_states(b, true, &[(T, "a", 1, ClaimState::Up)]);
    world.take();
    world.pass(6_999);
    assert!(world.take().is_empty());
    world.pass(1);
    assert_eq!(world.take(), ["warn ClaimsExpired", "1 < holds -1"]);
}

#[test]
fn a_target_that_was_not_heard_has_its_turn_however_short_the_grace() {
    let mut world = impatient(|policy| policy.loss_grace = Duration::from_secs(1));
    let a = world.hello("a", 1, 1);
    world.claims(a, true, &[("b", T, 1, true)]);
    world.take();
    world.pass(6_999);
    assert!(world.take().is_empty());
    world.pass(1);
    assert_eq!(world.take(), ["1 < states +b/t.service 1 down(node-lost)"]);
}

#[test]
fn a_target_has_its_turn_until_it_has_said_what_it_holds() {
    let mut world = impatient(|policy| policy.loss_grace = Duration::from_secs(1));
    let a = world.hello("a", 1, 1);
    world.claims(a, true, &[("b", T, 1, true)]);
    world.pass(1_500);
    // It is there, and what it holds comes in the next message.
    let b = world.hello("b", 1, 1);
    world.pass(10);
    let lines = world.take();
    assert!(!lines.iter().any(|line| line.contains("down")), "{lines:?}");
    world.hold_states(b, true, &[(T, "a", 1, ClaimState::Up)]);
    world.pass(10_000);
    let claim = world.fleet.claims().next().expect("a claim");
    assert_eq!(claim.state, &ClaimState::Up);
    // From now on the grace is as it was set.
    world.cut("b");
    world.take();
    world.pass(1_000);
    assert_eq!(world.take(), ["1 < states +b/t.service 1 down(node-lost)"]);
}

#[test]
fn a_target_that_is_back_at_the_last_moment_is_heard_first() {
    let back_at_last = || {
        let mut world = up();
        world.cut("b");
        world.pass(9_999);
        let b = world.hello("b", 1, 1);
        world.pass(2_000);
        world.take();
        (world, b)
    };
    let (mut world, b) = back_at_last();
    world.hold_states(b, true, &[(T, "a", 1, ClaimState::Up)]);
    assert_eq!(world.take()[0], "1 < states +b/t.service 1 up");

    // Silent about what it holds, though alive: it is not waited for without end.
    let (mut world, b) = back_at_last();
    world.say(b, ToController::Heartbeat);
    world.pass(5_000);
    let lines = world.take();
    let down = "1 < states +b/t.service 1 down(node-lost)".to_owned();
    assert!(lines.contains(&down), "{lines:?}");

    // Gone again: it had its grace.
    let (mut world, _) = back_at_last();
    world.cut("b");
    world.pass(0);
    let lines = world.take();
    assert!(lines.contains(&down), "{lines:?}");
}

#[test]
fn a_target_that_was_away_with_its_source_gives_it_the_grace_again() {
    let mut world = up();
    world.cut("a");
    world.cut("b");
    world.pass(60_000);
    world.take();
    let b = world.hello("b", 1, 1);
    world.hold_states(b, true, &[(T, "a", 1, ClaimState::Up)]);
    assert_eq!(
        world.take().last().map(String::as_str),
        Some("3 < holds = +t.service for a 1 keep")
    );
    let a = world.hello("a", 1, 1);
    world.claims(a, true, &[("b", T, 1, true)]);
    let lines = world.take();
    assert!(
        !lines.iter().any(|line| line.contains("holds")),
        "{lines:?}"
    );
}
