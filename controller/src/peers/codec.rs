//! Messages of agents as values, and back. `docs/design/wire.md` has the table.

use std::collections::HashMap;

use fleet::{Occasion, UnitNews};
use host::link::{self, CallSerial, Method};
use proto::{
    dbus::internal,
    message::{ClaimKey, Hello, Named, Standing, Stream, ToAgent, ToController},
    model::{JobId, JobKind, JobResult, JobState, Reason},
    name::{NodeName, UnitName},
    wire::{
        EnqueuedBody, Facts, JobBody, NeedsBody, StatesBody, WaitsBody, WireError,
        enqueued_from_wire, hello_from_wire, jobs_from_wire, needs_from_wire, needs_to_wire,
        states_from_wire, states_to_wire, timeouts_to_wire, unit_from_wire, waits_from_wire,
        welcome_to_wire,
    },
};
use thiserror::Error;
use zbus::{Message, Variant, message::Type, wire::OwnedObjectPath};

/// What a connection may begin with.
#[derive(Debug)]
pub(crate) enum First {
    /// An agent says its name.
    Hello(Hello),
    /// A client asks the bus for its name, as many libraries do on any connection.
    BusHello,
    /// It asks whether somebody is there.
    Ping,
}

/// What a registered agent has said.
#[derive(Debug)]
pub(crate) enum Heard {
    /// Something for the core.
    Say(ToController),
    /// Something for the core that it acknowledges, and the call is answered by that.
    Set(Stream, ToController),
    /// What happened to a unit. The properties that have changed are in the message.
    Unit(UnitName, UnitNews),
    /// How long a job took.
    Measured,
    /// An order; the call is answered when it is carried out.
    Order {
        /// What to do.
        kind: JobKind,
        /// The node.
        node: NodeName,
        /// The unit.
        unit: UnitName,
    },
    /// An agent of BlueChi's announces a proxy.
    ProxyNew {
        /// The node.
        node: String,
        /// The unit.
        unit: String,
        /// The object that is told how it stands.
        path: String,
    },
    /// A proxy of BlueChi's is gone.
    ProxyRemoved {
        /// The node.
        node: String,
        /// The unit.
        unit: String,
    },
    /// The answer to a call of ours.
    Answer(CallSerial),
    /// It asks whether somebody is there.
    Ping,
    /// A call that nobody knows.
    Unknown,
    /// A signal that is of no use here.
    Nothing,
}

/// A message that breaks the protocol.
#[derive(Debug, Error)]
pub(crate) enum CodecError {
    /// The first message is something else than a registration.
    #[error("began with {0} instead of a registration")]
    NotRegistered(String),
    /// A body of another type.
    #[error("sent a body of '{member}' that cannot be read: {error}")]
    Body {
        /// The member.
        member: String,
        /// What is wrong.
        error: zbus::Error,
    },
    /// A body with something that is not valid.
    #[error("sent a body of '{member}' that is not valid: {error}")]
    Value {
        /// The member.
        member: String,
        /// What is wrong.
        error: WireError,
    },
}

/// Reads a message of a connection that has not registered.
pub(crate) fn read_first(message: &Message) -> Result<First, CodecError> {
    let header = message.header();
    let member = header.member().map_or("", |member| member.as_str());
    let interface = header.interface().map_or("", |it| it.as_str());
    match (message.message_type(), interface, member) {
        (Type::MethodCall, internal::CONTROLLER_OWN, "Hello") => {
            let body = message.body();
            let (name, facts): (String, Facts) = take(member, &body)?;
            let hello = hello_from_wire(&name, &facts).map_err(|error| value(member, error))?;
            Ok(First::Hello(hello))
        }
        (Type::MethodCall, internal::CONTROLLER, "Register") => {
            let body = message.body();
            let name: &str = take(member, &body)?;
            let node = name
                .parse()
                .map_err(|error| value(member, WireError::Node(error)))?;
            Ok(First::Hello(Hello {
                node,
                protocol: 0,
                version: String::new(),
                boot_id: String::new(),
                incarnation: 0,
            }))
        }
        (Type::MethodCall, "org.freedesktop.DBus", "Hello") => Ok(First::BusHello),
        (Type::MethodCall, "org.freedesktop.DBus.Peer", "Ping") => Ok(First::Ping),
        (kind, _, _) => {
            let what = format!("{kind:?} '{interface}.{member}'");
            Err(CodecError::NotRegistered(what))
        }
    }
}

