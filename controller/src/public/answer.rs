//! What is handed on to agents, and what comes of it.

use fleet::{Answer, Fleet, RequestError, RequestId};
use host::{
    bus::object::Failure,
    link::{self, CallSerial, Method},
};
use proto::{
    dbus::{error, internal, systemd},
    model::JobId,
    time::Moment,
};
use zbus::{
    Message, Variant,
    wire::{ObjectPath, Structure},
};

use super::{
    Open, Public, body,
    gather::Gather,
    object::{job_path, monitor_path},
    standing,
};

impl Public {
    /// The call that is to be handed on to an agent.
    pub(crate) fn forward(
        &self,
        id: RequestId,
        serial: CallSerial,
    ) -> Option<zbus::Result<Message>> {
        let method = |interface, member| Method {
            destination: None,
            path: internal::AGENT_PATH,
            interface,
            member,
        };
        match self.open.get(&id)? {
            Open::Pass {
                call,
                interface,
                member,
            } => {
                let method = method(interface, member);
                Some(body::copy(call, |body| body.call(serial, method)))
            }
            Open::Part { kind, .. } => {
                let method = method(internal::AGENT, Gather::member(*kind));
                Some(link::call(serial, method, &()))
            }
            Open::Measure(start) => {
                let method = method(internal::AGENT, "GetUnitProperties");
                Some(link::call(serial, method, &(start.unit(), systemd::UNIT)))
            }
            Open::Core(_) | Open::Enqueue(_) => None,
        }
    }

    /// The call that asks an agent of ours for a job with the properties that a client's call brings.
    pub(crate) fn transient(
        &self,
        id: RequestId,
        job: JobId,
        serial: CallSerial,
    ) -> Option<zbus::Result<Message>> {
        let Open::Core(call) = self.open.get(&id)? else {
            return None;
        };
        let method = Method {
            destination: None,
            path: internal::AGENT_PATH,
            interface: internal::AGENT_OWN,
            member: "StartTransientUnit",
        };
        let said = call.body();
        let body = said.deserialize::<Structure<'_>>();
        let body = body.and_then(|body| body::around(None, body, Some(Variant::from(job.0))));
        Some(body.and_then(|body| link::call(serial, method, &body)))
    }

    /// The core answers a call; `handed_on` is what the agent said.
    pub(crate) fn answer(
        &mut self,
        id: RequestId,
        result: Result<Answer, RequestError>,
        handed_on: Option<Message>,
        (fleet, now): (&Fleet, Moment),
    ) {
        let Some(open) = self.open.remove(&id) else {
            return;
        };
        match (open, result) {
            (Open::Enqueue(call), Ok(Answer::Job(job))) => {
                self.reply(&call, &standing::job(fleet, job, now));
            }
            (Open::Core(call) | Open::Enqueue(call) | Open::Pass { call, .. }, Err(why)) => {
                let name = body::error_name_of(&why);
                self.send(link::error(&call, name, &why.to_string()), &call);
            }
            (Open::Core(call) | Open::Enqueue(call) | Open::Pass { call, .. }, Ok(answer)) => {
                match answer {
                    Answer::Job(job) => {
                        let path = ObjectPath::from_string_unchecked(job_path(job));
                        self.reply(&call, &path);
                    }
                    Answer::Canceling => self.reply(&call, &()),
                    Answer::Monitor(id) => {
                        let owner = call.header().sender().map(ToString::to_string);
                        self.audiences.open(id, owner.unwrap_or_default());
                        let path = ObjectPath::from_string_unchecked(monitor_path(id));
                        self.reply(&call, &path);
                    }
                    Answer::Subscription(id) => self.reply(&call, &id.0),
                    Answer::Done => self.reply(&call, &()),
                    Answer::Forwarded => match handed_on {
                        Some(answer) => self.send(body::hand_back(&call, &answer), &call),
                        None => self.refuse(&call, &not_handed_on()),
                    },
                }
            }
            (Open::Measure(start), Ok(_)) => {
                if let Some(answer) = handed_on {
                    self.measured(&start, &answer);
                }
            }
            // Its unit or node is gone, and with it what there was to measure.
            (Open::Measure(_), Err(_)) => {}
            (Open::Part { gather, node, .. }, result) => {
                if let Some(list) = self.gathers.get_mut(&gather) {
                    match (result, handed_on) {
                        (Ok(_), Some(answer)) => list.answered(node, answer),
                        (Ok(_), None) => {
                            let failure = not_handed_on();
                            list.failed(node, failure.name, failure.text);
                        }
                        (Err(why), _) => {
                            list.failed(node, body::error_name_of(&why), why.to_string());
                        }
                    }
                    self.finish_gather(gather);
                }
            }
        }
    }

    pub(super) fn finish_gather(&mut self, id: u64) {
        if self.gathers.get(&id).is_some_and(Gather::is_complete)
            && let Some(gather) = self.gathers.remove(&id)
        {
            let call = gather.call().clone();
            tracing::debug!(kind = ?gather.kind(), "list of the fleet is complete");
            self.send(gather.finish(), &call);
        }
    }
}

fn not_handed_on() -> Failure {
    Failure::new(error::FAILED, "the call could not be handed on to the node")
}
