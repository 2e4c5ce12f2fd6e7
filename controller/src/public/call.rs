//! What a client asks for, parsed once.

use proto::{
    dbus::{error, internal, public},
    model::{JobId, JobKind, JobMode},
    name::{NodeName, UnitName},
};
use zbus::{Message, message::Body, wire::DynamicDeserialize};

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
    /// The claims.
    FleetClaims,
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
    /// A property of an object.
    Get {
        /// The interface.
        interface: String,
        /// The property.
        property: String,
    },
    /// All properties of an interface of an object; of all its interfaces, if it is empty.
    GetAll {
        /// The interface.
        interface: String,
    },
    /// What an object says of itself.
    Introspect,
    /// Whether somebody is there.
    Ping,
    /// Which machine it is.
    MachineId,
}

/// Why a call came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The name of the error.
    pub(crate) name: &'static str,
    /// What it says.
    pub(crate) text: String,
}

impl Failure {
    pub(crate) fn new(name: &'static str, text: impl Into<String>) -> Self {
        Self {
            name,
            text: text.into(),
        }
    }
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

/// Methods that existing clients may call and that are not served, for what they would need.
const NOT_SERVED: [&str; 4] = [
    "CreateMonitor",
    "EnableMetrics",
    "DisableMetrics",
    "StartTransientUnit",
];

/// Reads a call to an object.
pub(crate) fn parse(object: &Object, message: &Message) -> Result<Verb, Failure> {
    let header = message.header();
    let member = header.member().map_or("", |member| member.as_str());
    // A call may leave the interface away, D-Bus specification, "Method Calls".
    let interface = header.interface().map(|interface| interface.as_str());
    let of = |name: &str| interface.is_none_or(|interface| interface == name);
    let body = message.body();
    if let Some(verb) = standard(&of, member, &body)? {
        return Ok(verb);
    }
    let verb = match object {
        Object::Controller if of(public::CONTROLLER) => controller(member, &body)?,
        Object::Node(node) if of(public::NODE) => of_node(node, member, &body)?,
        Object::Job(id) if of(public::JOB) && member == "Cancel" => {
            expect(member, &body, "")?;
            Some(Verb::Cancel(*id))
        }
        Object::Above(_)
        | Object::Controller
        | Object::Nodes
        | Object::Node(_)
        | Object::Jobs
        | Object::Job(_) => None,
    };
    let own = match object {
        Object::Controller if of(public::FLEET) => own_of_controller(member, &body)?,
        Object::Node(node) if of(public::NODE_OWN) && member == "UnitStatus" => {
            expect(member, &body, "as")?;
            Some(Verb::Pass {
                node: node.clone(),
                interface: internal::AGENT_OWN,
                member: "UnitStatus",
            })
        }
        Object::Above(_)
        | Object::Controller
        | Object::Nodes
        | Object::Node(_)
        | Object::Jobs
        | Object::Job(_) => None,
    };
    verb.or(own).ok_or_else(|| {
        let text = match interface {
            Some(interface) => format!("there is no method '{interface}.{member}' here"),
            None => format!("there is no method '{member}' here"),
        };
        Failure::new(error::UNKNOWN_METHOD, text)
    })
}

/// What every object has.
fn standard(of: &dyn Fn(&str) -> bool, member: &str, body: &Body) -> Result<Option<Verb>, Failure> {
    Ok(match member {
        "Get" if of("org.freedesktop.DBus.Properties") => {
            let (interface, property): (&str, &str) = take(member, body)?;
            Some(Verb::Get {
                interface: interface.to_owned(),
                property: property.to_owned(),
            })
        }
        "GetAll" if of("org.freedesktop.DBus.Properties") => {
            let interface: &str = take(member, body)?;
            Some(Verb::GetAll {
                interface: interface.to_owned(),
            })
        }
        "Set" if of("org.freedesktop.DBus.Properties") => {
            return Err(Failure::new(
                "org.freedesktop.DBus.Error.PropertyReadOnly",
                "properties here can only be read",
            ));
        }
        "Introspect" if of("org.freedesktop.DBus.Introspectable") => Some(Verb::Introspect),
        "Ping" if of("org.freedesktop.DBus.Peer") => Some(Verb::Ping),
        "GetMachineId" if of("org.freedesktop.DBus.Peer") => Some(Verb::MachineId),
        _ => None,
    })
}

fn controller(member: &str, body: &Body) -> Result<Option<Verb>, Failure> {
    let plain = |verb| expect(member, body, "").map(|()| Some(verb));
    match member {
        "ListUnits" => plain(Verb::ListUnits),
        "ListUnitFiles" => plain(Verb::ListUnitFiles),
        "ListNodes" => plain(Verb::ListNodes),
        "GetNode" => Ok(Some(Verb::GetNode(take(member, body)?))),
        "SetLogLevel" => Ok(Some(Verb::SetLogLevel(take(member, body)?))),
        other => not_served(other),
    }
}

fn own_of_controller(member: &str, body: &Body) -> Result<Option<Verb>, Failure> {
    let verb = match member {
        "ListNodes" => Verb::FleetNodes,
        "ListClaims" => Verb::FleetClaims,
        "ListUnits" => Verb::FleetUnits,
        _ => return Ok(None),
    };
    expect(member, body, "").map(|()| Some(verb))
}

fn of_node(node: &NodeName, member: &str, body: &Body) -> Result<Option<Verb>, Failure> {
    let kind = match member {
        "StartUnit" => JobKind::Start,
        "StopUnit" => JobKind::Stop,
        "RestartUnit" => JobKind::Restart,
        "ReloadUnit" => JobKind::Reload,
        other => {
            let Some((name, signature)) = PASSED.iter().find(|(name, _)| *name == other) else {
                return not_served(other);
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
    let unit = unit
        .parse()
        .map_err(|error: proto::name::UnitNameError| invalid(error.to_string()))?;
    let mode = mode
        .parse()
        .map_err(|error: proto::model::UnknownWord| invalid(format!("job mode {error}")))?;
    Ok(Some(Verb::Job {
        node: node.clone(),
        kind,
        unit,
        mode,
    }))
}

fn not_served(member: &str) -> Result<Option<Verb>, Failure> {
    if NOT_SERVED.contains(&member) {
        let text = format!("'{member}' is not supported by this controller");
        return Err(Failure::new(error::NOT_SUPPORTED, text));
    }
    Ok(None)
}

/// The arguments of a call.
fn take<'m, T>(member: &str, body: &'m Body) -> Result<T, Failure>
where
    T: DynamicDeserialize<'m>,
{
    body.deserialize().map_err(|error| {
        invalid(format!(
            "arguments of '{member}' are not as they should be: {error}"
        ))
    })
}

/// That a call has arguments of these types.
fn expect(member: &str, body: &Body, signature: &str) -> Result<(), Failure> {
    let found = body.signature().to_string_no_parens();
    if found == signature {
        return Ok(());
    }
    Err(invalid(format!(
        "arguments of '{member}' are of the types '{found}'; expected '{signature}'"
    )))
}

fn invalid(text: impl Into<String>) -> Failure {
    Failure::new(error::INVALID_ARGS, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use host::link::{self, Method};
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
        let call = message(Some(public::CONTROLLER), "CreateMonitor", &());
        let failure = parse(&Object::Controller, &call).expect_err("not served");
        assert_eq!(failure.name, error::NOT_SUPPORTED);
    }

    /// The committed interfaces are what introspection says, so they must be what is served.
    #[test]
    fn every_method_that_is_introspected_is_known() {
        let objects = [
            (
                Object::Controller,
                public::CONTROLLER,
                include_str!("interface/controller.xml"),
            ),
            (
                Object::Controller,
                public::FLEET,
                include_str!("interface/fleet.xml"),
            ),
            (node(), public::NODE, include_str!("interface/node.xml")),
            (
                node(),
                public::NODE_OWN,
                include_str!("interface/node_own.xml"),
            ),
            (
                Object::Job(JobId(1)),
                public::JOB,
                include_str!("interface/job.xml"),
            ),
        ];
        let mut methods = 0;
        for (object, interface, xml) in objects {
            assert!(xml.contains(&format!("<interface name=\"{interface}\">")));
            for line in xml.lines().filter(|line| line.contains("<method name=")) {
                let member = line.split('"').nth(1).expect("name");
                let method = Method {
                    destination: None,
                    path: "/x",
                    interface,
                    member,
                };
                let serial = std::num::NonZeroU32::MIN;
                let call = Message::method_call("/x", member)
                    .interface(method.interface)
                    .serial(serial)
                    .build(&())
                    .expect("built");
                assert!(link::expects_reply(&call));
                let name = parse(&object, &call).map_err(|failure| failure.name);
                assert_ne!(name, Err(error::UNKNOWN_METHOD), "{interface}.{member}");
                methods += 1;
            }
        }
        assert_eq!(methods, 8 + 3 + PASSED.len() + 5 + 1 + 1);
    }
}
