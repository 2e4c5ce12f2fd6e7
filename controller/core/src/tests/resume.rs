//! Nodes whose connection breaks and comes back, controllers that are restarted, and what becomes of jobs.

use std::time::Duration;

use proto::{
    message::{KnownJob, PROTOCOL, PROTOCOL_JOBS, Standing, ToController},
    model::{Cause, ClaimState, JobId, JobKind, JobMode, JobResult, JobState, Reason},
};
use test_case::test_case;

use super::world::{World, name, settings, unit};
use crate::{JobsKnown, PeerId, RESUME_WINDOW, Request};

/// A fleet with a window, whose nodes `a` and `b` are online with agents of this version.
fn fleet() -> World {
    let mut settings = settings("a b");
    settings.resume_window = RESUME_WINDOW;
    let mut world = World::with(settings);
    for node in ["a", "b"] {
        comes(&mut world, node, &[]);
    }
    world.take();
    world
}

/// An agent connects, with these jobs.
fn comes(world: &mut World, node: &str, jobs: &[KnownJob]) -> PeerId {
    comes_as(world, node, PROTOCOL, jobs)
}

/// One that speaks this version of the protocol.
fn comes_as(world: &mut World, node: &str, protocol: u32, jobs: &[KnownJob]) -> PeerId {
    let peer = world.hello(node, 1, protocol);
    if !jobs.is_empty() {
        world.say(peer, ToController::Jobs(jobs.to_vec()));
    }
    world.hold_states(peer, true, &[]);
    world.claims(peer, true, &[]);
    peer
}

fn known(job: u32, standing: Standing) -> KnownJob {
    KnownJob {
        job: JobId(job),
        kind: JobKind::Start,
        unit: unit("t.service"),
        mode: JobMode::Replace,
        age: Duration::from_secs(3),
        standing,
    }
}

fn open(job: u32) -> KnownJob {
    known(job, Standing::Open(JobState::Running))
}

fn done(job: u32, result: JobResult) -> ToController {
    ToController::JobDone {
        job: JobId(job),
        result,
        reason: None,
    }
}

#[test]
fn a_node_that_is_back_within_the_window_was_never_offline() {
    let mut world = fleet();
    world.cut("a");
    world.pass(1_999);
    assert!(world.take().is_empty());
    comes(&mut world, "a", &[]);
    world.pass(10_000);
    assert_eq!(world.take(), ["3 < welcome"]);
}

/// What it holds stands until it is told anew, however often the connection breaks before that.
#[test]
fn a_node_that_is_back_within_the_window_holds_what_it_held() {
    let mut world = fleet();
    world.claims(world.peer("a"), false, &[("b", "t.service", 1, true)]);
    let up = [("t.service", "a", 1, ClaimState::Up)];
    world.hold_states(world.peer("b"), false, &up);
    world.take();
    for _ in 0..2 {
        world.cut("b");
        world.hello("b", 1, PROTOCOL);
    }
    assert_eq!(world.take(), ["3 < welcome", "4 < welcome"]);
    let b = world.peer("b");
    world.hold_states(b, true, &up);
    assert_eq!(world.take(), ["4 < holds = +t.service for a 1 keep"]);
}

#[test]
fn a_node_that_has_never_said_what_it_holds_is_out_of_sight_after_a_break_too() {
    let mut settings = settings("a b");
    settings.resume_window = RESUME_WINDOW;
    let mut world = World::with(settings);
    comes(&mut world, "a", &[]);
    world.hello("b", 1, PROTOCOL);
    world.claims(world.peer("a"), false, &[("b", "t.service", 1, false)]);
    world.take();
    world.cut("b");
    let b = world.hello("b", 1, PROTOCOL);
    assert_eq!(world.take(), ["3 < welcome"], "nothing is known of it yet");
    world.hold_states(b, true, &[]);
    let lines = world.take();
    let starting = "1 < states +b/t.service 1 starting".to_owned();
    assert!(lines.contains(&starting), "{lines:?}");
}

#[test]
fn a_node_that_does_not_come_back_is_offline_after_the_window() {
    let mut world = fleet();
    world.cut("a");
    world.pass(2_000);
    assert_eq!(world.take(), ["a is offline", "fleet is degraded"]);
    comes(&mut world, "a", &[]);
    assert_eq!(world.take(), ["3 < welcome", "a is online", "fleet is up"]);
}

#[test]
fn a_machine_that_has_booted_again_within_the_window_was_offline() {
    let mut world = fleet();
    world.cut("a");
    world.boot = "another";
    world.hello("a", 1, PROTOCOL);
    assert_eq!(
        world.take(),
        [
            "a is offline",
            "fleet is degraded",
            "3 < welcome",
            "a is online",
            "fleet is up"
        ]
    );
}

