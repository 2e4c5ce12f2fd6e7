//! What a client asks for, parsed once.

use std::time::Duration;

use fleet::{Choice, MonitorId, MonitorRequest, SubscriptionId};
use host::bus::object::{Failure, Standard, expect, no_method, standard, take};
use proto::{
    dbus::{internal, public},
    message::{Named, PROTOCOL_READS},
    model::{JobId, JobKind, JobMode},
    name::{NodeName, UnitName},
};
use zbus::{Message, message::Body, names::UniqueName, wire::Structure};

use super::object::Object;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Units of all nodes that answer.
    ListUnits,
    /// Unit files of all nodes that answer.
    ListUnitFiles,
    /// Units of all nodes, and which did not answer.
    FleetUnits,
    /// The nodes, as BlueChi's clients know them.
    ListNodes,
    /// The nodes, with all that is known.
    FleetNodes,
    /// The claims, of one node or of all.
    Claims(Option<NodeName>),
    EndedClaims,
    /// The holds, on one node or on all.
    Holds(Option<NodeName>),
    /// The jobs, with all that is known.
    Jobs,
    /// The jobs of a unit of a node, with those that have ended.
    FindJobs(NodeName, UnitName),
    /// How long calls of this client may wait for a node, in microseconds; 0 is as configured.
    SetCallTimeout(u64),
    /// The path of a node.
    GetNode(String),
    /// Which lines the controller writes into its log.
    SetLogLevel(String),
    /// Do something with a unit.
    Job {
        /// The node.
        node: NodeName,
        /// What to do.
        kind: JobKind,
        /// The unit.
        unit: UnitName,
        /// How to deal with jobs that are queued already.
        mode: JobMode,
        /// What the client calls its request, where it does.
        named: Option<Named>,
    },
    /// A call that goes to the agent of a node as it is.
    Pass {
        /// The node.
        node: NodeName,
        /// The interface of the agent.
        interface: &'static str,
        /// Its method.
        member: &'static str,
    },
    /// Take a job back.
    Cancel(JobId),
    /// Start a unit with properties that the call brings.
    Transient {
        /// The node.
        node: NodeName,
        /// The unit.
        unit: UnitName,
        /// How to deal with jobs that are queued already.
        mode: JobMode,
    },
    /// Something about monitors that the core decides.
    Monitor(MonitorRequest),
    /// End a monitor.
    Close(MonitorId),
    /// Have somebody else told what a monitor is told.
    AddPeer {
        /// The monitor.
        monitor: MonitorId,
        /// The unique name of whoever it is.
        name: String,
    },
    /// Have somebody not told any more.
    RemovePeer {
        /// The monitor.
        monitor: MonitorId,
        /// The number of whoever it is.
        peer: u32,
        /// What they are told about it.
        reason: String,
    },
    /// Read the configuration again, and say what became of it.
    Reload,
    /// What is in force.
    Configuration,
    /// The state, as text.
    Dump,
    /// Whether agents and the controller measure jobs.
    Metrics(bool),
    /// What every object has.
    Standard(Standard),
}

/// Methods of a node that go to its agent as they are, with the signatures of their arguments.
const PASSED: [(&str, &str); 17] = [
    ("FreezeUnit", "s"),
    ("ThawUnit", "s"),
    ("KillUnit", "ssi"),
    ("GetUnitProperties", "ss"),
    ("GetUnitProperty", "sss"),
    ("SetUnitProperties", "sba(sv)"),
    ("EnableUnitFiles", "asbb"),
    ("DisableUnitFiles", "asb"),
    ("ListUnits", ""),
    ("ListUnitFiles", ""),
    ("GetUnitFileState", "s"),
    ("Reload", ""),
    ("SetLogLevel", "s"),
    ("ResetFailed", ""),
    ("ResetFailedUnit", "s"),
    ("GetDefaultTarget", ""),
    ("SetDefaultTarget", "sb"),
];

/// Methods of ours that go to its agent likewise, with the version of the protocol that brought them.
const PASSED_OWN: [(&str, &str, u32); 7] = [
    ("ReloadAgent", "", PROTOCOL_READS),
    ("AgentConfiguration", "", PROTOCOL_READS),
    ("UnitStatus", "as", 1),
    ("ReadProperties", "asas", PROTOCOL_READS),
    ("ListReferences", "", PROTOCOL_READS),
    ("UnitFiles", "as", PROTOCOL_READS),
    ("ReadJournal", "asa{sv}", PROTOCOL_READS),
];

/// The version of the protocol that an agent has to speak so that a call can be passed on to it; 0 is
/// that of BlueChi's agents.
pub(crate) fn protocol_of(interface: &str, member: &str) -> u32 {
    let own = PASSED_OWN.iter().find(|(name, ..)| *name == member);
    match own {
        Some((.., protocol)) if interface == internal::AGENT_OWN => *protocol,
        Some(_) | None => 0,
    }
}

