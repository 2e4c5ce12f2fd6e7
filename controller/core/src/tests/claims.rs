use std::time::Duration;

use proto::{
    message::{PROTOCOL_TIMEOUTS, ToController},
    model::{Cause, ClaimState},
};
use test_case::test_case;

use super::world::{World, down, name, settings, token};
use crate::{
    DependsOn, Disconnect, Input, UnitPolicy,
    limits::{ENDED_PER_SOURCE_MAX, HOLDS_PER_TARGET_MAX},
};

pub(super) const T: &str = "t.service";

/// `a` (peer 1) has `t.service` of `b` (peer 2) up.
pub(super) fn up() -> World {
    let mut world = World::online("a b");
    world.claims(world.peer("a"), false, &[("b", T, 1, false)]);
    world.hold_states(world.peer("b"), false, &[(T, "a", 1, ClaimState::Up)]);
    world.claims(world.peer("a"), false, &[("b", T, 1, true)]);
    world.take();
    world
}

#[test]
fn a_claim_becomes_a_hold_and_its_state_comes_back() {
    let mut world = World::online("a b");
    world.claims(world.peer("a"), false, &[("b", T, 1, false)]);
    assert_eq!(
        world.take(),
        [
            "1 < states +b/t.service 1 starting",
            "2 < holds +t.service for a 1 start"
        ]
    );
    world.hold_states(world.peer("b"), false, &[(T, "a", 1, ClaimState::Starting)]);
    assert!(world.take().is_empty(), "told already");
    world.hold_states(world.peer("b"), false, &[(T, "a", 1, ClaimState::Up)]);
    assert_eq!(world.take(), ["1 < states +b/t.service 1 up"]);
    world.claims(world.peer("a"), false, &[("b", T, 1, true)]);
    assert_eq!(world.take(), ["2 < holds +t.service for a 1 keep"]);
    world.claims(world.peer("a"), false, &[("b", T, 0, false)]);
    assert_eq!(world.take(), ["1 < states -1", "2 < holds -1"]);
}

#[test]
fn each_change_of_a_claim_is_logged_once() {
    let mut world = up();
    let again = [("b", T, 1, true)];
    world.claims(world.peer("a"), false, &again);
    world.cut("b");
    world.claims(world.peer("a"), false, &again);
    world.pass(10_000);
    assert_eq!(world.logged, ["starting", "up", "lost", "down"]);
}

#[test_case("x", "a/t.service 1 refused(node-unknown)"; "unknown node")]
#[test_case("offline", "a/t.service 1 waiting(node-offline)"; "offline and not up")]
#[test_case("offline up", "a/t.service 1 lost(node-lost)"; "offline and up")]
#[test_case("denied", "a/t.service 1 refused(not-allowed)"; "not allowed")]
#[test_case("online", "a/t.service 1 starting"; "not spoken of yet")]
#[test_case("online up", "a/t.service 1 up"; "up and not spoken of yet")]
#[test_case("reported", "a/t.service 1 down(unit-failed)"; "what the target reports")]
#[test_case("stale", "a/t.service 1 starting"; "a report about another token")]
fn a_claim_stands_by_the_table(situation: &str, expected: &str) {
    // The claim is on node `a`, of node `k`, so that `b` can stand for one that may not.
    let mut world = World::new("a b k");
    let report = match situation {
        "reported" => 1,
        _ => 2,
    };
    match situation {
        "online" | "online up" | "denied" => {
            world.join("a");
        }
        "reported" | "stale" => {
            let peer = world.hello("a", 1, 1);
            world.hold_states(peer, true, &[(T, "k", report, down(Cause::UnitFailed))]);
        }
        _ => {}
    }
    let source = if situation == "denied" { "b" } else { "k" };
    let target = if situation == "x" { "x" } else { "a" };
    let peer = world.join(source);
    world.take();
    world.claims(peer, false, &[(target, T, 1, situation.ends_with("up"))]);
    let expected = expected.replacen('a', target, 1);
    let line = format!("{} < states +{expected}", peer.0);
    assert!(world.take().contains(&line), "{line}");
}

#[test]
fn the_last_source_releases_the_unit() {
    let mut world = World::online("a b k");
    world.claims(world.peer("a"), false, &[("b", T, 1, false)]);
    world.claims(world.peer("k"), false, &[("b", T, 2, false)]);
    world.take();
    world.claims(world.peer("a"), false, &[("b", T, 0, false)]);
    assert_eq!(world.take(), ["1 < states -1", "2 < holds -1"]);
    assert_eq!(world.fleet.claims().count(), 1);
}

