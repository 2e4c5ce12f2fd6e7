use std::time::Duration;

use proto::{
    message::ToController,
    model::{Cause, JobId, JobResult, JobState, Reason},
};

use super::world::{World, name, settings, start_of};
use crate::{
    ClientId, Fleet, Input, Request, RequestId,
    limits::{CALLS_PER_NODE_MAX, JOBS_PER_NODE_MAX},
};

fn done(job: u32, result: JobResult) -> ToController {
    ToController::JobDone {
        job: JobId(job),
        result,
        reason: None,
    }
}

#[test]
fn a_job_is_announced_when_the_agent_has_it_queued_and_removed_when_it_ends() {
    let mut world = World::online("a");
    world.start(7, "a");
    assert_eq!(world.take(), ["1 < job 1 start"]);
    assert_eq!(world.fleet.job(JobId(1)), None, "nobody knows of it yet");
    world.answered("a", 1, Ok(()));
    assert_eq!(world.take(), ["new job 1", "answer 7: job 1"]);
    let state = JobState::Running;
    world.say(
        world.peer("a"),
        ToController::JobState {
            job: JobId(1),
            state,
        },
    );
    assert_eq!(world.take(), ["job 1 is running"]);
    let reason = Some(Reason::new(Cause::UnitFailed, "exit-code"));
    let failed = ToController::JobDone {
        job: JobId(1),
        result: JobResult::Failed,
        reason,
    };
    world.say(world.peer("a"), failed);
    assert_eq!(world.take(), ["job 1 failed: exit-code"]);
    world.say(world.peer("a"), done(1, JobResult::Done));
    assert!(world.take().is_empty(), "it has ended");
}

#[test]
fn the_end_of_a_job_says_that_it_was_queued() {
    let mut world = World::online("a");
    world.start(7, "a");
    world.take();
    world.say(world.peer("a"), done(1, JobResult::Done));
    assert_eq!(world.take(), ["new job 1", "answer 7: job 1", "job 1 done"]);
}

#[test]
fn an_error_of_systemd_is_the_answer_and_there_was_no_job() {
    let mut world = World::online("a");
    world.start(7, "a");
    world.take();
    world.answered("a", 1, Err("org.freedesktop.systemd1.NoSuchUnit"));
    assert_eq!(world.take(), ["answer 7: error: no"]);
    assert_eq!(world.fleet.jobs().count(), 0);
}

#[test]
fn a_job_that_fails_before_it_is_queued_was_refused() {
    let mut world = World::online("a");
    world.start(7, "a");
    world.take();
    let refused = ToController::JobDone {
        job: JobId(1),
        result: JobResult::Failed,
        reason: Some(Reason::new(Cause::UnitNotFound, "no such unit")),
    };
    world.say(world.peer("a"), refused);
    world.answered("a", 1, Err("org.freedesktop.systemd1.NoSuchUnit"));
    assert_eq!(world.take(), ["answer 7: error: no such unit"]);
}

#[test]
fn a_node_that_is_not_there_is_said_to_be_so() {
    let mut world = World::new("a");
    world.start(1, "a");
    world.start(2, "x");
    world.request(3, Request::Forward { node: name("a") });
    world.request(4, Request::Cancel(JobId(9)));
    assert_eq!(
        world.take(),
        [
            "answer 1: error: node a is offline",
            "answer 2: error: node x is unknown; the controller's configuration does not name it",
            "answer 3: error: node a is offline",
            "answer 4: error: there is no job 9; it may have ended",
        ]
    );
}

#[test]
fn jobs_and_calls_of_a_node_that_goes_away_fail_at_once() {
    let mut world = World::online("a b");
    world.start(1, "a");
    world.answered("a", 1, Ok(()));
    world.start(2, "a");
    world.request(3, Request::Forward { node: name("a") });
    world.start(4, "b");
    world.take();
    world.cut("a");
    let why = "its agent closed the connection";
    assert_eq!(
        world.take(),
        [
            "a is offline".to_owned(),
            "fleet is degraded".into(),
            format!("job 1 failed: node a was lost while the job was open: {why}"),
            "answer 2: error: node a went away before it answered".into(),
            "answer 3: error: node a went away before it answered".into(),
        ]
    );
    world.give(Input::Forwarded { id: RequestId(3) });
    assert!(world.take().is_empty(), "answered already");
}

