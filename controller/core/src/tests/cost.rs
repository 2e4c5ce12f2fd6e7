//! What something costs does not depend on how many nodes there are: it is counted in memory that is
//! asked for and in outputs, which are the same on every machine.

use proto::{
    message::ToController,
    model::{JobId, JobResult, JobState},
};
use test_case::test_case;

use super::world::{World, name, start_of, unit};
use crate::{
    Choice, ClientId, Fleet, Input, MonitorId, MonitorRequest, Occasion, PeerId, Request,
    RequestId, UnitNews,
};

/// How often each thing is done: a table that grows asks for memory now and then.
const TIMES: u32 = 64;

/// One thing that happens on a node, for the n-th time.
type Scene = fn(PeerId, u32) -> Vec<Input>;

fn job(peer: PeerId, n: u32) -> Vec<Input> {
    let job = JobId(n);
    let request = Input::Request {
        id: RequestId(u64::from(n)),
        client: ClientId(1),
        request: start_of("n5"),
    };
    let say = |message| Input::Message { peer, message };
    let answered = Input::JobAnswered {
        peer,
        job,
        result: Ok(()),
    };
    let state = JobState::Running;
    let (result, reason) = (JobResult::Done, None);
    vec![
        request,
        answered,
        say(ToController::JobState { job, state }),
        say(ToController::JobDone {
            job,
            result,
            reason,
        }),
    ]
}

fn change(peer: PeerId, n: u32) -> Vec<Input> {
    let active = if n.is_multiple_of(2) {
        "active"
    } else {
        "inactive"
    };
    let news = UnitNews::State {
        active: active.to_owned(),
        sub: "it".to_owned(),
        occasion: Occasion::Real,
    };
    let unit = unit("app.service");
    vec![Input::Unit { peer, unit, news }]
}

fn heartbeat(peer: PeerId, _: u32) -> Vec<Input> {
    let message = ToController::Heartbeat;
    vec![Input::Message { peer, message }]
}

/// How much memory was asked for, how often, and how much was put out.
fn cost(nodes: usize, scene: Scene) -> (u64, u64, usize) {
    let names: Vec<String> = (1..=nodes).map(|number| format!("n{number}")).collect();
    let mut world = World::online(&names.join(" "));
    let (now, peer) = (world.now, world.peer("n5"));
    let give = |fleet: &mut Fleet, input: Input| {
        fleet.handle(now, input);
        std::iter::from_fn(|| fleet.poll_output()).count()
    };
    let watch = [
        MonitorRequest::Create,
        MonitorRequest::Subscribe {
            monitor: MonitorId(1),
            node: Choice::One(name("n5")),
            units: [Choice::One(unit("app.service"))].into(),
        },
    ];
    for (id, request) in (1000..).zip(watch) {
        let request = Input::Request {
            id: RequestId(id),
            client: ClientId(1),
            request: Request::Monitor(request),
        };
        give(&mut world.fleet, request);
    }
    let inputs: Vec<Input> = (1..=TIMES).flat_map(|n| scene(peer, n)).collect();
    let mut outputs = 0;
    let counted = allocation_counter::measure(|| {
        for input in inputs {
            outputs += give(&mut world.fleet, input);
        }
    });
    (counted.count_total, counted.bytes_total, outputs)
}

#[test_case(job, 5 * TIMES; "a job")]
#[test_case(change, TIMES; "a change that somebody watches")]
#[test_case(heartbeat, 0; "a heartbeat")]
fn the_cost_is_the_same_among_many_nodes(scene: Scene, outputs: u32) {
    let (few, many) = (cost(10, scene), cost(100, scene));
    assert_eq!(few, many, "times, bytes, outputs");
    assert_eq!(few.2, usize::try_from(outputs).expect("small"));
}
