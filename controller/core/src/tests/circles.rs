use proto::model::ClaimState;

use super::world::{World, name, settings};
use crate::DependsOn;

/// Nodes that may depend on each other, each with its own claims, as `SOURCE TARGET UNIT TOKEN`, all
/// starting.
fn starting(claims: &[(&str, &str, &str, u8)]) -> World {
    let mut settings = settings("a b c");
    for node in settings.nodes.values_mut() {
        node.depends_on = DependsOn::Any;
    }
    let mut world = World::with(settings);
    for node in ["a", "b", "c"] {
        world.join(node);
    }
    for (source, target, unit, token) in claims {
        claim(&mut world, source, target, unit, *token);
    }
    world.take();
    world
}

fn claim(world: &mut World, source: &str, target: &str, unit: &str, token: u8) {
    world.pass(10);
    world.claims(world.peer(source), false, &[(target, unit, token, false)]);
    let state = (unit, source, token, ClaimState::Starting);
    world.hold_states(world.peer(target), false, &[state]);
}

/// The claim as it stands: its word, and why.
fn stands(world: &World, source: &str, unit: &str) -> String {
    let mut claims = world.fleet.claims();
    let claim = claims.find(|it| *it.source == name(source) && it.claim.unit.as_str() == unit);
    let state = claim.expect("claimed").state;
    match state.reason() {
        Some(reason) => format!("{} ({}): {reason}", state.as_str(), reason.cause),
        None => state.as_str().to_owned(),
    }
}

const A: &str = "A.service";
const B: &str = "B.service";
const C: &str = "C.service";

#[test]
fn the_youngest_claim_of_a_circle_is_refused() {
    let mut world = starting(&[("a", "b", B, 1), ("b", "a", A, 2)]);
    world.waits("a", &[(A, "b", 2, ("b", B, 1, None))]);
    assert!(world.take().is_empty(), "half a circle is none");
    world.waits("b", &[(B, "a", 1, ("a", A, 2, None))]);
    assert_eq!(
        world.take(),
        ["1 < holds -1", "2 < states +a/A.service 2 refused(cycle)"]
    );
    assert_eq!(
        stands(&world, "b", A),
        "refused (cycle): units need each other in a circle: \
         a/A.service needs b/B.service needs a/A.service"
    );
    assert_eq!(stands(&world, "a", B), "starting");
}

#[test]
fn a_circle_over_three_nodes_and_a_unit_in_between_names_them_all() {
    let mut world = starting(&[("a", "b", B, 1), ("b", "c", C, 2), ("c", "a", A, 3)]);
    world.waits("b", &[(B, "a", 1, ("c", C, 2, Some("x.service")))]);
    world.waits("c", &[(C, "b", 2, ("a", A, 3, None))]);
    world.waits("a", &[(A, "c", 3, ("b", B, 1, None))]);
    assert_eq!(
        stands(&world, "c", A),
        "refused (cycle): units need each other in a circle: a/A.service needs b/B.service \
         needs b/x.service needs c/C.service needs a/A.service"
    );
}

#[test]
fn a_unit_that_needs_itself_over_another_name_of_its_node_is_a_circle() {
    let mut world = starting(&[("a", "a", A, 1)]);
    world.waits("a", &[(A, "a", 1, ("a", A, 1, None))]);
    assert!(stands(&world, "a", A).starts_with("refused (cycle)"));
}

#[test]
fn what_waits_is_known_before_the_claim_is() {
    let mut world = starting(&[("a", "b", B, 1)]);
    world.waits("b", &[(B, "a", 1, ("a", A, 2, None))]);
    world.waits("a", &[(A, "b", 2, ("b", B, 1, None))]);
    assert_eq!(stands(&world, "a", B), "starting");
    claim(&mut world, "b", "a", A, 2);
    assert!(stands(&world, "b", A).starts_with("refused (cycle)"));
}

#[test]
fn what_another_attempt_waited_for_is_no_circle() {
    let mut world = starting(&[("a", "b", B, 1), ("b", "a", A, 2)]);
    world.waits("a", &[(A, "b", 9, ("b", B, 1, None))]);
    world.waits("b", &[(B, "a", 1, ("a", A, 2, None))]);
    assert_eq!(stands(&world, "b", A), "starting");
}

#[test]
fn what_is_up_is_no_part_of_a_circle() {
    let mut world = starting(&[("a", "b", B, 1), ("b", "a", A, 2)]);
    let up = (B, "a", 1, ClaimState::Up);
    world.hold_states(world.peer("b"), false, &[up]);
    world.waits("a", &[(A, "b", 2, ("b", B, 1, None))]);
    world.waits("b", &[(B, "a", 1, ("a", A, 2, None))]);
    assert_eq!(stands(&world, "b", A), "starting");
}

#[test]
fn all_circles_through_a_claim_are_opened() {
    let mut world = starting(&[
        ("a", "b", B, 1),
        ("b", "a", A, 2),
        ("b", "c", C, 3),
        ("c", "a", A, 4),
    ]);
    world.waits(
        "a",
        &[
            (A, "b", 2, ("b", B, 1, None)),
            (A, "c", 4, ("b", B, 1, None)),
        ],
    );
    world.waits("c", &[(C, "b", 3, ("a", A, 4, None))]);
    world.waits(
        "b",
        &[
            (B, "a", 1, ("a", A, 2, None)),
            (B, "a", 1, ("c", C, 3, None)),
        ],
    );
    assert!(stands(&world, "b", A).starts_with("refused (cycle)"));
    assert!(stands(&world, "c", A).starts_with("refused (cycle)"));
    assert_eq!(stands(&world, "a", B), "starting");
}

#[test]
fn what_a_node_waited_for_is_forgotten_with_its_connection() {
    let mut world = starting(&[("a", "b", B, 1), ("b", "a", A, 2)]);
    world.waits("a", &[(A, "b", 2, ("b", B, 1, None))]);
    world.cut("a");
    world.join("a");
    claim(&mut world, "a", "b", B, 1);
    world.hold_states(world.peer("a"), false, &[(A, "b", 2, ClaimState::Starting)]);
    world.waits("b", &[(B, "a", 1, ("a", A, 2, None))]);
    assert_eq!(stands(&world, "b", A), "starting");
}