/// Reads a call to an object.
pub(crate) fn parse(object: &Object, message: &Message) -> Result<Verb, Failure> {
    let header = message.header();
    let member = header.member().map_or("", |member| member.as_str());
    // A call may leave the interface away, D-Bus specification, "Method Calls".
    let interface = header.interface().map(|interface| interface.as_str());
    let of = |name: &str| interface.is_none_or(|interface| interface == name);
    let body = message.body();
    if let Some(verb) = standard(message)? {
        return Ok(Verb::Standard(verb));
    }
    let verb = match object {
        Object::Controller if of(public::CONTROLLER) => controller(member, &body)?,
        Object::Node(node) if of(public::NODE) => of_node(node, member, &body)?,
        Object::Job(id) if of(public::JOB) && member == "Cancel" => {
            expect(member, &body, "")?;
            Some(Verb::Cancel(*id))
        }
        Object::Monitor(id) if of(public::MONITOR) => of_monitor(*id, member, &body)?,
        Object::Above(_)
        | Object::Controller
        | Object::Nodes
        | Object::Node(_)
        | Object::Jobs
        | Object::Job(_)
        | Object::Monitors
        | Object::Monitor(_)
        | Object::Metrics => None,
    };
    let own = match object {
        Object::Controller if of(public::FLEET) => own_of_controller(member, &body)?,
        Object::Node(node) if of(public::NODE_OWN) => own_of_node(node, member, &body)?,
        Object::Above(_)
        | Object::Controller
        | Object::Nodes
        | Object::Node(_)
        | Object::Jobs
        | Object::Job(_)
        | Object::Monitors
        | Object::Monitor(_)
        | Object::Metrics => None,
    };
    verb.or(own).ok_or_else(|| no_method(message))
}

fn controller(member: &str, body: &Body) -> Result<Option<Verb>, Failure> {
    let plain = |verb| expect(member, body, "").map(|()| Some(verb));
    match member {
        "ListUnits" => plain(Verb::ListUnits),
        "ListUnitFiles" => plain(Verb::ListUnitFiles),
        "ListNodes" => plain(Verb::ListNodes),
        "GetNode" => Ok(Some(Verb::GetNode(take(member, body)?))),
        "SetLogLevel" => Ok(Some(Verb::SetLogLevel(take(member, body)?))),
        "CreateMonitor" => plain(Verb::Monitor(MonitorRequest::Create)),
        "EnableMetrics" => plain(Verb::Metrics(true)),
        "DisableMetrics" => plain(Verb::Metrics(false)),
        _ => Ok(None),
    }
}

fn own_of_controller(member: &str, body: &Body) -> Result<Option<Verb>, Failure> {
    let verb = match member {
        "ListNodes" => Verb::FleetNodes,
        "ListClaims" => Verb::Claims(None),
        "ListEndedClaims" => Verb::EndedClaims,
        "ListHolds" => Verb::Holds(None),
        "ListJobs" => Verb::Jobs,
        "ListUnits" => Verb::FleetUnits,
        "SetCallTimeout" => return Ok(Some(Verb::SetCallTimeout(take(member, body)?))),
        "Reload" => Verb::Reload,
        "Configuration" => Verb::Configuration,
        "Dump" => Verb::Dump,
        _ => return Ok(None),
    };
    expect(member, body, "").map(|()| Some(verb))
}

fn own_of_node(node: &NodeName, member: &str, body: &Body) -> Result<Option<Verb>, Failure> {
    let list = |verb| expect(member, body, "").map(|()| Some(verb));
    match member {
        "ListClaims" => return list(Verb::Claims(Some(node.clone()))),
        "ListHolds" => return list(Verb::Holds(Some(node.clone()))),
        "Enqueue" => return enqueue(node, member, body).map(Some),
        "FindJobs" => {
            let unit: &str = take(member, body)?;
            let unit = unit
                .parse()
                .map_err(|error: proto::name::UnitNameError| Failure::invalid(error.to_string()))?;
            return Ok(Some(Verb::FindJobs(node.clone(), unit)));
        }
        _ => {}
    }
    let Some((name, signature, _)) = PASSED_OWN.iter().find(|(name, ..)| *name == member) else {
        return Ok(None);
    };
    expect(member, body, signature)?;
    Ok(Some(Verb::Pass {
        node: node.clone(),
        interface: internal::AGENT_OWN,
        member: name,
    }))
}