#[test]
fn a_claim_that_goes_and_comes_in_one_message_is_never_released() {
    let mut world = up();
    world.claims(
        world.peer("a"),
        false,
        &[("b", T, 0, false), ("b", T, 2, false)],
    );
    assert_eq!(
        world.take(),
        [
            "1 < states +b/t.service 2 starting",
            "2 < holds +t.service for a 2 start"
        ]
    );
}

/// How the claim on `t.service` ended, as far as that is remembered.
fn ended(world: &World) -> String {
    let mut ended = world.fleet.ended();
    ended.next().map_or_else(String::new, |it| {
        let ago = world.now.since(it.at).as_millis();
        let expired = if it.expired { ", expired" } else { "" };
        format!("{} {ago} ms ago{expired}", it.state.as_str())
    })
}

#[test]
fn it_is_remembered_how_a_claim_ended() {
    let mut world = up();
    assert_eq!(ended(&world), "");
    let stopped = down(Cause::UnitStopped);
    world.hold_states(world.peer("b"), false, &[(T, "a", 1, stopped)]);
    world.pass(100);
    world.claims(world.peer("a"), false, &[("b", T, 0, false)]);
    assert_eq!(ended(&world), "down 100 ms ago", "since it was down");

    let mut world = up();
    world.claims(world.peer("a"), false, &[("b", T, 0, false)]);
    world.pass(100);
    assert_eq!(ended(&world), "up 100 ms ago", "not needed any more");
    world.claims(world.peer("a"), false, &[("b", T, 2, false)]);
    world.claims(world.peer("a"), false, &[("b", T, 3, false)]);
    assert_eq!(ended(&world), "starting 0 ms ago", "another attempt");

    let mut world = up();
    world.cut("a");
    world.pass(15_000);
    assert_eq!(ended(&world), "up 0 ms ago, expired");
}

#[test]
fn what_ended_first_is_forgotten_first() {
    let mut world = World::online("a b");
    let units: Vec<String> = (0..=ENDED_PER_SOURCE_MAX)
        .map(|n| format!("{n}.service"))
        .collect();
    for unit in &units {
        world.claims(world.peer("a"), false, &[("b", unit, 1, false)]);
        world.claims(world.peer("a"), false, &[("b", unit, 0, false)]);
        world.pass(1);
    }
    let known: Vec<_> = world
        .fleet
        .ended()
        .map(|it| it.claim.unit.clone())
        .collect();
    assert_eq!(known.len(), ENDED_PER_SOURCE_MAX);
    assert!(!known.iter().any(|unit| unit.as_str() == "0.service"));
}

#[test]
fn a_final_state_is_left_only_by_another_token() {
    let mut world = up();
    world.hold_states(
        world.peer("b"),
        false,
        &[(T, "a", 1, down(Cause::UnitStopped))],
    );
    assert_eq!(
        world.take(),
        ["1 < states +b/t.service 1 down(unit-stopped)"]
    );
    world.cut("b");
    world.join("b");
    let lines = world.take();
    assert!(
        !lines.iter().any(|line| line.contains("states")),
        "{lines:?}"
    );
    world.claims(world.peer("a"), false, &[("b", T, 2, false)]);
    assert_eq!(
        world.take(),
        [
            "1 < states +b/t.service 2 starting",
            "3 < holds +t.service for a 2 start"
        ]
    );
}

#[test]
fn a_refused_claim_makes_no_hold_and_stays_refused() {
    let mut world = World::online("a b");
    world.claims(world.peer("b"), false, &[("a", T, 1, false)]);
    assert_eq!(
        world.take(),
        ["2 < states +a/t.service 1 refused(not-allowed)"]
    );
    let mut changed = settings("a b");
    changed.nodes.get_mut(&name("b")).expect("known").depends_on =
        DependsOn::These([name("a")].into());
    world.give(Input::Settings(changed));
    assert!(world.take().is_empty(), "the attempt is over");
    world.claims(world.peer("b"), false, &[("a", T, 2, false)]);
    assert_eq!(
        world.take(),
        [
            "1 < holds +t.service for b 2 start",
            "2 < states +a/t.service 2 starting"
        ]
    );
}

#[test]
fn a_claim_waits_for_an_offline_node_and_starts_when_it_comes() {
    let mut world = World::new("a b");
    let a = world.join("a");
    world.claims(a, false, &[("b", T, 1, false)]);
    world.take();
    world.join("b");
    let lines = world.take();
    assert!(lines.contains(&"2 < holds = +t.service for a 1 start".to_owned()));
    assert!(lines.contains(&"1 < states +b/t.service 1 starting".to_owned()));
}

