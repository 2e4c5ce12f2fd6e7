//! Messages of the controller as values, and back. `docs/design/wire.md` has the table.

mod request;

use std::collections::BTreeMap;

use host::link::{self, CallSerial, LinkSender, Method};
use node::ManagerError;
use proto::{
    dbus::{error, internal},
    message::{ClaimKey, OrderId, PROTOCOL_JOBS, Standing, ToController},
    model::{Cause, JobId, JobKind, JobState, Reason},
    name::UnitName,
    sync::Generation,
    wire::{
        Facts, NeedsBody, StatesBody, TimeoutsBody, hello_to_wire, jobs_to_wire, needs_from_wire,
        needs_to_wire, states_from_wire, states_to_wire, timeouts_from_wire, unit_from_wire,
        waits_to_wire, welcome_from_wire,
    },
};
use zbus::{
    Message,
    message::{Body, Type},
    wire::{DynamicDeserialize, Structure},
};

use super::{Stream, ToAgent};
use crate::{
    public::Asked,
    systemd::{Watching, Which},
};
use request::unit_and_mode;

/// What the controller has said.
#[derive(Debug)]
pub(super) enum Heard {
    /// Something for the core.
    Say(ToAgent),
    /// A call that systemd answers.
    Pass,
    /// A call for lines of the journal.
    ReadJournal,
    /// Something about the agent itself.
    Asked(Asked),
    /// It asks whether somebody is there.
    Ping,
    /// The level of the log is to be another one.
    LogLevel(String),
    /// It wants to hear of units, or not any more.
    Watch(Watching),
    /// Jobs are to be measured, or not any more.
    Measure(bool),
    /// A call that BlueChi's agents know and this one does not.
    NotSupported,
    /// A call with an argument that is not valid.
    Invalid(String),
    /// A call of something else.
    UnknownObject,
    /// A call that nobody knows.
    Unknown,
    /// Something that is of no use here.
    Nothing,
}

/// Calls of a connection that are not answered, on both sides.
#[derive(Debug, Default)]
pub(super) struct Calls {
    hello: Option<CallSerial>,
    /// Sets that were told; at most one message of each is on the way.
    claims: Option<(CallSerial, Generation)>,
    hold_states: Option<(CallSerial, Generation)>,
    waits: Option<(CallSerial, Generation)>,
    /// Sets that were heard and are to be acknowledged.
    claim_states: Option<Message>,
    holds: Option<Message>,
    /// Orders that are not carried out. The core bounds them.
    orders: BTreeMap<CallSerial, OrderId>,
    /// Whether the controller acknowledges ends of jobs.
    acknowledges: bool,
    /// Ends of jobs that were told and are not acknowledged. The core bounds them.
    ends: BTreeMap<CallSerial, JobId>,
    /// Jobs that systemd has not queued. The core bounds them.
    jobs: BTreeMap<JobId, Message>,
    refused: Option<(JobId, ManagerError)>,
    /// A unit that is made for a job, while the core takes in that it is to be started.
    made: Option<(UnitName, Message)>,
}

impl Calls {
    /// systemd has refused a job.
    pub(super) fn refused(&mut self, job: JobId, error: ManagerError) {
        self.refused = Some((job, error));
    }

    /// Messages about sets that were not acknowledged.
    pub(super) fn unacknowledged(&mut self) -> impl Iterator<Item = Message> {
        [self.holds.take(), self.claim_states.take()]
            .into_iter()
            .flatten()
    }

