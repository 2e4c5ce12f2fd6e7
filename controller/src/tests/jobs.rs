//! Jobs that clients ask for, from the call to their end.

use host::link;
use proto::{
    dbus::{error, public},
    message::Standing,
    model::{JobId, JobResult, JobState},
    wire::enqueued_to_wire,
};
use zbus::{message::Type, wire::OwnedObjectPath};

use super::{
    NODE_A,
    world::{World, facts, member, text_of},
};

#[tokio::test]
async fn a_request_with_a_name_is_answered_with_all_that_is_known_of_its_job() {
    let mut world = World::new(&["a"]);
    let mut agent = world.agent("a").await;
    let cookie = "0f".repeat(16);
    let mut answers = Vec::new();
    for age in [0_u64, 1_500_000] {
        let request = ("restart", "t.service", "replace", cookie.as_str(), age);
        let call = world.call(NODE_A, public::NODE_OWN, "Enqueue", &request);
        let asked = agent.call("Enqueue").await;
        type Asked = (String, String, String, u32, String, u64);
        let (kind, unit, mode, job, name, told): Asked = asked.body().deserialize().expect("body");
        assert_eq!(
            (kind.as_str(), unit.as_str(), mode.as_str(), name.as_str()),
            ("restart", "t.service", "replace", cookie.as_str())
        );
        if age == 0 {
            assert_eq!(told, 0);
            let standing = Standing::Open(JobState::Waiting);
            agent.send(link::reply(
                &asked,
                &enqueued_to_wire(JobId(job), &standing),
            ));
            answers.push((job, String::new()));
        } else {
            assert!(told >= age, "{told}");
            let (first, _) = answers[0];
            let standing = Standing::Ended(JobResult::Done, None);
            agent.say("JobDone", &(first, "done", "", ""));
            agent.send(link::reply(
                &asked,
                &enqueued_to_wire(JobId(first), &standing),
            ));
            answers.push((first, "done".to_owned()));
        }
        let answer = loop {
            let message = world.client_next().await;
            if message.header().reply_serial() == Some(call) {
                break message;
            }
        };
        let (job, result) = answers.last().expect("one");
        let known = facts(&answer);
        assert!(known["Id"].ends_with(&format!("{job}")), "{known:?}");
        let told = known.get("Result").map(|it| it.trim_matches('"'));
        assert_eq!(told.unwrap_or_default(), *result);
    }
}

#[tokio::test]
async fn a_job_goes_to_the_agent_and_its_end_comes_after_its_name() {
    let mut world = World::new(&["a"]);
    let mut agent = world.agent("a").await;
    let call = world.call(NODE_A, public::NODE, "StartUnit", &("t.service", "replace"));
    let start = agent.call("StartUnit").await;
    let (unit, mode, job): (String, String, u32) = start.body().deserialize().expect("body");
    assert_eq!((unit.as_str(), mode.as_str()), ("t.service", "replace"));
    // The answer and the end in one piece: the client must still hear the name first.
    agent.send(link::reply(&start, &()));
    agent.say("JobDone", &(job, "failed", "unit-failed", "exit-code"));

    let new = world.heard("JobNew").await;
    let (id, path): (u32, OwnedObjectPath) = new.body().deserialize().expect("body");
    assert_eq!(id, job);
    let answer = world.client_next().await;
    assert_eq!(answer.header().reply_serial(), Some(call));
    assert_eq!(
        answer
            .body()
            .deserialize::<OwnedObjectPath>()
            .expect("path"),
        path
    );
    let finished = world.client_next().await;
    assert_eq!(member(&finished), "JobFinished");
    let body = finished.body();
    let (_, node, unit, result, cause, text): (u32, &str, &str, &str, &str, &str) =
        body.deserialize().expect("body");
    assert_eq!(
        (node, unit, result, cause, text),
        ("a", "t.service", "failed", "unit-failed", "exit-code")
    );
    assert_eq!(member(&world.client_next().await), "JobRemoved");
}

#[tokio::test(start_paused = true)]
async fn an_object_of_a_job_is_there_while_the_job_is() {
    let mut world = World::new(&["a"]);
    let mut agent = world.agent("a").await;
    world.call(NODE_A, public::NODE, "StartUnit", &("t.service", "replace"));
    let start = agent.call("StartUnit").await;
    let (_, _, job): (String, String, u32) = start.body().deserialize().expect("body");
    agent.send(link::reply(&start, &()));
    let answer = world.answer().await;
    let path: OwnedObjectPath = answer.body().deserialize().expect("path");
    let properties = "org.freedesktop.DBus.Properties";
    world.call(path.as_str(), properties, "GetAll", &public::JOB);
    let answer = world.answer().await;
    assert_eq!(facts(&answer)["Unit"], "\"t.service\"");
    world.call(path.as_str(), public::JOB, "Cancel", &());
    let cancel = agent.call("JobCancel").await;
    assert_eq!(cancel.body().deserialize::<u32>().expect("body"), job);
    assert!(!link::expects_reply(&cancel));
    assert_eq!(world.answer().await.message_type(), Type::MethodReturn);
    agent.say("JobDone", &(job, "canceled", "", ""));
    world.heard("JobRemoved").await;
    world.call(path.as_str(), public::JOB, "Cancel", &());
    assert_eq!(text_of(&world.answer().await).0, error::UNKNOWN_OBJECT);
}
