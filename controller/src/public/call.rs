//! What a client asks for, parsed once.

mod passed;
use std::time::Duration;

use fleet::{Choice, MonitorId, MonitorRequest, SubscriptionId};
use host::bus::object::{Failure, Standard, expect, no_method, standard, take};
use proto::{
    dbus::public,
    message::Named,
    model::{JobId, JobKind, JobMode},
    name::{NodeName, UnitName},
};
use zbus::{Message, message::Body, names::UniqueName, wire::Structure};

use super::object::Object;
pub(crate) use passed::protocol_of;

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
    passed::own(node, member, body)
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
        _ => return passed::of_bluechi(node, member, body),
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
mod tests;
