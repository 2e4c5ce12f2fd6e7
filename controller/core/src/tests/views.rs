//! What can be seen of one node is what can be seen of it among all.

use proto::model::ClaimState;

use super::world::{World, name, settings};
use crate::DependsOn;

/// For how long the only claim has been an attempt, and how long it stands as it does, in seconds.
fn ages(world: &World) -> (u64, u64) {
    let claim = world.fleet.claims().next().expect("a claim");
    let [since, changed] = [claim.since, claim.changed].map(|at| world.now.since(at).as_secs());
    (since, changed)
}

#[test]
fn it_is_known_since_when_an_attempt_is_made_and_stands_as_it_does() {
    const T: &str = "t.service";
    let mut world = World::online("a b");
    let (a, b) = (world.peer("a"), world.peer("b"));
    world.claims(a, false, &[("b", T, 1, false)]);
    world.pass(2_000);
    assert_eq!(ages(&world), (2, 2));
    world.hold_states(b, false, &[(T, "a", 1, ClaimState::Starting)]);
    world.pass(3_000);
    assert_eq!(ages(&world), (5, 5), "it was starting already");
    world.hold_states(b, false, &[(T, "a", 1, ClaimState::Up)]);
    world.pass(4_000);
    assert_eq!(ages(&world), (9, 4));
    world.claims(a, false, &[("b", T, 2, false)]);
    world.pass(1_000);
    assert_eq!(ages(&world), (1, 1), "another attempt");
}

#[test]
fn what_is_listed_of_one_node_is_its_part_of_all() {
    let mut settings = settings("a b c");
    for node in settings.nodes.values_mut() {
        node.depends_on = DependsOn::Any;
    }
    let mut world = World::with(settings);
    for node in ["a", "b", "c"] {
        world.join(node);
    }
    let needs = [("b", "x.service", 1, false), ("c", "y.service", 2, false)];
    world.claims(world.peer("a"), false, &needs);
    world.claims(world.peer("b"), false, &[("c", "y.service", 3, false)]);
    world.start(7, "b");
    world.answered("b", 1, Ok(()));
    world.start(8, "c");
    world.answered("c", 2, Ok(()));
    let fleet = &world.fleet;
    for (node, sizes) in [("a", (2, 0, 0)), ("b", (1, 1, 1)), ("c", (0, 2, 1))] {
        let node = name(node);
        let claims = fleet.claims().filter(|it| *it.source == node);
        let claims: Vec<_> = claims.map(|it| it.claim).collect();
        assert!(fleet.claims_of(&node).map(|it| it.claim).eq(claims.clone()));
        let holds = fleet.holds().filter(|it| *it.node == node);
        let holds: Vec<_> = holds.map(|it| it.hold).collect();
        assert!(fleet.holds_on(&node).map(|it| it.hold).eq(holds.clone()));
        let jobs = fleet.jobs().filter(|it| it.node == node);
        let jobs: Vec<_> = jobs.map(|it| it.id).collect();
        assert!(fleet.jobs_on(&node).map(|it| it.id).eq(jobs.clone()));
        assert_eq!((claims.len(), holds.len(), jobs.len()), sizes, "{node}");
    }
    let nobody = name("nobody");
    assert_eq!(fleet.claims_of(&nobody).count(), 0);
    assert_eq!(fleet.holds_on(&nobody).count(), 0);
    assert_eq!(fleet.jobs_on(&nobody).count(), 0);
}

#[test]
fn it_is_known_when_a_claim_is_given_up() {
    const T: &str = "t.service";
    let left = |world: &World| {
        let claim = world.fleet.claims().next().expect("a claim");
        claim.gives_up.map(|at| at.since(world.now).as_secs())
    };
    let mut world = World::online("a b");
    world.claims(world.peer("a"), false, &[("b", T, 1, true)]);
    assert_eq!(left(&world), None, "all is well");
    world.cut("b");
    world.pass(3_000);
    assert_eq!(left(&world), Some(7), "its target is lost");
    world.cut("a");
    world.pass(1_000);
    assert_eq!(left(&world), Some(6), "the first of the two counts");
    let b = world.hello("b", 1, 1);
    world.hold_states(b, true, &[(T, "a", 1, ClaimState::Up)]);
    assert_eq!(left(&world), Some(14), "its source is away");
}
