//! Links of agents: registration, sets, life and death.

use host::link::{self, Limits};
use proto::{
    dbus::{error, internal, public},
    wire::{NeedBody, NeedsBody, SetBody, StatesBody},
};
use test_case::test_case;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zbus::{Message, message::Type, wire::OwnedObjectPath};

use super::{
    NODE_A,
    world::{self, World, member, text_of, within},
};

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
