use proto::{message::ToController, model::JobId};
use test_case::test_case;

use super::world::{World, name, settings};
use crate::{Fleet, Input};

#[test]
fn a_node_is_online_from_its_hello_to_its_end() {
    let mut world = World::new("a b");
    world.join("a");
    assert_eq!(
        world.take(),
        ["1 < welcome", "a is online", "fleet is degraded"]
    );
    world.join("b");
    assert_eq!(world.take(), ["2 < welcome", "b is online", "fleet is up"]);
    world.cut("a");
    world.cut("b");
    assert_eq!(
        world.take(),
        [
            "a is offline",
            "fleet is degraded",
            "b is offline",
            "fleet is down"
        ]
    );
}

#[test]
fn a_name_that_is_not_in_the_settings_is_rejected() {
    let mut world = World::new("a");
    world.hello("x", 1, 1);
    assert_eq!(
        world.take(),
        [
            "warn Rejected",
            "1 < rejected (not-allowed): node x is not allowed; the controller's configuration does not name it",
            "1 closed: its registration was rejected",
        ]
    );
}

#[test_case(2, 1; "another run of the agent")]
#[test_case(1, 0; "an agent that does not say which it is")]
fn a_second_agent_of_a_node_that_answers_is_rejected(incarnation: u64, protocol: u32) {
    let mut world = World::online("a");
    world.hello("a", incarnation, protocol);
    assert_eq!(
        world.take(),
        [
            "warn Rejected",
            "2 < rejected (limit): node a is online already, from [::1]:1",
            "2 closed: its registration was rejected",
        ]
    );
    world.pass(60_000);
    assert!(world.take().is_empty(), "the first stays");
}

#[test]
fn a_second_agent_takes_over_when_the_first_is_silent_for_the_threshold() {
    let mut world = World::online("a");
    world.freeze("a");
    world.pass(5_999);
    world.hello("a", 2, 1);
    let lines = world.take();
    assert_eq!(lines[0], "warn Rejected");
    world.pass(1);
    assert_eq!(
        world.take(),
        [
            "1 closed: nothing was heard from it for 6.0 s",
            "a is offline",
            "fleet is down"
        ]
    );
    world.hello("a", 2, 1);
    assert_eq!(world.take(), ["3 < welcome", "a is online", "fleet is up"]);
}

#[test]
fn the_same_agent_on_a_new_connection_replaces_the_old_one_at_once() {
    let mut world = World::online("a");
    world.freeze("a");
    world.hello("a", 1, 1);
    assert_eq!(
        world.take(),
        [
            "1 closed: the same agent has connected again",
            "a is offline",
            "fleet is down",
            "2 < welcome",
            "a is online",
            "fleet is up",
        ]
    );
}

#[test]
fn heartbeats_are_sent_in_every_interval_and_silence_ends_a_connection() {
    let mut world = World::online("a");
    // An eighth later than the agent's own first one.
    assert!((2_150..=2_250).contains(&next_heartbeat(&world)));
    world.freeze("a");
    world.pass(2_250);
    assert!((1_750..=2_000).contains(&next_heartbeat(&world)));
    let mut world = World::online("a");
    world.pass(3_600_000);
    assert!(world.take().is_empty(), "an agent that answers stays");
}

/// In how many milliseconds the only agent is told that the controller is alive.
fn next_heartbeat(world: &World) -> u128 {
    let node = world.fleet.nodes.values().next().expect("a node");
    let due = node.peer().and_then(|peer| peer.heartbeat.due());
    due.expect("it is on").since(world.now).as_millis()
}

#[test]
fn a_heartbeat_is_answered_where_one_is_nearly_due() {
    let mut world = World::online("a");
    let a = world.peer("a");
    world.freeze("a");
    let beat = |world: &mut World, after: u64| {
        world.pass(after);
        world.say(a, ToController::Heartbeat);
        next_heartbeat(world)
    };
    let early = beat(&mut world, 1_000);
    assert!((1_150..=1_250).contains(&early), "too soon");
    for after in [1_000, 2_000, 1_900, 2_100] {
        assert!((2_150..=2_250).contains(&beat(&mut world, after)));
    }
}

#[test]
fn another_interval_counts_at_once() {
    let mut world = World::online("a");
    let mut settings = world.fleet.settings().clone();
    settings.heartbeat.interval = std::time::Duration::from_millis(100);
    world.give(Input::Settings(settings));
    let (at, why) = world.fleet.deadline().expect("something is waited for");
    assert!(at.since(world.now).as_millis() <= 100);
    assert_eq!(why, "heartbeat");
}

#[test]
fn silence_is_counted_from_the_last_word() {
    let mut world = World::online("a");
    world.pass(1_000);
    world.say(world.peer("a"), ToController::Heartbeat);
    world.freeze("a");
    world.pass(5_999);
    assert!(world.take().is_empty());
    world.pass(1);
    assert_eq!(
        world.take()[0],
        "1 closed: nothing was heard from it for 6.0 s"
    );
}

#[test]
fn silence_while_the_controller_itself_did_not_run_is_held_against_nobody() {
    let mut world = World::online("a");
    world.freeze("a");
    world.now = world.now.plus(std::time::Duration::from_secs(60));
    world.pass(0);
    assert_eq!(world.take(), ["warn Stalled"]);
    world.pass(6_000);
    assert_eq!(
        world.take()[0],
        "1 closed: nothing was heard from it for 66.0 s"
    );
}

/// Every two seconds, more or less: beats are early by up to a twentieth, and an answer may take the place of one.
#[test]
fn an_agent_hears_in_every_interval_that_the_controller_is_alive() {
    let mut world = World::online("a");
    world.pass(40_000);
    assert!(
        (16..=24).contains(&world.heartbeats),
        "{}",
        world.heartbeats
    );
}

#[test]
fn a_goodbye_takes_the_node_offline_at_once() {
    let mut world = World::online("a");
    world.say(world.peer("a"), ToController::Goodbye);
    assert_eq!(
        world.take(),
        [
            "1 closed: it stopped on purpose",
            "a is offline",
            "fleet is down"
        ]
    );
    let late = Input::Message {
        peer: crate::PeerId(1),
        message: ToController::Heartbeat,
    };
    world.give(late);
    assert!(world.take().is_empty(), "what comes after it is dropped");
}

#[test]
fn a_second_hello_breaks_the_protocol() {
    let mut world = World::online("a");
    let hello = proto::message::Hello {
        node: name("a"),
        protocol: 1,
        version: String::new(),
        boot_id: String::new(),
        incarnation: 1,
    };
    world.say(world.peer("a"), ToController::Hello(hello));
    assert_eq!(
        world.take()[0],
        "1 closed: it broke the protocol: it said hello twice"
    );
}

#[test]
fn nodes_come_and_go_with_the_settings() {
    let mut world = World::online("a b");
    world.give(Input::Settings(settings("b c")));
    assert_eq!(
        world.take(),
        [
            "1 closed: its node was removed from the configuration",
            "a is offline",
            "fleet is degraded",
            "removed a",
            "added c",
        ]
    );
    assert_eq!(world.fleet.online(), (1, 2));
}

#[test]
fn a_fleet_without_nodes_waits_for_nothing() {
    let world = World::new("");
    assert_eq!(world.fleet.deadline(), None);
    let fleet = Fleet::new(settings("a"), world.now, JobId(1));
    assert_eq!(fleet.status().as_str(), "down");
    assert_eq!(fleet.check(), []);
}
