//! Graces of sources that differ by unit.

use std::time::Duration;

use super::{
    claims::{T, up},
    world::{World, name, unit},
};
use crate::{Input, UnitPolicy};

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