#[test]
fn a_job_is_taken_back_once_and_ends_as_the_agent_says() {
    let mut world = World::online("a");
    world.start(1, "a");
    world.request(2, Request::Cancel(JobId(1)));
    world.answered("a", 1, Ok(()));
    world.take();
    world.request(3, Request::Cancel(JobId(1)));
    world.request(4, Request::Cancel(JobId(1)));
    world.say(world.peer("a"), done(1, JobResult::Canceled));
    assert_eq!(
        world.take(),
        [
            "1 < cancel 1",
            "answer 3: Canceling",
            "answer 4: Canceling",
            "job 1 canceled"
        ]
    );
}

#[test]
fn only_its_own_node_can_end_a_job() {
    let mut world = World::online("a b");
    world.start(1, "a");
    world.answered("a", 1, Ok(()));
    world.take();
    world.say(world.peer("b"), done(1, JobResult::Done));
    world.answered("b", 1, Err("x"));
    assert!(world.take().is_empty());
    assert!(world.fleet.job(JobId(1)).is_some());
}

#[test]
fn an_agent_that_does_not_answer_in_time_fails_the_call() {
    let mut world = World::online("a");
    world.start(1, "a");
    world.request(2, Request::Forward { node: name("a") });
    assert_eq!(world.take(), ["1 < job 1 start", "1 < call 2"]);
    world.pass(30_000);
    assert_eq!(
        world.take(),
        [
            "1 < cancel 1",
            "answer 1: error: node a did not answer within 30 s",
            "answer 2: error: node a did not answer within 30 s",
        ]
    );
    assert_eq!(world.fleet.jobs().count(), 0);
}

#[test]
fn an_answer_is_handed_on() {
    let mut world = World::online("a");
    world.request(2, Request::Forward { node: name("a") });
    world.take();
    world.give(Input::Forwarded { id: RequestId(2) });
    assert_eq!(world.take(), ["answer 2: Forwarded"]);
}

#[test]
fn a_job_that_takes_longer_than_it_may_is_taken_back_and_removed() {
    let mut settings = settings("a");
    settings.job_timeout = Some(Duration::from_secs(5));
    let mut world = World::with(settings);
    world.join("a");
    world.start(1, "a");
    world.answered("a", 1, Ok(()));
    world.take();
    world.pass(5_000);
    assert_eq!(
        world.take(),
        [
            "1 < cancel 1",
            "warn JobTimedOut",
            "job 1 timeout: the job took longer than job_timeout, 5 s, allows"
        ]
    );
}

#[test]
fn jobs_and_calls_of_one_node_are_bounded() {
    let mut world = World::online("a b");
    let ask = |world: &mut World, id: usize, request: Request| {
        let input = Input::Request {
            id: RequestId(id as u64),
            client: ClientId(1),
            request,
        };
        world.fleet.handle(world.now, input);
    };
    for id in 0..=JOBS_PER_NODE_MAX {
        ask(&mut world, id, start_of("a"));
    }
    for id in 10_000..=10_000 + CALLS_PER_NODE_MAX {
        ask(&mut world, id, Request::Forward { node: name("a") });
    }
    world.start(20_000, "b");
    let lines = world.take();
    let refused: Vec<_> = lines.iter().filter(|line| line.contains("error")).collect();
    assert_eq!(
        refused,
        [
            "answer 4096: error: jobs of node a are open; at most 4096 may be",
            "answer 10512: error: calls of node a are open; at most 512 may be",
        ]
    );
    assert!(
        lines.contains(&"2 < job 4097 start".to_owned()),
        "others are served"
    );
}

#[test]
fn numbers_of_jobs_go_round_without_zero_and_without_those_in_use() {
    let mut world = World::online("a");
    world.fleet = Fleet::new(settings("a"), world.now, JobId(u32::MAX));
    world.join("a");
    world.start(1, "a");
    world.start(2, "a");
    let lines = world.take();
    let jobs: Vec<_> = lines.iter().filter(|line| line.contains("< job")).collect();
    assert_eq!(jobs, ["2 < job 4294967295 start", "2 < job 1 start"]);
}

#[test]
fn a_controller_that_stops_takes_no_new_job_and_hears_how_those_of_before_end() {
    let mut world = World::online("a");
    world.start(7, "a");
    world.answered("a", 1, Ok(()));
    world.take();
    world.give(Input::Stop);
    assert_eq!(world.fleet.jobs_open(), 1);
    world.start(8, "a");
    let refused = "answer 8: error: the controller is stopping, and takes no new jobs";
    assert_eq!(world.take(), [refused]);
    world.say(world.peer("a"), done(1, JobResult::Done));
    assert_eq!(world.take(), ["job 1 done"]);
    assert_eq!(world.fleet.jobs_open(), 0);
}
