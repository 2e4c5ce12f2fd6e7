//! The daemon from end to end: real links on in-process streams, agents and a client played by hand,
//! a clock that is moved by hand.

mod api;
mod rhythm;
mod world;

use std::{collections::HashMap, time::Duration};

use host::link::{self, Limits, Method};
use proto::{
    dbus::{error, internal, public},
    message::Standing,
    model::{JobId, JobResult, JobState},
    wire::{Facts, NeedBody, NeedsBody, SetBody, StatesBody, enqueued_to_wire},
};
use test_case::test_case;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zbus::{
    Message, OwnedVariant, Variant,
    message::Type,
    wire::{ObjectPath, OwnedObjectPath},
};

use world::{World, facts, member, text_of, within};

/// The name and the text of an error.
type ErrorBody = (String, String);

/// Makes the answer to a call.
type Answering = Box<dyn Fn(&Message) -> zbus::Result<Message>>;

const NODE_A: &str = "/org/eclipse/bluechi/node/a";

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
async fn an_error_of_systemd_keeps_its_name() {
    let mut world = World::new(&["a"]);
    let mut agent = world.agent("a").await;
    let name = "org.freedesktop.systemd1.NoSuchUnit";
    world.call(NODE_A, public::NODE, "StopUnit", &("t.service", "fail"));
    let stop = agent.call("StopUnit").await;
    agent.send(link::error(&stop, name, "unit t.service not loaded"));
    let answer = world.answer().await;
    assert_eq!(
        text_of(&answer),
        (name.into(), "unit t.service not loaded".into())
    );

    // An agent that says the end first means the same.
    let name = "org.freedesktop.systemd1.JobTypeNotApplicable";
    world.call(NODE_A, public::NODE, "ReloadUnit", &("t.service", "fail"));
    let reload = agent.call("ReloadUnit").await;
    let (_, _, job): (String, String, u32) = reload.body().deserialize().expect("body");
    agent.say(
        "JobDone",
        &(job, "failed", "manager", "reload is not applicable"),
    );
    agent.send(link::error(&reload, name, "reload is not applicable"));
    let answer = world.answer().await;
    assert_eq!(
        text_of(&answer),
        (name.into(), "reload is not applicable".into())
    );

    let name = "org.freedesktop.systemd1.NoSuchUnit";
    world.call(NODE_A, public::NODE, "GetUnitFileState", &"t.service");
    let call = agent.call("GetUnitFileState").await;
    assert_eq!(
        call.body().deserialize::<&str>().expect("body"),
        "t.service"
    );
    agent.send(link::error(&call, name, "no"));
    assert_eq!(text_of(&world.answer().await).0, name);
}

#[tokio::test(start_paused = true)]
async fn what_an_agent_answers_is_handed_on_as_it_is() {
    let mut world = World::new(&["a"]);
    let mut agent = world.agent("a").await;
    world.call(
        NODE_A,
        public::NODE,
        "GetUnitProperties",
        &("t.service", ""),
    );
    let call = agent.call("GetUnitProperties").await;
    let value = |value: Variant<'_>| OwnedVariant::try_from(value).expect("owned");
    let said: Facts = [
        ("Id".to_owned(), value(Variant::from("t.service"))),
        (
            "Nested".to_owned(),
            value(Variant::from(vec![("a", 1u64), ("b", 2)])),
        ),
    ]
    .into();
    agent.send(link::reply(&call, &said));
    let answer = world.answer().await;
    assert_eq!(answer.body().signature().to_string(), "a{sv}");
    assert_eq!(answer.body().deserialize::<Facts>().expect("body"), said);
}

#[tokio::test(start_paused = true)]
async fn bodies_of_every_shape_are_handed_on_to_the_byte() {
    let mut world = World::new(&["a"]);
    let mut agent = world.agent("a").await;
    let path = ObjectPath::from_static_str("/x").expect("path");
    let row = (
        "t.service",
        "",
        "loaded",
        "active",
        "running",
        "",
        path.clone(),
        7u32,
        "",
        path,
    );
    let nested = Variant::new(vec![(1u8, Variant::from("x")), (2, Variant::from(3i64))]);
    let shapes: [Answering; 7] = [
        Box::new(|call| link::reply(call, &Variant::from(7u64))),
        Box::new(move |call| link::reply(call, &nested)),
        Box::new(|call| link::reply(call, &(true, vec![("symlink", "/a", "/b")]))),
        Box::new(|call| link::reply(call, &Vec::<(&str, &str)>::new())),
        Box::new(move |call| link::reply(call, &vec![row.clone()])),
        Box::new(|call| link::reply(call, &"multi-user.target")),
        Box::new(|call| link::reply(call, &())),
    ];
    for shape in shapes {
        world.call(NODE_A, public::NODE, "GetDefaultTarget", &());
        let call = agent.call("GetDefaultTarget").await;
        let said = shape(&call).expect("built");
        agent.send(Ok(said.clone()));
        let answer = world.answer().await;
        assert_eq!(answer.body().signature(), said.body().signature());
        assert_eq!(answer.body().data().bytes(), said.body().data().bytes());
    }
}

