//! What can be seen of one node is what can be seen of it among all.

use super::world::{World, name, settings};
use crate::DependsOn;

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
