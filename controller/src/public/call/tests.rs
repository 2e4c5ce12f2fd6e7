use super::{
    passed::{PASSED, PASSED_OWN},
    *,
};
use proto::{dbus::error, interface};
use zbus::wire::DynamicType;

fn message<B: serde::Serialize + DynamicType>(
    interface: Option<&str>,
    member: &str,
    body: &B,
) -> Message {
    let builder = Message::method_call("/x", member);
    match interface {
        Some(interface) => builder.interface(interface).build(body),
        None => builder.build(body),
    }
    .expect("built")
}

fn node() -> Object {
    Object::Node("a".parse().expect("name"))
}

#[test]
fn a_call_may_leave_the_interface_away() {
    let call = message(None, "ListNodes", &());
    assert_eq!(parse(&Object::Controller, &call), Ok(Verb::ListNodes));
    let call = message(Some(public::FLEET), "ListNodes", &());
    assert_eq!(parse(&Object::Controller, &call), Ok(Verb::FleetNodes));
}

#[test]
fn names_and_modes_are_checked_at_the_door() {
    let start = |unit: &str, mode: &str| {
        let call = message(Some(public::NODE), "StartUnit", &(unit, mode));
        parse(&node(), &call)
    };
    assert!(start("a.service", "replace").is_ok());
    assert_eq!(
        start("a", "replace").expect_err("no suffix").name,
        error::INVALID_ARGS
    );
    assert_eq!(
        start("a.service", "x").expect_err("no mode").name,
        error::INVALID_ARGS
    );
}

#[test]
fn a_request_with_a_name_says_whether_it_is_repeated() {
    let call = |cookie: &str, age: u64| {
        let body = ("restart", "a.service", "replace", cookie, age);
        let call = message(Some(public::NODE_OWN), "Enqueue", &body);
        parse(&node(), &call)
    };
    let Ok(Verb::Job { kind, named, .. }) = call(&"0f".repeat(16), 1_500_000) else {
        panic!("no job");
    };
    assert_eq!(kind, JobKind::Restart);
    let cookie = proto::model::Cookie([15; 16]);
    let age = Duration::from_millis(1_500);
    assert_eq!(named, Some(Named { cookie, age }));
    let failure = call("0f", 0).expect_err("too short");
    assert_eq!(failure.name, error::INVALID_ARGS);
}

#[test]
fn arguments_of_another_type_are_refused() {
    let call = message(Some(public::NODE), "KillUnit", &("a.service", 9));
    let failure = parse(&node(), &call).expect_err("too few");
    assert_eq!(
        failure.text,
        "arguments of 'KillUnit' are of the types 'si'; expected 'ssi'"
    );
}

#[test]
fn what_is_not_there_is_said_to_be_so() {
    let call = message(Some(public::NODE), "ListNodes", &());
    assert_eq!(
        parse(&node(), &call).expect_err("unknown").name,
        error::UNKNOWN_METHOD
    );
}

#[test]
fn stars_mean_all() {
    let monitor = Object::Monitor(MonitorId(1));
    let call = message(
        Some(public::MONITOR),
        "SubscribeList",
        &("*", vec!["a.service", "*"]),
    );
    let Ok(Verb::Monitor(MonitorRequest::Subscribe { node, units, .. })) = parse(&monitor, &call)
    else {
        panic!("no subscription");
    };
    assert_eq!(node, Choice::All);
    let unit = "a.service".parse().expect("name");
    assert_eq!(units, [Choice::All, Choice::One(unit)].into());
    let call = message(Some(public::MONITOR), "Subscribe", &("*", "a"));
    assert_eq!(
        parse(&monitor, &call).expect_err("no unit").name,
        error::INVALID_ARGS
    );
    let call = message(Some(public::MONITOR), "AddPeer", &"org.example");
    assert_eq!(
        parse(&monitor, &call).expect_err("no unique name").name,
        error::INVALID_ARGS
    );
}

/// The committed interfaces are what introspection says, so they must be what is served.
#[test]
fn every_method_that_is_introspected_is_known_and_takes_what_it_says() {
    let objects = [
        (Object::Controller, interface::CONTROLLER),
        (Object::Controller, interface::FLEET),
        (node(), interface::NODE),
        (node(), interface::NODE_OWN),
        (Object::Job(JobId(1)), interface::JOB),
        (Object::Monitor(MonitorId(1)), interface::MONITOR),
    ];
    let mut methods = 0;
    for (object, interface) in objects {
        for (member, signature) in interface.methods() {
            let call = message(Some(interface.name), member, &());
            let result = parse(&object, &call);
            if signature.is_empty() {
                result.expect(member);
            } else {
                // It wants arguments, and says which where it only passes them on.
                let failure = result.expect_err(member);
                assert_eq!(failure.name, error::INVALID_ARGS, "{member}");
                if let Some((_, expected)) = failure.text.split_once("; expected ") {
                    assert_eq!(expected, format!("'{signature}'"), "{member}");
                }
            }
            methods += 1;
        }
    }
    assert_eq!(
        methods,
        8 + 10 + PASSED.len() + 5 + PASSED_OWN.len() + 4 + 1 + 6
    );
}
