//! Monitors, metrics and units that are made for a call.

use std::collections::HashMap;

use host::link;
use proto::dbus::{error, internal, public, systemd};
use zbus::{
    Message, OwnedVariant, Variant,
    message::Type,
    wire::{DynamicType, OwnedObjectPath},
};

use super::{
    NODE_A,
    world::{Agent, World, member, text_of},
};

impl Agent {
    fn signal<B: serde::Serialize + DynamicType>(&mut self, name: &str, body: &B) {
        self.send(link::signal(
            internal::AGENT_PATH,
            internal::AGENT,
            name,
            body,
        ));
    }
}

impl World {
    /// A monitor of the client; its path.
    async fn monitor(&mut self) -> String {
        self.call(
            public::CONTROLLER_PATH,
            public::CONTROLLER,
            "CreateMonitor",
            &(),
        );
        let path: OwnedObjectPath = self.answer().await.body().deserialize().expect("path");
        path.as_str().to_owned()
    }

    /// Calls a method of the monitor, whose answer is a number.
    async fn number<B: serde::Serialize + DynamicType>(
        &mut self,
        path: &str,
        method: &str,
        body: &B,
    ) -> u32 {
        self.call(path, public::MONITOR, method, body);
        self.answer().await.body().deserialize().expect("number")
    }

    /// The bus says that somebody has left.
    pub(super) fn leaves(&mut self, name: &str) {
        let signal = Message::signal(
            "/org/freedesktop/DBus",
            "org.freedesktop.DBus",
            "NameOwnerChanged",
        )
        .sender("org.freedesktop.DBus")
        .build(&(name, name, ""));
        self.send(signal.expect("built"));
    }
}

fn destination(message: &Message) -> String {
    let header = message.header();
    header.destination().expect("one receiver").to_string()
}