/// Reads a message of an agent that has registered.
pub(crate) fn read(message: &Message) -> Result<Heard, CodecError> {
    if let Some(serial) = link::answers(message) {
        return Ok(Heard::Answer(serial));
    }
    let header = message.header();
    let member = header.member().map_or("", |member| member.as_str());
    let interface = header.interface().map_or("", |it| it.as_str());
    let body = message.body();
    match (message.message_type(), interface, member) {
        (Type::Signal, internal::AGENT, "Heartbeat") => Ok(Heard::Say(ToController::Heartbeat)),
        (Type::Signal, internal::AGENT, "JobDone") => {
            let (job, result): (u32, &str) = take(member, &body)?;
            Ok(Heard::Say(ToController::JobDone {
                job: JobId(job),
                result: job_result(result),
                reason: None,
            }))
        }
        (Type::Signal, internal::AGENT, "JobStateChanged") => {
            let (job, state): (u32, &str) = take(member, &body)?;
            Ok(match state.parse::<JobState>() {
                Ok(state) => Heard::Say(ToController::JobState {
                    job: JobId(job),
                    state,
                }),
                // systemd may have more states than the two that clients know.
                Err(_) => Heard::Nothing,
            })
        }
        (Type::Signal, internal::AGENT, "UnitNew") => {
            let (unit, reason): (&str, &str) = take(member, &body)?;
            Ok(of_unit(unit, UnitNews::New(occasion(reason))))
        }
        (Type::Signal, internal::AGENT, "UnitRemoved") => {
            let unit: &str = take(member, &body)?;
            Ok(of_unit(unit, UnitNews::Removed(Occasion::Real)))
        }
        (Type::Signal, internal::AGENT, "UnitStateChanged") => {
            let (unit, active, sub, reason): (&str, &str, &str, &str) = take(member, &body)?;
            let news = UnitNews::State {
                active: active.to_owned(),
                sub: sub.to_owned(),
                occasion: occasion(reason),
            };
            Ok(of_unit(unit, news))
        }
        (Type::Signal, internal::AGENT, "UnitPropertiesChanged") => {
            let (unit, _, _): (&str, &str, HashMap<&str, Variant<'_>>) = take(member, &body)?;
            Ok(of_unit(unit, UnitNews::Properties))
        }
        (Type::Signal, internal::AGENT, "ProxyNew") => {
            let (node, unit, path): (String, String, OwnedObjectPath) = take(member, &body)?;
            let path = path.as_str().to_owned();
            Ok(Heard::ProxyNew { node, unit, path })
        }
        (Type::Signal, internal::AGENT, "ProxyRemoved") => {
            let (node, unit) = take(member, &body)?;
            Ok(Heard::ProxyRemoved { node, unit })
        }
        (Type::Signal, internal::METRICS, "AgentJobMetrics") => Ok(Heard::Measured),
        (Type::MethodCall, internal::CONTROLLER_OWN, "JobDone") => {
            let (job, result, cause, text): (u32, &str, &str, &str) = take(member, &body)?;
            let reason = match cause {
                "" => None,
                cause => {
                    let cause = cause
                        .parse()
                        .map_err(|error| value(member, WireError::Word(error)))?;
                    Some(Reason::new(cause, text))
                }
            };
            Ok(Heard::Say(ToController::JobDone {
                job: JobId(job),
                result: job_result(result),
                reason,
            }))
        }
        (Type::MethodCall, internal::CONTROLLER_OWN, "Jobs") => {
            let jobs: Vec<JobBody> = take(member, &body)?;
            let jobs = jobs_from_wire(&jobs).map_err(|error| value(member, error))?;
            Ok(Heard::Say(ToController::Jobs(jobs)))
        }
        (Type::MethodCall, internal::CONTROLLER_OWN, "Goodbye") => {
            Ok(Heard::Say(ToController::Goodbye))
        }
        (Type::MethodCall, internal::CONTROLLER_OWN, "Claims") => {
            let needs: NeedsBody = take(member, &body)?;
            let delta = needs_from_wire(&needs).map_err(|error| value(member, error))?;
            Ok(Heard::Set(Stream::Claims, ToController::Claims(delta)))
        }
        (Type::MethodCall, internal::CONTROLLER_OWN, "HoldStates") => {
            let states: StatesBody = take(member, &body)?;
            let delta = states_from_wire(&states).map_err(|error| value(member, error))?;
            let message = ToController::HoldStates(delta);
            Ok(Heard::Set(Stream::HoldStates, message))
        }
        (Type::MethodCall, internal::CONTROLLER_OWN, "Waits") => {
            let waits: WaitsBody = take(member, &body)?;
            let delta = waits_from_wire(&waits).map_err(|error| value(member, error))?;
            Ok(Heard::Set(Stream::Waits, ToController::Waits(delta)))
        }
        (Type::MethodCall, internal::CONTROLLER_OWN, "Reloaded") => {
            let unit: &str = take(member, &body)?;
            let unit = unit_from_wire(unit).map_err(|error| value(member, error))?;
            Ok(Heard::Say(ToController::Reloaded(unit)))
        }
        (Type::MethodCall, internal::CONTROLLER_OWN, "Order") => {
            let (kind, node, unit): (&str, &str, &str) = take(member, &body)?;
            let fail = |error| value(member, error);
            Ok(Heard::Order {
                kind: kind.parse().map_err(|e| fail(WireError::Word(e)))?,
                node: node.parse().map_err(|e| fail(WireError::Node(e)))?,
                unit: unit.parse().map_err(|e| fail(WireError::Unit(e)))?,
            })
        }
        (Type::MethodCall, "org.freedesktop.DBus.Peer", "Ping") => Ok(Heard::Ping),
        (Type::MethodCall, _, _) => Ok(Heard::Unknown),
        (Type::Signal | Type::MethodReturn | Type::Error, _, _) => Ok(Heard::Nothing),
    }
}

/// Reads the answer to a call that asked for a job: the job that there is, where the call was `Enqueue`.
pub(crate) fn read_enqueued(answer: &Message) -> Result<Option<(JobId, Standing)>, CodecError> {
    let body = answer.body();
    if body.data().is_empty() {
        return Ok(None);
    }
    let enqueued: EnqueuedBody = take("Enqueue", &body)?;
    let read = enqueued_from_wire(&enqueued);
    read.map(Some).map_err(|error| value("Enqueue", error))
}

/// What happened to a unit. systemd tells of names that it would not take itself, which is no breach.
fn of_unit(unit: &str, news: UnitNews) -> Heard {
    match unit.parse() {
        Ok(unit) => Heard::Unit(unit, news),
        Err(_) => Heard::Nothing,
    }
}

fn occasion(word: &str) -> Occasion {
    match word {
        "virtual" => Occasion::Virtual,
        _ => Occasion::Real,
    }
}

/// The result of a job as an agent says it. One that is not known is a failure, whatever it means.
fn job_result(text: &str) -> JobResult {
    match text {
        "cancelled" => JobResult::Canceled,
        text => text.parse().unwrap_or(JobResult::Failed),
    }
}

/// Writes what an agent is told, except for answers to its own calls: those need the call. `serial`
/// is that of a call whose answer is waited for.
pub(crate) fn write(
    message: &ToAgent,
    serial: impl FnOnce() -> CallSerial,
) -> zbus::Result<Option<Message>> {
    let own = |member| Method {
        destination: None,
        path: internal::AGENT_PATH,
        interface: internal::AGENT_OWN,
        member,
    };
    Ok(Some(match message {
        ToAgent::Heartbeat => link::signal(
            internal::CONTROLLER_PATH,
            internal::CONTROLLER,
            "Heartbeat",
            &(),
        )?,
        ToAgent::ClaimStates(delta) => {
            link::call(serial(), own("ClaimStates"), &states_to_wire(delta))?
        }
        ToAgent::Holds(delta) => link::call(serial(), own("Holds"), &needs_to_wire(delta))?,
        ToAgent::Job {
            job,
            kind,
            unit,
            mode,
            named: Some(Named { cookie, age }),
        } => {
            let age = u64::try_from(age.as_micros()).unwrap_or(u64::MAX);
            let cookie = cookie.to_string();
            let (kind, unit, mode) = (kind.as_str(), unit.as_str(), mode.as_str());
            let body = (kind, unit, mode, job.0, cookie.as_str(), age);
            link::call(serial(), own("Enqueue"), &body)?
        }
        ToAgent::Job {
            job,
            kind,
            unit,
            mode,
            named: None,
        } => {
            let method = agent(match kind {
                JobKind::Start => "StartUnit",
                JobKind::Stop => "StopUnit",
                JobKind::Restart => "RestartUnit",
                JobKind::Reload => "ReloadUnit",
            });
            link::call(serial(), method, &(unit.as_str(), mode.as_str(), job.0))?
        }
        ToAgent::Reloaded(ClaimKey { node, unit }) => {
            let body = (node.as_str(), unit.as_str());
            link::call_quietly(serial(), own("Reloaded"), &body)?
        }
        ToAgent::StartTimeouts(timeouts) => {
            let method = own("StartTimeouts");
            link::call_quietly(serial(), method, &timeouts_to_wire(timeouts))?
        }
        ToAgent::CancelJob(job) => link::call_quietly(serial(), agent("JobCancel"), &job.0)?,
        ToAgent::Welcome(_)
        | ToAgent::Rejected(_)
        | ToAgent::Acknowledged(..)
        | ToAgent::JobHeard(_)
        | ToAgent::Ordered { .. } => return Ok(None),
    }))
}

/// A method of an agent, as BlueChi's have it.
pub(crate) fn agent(member: &str) -> Method<'_> {
    Method {
        destination: None,
        path: internal::AGENT_PATH,
        interface: internal::AGENT,
        member,
    }
}

/// The answer to a registration.
pub(crate) fn write_welcome(
    call: &Message,
    legacy: bool,
    welcome: &proto::message::Welcome,
) -> zbus::Result<Message> {
    if legacy {
        link::reply(call, &())
    } else {
        link::reply(call, &welcome_to_wire(welcome))
    }
}

fn take<'m, T>(member: &str, body: &'m zbus::message::Body) -> Result<T, CodecError>
where
    T: zbus::wire::DynamicDeserialize<'m>,
{
    body.deserialize().map_err(|error| CodecError::Body {
        member: member.to_owned(),
        error,
    })
}

fn value(member: &str, error: WireError) -> CodecError {
    CodecError::Value {
        member: member.to_owned(),
        error,
    }
}