/// The window is a part of the grace, and does not come before it.
#[test]
fn the_grace_of_a_node_that_does_not_come_back_counts_from_when_its_link_broke() {
    let mut world = fleet();
    let (a, b) = (world.peer("a"), world.peer("b"));
    world.claims(a, false, &[("b", "t.service", 1, false)]);
    world.hold_states(b, false, &[("t.service", "a", 1, ClaimState::Up)]);
    world.claims(a, false, &[("b", "t.service", 1, true)]);
    world.cut("a");
    world.take();
    world.pass(14_999);
    assert_eq!(world.take(), ["a is offline", "fleet is degraded"]);
    world.pass(1);
    assert_eq!(world.take(), ["warn ClaimsExpired", "2 < holds -1"]);
}

#[test]
fn an_agent_that_stops_on_purpose_is_offline_at_once() {
    let mut world = fleet();
    world.say(world.peer("a"), ToController::Goodbye);
    assert_eq!(
        world.take(),
        [
            "1 closed: it stopped on purpose",
            "a is offline",
            "fleet is degraded"
        ]
    );
}

#[test]
fn the_same_agent_on_a_new_connection_is_no_news() {
    let mut world = fleet();
    world.freeze("a");
    comes(&mut world, "a", &[]);
    assert_eq!(
        world.take(),
        [
            "1 closed: the same agent has connected again",
            "3 < welcome"
        ]
    );
}

#[test]
fn jobs_and_calls_that_are_asked_for_meanwhile_wait_for_the_agent() {
    let mut world = fleet();
    world.cut("a");
    world.start(1, "a");
    world.request(2, Request::Forward { node: name("a") });
    assert!(world.take().is_empty());
    comes(&mut world, "a", &[]);
    assert_eq!(
        world.take(),
        ["3 < welcome", "3 < call 2", "3 < job 1 start"]
    );
}

#[test_case(PROTOCOL; "of this version")]
#[test_case(PROTOCOL_JOBS; "of the first that tells its jobs")]
fn a_job_goes_on_over_a_connection_that_breaks(protocol: u32) {
    let mut world = fleet();
    world.cut("a");
    comes_as(&mut world, "a", protocol, &[]);
    world.start(1, "a");
    world.answered("a", 1, Ok(()));
    world.take();
    world.cut("a");
    let peer = comes_as(&mut world, "a", protocol, &[open(1)]);
    assert_eq!(world.take(), ["4 < welcome", "job 1 is running"]);
    world.say(peer, done(1, JobResult::Done));
    assert_eq!(world.take(), ["job 1 done", "4 < heard 1"]);
    world.say(peer, done(1, JobResult::Done));
    assert_eq!(world.take(), ["4 < heard 1"], "told again, and ended once");
}

#[test]
fn a_job_of_which_the_agent_knows_nothing_is_sent_again_or_has_failed() {
    let mut world = fleet();
    world.start(1, "a");
    world.answered("a", 1, Ok(()));
    world.start(2, "a");
    world.request(3, Request::Cancel(JobId(1)));
    world.take();
    world.cut("a");
    comes(&mut world, "a", &[]);
    assert_eq!(
        world.take(),
        [
            "3 < welcome",
            "job 1 failed: the agent of node a knows nothing of the job any more",
            "3 < job 2 start",
            "a differs: jobs +0 -1 ~0",
        ]
    );
}

#[test]
fn a_job_that_was_to_be_taken_back_is_asked_for_again() {
    let mut world = fleet();
    world.start(1, "a");
    world.answered("a", 1, Ok(()));
    world.cut("a");
    world.request(2, Request::Cancel(JobId(1)));
    world.take();
    comes(&mut world, "a", &[open(1)]);
    assert_eq!(
        world.take(),
        ["3 < welcome", "job 1 is running", "3 < cancel 1"]
    );
}

#[test]
fn jobs_of_a_node_that_is_lost_fail_and_do_not_come_back() {
    let mut world = fleet();
    world.start(1, "a");
    world.answered("a", 1, Ok(()));
    world.take();
    world.cut("a");
    world.pass(2_000);
    assert_eq!(
        world.take()[2],
        "job 1 failed: node a was lost while the job was open: its agent closed the connection"
    );
    let peer = comes(&mut world, "a", &[open(1)]);
    world.say(peer, done(1, JobResult::Done));
    assert_eq!(
        world.take(),
        ["3 < welcome", "a is online", "fleet is up", "3 < heard 1"]
    );
}

#[test]
fn a_controller_that_begins_has_the_jobs_of_the_one_before() {
    let mut world = World::with(settings("a"));
    let peer = comes(&mut world, "a", &[open(70), open(71)]);
    assert_eq!(
        world.take(),
        [
            "1 < welcome",
            "a is online",
            "fleet is up",
            "new job 70",
            "new job 71"
        ]
    );
    let job = world.fleet.job(JobId(70)).expect("adopted");
    assert_eq!(world.now.since(job.since), Duration::from_secs(3));
    world.say(peer, done(70, JobResult::Failed));
    assert_eq!(world.take(), ["job 70 failed", "1 < heard 70"]);
}

