//! For how long a need outlives the connections of its source and of its target, and what a change of the times does.

use std::time::Duration;

use proto::model::ClaimState;

use super::{
    claims::{T, up},
    world::{World, name, policy_of, unit},
};
use crate::{ClaimPolicy, Input, OnLoss, UnitPolicy};

#[test]
fn claims_outlive_the_connection_of_their_source_for_the_grace() {
    let mut world = up();
    world.cut("a");
    world.take();
    world.pass(14_999);
    assert!(world.take().is_empty(), "nothing is released");
    world.pass(1);
    assert_eq!(world.take(), ["warn ClaimsExpired", "2 < holds -1"]);
}

/// It may have been back all that time, and have knocked in vain.
#[test]
fn a_grace_that_ends_while_the_controller_does_not_run_goes_on_for_a_threshold() {
    let mut world = up();
    world.cut("a");
    world.take();
    world.now = world.now.plus(Duration::from_secs(60));
    world.pass(5_999);
    assert_eq!(world.take(), ["warn Stalled"]);
    world.pass(1);
    assert_eq!(world.take(), ["warn ClaimsExpired", "2 < holds -1"]);
}

#[test]
fn a_source_that_comes_back_in_time_changes_nothing() {
    let mut world = up();
    world.cut("a");
    world.pass(10_000);
    let a = world.hello("a", 2, 1);
    world.pass(20_000);
    world.hold_states(a, true, &[]);
    world.claims(a, true, &[("b", T, 1, true)]);
    let lines = world.take();
    assert!(
        !lines.iter().any(|line| line.contains("holds")),
        "{lines:?}"
    );
    assert!(lines.contains(&"3 < states = +b/t.service 1 up".to_owned()));
}

#[test]
fn a_lost_target_is_given_up_after_the_loss_grace() {
    let mut world = up();
    world.cut("b");
    assert_eq!(
        world.take(),
        [
            "b is offline",
            "fleet is degraded",
            "1 < states +b/t.service 1 lost(node-lost)"
        ]
    );
    world.pass(9_999);
    assert!(world.take().is_empty());
    world.pass(1);
    assert_eq!(world.take(), ["1 < states +b/t.service 1 down(node-lost)"]);
    // It stays so when the target is back, which is told to hold nothing.
    let b = world.hello("b", 1, 1);
    world.hold_states(b, true, &[(T, "a", 1, ClaimState::Up)]);
    assert_eq!(world.take(), ["3 < welcome", "b is online", "fleet is up"]);
}

/// Whatever has it looked at again meanwhile, and however long it was up before.
#[test]
fn a_loss_counts_from_its_own_moment() {
    let mut world = up();
    world.pass(60_000);
    world.cut("b");
    world.pass(5_000);
    world.take();
    world.claims(world.peer("a"), false, &[("b", T, 1, true)]);
    world.pass(4_999);
    assert_eq!(world.take(), [] as [&str; 0]);
    world.pass(1);
    assert_eq!(world.take(), ["1 < states +b/t.service 1 down(node-lost)"]);
}

#[test]
fn a_target_that_is_back_in_time_was_never_lost() {
    let mut world = up();
    world.cut("b");
    world.pass(9_000);
    world.take();
    let b = world.hello("b", 1, 1);
    world.hold_states(b, true, &[(T, "a", 1, ClaimState::Up)]);
    let lines = world.take();
    assert!(lines.contains(&"1 < states +b/t.service 1 up".to_owned()));
    assert!(lines.contains(&"3 < holds = +t.service for a 1 keep".to_owned()));
    world.pass(60_000);
    assert!(world.take().is_empty());
}

#[test]
fn a_claim_that_is_kept_is_started_again() {
    let mut world = World::online("k b");
    world.claims(world.peer("k"), false, &[("b", T, 1, true)]);
    world.cut("b");
    world.take();
    world.pass(600_000);
    assert!(world.take().is_empty(), "it stays lost");
    world.join("b");
    let lines = world.take();
    assert!(lines.contains(&"3 < holds = +t.service for k 1 start".to_owned()));
    assert!(lines.contains(&"1 < states +b/t.service 1 up".to_owned()));
}

#[test]
fn a_policy_that_changes_while_a_claim_is_lost_is_kept() {
    let mut world = up();
    world.cut("b");
    let keep = ClaimPolicy {
        on_loss: OnLoss::Keep,
        ..ClaimPolicy::default()
    };
    policy_of(&mut world, "a", keep);
    world.take();
    world.pass(60_000);
    assert!(world.take().is_empty(), "it is kept");
    policy_of(&mut world, "a", ClaimPolicy::default());
    world.pass(10_000);
    assert_eq!(world.take(), ["1 < states +b/t.service 1 down(node-lost)"]);
}

#[test]
fn a_grace_that_changes_while_a_claim_is_lost_counts_from_the_loss() {
    let mut world = up();
    world.cut("b");
    world.pass(8_000);
    let longer = ClaimPolicy {
        loss_grace: Duration::from_secs(30),
        ..ClaimPolicy::default()
    };
    policy_of(&mut world, "a", longer);
    world.take();
    world.pass(21_000);
    assert!(world.take().is_empty(), "it is lost for 29 s");
    world.pass(1_000);
    assert_eq!(world.take(), ["1 < states +b/t.service 1 down(node-lost)"]);
}

