//! Needs that a unit of another node does not run.

use std::time::Duration;

use proto::name::rival_of;
use test_case::test_case;

use super::{
    claims::T,
    world::{World, name, unit},
};
use crate::{Input, NodeSettings, OnLoss, UnitPolicy};

// What is out of sight is no reason to stop anything, whatever is set.
#[test]
fn that_a_unit_does_not_run_is_needed_until_its_source_stops() {
    let mut settings = World::online("a b").fleet.settings().clone();
    let node = settings.nodes.get_mut(&name("a")).expect("known");
    node.units.push(UnitPolicy {
        units: "t.service".parse().expect("pattern"),
        source_grace: None,
        loss_grace: Some(Duration::from_secs(20)),
        on_loss: Some(OnLoss::Stop),
        start_timeout: None,
    });
    let rival = rival_of(&unit(T)).expect("short");
    let policy = settings.policy_on(&name("a"), &rival).expect("known");
    assert_eq!(policy.on_loss, OnLoss::Keep);
    assert_eq!(policy.loss_grace, Duration::from_secs(20));
}

#[test]
fn a_conflict_with_a_unit_of_an_agent_of_bluechis_is_refused_with_what_it_needs() {
    let mut world = World::online("a");
    let mut settings = world.fleet.settings().clone();
    settings.nodes.insert(name("b"), NodeSettings::default());
    world.give(Input::Settings(settings));
    let old = world.hello("b", 1, 0);
    world.hold_states(old, true, &[]);
    world.take();
    let rival = rival_of(&unit(T)).expect("short");
    world.claims(world.peer("a"), false, &[("b", rival.as_str(), 1, false)]);
    assert_eq!(
        world.take(),
        ["1 < states +b/against@t.service 1 refused(manager)"]
    );
    let claim = world.fleet.claims().next().expect("a claim");
    let reason = claim.state.reason().expect("refused");
    assert_eq!(
        reason.text,
        "conflict@ needs an agent of Unitlink on node b; the one that is there is BlueChi's"
    );
}

#[test_case(0, false, "t.service", "starting"; "any other need of it is met")]
#[test_case(0, true, "against@t.service", "up"; "one that holds already stands")]
#[test_case(1, false, "against@t.service", "starting"; "an agent of ours has the units")]
fn only_a_conflict_that_begins_with_a_unit_of_bluechis_is_refused(
    protocol: u32,
    up: bool,
    needed: &str,
    state: &str,
) {
    let mut world = World::new("a b");
    let a = world.join("a");
    let b = world.hello("b", 1, protocol);
    world.hold_states(b, true, &[]);
    world.take();
    world.claims(a, false, &[("b", needed, 1, up)]);
    assert_eq!(world.take()[0], format!("1 < states +b/{needed} 1 {state}"));
}