fn words(message: &Message) -> Vec<String> {
    let body = message.body();
    let fields: zbus::wire::Structure<'_> = body.deserialize().expect("fields");
    let words = fields.fields().iter();
    words
        .map(|word| <&str>::try_from(word).expect("text").to_owned())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_monitor_hears_of_the_units_that_it_subscribed_to_and_nobody_else_does() {
    let mut world = World::new(&["a"]);
    let mut agent = world.agent("a").await;
    let path = world.monitor().await;
    assert_eq!(
        world.number(&path, "Subscribe", &("*", "t.service")).await,
        1
    );
    let call = agent.call("Subscribe").await;
    assert_eq!(
        call.body().deserialize::<&str>().expect("unit"),
        "t.service"
    );
    assert!(!link::expects_reply(&call));

    agent.signal("UnitNew", &("t.service", "real"));
    agent.signal(
        "UnitStateChanged",
        &("u.service", "active", "running", "real"),
    );
    agent.signal(
        "UnitStateChanged",
        &("t.service", "active", "running", "real"),
    );
    let new = world.client_next().await;
    assert_eq!(
        (member(&new).as_str(), destination(&new).as_str()),
        ("UnitNew", ":1.7")
    );
    assert_eq!(new.header().path().expect("path").as_str(), path);
    assert_eq!(words(&new), ["a", "t.service", "real"]);
    let state = world.client_next().await;
    assert_eq!(member(&state), "UnitStateChanged");
    assert_eq!(
        words(&state),
        ["a", "t.service", "active", "running", "real"]
    );

    let value = |value: Variant<'_>| OwnedVariant::try_from(value).expect("owned");
    let changed: HashMap<String, OwnedVariant> = [
        ("NRestarts".to_owned(), value(Variant::from(3u32))),
        ("Nested".to_owned(), value(Variant::from(vec![("a", 1u64)]))),
    ]
    .into();
    let sent = ("t.service", systemd::SERVICE, changed.clone());
    agent.signal("UnitPropertiesChanged", &sent);
    let heard = world.client_next().await;
    assert_eq!(member(&heard), "UnitPropertiesChanged");
    assert_eq!(heard.body().signature().to_string_no_parens(), "sssa{sv}");
    let body = heard.body();
    let (node, unit, interface, properties): (&str, &str, &str, HashMap<String, OwnedVariant>) =
        body.deserialize().expect("body");
    assert_eq!(
        (node, unit, interface),
        ("a", "t.service", systemd::SERVICE)
    );
    assert_eq!(properties, changed);
}

#[tokio::test(start_paused = true)]
async fn peers_hear_what_a_monitor_hears_until_they_are_removed_or_leave() {
    let mut world = World::new(&["a"]);
    let mut agent = world.agent("a").await;
    let path = world.monitor().await;
    world
        .number(&path, "SubscribeList", &("a", vec!["*"]))
        .await;
    agent.call("Subscribe").await;
    let first = world.number(&path, "AddPeer", &":1.8").await;
    world.number(&path, "AddPeer", &":1.9").await;
    for told in [":1.7", ":1.9"] {
        world.call(&path, public::MONITOR, "AddPeer", &told);
        let (name, text) = text_of(&world.answer().await);
        assert_eq!(name, error::INVALID_ARGS);
        assert_eq!(text, format!("'{told}' is told already"));
    }
    agent.signal("UnitNew", &("t.service", "real"));
    for name in [":1.7", ":1.8", ":1.9"] {
        assert_eq!(destination(&world.client_next().await), name);
    }
    world.call(&path, public::MONITOR, "RemovePeer", &(first, "enough"));
    let removed = world.client_next().await;
    assert_eq!(destination(&removed), ":1.8");
    assert_eq!(
        removed.body().deserialize::<&str>().expect("reason"),
        "enough"
    );
    world.answer().await;
    world.leaves(":1.9");
    // Answered after the bus was heard.
    world.call(&path, public::MONITOR, "RemovePeer", &(first, ""));
    assert_eq!(text_of(&world.answer().await).0, error::INVALID_ARGS);
    agent.signal("UnitRemoved", &"t.service");
    agent.signal("UnitNew", &("t.service", "real"));
    assert_eq!(destination(&world.client_next().await), ":1.7");
    let next = world.client_next().await;
    assert_eq!(
        (member(&next).as_str(), destination(&next).as_str()),
        ("UnitNew", ":1.7")
    );
}

#[tokio::test(start_paused = true)]
async fn a_monitor_is_closed_by_its_owner_or_with_it() {
    let mut world = World::new(&["a"]);
    let mut agent = world.agent("a").await;
    for leave in [false, true] {
        let path = world.monitor().await;
        world.number(&path, "Subscribe", &("a", "*")).await;
        world.call(&path, public::MONITOR, "Unsubscribe", &7u32);
        assert_eq!(
            text_of(&world.answer().await).0,
            error::NO_SUCH_SUBSCRIPTION
        );
        agent.call("Subscribe").await;
        if leave {
            world.leaves(":1.7");
        } else {
            world.call(&path, public::MONITOR, "Close", &());
            assert_eq!(world.answer().await.message_type(), Type::MethodReturn);
        }
        let call = agent.call("Unsubscribe").await;
        assert_eq!(call.body().deserialize::<&str>().expect("unit"), "*");
        world.call(&path, public::MONITOR, "Close", &());
        assert_eq!(text_of(&world.answer().await).0, error::UNKNOWN_OBJECT);
    }
    let path = world.monitor().await;
    world.number(&path, "Subscribe", &("a", "*")).await;
    agent.call("Subscribe").await;
    world.lose_bus().await;
    agent.call("Unsubscribe").await;
}

#[tokio::test(start_paused = true)]
async fn starts_are_measured_while_metrics_are_enabled() {
    let mut world = World::new(&["a"]);
    let mut agent = world.agent("a").await;
    let introspect = ("org.freedesktop.DBus.Introspectable", "Introspect");
    world.call(public::METRICS_PATH, introspect.0, introspect.1, &());
    assert_eq!(text_of(&world.answer().await).0, error::UNKNOWN_OBJECT);
    let controller = public::CONTROLLER_PATH;
    world.call(controller, public::CONTROLLER, "EnableMetrics", &());
    world.answer().await;
    agent.call("EnableMetrics").await;
    world.call(NODE_A, public::NODE, "StartUnit", &("t.service", "replace"));
    let start = agent.call("StartUnit").await;
    let (_, _, job): (String, String, u32) = start.body().deserialize().expect("body");
    agent.send(link::reply(&start, &()));
    world.answer().await;
    agent.say("JobDone", &(job, "done", "", ""));
    let call = agent.call("GetUnitProperties").await;
    let asked: (String, String) = call.body().deserialize().expect("body");
    assert_eq!(asked, ("t.service".into(), systemd::UNIT.into()));
    let stamps = HashMap::from([
        ("InactiveExitTimestampMonotonic", Variant::from(1000u64)),
        ("ActiveEnterTimestampMonotonic", Variant::from(1250u64)),
    ]);
    agent.send(link::reply(&call, &stamps));
    let measured = world.heard("StartUnitJobMetrics").await;
    let (node, path, unit, _, took): (String, String, String, u64, u64) =
        measured.body().deserialize().expect("body");
    assert_eq!(path, format!("/org/eclipse/bluechi/job/{job}"));
    assert_eq!(
        (node.as_str(), unit.as_str(), took),
        ("a", "t.service", 250)
    );

    agent.send(link::signal(
        internal::METRICS_PATH,
        internal::METRICS,
        "AgentJobMetrics",
        &("t.service", "StartUnit", 77u64),
    ));
    let measured = world.heard("AgentJobMetrics").await;
    let body: (String, String, String, u64) = measured.body().deserialize().expect("body");
    assert_eq!(
        body,
        ("a".into(), "t.service".into(), "StartUnit".into(), 77)
    );

    world.call(controller, public::CONTROLLER, "DisableMetrics", &());
    world.answer().await;
    agent.call("DisableMetrics").await;
    world.call(public::METRICS_PATH, introspect.0, introspect.1, &());
    assert_eq!(text_of(&world.answer().await).0, error::UNKNOWN_OBJECT);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_comes_later_is_told_to_measure_and_what_to_tell() {
    let mut world = World::new(&["a"]);
    let controller = public::CONTROLLER_PATH;
    world.call(controller, public::CONTROLLER, "EnableMetrics", &());
    world.answer().await;
    let path = world.monitor().await;
    world.number(&path, "Subscribe", &("*", "*")).await;
    let mut agent = world.connection().await;
    agent.hello("a", 1);
    for expected in ["", "EnableMetrics", "Subscribe"] {
        assert_eq!(member(&agent.next_but_heartbeats().await), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_is_made_for_a_call_has_a_job_as_any_other() {
    let mut world = World::new(&["a"]);
    let mut agent = world.agent("a").await;
    let properties = vec![
        ("Description", Variant::from("made")),
        ("TasksMax", Variant::from(3u64)),
    ];
    let aux: Vec<(&str, Vec<(&str, Variant<'_>)>)> =
        vec![("x.timer", vec![("A", Variant::from(true))])];
    let body = ("x.service", "fail", properties, aux);
    world.call(NODE_A, public::NODE, "StartTransientUnit", &body);
    let call = agent.call("StartTransientUnit").await;
    assert_eq!(
        call.header().interface().expect("interface"),
        internal::AGENT_OWN
    );
    assert_eq!(
        call.body().signature().to_string_no_parens(),
        "ssa(sv)a(sa(sv))u"
    );
    type Made = Vec<(String, OwnedVariant)>;
    let (unit, mode, made, aux, job): (String, String, Made, Vec<(String, Made)>, u32) =
        call.body().deserialize().expect("body");
    assert_eq!((unit.as_str(), mode.as_str()), ("x.service", "fail"));
    assert_eq!(
        (made[0].0.as_str(), aux[0].0.as_str()),
        ("Description", "x.timer")
    );
    agent.send(link::reply(&call, &()));
    let answer = world.answer().await;
    let path: OwnedObjectPath = answer.body().deserialize().expect("path");
    assert_eq!(path.as_str(), format!("/org/eclipse/bluechi/job/{job}"));
    agent.say("JobDone", &(job, "done", "", ""));
    world.heard("JobRemoved").await;

    let name = "org.freedesktop.systemd1.UnitExists";
    world.call(NODE_A, public::NODE, "StartTransientUnit", &body);
    let call = agent.call("StartTransientUnit").await;
    agent.send(link::error(&call, name, "there is one"));
    assert_eq!(text_of(&world.answer().await).0, name);
}

#[tokio::test(start_paused = true)]
async fn the_journal_is_read_by_the_agent_and_handed_on_as_it_is() {
    let mut world = World::new(&["a"]);
    let mut agent = world.agent("a").await;
    let value = |value: Variant<'_>| OwnedVariant::try_from(value).expect("owned");
    let options = HashMap::from([("Lines".to_owned(), value(Variant::from(3u32)))]);
    let arguments = (vec!["t.service".to_owned()], options);
    world.call(NODE_A, public::NODE_OWN, "ReadJournal", &arguments);
    let call = agent.call("ReadJournal").await;
    let body = call.body();
    let asked: (Vec<String>, HashMap<String, OwnedVariant>) = body.deserialize().expect("body");
    assert_eq!(asked, arguments);
    let line = HashMap::from([("Message".to_owned(), value(Variant::from("hello")))]);
    let said = (vec![line], "s=1".to_owned(), true);
    agent.send(link::reply(&call, &said));
    let answer = world.answer().await;
    let body = answer.body();
    assert_eq!(body.signature().to_string_no_parens(), "aa{sv}sb");
    let heard: (Vec<HashMap<String, OwnedVariant>>, String, bool) =
        body.deserialize().expect("body");
    assert_eq!(heard, said);
}

#[test_case::test_case(0, "which speaks only BlueChi's protocol"; "of BlueChi")]
#[test_case::test_case(2, "which speaks version 2 of the protocol; 3 is needed"; "older")]
#[tokio::test(start_paused = true)]
async fn what_an_agent_does_not_support_is_refused_in_its_name(protocol: u32, which: &'static str) {
    let mut world = World::new(&["a"]);
    let mut agent = world.connection().await;
    agent.hello_of("a", 1, protocol);
    agent.next_but_heartbeats().await;
    world.call(NODE_A, public::NODE_OWN, "UnitFiles", &vec!["t.service"]);
    let (name, text) = text_of(&world.answer().await);
    assert_eq!(name, error::NOT_SUPPORTED);
    assert_eq!(
        text,
        format!("'UnitFiles' is not supported by the agent on a, {which}")
    );
}
