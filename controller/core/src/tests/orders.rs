use proto::{
    message::{OrderId, PROTOCOL_RELOADS, ToController},
    model::{Cause, ClaimState, JobId, JobKind, JobResult, JobState, Reason},
};
use test_case::test_case;

use super::world::{World, name, unit};
use crate::{Input, limits::ORDERS_PER_NODE_MAX};

const QUEUED: ToController = ToController::JobState {
    job: JobId(1),
    state: JobState::Waiting,
};

/// `source` (peer 1 is `a`, peer 2 is `b`) orders something of `t.service` of `target`.
fn order(world: &mut World, source: &str, id: u64, kind: JobKind, target: &str) {
    let order = ToController::Order {
        order: OrderId(id),
        kind,
        node: name(target),
        unit: unit("t.service"),
    };
    world.say(world.peer(source), order);
}

fn done(result: JobResult, reason: Option<Reason>) -> ToController {
    ToController::JobDone {
        job: JobId(1),
        result,
        reason,
    }
}

#[test]
fn an_order_is_a_job_whose_end_is_the_answer() {
    let mut world = World::online("a b");
    order(&mut world, "a", 7, JobKind::Reload, "b");
    assert_eq!(world.take(), ["2 < job 1 reload"]);
    world.say(world.peer("b"), QUEUED);
    assert_eq!(world.take(), ["new job 1"]);
    world.say(world.peer("b"), done(JobResult::Done, None));
    assert_eq!(world.take(), ["1 < ordered 7", "job 1 done"]);
}

#[test]
fn of_a_reload_those_hear_that_have_the_unit_up() {
    let mut world = World::online("a b");
    world.cut("a");
    let a = world.hello("a", 1, PROTOCOL_RELOADS);
    let b = world.peer("b");
    world.hold_states(a, true, &[]);
    world.claims(a, true, &[("b", "t.service", 1, false)]);
    world.take();
    world.say(b, ToController::Reloaded(unit("t.service")));
    assert!(world.take().is_empty(), "it is only being started");
    world.hold_states(b, false, &[("t.service", "a", 1, ClaimState::Up)]);
    world.take();
    world.say(b, ToController::Reloaded(unit("u.service")));
    assert!(world.take().is_empty(), "nobody needs it");
    world.say(b, ToController::Reloaded(unit("t.service")));
    assert_eq!(world.take(), ["3 < reloaded b/t.service"]);
}

#[test_case(JobResult::Failed, Some("no"), "ordered 7: unit-failed: no"; "with a reason")]
#[test_case(JobResult::Timeout, None, "ordered 7: timeout: the stop of unit t.service on node b ended as timeout"; "without one")]
#[test_case(JobResult::Canceled, None, "ordered 7: canceled: the stop of unit t.service on node b ended as canceled"; "taken back")]
fn an_order_fails_with_its_job(result: JobResult, text: Option<&str>, answer: &str) {
    let mut world = World::online("a b");
    order(&mut world, "a", 7, JobKind::Stop, "b");
    world.say(world.peer("b"), QUEUED);
    world.take();
    let reason = text.map(|text| Reason::new(Cause::UnitFailed, text));
    world.say(world.peer("b"), done(result, reason));
    assert_eq!(world.take()[0], format!("1 < {answer}"));
}

#[test_case("a", JobKind::Start, "b", "not-allowed"; "a start would hold nothing")]
#[test_case("a", JobKind::Restart, "b", "not-allowed"; "nor would a restart")]
#[test_case("b", JobKind::Stop, "a", "not-allowed"; "who may not need may not order")]
#[test_case("a", JobKind::Stop, "x", "node-unknown"; "unknown node")]
#[test_case("a", JobKind::Stop, "d", "node-offline"; "offline")]
fn an_order_is_refused(source: &str, kind: JobKind, target: &str, cause: &str) {
    let mut world = World::new("a b d");
    world.join("a");
    world.join("b");
    world.take();
    let peer = world.peer(source);
    order(&mut world, source, 7, kind, target);
    let lines = world.take();
    assert!(
        lines[0].starts_with(&format!("{} < ordered 7: {cause}: ", peer.0)),
        "{lines:?}"
    );
}

#[test_case(JobKind::Stop, "NoSuchUnit", "ordered 7"; "what is not there does not run")]
#[test_case(JobKind::Reload, "NoSuchUnit", "ordered 7: unit-not-found: no"; "what is not there cannot be reloaded")]
#[test_case(JobKind::Reload, "JobTypeNotApplicable", "ordered 7: manager: no"; "any other answer is systemd's")]
fn systemd_refuses_an_order(kind: JobKind, error: &str, answer: &str) {
    let mut world = World::online("a b");
    order(&mut world, "a", 7, kind, "b");
    world.take();
    world.answered("b", 1, Err(&format!("org.freedesktop.systemd1.{error}")));
    assert_eq!(world.take(), [format!("1 < {answer}")]);
}

#[test]
fn an_order_fails_when_its_node_goes_away() {
    let mut world = World::online("a b");
    order(&mut world, "a", 7, JobKind::Stop, "b");
    world.say(world.peer("b"), QUEUED);
    world.take();
    world.cut("b");
    let lines = world.take();
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("1 < ordered 7: node-lost")),
        "{lines:?}"
    );
}

#[test]
fn who_has_gone_is_not_answered() {
    let mut world = World::online("a b");
    order(&mut world, "a", 7, JobKind::Stop, "b");
    world.say(world.peer("b"), QUEUED);
    world.cut("a");
    world.take();
    world.say(world.peer("b"), done(JobResult::Done, None));
    assert_eq!(world.take(), ["job 1 done"]);
}

#[test]
fn a_node_has_a_bound_of_orders() {
    let mut world = World::online("a b");
    let max = u64::try_from(ORDERS_PER_NODE_MAX).expect("small");
    for id in 1..=max {
        order(&mut world, "a", id, JobKind::Stop, "b");
    }
    world.take();
    order(&mut world, "a", max + 1, JobKind::Stop, "b");
    let lines = world.take();
    assert!(lines[0].contains(": limit: "), "{lines:?}");
}

#[test]
fn an_order_waits_for_the_next_controller_when_this_one_stops() {
    let mut world = World::online("a b");
    world.give(Input::Stop);
    order(&mut world, "a", 7, JobKind::Stop, "b");
    assert!(world.take().is_empty());
}