#[test]
fn a_grace_that_begins_with_a_change_counts_from_the_change() {
    let mut world = up();
    let keep = ClaimPolicy {
        on_loss: OnLoss::Keep,
        ..ClaimPolicy::default()
    };
    policy_of(&mut world, "a", keep);
    world.cut("b");
    world.pass(60_000);
    policy_of(&mut world, "a", ClaimPolicy::default());
    world.take();
    world.pass(9_999);
    assert!(world.take().is_empty(), "it was to be kept until 10 s ago");
    world.pass(1);
    assert_eq!(world.take(), ["1 < states +b/t.service 1 down(node-lost)"]);
}

#[test]
fn a_grace_that_changes_while_a_source_is_away_counts_from_when_it_went() {
    let mut world = up();
    world.cut("a");
    world.pass(10_000);
    let shorter = ClaimPolicy {
        source_grace: Duration::from_secs(12),
        ..ClaimPolicy::default()
    };
    policy_of(&mut world, "a", shorter);
    world.take();
    world.pass(1_999);
    assert!(world.take().is_empty(), "it is away for less than 12 s");
    world.pass(1);
    assert_eq!(world.take(), ["warn ClaimsExpired", "2 < holds -1"]);
}

#[test]
fn what_is_said_of_a_unit_is_stronger_than_what_is_said_of_its_source() {
    let mut world = up();
    let mut settings = world.fleet.settings().clone();
    let node = settings.nodes.get_mut(&name("a")).expect("known");
    node.claims.on_loss = OnLoss::Keep;
    node.units.push(UnitPolicy {
        units: "t*".parse().expect("pattern"),
        source_grace: None,
        loss_grace: Some(Duration::from_secs(20)),
        on_loss: Some(OnLoss::Stop),
        start_timeout: None,
    });
    world.give(Input::Settings(settings));
    world.cut("b");
    world.take();
    world.pass(19_999);
    assert!(world.take().is_empty());
    world.pass(1);
    assert_eq!(world.take(), ["1 < states +b/t.service 1 down(node-lost)"]);
}

// Its agent keeps the time, also one that is connected already.
/// A fleet in which `a` needs `t.service`, and `u.service` with a grace of its own.
fn with_a_grace_of_its_own(grace: Duration) -> World {
    let mut world = up();
    let mut settings = world.fleet.settings().clone();
    let node = settings.nodes.get_mut(&name("a")).expect("known");
    node.units.push(UnitPolicy {
        units: "u*".parse().expect("pattern"),
        source_grace: Some(grace),
        loss_grace: None,
        on_loss: None,
        start_timeout: None,
    });
    world.give(Input::Settings(settings));
    let a = world.peer("a");
    world.claims(a, false, &[("b", "u.service", 2, true)]);
    world.take();
    world
}

#[test]
fn each_need_of_a_source_that_is_away_is_kept_for_its_own_grace() {
    let mut world = with_a_grace_of_its_own(Duration::from_secs(3));
    world.cut("a");
    world.take();
    let ends: Vec<_> = world.fleet.claims().map(|claim| claim.gives_up).collect();
    let after = |seconds| Some(world.now.plus(Duration::from_secs(seconds)));
    assert_eq!(ends, [after(15), after(3)]);
    world.pass(2_999);
    assert!(world.take().is_empty());
    world.pass(1);
    assert_eq!(world.take(), ["warn ClaimsExpired", "2 < holds -1"]);
    let ended = world
        .fleet
        .ended()
        .find(|it| it.claim.unit == unit("u.service"));
    assert!(ended.expect("remembered").expired);
    world.pass(11_999);
    assert!(world.take().is_empty());
    world.pass(1);
    assert_eq!(world.take(), ["warn ClaimsExpired", "2 < holds -1"]);
}

#[test]
fn a_need_that_was_given_up_before_others_is_held_again_when_its_source_is_back() {
    let mut world = with_a_grace_of_its_own(Duration::from_secs(3));
    world.cut("a");
    world.pass(10_000);
    let a = world.hello("a", 1, 1);
    world.hold_states(a, true, &[]);
    world.take();
    world.claims(a, true, &[("b", T, 1, true), ("b", "u.service", 2, true)]);
    let lines = world.take();
    assert!(
        lines.contains(&"2 < holds +u.service for a 2 keep".to_owned()),
        "{lines:?}"
    );
}

#[test]
fn a_grace_of_a_unit_that_changes_while_its_source_is_away_counts_from_when_it_went() {
    let mut world = with_a_grace_of_its_own(Duration::from_secs(60));
    world.cut("a");
    world.pass(20_000);
    let mut settings = world.fleet.settings().clone();
    let node = settings.nodes.get_mut(&name("a")).expect("known");
    node.units[0].source_grace = Some(Duration::from_secs(30));
    world.take();
    world.give(Input::Settings(settings));
    world.pass(9_999);
    assert!(
        world.take().is_empty(),
        "t.service has been given up before"
    );
    world.pass(1);
    assert_eq!(world.take(), ["warn ClaimsExpired", "2 < holds -1"]);
}