    /// Writes what the controller is told.
    pub(super) fn write(
        &mut self,
        message: &ToController,
        sender: &LinkSender,
    ) -> zbus::Result<Vec<Message>> {
        let serial = sender.next_serial();
        Ok(match message {
            ToController::Hello(hello) => {
                self.hello = Some(serial);
                vec![link::call(
                    serial,
                    controller("Hello"),
                    &hello_to_wire(hello),
                )?]
            }
            ToController::Goodbye => {
                vec![link::call_quietly(serial, controller("Goodbye"), &())?]
            }
            ToController::Heartbeat => vec![signal("Heartbeat", &())?],
            ToController::Claims(delta) => {
                self.claims = Some((serial, delta.generation));
                vec![link::call(
                    serial,
                    controller("Claims"),
                    &needs_to_wire(delta),
                )?]
            }
            ToController::HoldStates(delta) => {
                self.hold_states = Some((serial, delta.generation));
                vec![link::call(
                    serial,
                    controller("HoldStates"),
                    &states_to_wire(delta),
                )?]
            }
            ToController::Waits(delta) => {
                self.waits = Some((serial, delta.generation));
                vec![link::call(
                    serial,
                    controller("Waits"),
                    &waits_to_wire(delta),
                )?]
            }
            ToController::Acknowledged(stream, _) => {
                let call = match stream {
                    Stream::Holds => self.holds.take(),
                    Stream::ClaimStates => self.claim_states.take(),
                    Stream::Claims | Stream::HoldStates | Stream::Waits => None,
                };
                call.iter()
                    .map(|call| link::reply(call, &()))
                    .collect::<Result<_, _>>()?
            }
            ToController::Jobs(jobs) => {
                let body = jobs_to_wire(jobs);
                vec![link::call_quietly(serial, controller("Jobs"), &body)?]
            }
            ToController::Order {
                order,
                kind,
                node,
                unit,
            } => {
                self.orders.insert(serial, *order);
                let body = (kind.as_str(), node.as_str(), unit.as_str());
                vec![link::call(serial, controller("Order"), &body)?]
            }
            ToController::Reloaded(unit) => {
                let method = controller("Reloaded");
                vec![link::call_quietly(serial, method, &unit.as_str())?]
            }
            ToController::JobState {
                job,
                state: JobState::Waiting,
            } => {
                let standing = Standing::Open(JobState::Waiting);
                let answer = self.enqueued(*job, *job, &standing).transpose()?;
                answer.into_iter().collect()
            }
            ToController::JobIs {
                asked,
                job,
                standing,
            } => {
                let answer = self.enqueued(*asked, *job, standing).transpose()?;
                answer.into_iter().collect()
            }
            ToController::JobState { job, state } => {
                vec![signal("JobStateChanged", &(job.0, state.as_str()))?]
            }
            ToController::JobDone {
                job,
                result,
                reason,
            } => {
                let (cause, text) = match reason {
                    Some(reason) => (reason.cause.as_str(), reason.text.as_str()),
                    None => ("", ""),
                };
                let body = (job.0, result.as_str(), cause, text);
                let done = if self.acknowledges {
                    self.ends.insert(serial, *job);
                    link::call(serial, controller("JobDone"), &body)?
                } else {
                    link::call_quietly(serial, controller("JobDone"), &body)?
                };
                // First the end, with its reason; the error then belongs to a job that is over.
                let error = self.jobs.remove(job).filter(link::expects_reply);
                let error = error
                    .map(|call| self.error(*job, &call, text))
                    .transpose()?;
                [Some(done), error].into_iter().flatten().collect()
            }
        })
    }

    /// Reads what the controller says.
    ///
    /// # Errors
    ///
    /// Says how it breaks the protocol.
    pub(super) fn read(&mut self, message: &Message) -> Result<Heard, String> {
        if let Some(serial) = link::answers(message) {
            return self.answered(serial, message);
        }
        let header = message.header();
        let member = header.member().map_or("", |it| it.as_str());
        let interface = header.interface().map_or("", |it| it.as_str());
        let path = header.path().map_or("", |it| it.as_str());
        let body = message.body();
        match (message.message_type(), interface, member) {
            (Type::Signal, internal::CONTROLLER, "Heartbeat") => Ok(Heard::Say(ToAgent::Heartbeat)),
            (Type::Signal | Type::MethodReturn | Type::Error, _, _) => Ok(Heard::Nothing),
            (Type::MethodCall, "org.freedesktop.DBus.Peer", "Ping") => Ok(Heard::Ping),
            (Type::MethodCall, _, _) if path != internal::AGENT_PATH => Ok(Heard::UnknownObject),
            (Type::MethodCall, internal::AGENT_OWN, "Holds") => {
                let needs: NeedsBody = take(member, &body)?;
                let delta = needs_from_wire(&needs).map_err(|error| invalid(member, &error))?;
                self.holds = Some(message.clone());
                Ok(Heard::Say(ToAgent::Holds(delta)))
            }
            (Type::MethodCall, internal::AGENT_OWN, "ClaimStates") => {
                let states: StatesBody = take(member, &body)?;
                let delta = states_from_wire(&states).map_err(|error| invalid(member, &error))?;
                self.claim_states = Some(message.clone());
                Ok(Heard::Say(ToAgent::ClaimStates(delta)))
            }
            (
                Type::MethodCall,
                internal::AGENT_OWN,
                "UnitStatus" | "ReadProperties" | "ListReferences" | "UnitFiles",
            ) => Ok(Heard::Pass),
            (Type::MethodCall, internal::AGENT_OWN, "ReloadAgent") => {
                Ok(Heard::Asked(Asked::Reload))
            }
            (Type::MethodCall, internal::AGENT_OWN, "AgentConfiguration") => {
                Ok(Heard::Asked(Asked::Configuration))
            }
            (Type::MethodCall, internal::AGENT_OWN, "ReadJournal") => Ok(Heard::ReadJournal),
            (Type::MethodCall, internal::AGENT_OWN, "Reloaded") => {
                let (node, unit): (&str, &str) = take(member, &body)?;
                let node = node.parse().map_err(|error| invalid(member, &error))?;
                let unit = unit_from_wire(unit).map_err(|error| invalid(member, &error))?;
                Ok(Heard::Say(ToAgent::Reloaded(ClaimKey { node, unit })))
            }
            (Type::MethodCall, internal::AGENT_OWN, "StartTimeouts") => {
                let timeouts: TimeoutsBody = take(member, &body)?;
                let timeouts = timeouts_from_wire(&timeouts);
                let timeouts = timeouts.map_err(|error| invalid(member, &error))?;
                Ok(Heard::Say(ToAgent::StartTimeouts(timeouts)))
            }
            (Type::MethodCall, internal::AGENT_OWN, "Enqueue") => self.enqueue(message, &body),
            (Type::MethodCall, internal::AGENT_OWN, "StartTransientUnit") => {
                let made: Structure<'_> = take(member, &body)?;
                self.made(message, &made)
            }
            (Type::MethodCall, internal::AGENT, member) => self.agent(member, message, &body),
            (Type::MethodCall, _, _) => Ok(Heard::Unknown),
        }
    }