#[tokio::test(start_paused = true)]
async fn calls_of_a_client_reach_the_agent_in_their_order() {
    let mut world = World::new(&["a"]);
    let mut agent = world.agent("a").await;
    for n in 0..100 {
        let method = if n % 2 == 0 { "StartUnit" } else { "StopUnit" };
        world.call(
            NODE_A,
            public::NODE,
            method,
            &(format!("u{n}.service"), "replace"),
        );
    }
    for n in 0..100 {
        let call = agent.next_but_heartbeats().await;
        let (unit, _, _): (String, String, u32) = call.body().deserialize().expect("body");
        assert_eq!(unit, format!("u{n}.service"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_is_acknowledged_and_its_state_comes_back() {
    let mut world = World::new(&["a", "b"]);
    let mut a = world.agent("a").await;
    let mut b = world.agent("b").await;
    let token = "00112233445566778899aabbccddeeff";
    let claim: NeedBody = ("b".into(), "t.service".into(), token.into(), false);
    let claims = NeedsBody {
        generation: 2,
        full: false,
        put: vec![claim],
        drop: vec![],
    };
    let serial = a.ask("Claims", &claims);
    let answer = a.next_but_heartbeats().await;
    assert_eq!(answer.header().reply_serial(), Some(serial));
    let states = a.call("ClaimStates").await;
    let states: StatesBody = states.body().deserialize().expect("body");
    assert_eq!(states.put[0].3, "starting");
    let holds = b.call("Holds").await;
    let holds: NeedsBody = holds.body().deserialize().expect("body");
    assert_eq!(
        holds.put,
        [("t.service".into(), "a".into(), token.into(), true)]
    );
}

#[tokio::test(start_paused = true)]
async fn an_order_of_an_agent_is_a_job_of_another_and_its_end_is_the_answer() {
    let mut world = World::new(&["a", "b"]);
    let mut a = world.agent("a").await;
    let mut b = world.agent("b").await;
    let serial = a.ask("Order", &("stop", "b", "t.service"));
    let stop = b.call("StopUnit").await;
    let (unit, mode, job): (String, String, u32) = stop.body().deserialize().expect("body");
    assert_eq!((unit.as_str(), mode.as_str()), ("t.service", "replace"));
    b.send(link::reply(&stop, &()));
    b.say("JobDone", &(job, "timeout", "", ""));
    let answer = a.next_but_heartbeats().await;
    assert_eq!(answer.header().reply_serial(), Some(serial));
    let body = answer.body();
    let (cause, text): (&str, &str) = body.deserialize().expect("body");
    let expected = "the stop of unit t.service on node b ended as timeout";
    assert_eq!((cause, text), ("timeout", expected));
    a.ask("Order", &("stop", "x", "t.service"));
    let answer = a.next_but_heartbeats().await;
    let body = answer.body();
    let (cause, _): (&str, &str) = body.deserialize().expect("body");
    assert_eq!(cause, "node-unknown");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_valid_is_answered_and_ends_the_connection() {
    let mut world = World::new(&["a"]);
    let mut agent = world.agent("a").await;
    let claim: NeedBody = ("b/c".into(), "t.service".into(), "x".into(), false);
    let claims = SetBody {
        generation: 2,
        full: false,
        put: vec![claim],
        drop: Vec::<(String, String)>::new(),
    };
    agent.ask("Claims", &claims);
    let answer = agent.next_but_heartbeats().await;
    assert_eq!(text_of(&answer).0, error::INVALID_ARGS);
    assert!(agent.receiver.recv().await.is_none(), "closed");
    world.agent("a").await;
}

#[tokio::test(start_paused = true)]
async fn a_list_of_the_fleet_marks_the_node_that_does_not_answer() {
    let mut world = World::new(&["a", "b", "c"]);
    let mut a = world.agent("a").await;
    let _silent = world.agent("b").await;
    world.call(public::CONTROLLER_PATH, public::FLEET, "ListUnits", &());
    let call = a.call("ListUnits").await;
    let path = ObjectPath::from_static_str("/x").expect("path");
    let row = (
        "t.service",
        "T",
        "loaded",
        "active",
        "running",
        "",
        path.clone(),
        0u32,
        "",
        path,
    );
    a.send(link::reply(&call, &vec![row]));
    // Meanwhile others are served at once.
    world.call(
        public::CONTROLLER_PATH,
        public::CONTROLLER,
        "ListNodes",
        &(),
    );
    let nodes = world.answer().await;
    assert_eq!(nodes.body().signature().to_string(), "a(soss)");
    let answer = a.alive_until(world.answer()).await;
    let body = answer.body();
    let (units, missing): (
        HashMap<String, Vec<world::UnitRow>>,
        HashMap<String, ErrorBody>,
    ) = body.deserialize().expect("body");
    assert_eq!(units["a"][0].0, "t.service");
    assert_eq!(missing["b"].0, error::OFFLINE);
    assert_eq!(missing["c"].0, error::OFFLINE);
}

#[tokio::test(start_paused = true)]
async fn bluechis_agent_registers_with_all_in_one_write() {
    let mut world = World::new(&["a"]);
    let (mut stream, task) = world.raw_connection();
    let register = Message::method_call(internal::CONTROLLER_PATH, "Register")
        .interface(internal::CONTROLLER)
        .build(&"a")
        .expect("built");
    let mut bytes = b"\0AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n".to_vec();
    bytes.extend_from_slice(register.data());
    stream.write_all(&bytes).await.expect("written");
    let mut seen = Vec::new();
    while !seen.starts_with(b"DATA\r\nOK ") || seen.iter().filter(|b| **b == b'\n').count() < 3 {
        let mut chunk = [0; 256];
        let count = stream.read(&mut chunk).await.expect("read");
        seen.extend_from_slice(&chunk[..count]);
    }
    let lines: Vec<_> = seen.split_inclusive(|byte| *byte == b'\n').collect();
    let rest: Vec<u8> = lines[3..].concat();
    let identity = world::tcp_identity();
    let link = link::Link::start(Box::new(stream), identity, rest, Limits::TRUSTED);
    let mut agent = world::Agent::of(link);
    let answer = agent.next_but_heartbeats().await;
    assert_eq!(answer.message_type(), Type::MethodReturn);
    assert!(answer.body().is_empty());

    world.call(NODE_A, public::NODE, "StartUnit", &("t.service", "replace"));
    let start = agent.call("StartUnit").await;
    let (_, _, job): (String, String, u32) = start.body().deserialize().expect("body");
    agent.send(link::reply(&start, &()));
    agent.send(link::signal(
        internal::AGENT_PATH,
        internal::AGENT,
        "JobDone",
        &(job, "done"),
    ));
    let removed = world.heard("JobRemoved").await;
    let body = removed.body();
    let (_, _, _, _, result): (u32, OwnedObjectPath, &str, &str, &str) =
        body.deserialize().expect("body");
    assert_eq!(result, "done");

    world.call(NODE_A, public::NODE_OWN, "UnitStatus", &vec!["t.service"]);
    assert_eq!(text_of(&world.answer().await).0, error::NOT_SUPPORTED);
    drop(task);
}

#[tokio::test(start_paused = true)]
async fn a_controller_says_that_it_is_alive_and_ends_a_silent_agent() {
    let mut world = World::new(&["a"]);
    let mut agent = world.agent("a").await;
    let mut heartbeats = 0;
    while let Some(Ok(message)) = within(agent.receiver.recv()).await {
        heartbeats += usize::from(member(&message) == "Heartbeat");
    }
    assert!(
        heartbeats >= 2,
        "one for each interval before the threshold"
    );
    world.call(
        public::CONTROLLER_PATH,
        public::CONTROLLER,
        "ListNodes",
        &(),
    );
    let answer = world.answer().await;
    let nodes: Vec<(String, OwnedObjectPath, String, String)> =
        answer.body().deserialize().expect("body");
    assert_eq!(nodes[0].2, "offline");
}

#[test_case("x", error::ACCESS_DENIED; "a name that is not allowed")]
#[test_case("a", "org.freedesktop.DBus.Error.AddressInUse"; "a name that is online")]
#[tokio::test(start_paused = true)]
async fn a_registration_is_rejected_with_a_name(node: &str, expected: &str) {
    let mut world = World::new(&["a"]);
    let _first = world.agent("a").await;
    let mut second = world.connection().await;
    second.hello(node, 2);
    let answer = second.next_but_heartbeats().await;
    assert_eq!(text_of(&answer).0, expected);
    assert!(second.receiver.recv().await.is_none(), "closed");
}

#[test_case("Nonsense", &[0]; "a call that is no registration")]
#[test_case("Hello", &[0; 20_000]; "a message that is too long")]
#[tokio::test(start_paused = true)]
async fn a_stranger_is_dropped_and_nobody_notices(method: &str, body: &[u8]) {
    let mut world = World::new(&["a"]);
    let mut agent = world.agent("a").await;
    let mut stranger = world.connection().await;
    stranger.ask(method, &body);
    while let Some(Ok(message)) = within(stranger.receiver.recv()).await {
        assert_eq!(message.message_type(), Type::Error);
    }
    let _silent = world.connection().await;
    world.call(NODE_A, public::NODE, "Reload", &());
    let call = agent.call("Reload").await;
    agent.send(link::reply(&call, &()));
    assert_eq!(world.answer().await.message_type(), Type::MethodReturn);
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

#[tokio::test(start_paused = true)]
async fn agents_are_served_without_a_bus_and_a_new_bus_is_taken() {
    let mut world = World::new(&["a"]);
    world.call(NODE_A, public::NODE, "Reload", &());
    assert_eq!(text_of(&world.answer().await).0, error::OFFLINE);
    world.lose_bus().await;
    let mut agent = world.agent_quietly("a").await;
    agent.send(link::signal(
        internal::AGENT_PATH,
        internal::AGENT,
        "Heartbeat",
        &(),
    ));
    world.find_bus().await;
    world.call(NODE_A, public::NODE, "Reload", &());
    agent.call("Reload").await;
}

#[tokio::test(start_paused = true)]
async fn a_call_has_its_deadline_though_the_agent_is_alive() {
    let mut world = World::new(&["a"]);
    let mut agent = world.agent("a").await;
    world.call(NODE_A, public::NODE, "Reload", &());
    let answer = agent.alive_until(world.answer()).await;
    assert_eq!(text_of(&answer).0, error::TIMEOUT);
    // What it says after that is dropped.
    let call = agent.call("Reload").await;
    agent.send(link::reply(&call, &()));
    let method = Method {
        destination: None,
        path: public::CONTROLLER_PATH,
        interface: "org.freedesktop.DBus.Peer",
        member: "Ping",
    };
    world.call(method.path, method.interface, method.member, &());
    assert_eq!(world.answer().await.message_type(), Type::MethodReturn);
    assert_eq!(Duration::from_secs(30), world::CALL_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a_client_may_set_the_deadline_of_its_calls_and_it_ends_with_the_client() {
    let mut world = World::new(&["a"]);
    let mut agent = world.agent("a").await;
    let fleet = |world: &mut World, usec: u64| {
        world.call(
            public::CONTROLLER_PATH,
            public::FLEET,
            "SetCallTimeout",
            &usec,
        );
    };
    fleet(&mut world, 500_000);
    assert_eq!(world.answer().await.message_type(), Type::MethodReturn);
    for (member, body) in [("StartUnit", "replace"), ("GetUnitProperties", "")] {
        let begun = tokio::time::Instant::now();
        world.call(NODE_A, public::NODE, member, &("t.service", body));
        let (name, text) = text_of(&agent.alive_until(world.answer()).await);
        assert_eq!(name, error::TIMEOUT);
        assert!(text.contains("0.5 s"), "{text}");
        assert_eq!(begun.elapsed().as_millis() / 100, 5, "{member}");
    }
    // Of a list, the node that did not answer is marked.
    world.call(public::CONTROLLER_PATH, public::FLEET, "ListUnits", &());
    let list = agent.alive_until(world.answer()).await;
    let body = list.body();
    let (_, missing): (
        HashMap<String, Vec<world::UnitRow>>,
        HashMap<String, ErrorBody>,
    ) = body.deserialize().expect("body");
    assert_eq!(missing["a"].0, error::TIMEOUT);

    // Whoever gets its name later has not set anything.
    world.leaves(":1.7");
    let begun = tokio::time::Instant::now();
    world.call(NODE_A, public::NODE, "Reload", &());
    agent.alive_until(world.answer()).await;
    assert!(begun.elapsed() >= world::CALL_TIMEOUT);
}