#[test]
fn an_end_that_was_heard_before_is_remembered_and_not_announced() {
    let mut world = fleet();
    world.cut("a");
    let reason = Some(Reason::new(Cause::UnitFailed, "exit-code"));
    let ended = Standing::Ended(JobResult::Failed, reason.clone());
    comes(&mut world, "a", &[known(70, ended)]);
    assert_eq!(world.take(), ["3 < welcome"]);
    let (node, unit) = (name("a"), unit("t.service"));
    let found: Vec<_> = world.fleet.ended_jobs(&node, &unit).collect();
    assert_eq!((found[0].id, found[0].reason.clone()), (JobId(70), reason));
}

#[test]
fn a_number_that_an_agent_knows_is_not_given_again() {
    let mut world = fleet();
    world.cut("a");
    let ended = Standing::Ended(JobResult::Done, None);
    comes(&mut world, "a", &[open(1), known(2, ended)]);
    world.take();
    world.start(1, "b");
    assert_eq!(world.take(), ["2 < job 3 start"]);
}

#[test_case(PROTOCOL; "of this version")]
#[test_case(PROTOCOL_JOBS; "of the first that tells its jobs")]
fn it_is_known_whether_a_node_has_told_its_jobs(protocol: u32) {
    let mut world = World::with(settings("a b"));
    let known = |world: &World, node| world.fleet.jobs_known(&name(node), world.now);
    assert_eq!(known(&world, "a"), Some(JobsKnown::NotYet), "it may come");
    assert_eq!(known(&world, "x"), None);
    let peer = world.hello("a", 1, protocol);
    assert_eq!(
        known(&world, "a"),
        Some(JobsKnown::NotYet),
        "it is about to"
    );
    world.hold_states(peer, true, &[]);
    assert_eq!(known(&world, "a"), Some(JobsKnown::Yes), "there are none");
    world.pass(7_000);
    assert_eq!(known(&world, "b"), Some(JobsKnown::Away));
}

#[test]
fn a_job_that_is_asked_for_meanwhile_is_for_an_agent_that_tells_none_as_soon_as_it_is_back() {
    let mut world = fleet();
    world.cut("b");
    let agent = comes_as(&mut world, "b", PROTOCOL_JOBS - 1, &[]);
    world.cut("b");
    world.start(1, "b");
    world.take();
    world.hello("b", 1, PROTOCOL_JOBS - 1);
    let next = agent.0 + 1;
    assert_eq!(
        world.take(),
        [format!("{next} < welcome"), format!("{next} < job 1 start")]
    );
}

#[test]
fn an_agent_that_acknowledges_nothing_loses_its_jobs_with_its_connection() {
    let mut world = fleet();
    world.cut("b");
    let peer = world.hello("b", 1, PROTOCOL_JOBS - 1);
    world.hold_states(peer, true, &[]);
    world.claims(peer, true, &[]);
    world.start(1, "b");
    world.answered("b", 1, Ok(()));
    world.take();
    world.cut("b");
    assert_eq!(
        world.take(),
        ["job 1 failed: node b was lost while the job was open: its agent closed the connection"]
    );
    let peer = world.hello("b", 1, PROTOCOL_JOBS - 1);
    world.hold_states(peer, true, &[]);
    world.say(peer, done(1, JobResult::Done));
    assert_eq!(
        world.take(),
        ["4 < welcome"],
        "it waits for no acknowledgement"
    );
}

#[test_case(0; "without a window")]
#[test_case(60_000; "with a long one")]
fn a_window_that_is_changed_holds_for_the_next_time(window: u64) {
    let mut world = fleet();
    let mut settings = settings("a b");
    settings.resume_window = Duration::from_millis(window);
    world.cut("b");
    world.give(crate::Input::Settings(settings));
    world.cut("a");
    world.pass(2_000);
    let lines = world.take();
    assert!(lines.contains(&"b is offline".to_owned()), "{lines:?}");
    let offline = lines.contains(&"a is offline".to_owned());
    assert_eq!(offline, window == 0, "{lines:?}");
}

#[test]
fn a_controller_that_begins_waits_for_nodes_that_something_is_to_be_done_on() {
    let mut settings = settings("a b");
    settings.resume_window = RESUME_WINDOW;
    let mut world = World::with(settings);
    world.start(1, "a");
    world.start(2, "b");
    world.request(3, Request::Forward { node: name("b") });
    comes(&mut world, "a", &[]);
    let lines = world.take();
    assert!(lines.contains(&"1 < job 1 start".to_owned()), "{lines:?}");
    world.pass(1_999);
    assert!(world.take().is_empty());
    world.pass(1);
    assert_eq!(
        world.take(),
        [
            "answer 2: error: node b is offline",
            "answer 3: error: node b is offline",
        ]
    );
    world.start(4, "b");
    assert_eq!(world.take(), ["answer 4: error: node b is offline"]);
}
