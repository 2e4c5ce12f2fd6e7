//! Calls of clients that go to an agent, and their deadlines.

use std::{collections::HashMap, time::Duration};

use host::link::{self, Method};
use proto::{
    dbus::{error, public},
    wire::Facts,
};
use zbus::{OwnedVariant, Variant, message::Type, wire::ObjectPath};

use super::{
    Answering, ErrorBody, NODE_A,
    world::{self, World, text_of},
};

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
