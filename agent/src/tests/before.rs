//! A controller that speaks the protocol of the version before and nothing else: of jobs, claims and holds it is
//! told what it knows, and what it says is understood.

use proto::{
    dbus::internal,
    wire::{JobBody, NeedsBody, SetBody, StatesBody},
};
use zbus::Message;

use super::world::{Controller, PROXY, TOKEN, World};

/// The version before.
const PROTOCOL: u32 = 4;

const UNIT: &str = "t.service";

fn world() -> World {
    World::new("", std::time::Duration::ZERO, || {})
}

/// A controller of before that has taken in what the agent needs and holds: the unit of the proxy, and nothing.
async fn registered(world: &World) -> Controller {
    let mut controller = world.controller(PROTOCOL, true).await;
    let holds = controller.called("HoldStates").await;
    controller.answer(&holds, &());
    let claims = controller.called("Claims").await;
    controller.answer(&claims, &());
    let body: NeedsBody = claims.body().deserialize().expect("needs");
    let claim = ("b".into(), "u.service".into(), TOKEN.into(), false);
    assert_eq!((body.full, body.put), (true, vec![claim]), "of {PROXY}");
    controller
}

/// Gives the agent a job, which it takes.
async fn begin(controller: &mut Controller, kind: &str, job: u32) {
    let call = controller.call(internal::AGENT, kind, &(UNIT, "replace", job));
    let taken = controller.answered(call).await;
    assert!(taken.body().is_empty(), "{taken:?}");
}

/// The end that is told of a job.
fn end(told: &Message) -> (u32, String) {
    let (job, result, _, _): (u32, String, String, String) =
        told.body().deserialize().expect("end");
    (job, result)
}

#[tokio::test(start_paused = true)]
async fn a_controller_of_the_version_before_is_told_nothing_that_it_does_not_know() {
    let world = world();
    let mut controller = registered(&world).await;
    begin(&mut controller, "RestartUnit", 5).await;
    let told = controller.called("JobDone").await;
    assert_eq!(end(&told), (5, "done".into()));
    controller.answer(&told, &());

    let up = ["b", "u.service", TOKEN, "up", "", ""].map(str::to_owned);
    let states = StatesBody {
        generation: 1,
        full: true,
        put: vec![up.into()],
        drop: vec![],
    };
    let call = controller.call(internal::AGENT_OWN, "ClaimStates", &states);
    controller.answered(call).await;

    let hold = (UNIT.into(), "c".into(), TOKEN.into(), true);
    let holds: NeedsBody = SetBody {
        generation: 1,
        full: true,
        put: vec![hold],
        drop: vec![],
    };
    let call = controller.call(internal::AGENT_OWN, "Holds", &holds);
    controller.answered(call).await;
    let states = controller.called("HoldStates").await;
    controller.answer(&states, &());
    let body: StatesBody = states.body().deserialize().expect("states");
    assert_eq!(body.put[0].3, "starting", "{body:?}");
}

#[tokio::test(start_paused = true)]
async fn the_next_controller_of_the_version_before_hears_of_jobs_that_it_did_not_give() {
    let world = world();
    let mut controller = registered(&world).await;
    world.jobs_end.send_replace(false);
    begin(&mut controller, "StartUnit", 7).await;
    drop(controller);

    let mut next = world.controller(PROTOCOL, true).await;
    let jobs = next.called("Jobs").await;
    let jobs: Vec<JobBody> = jobs.body().deserialize().expect("jobs");
    let (job, kind, unit, ..) = &jobs[0];
    assert_eq!((jobs.len(), *job), (1, 7));
    assert_eq!((kind.as_str(), unit.as_str()), ("start", UNIT));
    for set in ["HoldStates", "Claims"] {
        let call = next.called(set).await;
        next.answer(&call, &());
    }
    // The same command again, by a controller that was not answered, begins nothing.
    begin(&mut next, "StartUnit", 7).await;
    world.jobs_end.send_replace(true);
    let told = next.called("JobDone").await;
    assert_eq!(end(&told), (7, "done".into()));
    next.answer(&told, &());
}