/// A request for a job that has a name, so that it can be repeated.
fn enqueue(node: &NodeName, member: &str, body: &Body) -> Result<Verb, Failure> {
    let (kind, unit, mode, cookie, age): (&str, &str, &str, &str, u64) = take(member, body)?;
    let kind = kind.parse().map_err(|error: proto::model::UnknownWord| {
        Failure::invalid(format!("kind of a job {error}"))
    })?;
    let (unit, mode) = unit_and_mode(unit, mode)?;
    let cookie = cookie
        .parse()
        .map_err(|error: proto::model::CookieError| Failure::invalid(error.to_string()))?;
    let age = Duration::from_micros(age);
    Ok(Verb::Job {
        node: node.clone(),
        kind,
        unit,
        mode,
        named: Some(Named { cookie, age }),
    })
}

fn of_monitor(monitor: MonitorId, member: &str, body: &Body) -> Result<Option<Verb>, Failure> {
    let verb = match member {
        "Subscribe" => {
            let (node, unit): (&str, &str) = take(member, body)?;
            subscription(monitor, node, &[unit])?
        }
        "SubscribeList" => {
            let (node, units): (&str, Vec<&str>) = take(member, body)?;
            subscription(monitor, node, &units)?
        }
        "Unsubscribe" => {
            let number = SubscriptionId(take(member, body)?);
            Verb::Monitor(MonitorRequest::Unsubscribe(monitor, number))
        }
        "Close" => {
            expect(member, body, "")?;
            Verb::Close(monitor)
        }
        "AddPeer" => {
            let name: &str = take(member, body)?;
            let name = UniqueName::try_from(name).map_err(|_| {
                Failure::invalid(format!(
                    "'{name}' is no unique name of a bus, such as ':1.7'"
                ))
            })?;
            let name = name.to_string();
            Verb::AddPeer { monitor, name }
        }
        "RemovePeer" => {
            let (peer, reason): (u32, &str) = take(member, body)?;
            let reason = reason.to_owned();
            Verb::RemovePeer {
                monitor,
                peer,
                reason,
            }
        }
        _ => return Ok(None),
    };
    Ok(Some(verb))
}

/// A subscription; `*` is every node, and every unit.
fn subscription(monitor: MonitorId, node: &str, units: &[&str]) -> Result<Verb, Failure> {
    let node = match node {
        "*" => Choice::All,
        name => Choice::One(
            name.parse()
                .map_err(|error: proto::name::NodeNameError| Failure::invalid(error.to_string()))?,
        ),
    };
    let units = units.iter().map(|unit| match *unit {
        "*" => Ok(Choice::All),
        name => name
            .parse()
            .map(Choice::One)
            .map_err(|error: proto::name::UnitNameError| Failure::invalid(error.to_string())),
    });
    let units = units.collect::<Result<_, _>>()?;
    Ok(Verb::Monitor(MonitorRequest::Subscribe {
        monitor,
        node,
        units,
    }))
}

fn of_node(node: &NodeName, member: &str, body: &Body) -> Result<Option<Verb>, Failure> {
    let kind = match member {
        "StartUnit" => JobKind::Start,
        "StopUnit" => JobKind::Stop,
        "RestartUnit" => JobKind::Restart,
        "ReloadUnit" => JobKind::Reload,
        "StartTransientUnit" => {
            expect(member, body, "ssa(sv)a(sa(sv))")?;
            let body: Structure<'_> = take(member, body)?;
            let text = |at: usize| {
                let field = body.fields().get(at);
                field
                    .and_then(|field| <&str>::try_from(field).ok())
                    .unwrap_or_default()
            };
            let (unit, mode) = unit_and_mode(text(0), text(1))?;
            let node = node.clone();
            return Ok(Some(Verb::Transient { node, unit, mode }));
        }
        other => {
            let Some((name, signature)) = PASSED.iter().find(|(name, _)| *name == other) else {
                return Ok(None);
            };
            expect(member, body, signature)?;
            return Ok(Some(Verb::Pass {
                node: node.clone(),
                interface: internal::AGENT,
                member: name,
            }));
        }
    };
    let (unit, mode): (&str, &str) = take(member, body)?;
    let (unit, mode) = unit_and_mode(unit, mode)?;
    Ok(Some(Verb::Job {
        node: node.clone(),
        kind,
        unit,
        mode,
        named: None,
    }))
}

fn unit_and_mode(unit: &str, mode: &str) -> Result<(UnitName, JobMode), Failure> {
    let unit = unit
        .parse()
        .map_err(|error: proto::name::UnitNameError| Failure::invalid(error.to_string()))?;
    let mode = mode.parse().map_err(|error: proto::model::UnknownWord| {
        Failure::invalid(format!("job mode {error}"))
    })?;
    Ok((unit, mode))
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let Ok(Verb::Monitor(MonitorRequest::Subscribe { node, units, .. })) =
            parse(&monitor, &call)
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
}