    /// A method of BlueChi's agents.
    fn agent(&mut self, member: &str, message: &Message, body: &Body) -> Result<Heard, String> {
        let kind = match member {
            "StartUnit" => JobKind::Start,
            "StopUnit" => JobKind::Stop,
            "RestartUnit" => JobKind::Restart,
            "ReloadUnit" => JobKind::Reload,
            "JobCancel" => {
                let id: u32 = take(member, body)?;
                return Ok(Heard::Say(ToAgent::CancelJob(JobId(id))));
            }
            "SetLogLevel" => return Ok(Heard::LogLevel(take(member, body)?)),
            "Subscribe" | "Unsubscribe" => {
                let which = match take::<&str>(member, body)? {
                    "*" => Which::All,
                    unit => match unit_from_wire(unit) {
                        Ok(unit) => Which::One(unit),
                        Err(error) => return Ok(Heard::Invalid(error.to_string())),
                    },
                };
                return Ok(Heard::Watch(match member {
                    "Subscribe" => Watching::Begin(which),
                    _ => Watching::End(which),
                }));
            }
            "EnableMetrics" => return Ok(Heard::Measure(true)),
            "DisableMetrics" => return Ok(Heard::Measure(false)),
            // What a controller of BlueChi's does with these, the holds do here.
            "StartDep" | "StopDep" => return Ok(Heard::NotSupported),
            "ListUnits" | "ListUnitFiles" | "GetUnitFileState" | "FreezeUnit" | "ThawUnit"
            | "KillUnit" | "GetUnitProperties" | "GetUnitProperty" | "SetUnitProperties"
            | "EnableUnitFiles" | "DisableUnitFiles" | "Reload" | "ResetFailed"
            | "ResetFailedUnit" | "GetDefaultTarget" | "SetDefaultTarget"
            | "StartTransientUnit" => return Ok(Heard::Pass),
            _ => return Ok(Heard::Unknown),
        };
        let (unit, mode, job): (&str, &str, u32) = take(member, body)?;
        // What an operator typed comes through here, so it is no breach.
        let (unit, mode) = match unit_and_mode(unit, mode) {
            Ok(both) => both,
            Err(why) => return Ok(Heard::Invalid(why)),
        };
        Ok(self.job(message, JobId(job), (kind, unit, mode), None))
    }

    /// A start of a unit that the message brings.
    fn made(&mut self, message: &Message, body: &Structure<'_>) -> Result<Heard, String> {
        let [unit, mode, _, _, job] = body.fields() else {
            return Err("the controller sent a unit without a job".to_owned());
        };
        let (Ok(unit), Ok(mode), Ok(job)) = (
            <&str>::try_from(unit),
            <&str>::try_from(mode),
            u32::try_from(job),
        ) else {
            return Err("the controller sent a unit that cannot be read".to_owned());
        };
        let (unit, mode) = match unit_and_mode(unit, mode) {
            Ok(both) => both,
            Err(why) => return Ok(Heard::Invalid(why)),
        };
        let job = JobId(job);
        self.jobs.insert(job, message.clone());
        self.made = Some((unit.clone(), message.clone()));
        let kind = JobKind::Start;
        Ok(Heard::Say(ToAgent::Job {
            job,
            kind,
            unit,
            mode,
            named: None,
        }))
    }

