//! What is said of an agent that is back and tells its sets otherwise than before.

use std::time::Duration;

use proto::{
    message::{KnownJob, PROTOCOL, Standing, ToController},
    model::{ClaimState, JobId, JobKind, JobMode, JobState},
};
use test_case::test_case;

use super::world::{World, settings, unit};
use crate::{PeerId, RESUME_WINDOW};

type Claims<'a> = &'a [(&'a str, &'a str, u8, bool)];
type Holds<'a> = &'a [(&'a str, &'a str, u8, ClaimState)];

/// What an agent tells on a new connection, in this order.
fn comes(world: &mut World, jobs: &[u32], holds: Holds<'_>, claims: Claims<'_>) -> PeerId {
    let peer = world.hello("a", 1, PROTOCOL);
    let known = jobs.iter().map(|job| KnownJob {
        job: JobId(*job),
        kind: JobKind::Start,
        unit: unit("t.service"),
        mode: JobMode::Replace,
        age: Duration::from_secs(1),
        standing: Standing::Open(JobState::Running),
    });
    world.say(peer, ToController::Jobs(known.collect()));
    world.hold_states(peer, true, holds);
    world.claims(peer, true, claims);
    peer
}

/// What is said of differences.
fn said(world: &mut World) -> Vec<String> {
    let lines = world.take().into_iter();
    lines.filter(|line| line.contains("differs")).collect()
}

const T: (&str, &str, u8, ClaimState) = ("t.service", "b", 1, ClaimState::Up);
const HOLDS: Holds<'_> = &[T, ("u.service", "b", 2, ClaimState::Up)];
const CLAIMS: Claims<'_> = &[("b", "x.service", 1, true), ("b", "y.service", 2, true)];

#[test_case(&[1], HOLDS, CLAIMS, &[]; "nothing")]
#[test_case(&[], HOLDS, CLAIMS, &["a differs: jobs +0 -1 ~0"]; "a job is gone")]
#[test_case(&[1, 9], HOLDS, CLAIMS, &["a differs: jobs +1 -0 ~0"]; "a job more")]
#[test_case(&[1], &HOLDS[..1], CLAIMS, &["a differs: holds +0 -1 ~0"]; "a hold is gone")]
#[test_case(&[1], &[T, ("v.service", "b", 3, ClaimState::Up)], CLAIMS, &["a differs: holds +1 -1 ~0"]; "another hold")]
#[test_case(&[1], &[T, ("u.service", "b", 2, ClaimState::Starting)], CLAIMS, &["a differs: holds +0 -0 ~1"]; "a hold stands otherwise")]
#[test_case(&[1], HOLDS, &CLAIMS[1..], &["a differs: claims +0 -1 ~0"]; "a claim is gone")]
#[test_case(&[1], HOLDS, &[CLAIMS[0], ("b", "y.service", 3, false), ("b", "z.service", 4, false)], &["a differs: claims +1 -0 ~1"]; "a claim more, and one made anew")]
#[test_case(&[], &[], &[], &["a differs: jobs +0 -1 ~0", "a differs: holds +0 -2 ~0", "a differs: claims +0 -2 ~0"]; "all is gone")]
fn what_an_agent_tells_otherwise_than_before_is_said(
    jobs: &[u32],
    holds: Holds<'_>,
    claims: Claims<'_>,
    differences: &[&str],
) {
    let mut settings = settings("a b");
    settings.resume_window = RESUME_WINDOW;
    let mut world = World::with(settings);
    world.join("b");
    comes(&mut world, &[], HOLDS, CLAIMS);
    world.start(1, "a");
    world.answered("a", 1, Ok(()));
    world.take();
    world.freeze("a");
    comes(&mut world, jobs, holds, claims);
    assert_eq!(said(&mut world), differences);
}

#[test]
fn what_is_heard_for_the_first_time_differs_from_nothing() {
    let mut world = World::with(settings("a b"));
    let peer = comes(&mut world, &[7], HOLDS, CLAIMS);
    // What changes while it is connected is no difference either.
    world.claims(peer, false, &[("b", "x.service", 0, false)]);
    world.hold_states(peer, false, &[("t.service", "b", 0, ClaimState::Up)]);
    assert!(said(&mut world).is_empty());
}

#[test]
fn a_source_that_comes_after_its_grace_is_heard_for_the_first_time() {
    let mut world = World::with(settings("a b"));
    comes(&mut world, &[], &[], CLAIMS);
    world.cut("a");
    world.pass(60_000);
    world.take();
    comes(&mut world, &[], &[], &CLAIMS[1..]);
    assert!(said(&mut world).is_empty());
}