#[test]
fn the_times_for_the_claims_of_a_node_are_told_when_they_change_and_to_whom_comes() {
    let mut world = World::online("a b");
    let mut settings = world.fleet.settings().clone();
    let node = settings.nodes.get_mut(&name("a")).expect("known");
    node.units.push(UnitPolicy {
        units: "t*".parse().expect("pattern"),
        source_grace: None,
        loss_grace: None,
        on_loss: None,
        start_timeout: Some(Duration::from_secs(20)),
    });
    world.cut("a");
    world.hello("a", 1, PROTOCOL_TIMEOUTS);
    world.take();
    world.give(Input::Settings(settings.clone()));
    assert_eq!(world.take(), ["3 < timeouts 90s t* 20s"]);
    world.give(Input::Settings(settings));
    assert!(world.take().is_empty());
    world.cut("a");
    world.take();
    world.hello("a", 1, PROTOCOL_TIMEOUTS);
    let lines = world.take();
    let at = lines.iter().position(|line| line == "4 < welcome");
    let at = at.expect("welcome");
    assert_eq!(lines[at + 1], "4 < timeouts 90s t* 20s");
}

#[test]
fn an_agent_that_speaks_bluechis_protocol_is_as_good_as_any() {
    let mut world = up();
    world.cut("a");
    world.take();
    // Its sets are told for it. Until they are, what was needed is kept.
    let old = world.hello("a", 1, 0);
    assert_eq!(world.take(), ["3 < welcome", "a is online", "fleet is up"]);
    world.claims(old, true, &[]);
    assert_eq!(world.take(), ["a differs: claims +0 -1 ~0", "2 < holds -1"]);
}

#[test]
fn claims_and_holds_are_seen_with_their_ages_and_the_ends_of_graces() {
    let mut world = up();
    world.pass(4_000);
    let (claim, hold) = (
        world.fleet.claims().next().expect("a claim"),
        world.fleet.holds().next().expect("a hold"),
    );
    assert_eq!((claim.source.as_str(), hold.node.as_str()), ("a", "b"));
    assert_eq!((claim.token, claim.state), (token(1), &ClaimState::Up));
    assert_eq!((hold.token, hold.state), (token(1), Some(&ClaimState::Up)));
    assert!(world.now.since(claim.changed) >= Duration::from_secs(4));
    assert_eq!(
        (claim.gives_up, hold.gives_up, hold.adopted),
        (None, None, false)
    );
    world.cut("a");
    let grace = world.now.plus(Duration::from_secs(15));
    let claim = world.fleet.claims().next().expect("a claim");
    assert_eq!(claim.gives_up, Some(grace));
    let hold = world.fleet.holds().next().expect("a hold");
    assert_eq!(hold.gives_up, Some(grace));
}

#[test]
fn a_node_that_is_taken_out_releases_what_it_held_and_refuses_what_needs_it() {
    let mut world = up();
    world.claims(world.peer("a"), false, &[("a", T, 5, false)]);
    world.take();
    world.give(Input::Settings(settings("b")));
    let lines = world.take();
    assert!(lines.contains(&"2 < holds -1".to_owned()), "{lines:?}");
    assert!(lines.contains(&"removed a".to_owned()));

    let mut world = up();
    world.give(Input::Settings(settings("a")));
    let lines = world.take();
    assert!(lines.contains(&"1 < states +b/t.service 1 refused(node-unknown)".to_owned()));
}

#[test]
fn a_message_that_cannot_follow_closes_the_connection() {
    let mut world = up();
    let a = world.peer("a");
    let delta = proto::sync::Delta {
        generation: proto::sync::Generation(77),
        full: false,
        put: vec![],
        drop: vec![],
    };
    world.say(a, ToController::Claims(delta));
    let lines = world.take();
    assert!(
        lines[0].starts_with("1 closed: it broke the protocol"),
        "{lines:?}"
    );
    let text = Disconnect::Silent(Duration::from_secs(6)).to_string();
    assert_eq!(text, "nothing was heard from it for 6.0 s");
}

#[test]
fn a_full_target_refuses_more_holds() {
    let mut settings = settings("a b k");
    settings
        .nodes
        .get_mut(&name("b"))
        .expect("known")
        .depends_on = DependsOn::Any;
    let mut world = World::with(settings);
    let target = world.join("k");
    let half = HOLDS_PER_TARGET_MAX / 2;
    for source in ["a", "b"] {
        let peer = world.join(source);
        let units: Vec<String> = (0..half).map(|n| format!("u{n}.service")).collect();
        let set: Vec<_> = units.iter().map(|u| ("k", u.as_str(), 1, false)).collect();
        world.claims(peer, false, &set);
    }
    world.take();
    assert_eq!(target, world.peer("k"));
    world.claims(target, false, &[("k", T, 1, false)]);
    assert_eq!(world.take(), ["1 < states +k/t.service 1 refused(limit)"]);
}
