//! Requests that are repeated under their names.

use std::time::Duration;

use proto::{
    message::{KnownJob, Named, PROTOCOL, PROTOCOL_COOKIES, Standing, ToController},
    model::{Cause, Cookie, JobId, JobKind, JobMode, JobResult, JobState, Reason},
};

use super::world::{World, name, settings, start_of, unit};
use crate::Request;

/// A fleet whose node `a` is online with an agent of this version.
fn fleet_of(protocol: u32) -> World {
    let mut world = World::with(settings("a b"));
    let peer = world.hello("a", 1, protocol);
    world.hold_states(peer, true, &[]);
    world.claims(peer, true, &[]);
    world.take();
    world
}

fn fleet() -> World {
    fleet_of(PROTOCOL)
}

/// A client makes the request `cookie`, for the first time so many seconds ago.
fn ask(world: &mut World, id: u64, cookie: u8, age: u64) {
    let Request::Job {
        node,
        kind,
        unit,
        mode,
        named: _,
    } = start_of("a")
    else {
        return;
    };
    let cookie = Cookie([cookie; 16]);
    let age = Duration::from_secs(age);
    let request = Request::Job {
        node,
        kind,
        unit,
        mode,
        named: Some(Named { cookie, age }),
    };
    world.request(id, request);
}

fn job_is(asked: u32, job: u32, standing: Standing) -> ToController {
    ToController::JobIs {
        asked: JobId(asked),
        job: JobId(job),
        standing,
    }
}

fn open() -> Standing {
    Standing::Open(JobState::Waiting)
}

#[test]
fn the_agent_is_told_the_name_of_a_request_and_how_old_it_is() {
    let mut world = fleet();
    ask(&mut world, 1, 7, 0);
    ask(&mut world, 2, 8, 3);
    assert_eq!(
        world.take(),
        ["1 < job 1 start as 7 0ns", "1 < job 2 start as 8 3s"]
    );
}

#[test]
fn a_request_that_waits_for_its_node_grows_older_unless_it_is_new() {
    let mut settings = settings("a");
    settings.resume_window = Duration::from_secs(2);
    let mut world = World::with(settings);
    ask(&mut world, 1, 7, 0);
    ask(&mut world, 2, 8, 3);
    world.pass(1_000);
    let peer = world.hello("a", 1, PROTOCOL);
    world.hold_states(peer, true, &[]);
    let lines = world.take();
    assert!(
        lines.contains(&"1 < job 1 start as 7 0ns".to_owned()),
        "{lines:?}"
    );
    assert!(
        lines.contains(&"1 < job 2 start as 8 4s".to_owned()),
        "{lines:?}"
    );
}

/// A controller is restarted, and one agent is late: it asks every five seconds at most.
#[test]
fn a_repeated_request_waits_for_an_agent_that_is_late() {
    let mut settings = settings("a");
    settings.resume_window = Duration::from_secs(2);
    let mut world = World::with(settings);
    ask(&mut world, 1, 7, 3);
    world.pass(1_000);
    ask(&mut world, 2, 8, 0);
    world.pass(5_999);
    assert!(world.take().is_empty());
    world.pass(1);
    let offline = |id| format!("answer {id}: error: node a is offline");
    assert_eq!(world.take(), [offline(1), offline(2)]);
    ask(&mut world, 3, 7, 11);
    assert_eq!(world.take(), [offline(3)]);
}

#[test]
fn a_repeated_request_has_the_job_of_the_controller_before() {
    let mut world = World::with(settings("a"));
    let peer = world.hello("a", 1, PROTOCOL);
    let known = KnownJob {
        job: JobId(70),
        kind: JobKind::Start,
        unit: unit("t.service"),
        mode: JobMode::Replace,
        age: Duration::from_secs(1),
        standing: Standing::Open(JobState::Running),
    };
    world.say(peer, ToController::Jobs(vec![known]));
    world.hold_states(peer, true, &[]);
    world.take();
    ask(&mut world, 1, 7, 2);
    assert_eq!(world.take(), ["1 < job 1 start as 7 2s"]);
    world.say(peer, job_is(1, 70, Standing::Open(JobState::Running)));
    assert_eq!(world.take(), ["answer 1: job 70"]);
    assert_eq!(world.fleet.jobs_open(), 1, "there is one job");
    let ended: Vec<_> = world
        .fleet
        .ended_jobs(&name("a"), &unit("t.service"))
        .collect();
    assert!(ended.is_empty(), "and never was another");
}

#[test]
fn a_request_that_is_repeated_before_it_is_answered_is_answered_with_it() {
    let mut world = fleet();
    ask(&mut world, 1, 7, 0);
    ask(&mut world, 2, 7, 1);
    world.take();
    world.say(world.peer("a"), job_is(2, 1, open()));
    assert!(world.take().is_empty(), "systemd has not answered");
    world.answered("a", 1, Ok(()));
    assert_eq!(
        world.take(),
        ["new job 1", "answer 1: job 1", "answer 2: job 1"]
    );
    ask(&mut world, 3, 8, 0);
    ask(&mut world, 4, 8, 1);
    world.say(world.peer("a"), job_is(4, 3, open()));
    world.take();
    world.answered("a", 3, Err("org.freedesktop.systemd1.NoSuchUnit"));
    assert_eq!(
        world.take(),
        ["answer 3: error: no", "answer 4: error: no", "1 < heard 3"]
    );
    assert_eq!(world.fleet.check(), []);
}

#[test]
fn an_end_that_is_not_remembered_here_is_that_of_the_agent() {
    let mut world = fleet();
    ask(&mut world, 1, 7, 2);
    world.take();
    let reason = Some(Reason::new(Cause::UnitFailed, "exit-code"));
    let ended = Standing::Ended(JobResult::Failed, reason.clone());
    world.say(world.peer("a"), job_is(1, 70, ended));
    assert_eq!(world.take(), ["answer 1: job 70"]);
    let ended = world.fleet.ended_job(JobId(70)).expect("remembered");
    assert_eq!(
        (ended.result, ended.reason.clone()),
        (JobResult::Failed, reason)
    );
    ask(&mut world, 2, 8, 2);
    world.say(world.peer("a"), job_is(2, 71, open()));
    let lines = world.take();
    assert!(
        lines.contains(&"answer 2: error: there is no job 71; it may have ended".to_owned()),
        "{lines:?}"
    );
}

#[test]
fn what_is_no_answer_to_a_request_means_nothing() {
    let mut world = fleet();
    ask(&mut world, 1, 7, 0);
    world.answered("a", 1, Ok(()));
    world.take();
    for (asked, job) in [(1, 1), (1, 2), (9, 1)] {
        world.say(world.peer("a"), job_is(asked, job, open()));
    }
    assert_eq!(world.fleet.jobs_open(), 1);
    assert!(world.take().iter().all(|line| line.starts_with("warn")));
}

#[test]
fn an_agent_that_knows_no_names_is_asked_once() {
    let mut world = fleet_of(PROTOCOL_COOKIES - 1);
    ask(&mut world, 1, 7, 0);
    assert_eq!(world.take(), ["1 < job 1 start"]);
    ask(&mut world, 2, 7, 1);
    assert_eq!(
        world.take(),
        ["answer 2: error: the agent of node a does not know requests by their cookies"]
    );
    let ended: Vec<_> = world
        .fleet
        .ended_jobs(&name("a"), &unit("t.service"))
        .collect();
    assert!(ended.is_empty(), "there was no job");
}
