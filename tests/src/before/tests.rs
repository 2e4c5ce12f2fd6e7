use std::{collections::HashMap, num::NonZeroU32};

use test_case::test_case;
use zbus::{Variant, message::Flags};

use super::*;

const CONTROLLER: (&str, &str) = (
    "/org/eclipse/bluechi/internal",
    "org.unitlink.internal.Controller1",
);
const AGENT: (&str, &str) = (
    "/org/eclipse/bluechi/internal/agent",
    "org.eclipse.bluechi.internal.Agent",
);
const AGENT_OWN: (&str, &str) = (AGENT.0, "org.unitlink.internal.Agent1");

fn call<B>((path, interface): (&str, &str), member: &str, body: &B) -> Message
where
    B: serde::Serialize + zbus::wire::DynamicType,
{
    let call = Message::method_call(path, member).interface(interface);
    let serial = NonZeroU32::new(7).unwrap();
    call.serial(serial).build(body).unwrap()
}

type State<'a> = (&'a str, &'a str, &'a str, &'a str, &'a str, &'a str);

/// How one claim stands.
fn states(state: &str, cause: &str) -> Message {
    let put: Vec<State<'_>> = vec![("a", "u.service", "0f", state, cause, "")];
    call(
        AGENT_OWN,
        "ClaimStates",
        &(1_u64, true, put, Vec::<(&str, &str)>::new()),
    )
}

fn facts(names: &[&'static str]) -> HashMap<&'static str, Variant<'static>> {
    let fact = |name: &&'static str| {
        let value = match *name {
            "protocol" => Variant::from(4_u32),
            "incarnation" | "start_timeout_us" => Variant::from(1_u64),
            _ => Variant::from("word"),
        };
        (*name, value)
    };
    names.iter().map(fact).collect()
}

const FACTS: &[&str] = &["protocol", "version", "boot_id", "incarnation", "news"];

#[test_case(Side::Controller, call(AGENT, "StartUnit", &("u.service", "replace", 5_u32)); "a job")]
#[test_case(Side::Agent, call(CONTROLLER, "JobDone", &(5_u32, "done", "", "")); "its end")]
#[test_case(Side::Agent, call(CONTROLLER, "Hello", &("a", facts(FACTS))); "a hello, with a fact that is new")]
#[test_case(Side::Controller, states("up", ""); "a state")]
#[test_case(Side::Controller, states("down", "unit-died"); "a state with a cause")]
#[test_case(Side::Controller, call(AGENT, "Reload", &()); "a call without arguments")]
#[test_case(Side::Controller, call(("/", "org.freedesktop.DBus.Peer"), "Ping", &()); "a ping")]
fn what_was_said_before_is_known(side: Side, message: Message) {
    assert_eq!(Conversation::default().say(side, &message), Ok(()));
}

type Request<'a> = (&'a str, &'a str, &'a str, u32, &'a str, u64);
const REQUEST: Request<'_> = ("start", "u.service", "replace", 5, "0f", 0);

#[test_case(Side::Controller, call(AGENT_OWN, "Enqueue", &REQUEST), "no such member"; "a member of later")]
#[test_case(Side::Controller, call(AGENT, "Holds", &()), "no such member"; "one of another interface")]
#[test_case(Side::Controller, call(("/", AGENT.1), "Reload", &()), "it is on /org"; "one of another object")]
#[test_case(Side::Agent, call(AGENT, "Reload", &()), "for the other side"; "what the other side says")]
#[test_case(Side::Controller, call(AGENT, "StartUnit", &("u.service", "replace", 5_u32, "0f")),
    "are 'ssus', not 'ssu'"; "an argument more")]
#[test_case(Side::Agent, call(CONTROLLER, "Hello", &("a", facts(&FACTS[1..]))), "no fact 'protocol'"; "a fact less")]
#[test_case(Side::Controller, states("down", "unit-sad"), "'unit-sad' is no cause"; "a cause of later")]
#[test_case(Side::Controller, states("sad", ""), "'sad' is no state"; "a state of later")]
#[test_case(Side::Agent, call(CONTROLLER, "JobDone", &(5_u32, "sad", "", "")), "is no result"; "a result of later")]
fn what_did_not_exist_is_found(side: Side, message: Message, why: &str) {
    let said = Conversation::default().say(side, &message);
    assert!(said.as_ref().is_err_and(|it| it.contains(why)), "{said:?}");
}

#[test]
fn an_answer_has_the_types_of_its_call() {
    let mut conversation = Conversation::default();
    let order = call(CONTROLLER, "Order", &("stop", "b", "u.service"));
    for (answer, is_known) in [
        (("", ""), true),
        (("limit", "too many"), true),
        (("unit-sad", "why"), false),
    ] {
        conversation.say(Side::Agent, &order).unwrap();
        let answer = Message::method_return(&order.header()).build(&answer);
        let said = conversation.say(Side::Controller, &answer.unwrap());
        assert_eq!(said.is_ok(), is_known, "{said:?}");
    }
    conversation.say(Side::Agent, &order).unwrap();
    let short = Message::method_return(&order.header()).build(&"done");
    let said = conversation.say(Side::Controller, &short.unwrap());
    assert!(said.is_err_and(|it| it.contains("are 's', not 'ss'")));
    assert!(conversation.asked.is_empty(), "each is answered");
}

#[test]
fn a_call_that_nobody_answers_is_not_waited_for() {
    let mut conversation = Conversation::default();
    let (path, interface) = CONTROLLER;
    let goodbye = Message::method_call(path, "Goodbye")
        .interface(interface)
        .with_flags(Flags::NO_REPLY_EXPECTED);
    conversation
        .say(Side::Agent, &goodbye.build(&()).unwrap())
        .unwrap();
    assert!(conversation.asked.is_empty());
}

/// So a client of the version before, such as its `ctl`, works with the daemons of this one.
#[test]
fn all_that_clients_of_before_use_on_the_bus_is_still_there() {
    let now = proto::interface::ALL.iter().map(|it| it.elements());
    let now = Document::parse(&now.collect::<String>());
    let before = Document::public4();
    assert!(before.members().len() > 100, "all of it was read");
    for was in before.members() {
        let is = now.find(&was.interface, &was.name, was.kind);
        let is = is.unwrap_or_else(|| panic!("{}.{} is gone", was.interface, was.name));
        assert_eq!((&is.takes, &is.gives), (&was.takes, &was.gives), "{is:?}");
    }
}