    /// What the unit is made of whose start the core asks for while it takes in a message.
    pub(super) fn take_made(&mut self, unit: &UnitName) -> Option<Message> {
        self.made
            .take_if(|(made, _)| made == unit)
            .map(|(_, message)| message)
    }

    /// The core has taken in the message.
    pub(super) fn drop_made(&mut self) {
        self.made = None;
    }

    /// The controller has answered a call.
    fn answered(&mut self, serial: CallSerial, message: &Message) -> Result<Heard, String> {
        let is_error = message.message_type() == Type::Error;
        if self.hello == Some(serial) {
            self.hello = None;
            if is_error {
                return Ok(Heard::Say(ToAgent::Rejected(rejection(message))));
            }
            let body = message.body();
            let facts: Facts = take("Hello", &body)?;
            let welcome = welcome_from_wire(&facts).map_err(|error| invalid("Hello", &error))?;
            self.acknowledges = welcome.protocol >= PROTOCOL_JOBS;
            return Ok(Heard::Say(ToAgent::Welcome(welcome)));
        }
        if let Some(job) = self.ends.remove(&serial) {
            return Ok(if is_error {
                Heard::Nothing
            } else {
                Heard::Say(ToAgent::JobHeard(job))
            });
        }
        if let Some(order) = self.orders.remove(&serial) {
            let result = if is_error {
                let ManagerError { text, .. } = crate::systemd::error_of(message);
                Err(Reason::new(Cause::Manager, text))
            } else {
                let body = message.body();
                match take::<(&str, &str)>("Order", &body)? {
                    ("", _) => Ok(()),
                    (cause, text) => {
                        let cause = cause.parse().map_err(|error| invalid("Order", &error))?;
                        Err(Reason::new(cause, text))
                    }
                }
            };
            return Ok(Heard::Say(ToAgent::Ordered { order, result }));
        }
        let sets = [
            (Stream::Claims, &mut self.claims),
            (Stream::HoldStates, &mut self.hold_states),
            (Stream::Waits, &mut self.waits),
        ];
        for (stream, set) in sets {
            let Some((_, generation)) = set.take_if(|(sent, _)| *sent == serial) else {
                continue;
            };
            if is_error {
                let ManagerError { text, .. } = crate::systemd::error_of(message);
                return Err(format!(
                    "the controller refused a message about a set: {text}"
                ));
            }
            return Ok(Heard::Say(ToAgent::Acknowledged(stream, generation)));
        }
        Ok(Heard::Nothing)
    }

    /// The error that answers the call of a job that was never queued.
    fn error(&mut self, job: JobId, call: &Message, text: &str) -> zbus::Result<Message> {
        match self.refused.take_if(|(refused, _)| *refused == job) {
            Some((_, error)) => link::error(call, &error.name, &error.text),
            None => link::error(call, error::FAILED, text),
        }
    }
}

/// Why a controller does not want this node.
fn rejection(message: &Message) -> Reason {
    let ManagerError { name, text } = crate::systemd::error_of(message);
    let cause = match name.as_str() {
        error::ACCESS_DENIED => Cause::NotAllowed,
        error::INVALID_ARGS => Cause::InvalidName,
        _ => Cause::Limit,
    };
    Reason::new(cause, text)
}

fn controller(member: &str) -> Method<'_> {
    Method {
        destination: None,
        path: internal::CONTROLLER_PATH,
        interface: internal::CONTROLLER_OWN,
        member,
    }
}

fn signal<B>(member: &str, body: &B) -> zbus::Result<Message>
where
    B: serde::Serialize + zbus::wire::DynamicType,
{
    link::signal(internal::AGENT_PATH, internal::AGENT, member, body)
}

/// Reads a body; one of another type breaks the protocol.
fn take<'m, T: DynamicDeserialize<'m>>(member: &str, body: &'m Body) -> Result<T, String> {
    body.deserialize().map_err(|error| invalid(member, &error))
}

fn invalid(member: &str, error: &dyn std::error::Error) -> String {
    format!("the controller sent a body of '{member}' that is not valid: {error}")
}
