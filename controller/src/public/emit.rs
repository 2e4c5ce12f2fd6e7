//! What goes out: signals and answers, in one queue.

use fleet::{FleetStatus, Job};
use host::{
    bus::object::{self, Failure, facts, variant},
    link,
};
use proto::{
    dbus::{error, public},
    model::{JobId, JobResult, JobState, NodeStatus, Reason},
    name::NodeName,
    time::Moment,
};
use zbus::{Message, wire::ObjectPath};

use super::{
    Configuration, Public,
    object::{job_path, node_path},
};

impl Public {
    /// There is a new job.
    pub(crate) fn job_new(&mut self, now: Moment, id: JobId) {
        self.metrics.job_new(now, id);
        let path = ObjectPath::from_string_unchecked(job_path(id));
        self.emit(public::CONTROLLER, "JobNew", &(id.0, path));
    }

    /// A job is at work, or not.
    pub(crate) fn job_state(&self, id: JobId, state: JobState) {
        self.changed(&job_path(id), public::JOB, "State", state.as_str());
    }

    /// A job has ended.
    pub(crate) fn job_removed(&self, job: &Job, result: JobResult, reason: Option<&Reason>) {
        let (node, unit, result) = (job.node.as_str(), job.unit.as_str(), result.as_str());
        let cause = reason.map_or("", |reason| reason.cause.as_str());
        let text = reason.map_or("", |reason| reason.text.as_str());
        let finished = (job.id.0, node, unit, result, cause, text);
        self.emit(public::FLEET, "JobFinished", &finished);
        let path = ObjectPath::from_string_unchecked(job_path(job.id));
        let removed = (job.id.0, path, node, unit, result);
        self.emit(public::CONTROLLER, "JobRemoved", &removed);
    }

    /// A node is online or offline now.
    pub(crate) fn node_status(&self, node: &NodeName, status: NodeStatus) {
        self.changed(&node_path(node), public::NODE, "Status", status.as_str());
    }

    /// The fleet stands otherwise now.
    pub(crate) fn fleet_status(&self, status: FleetStatus) {
        let word = status.as_str();
        self.changed(public::CONTROLLER_PATH, public::CONTROLLER, "Status", word);
    }

    /// The configuration was read again, or is another one.
    pub(super) fn configuration_changed(&self) {
        let Configuration {
            warnings,
            digest,
            last,
            ..
        } = &self.configuration;
        let properties = facts([
            ("Warnings", variant(warnings.clone())),
            ("LastReload", variant(last.facts())),
            ("ConfigDigest", variant(digest.to_string())),
        ]);
        if self.bus.is_some() {
            let path = public::CONTROLLER_PATH;
            self.push(object::changed(path, public::FLEET, properties));
        }
    }

    fn changed(
        &self,
        path: &str,
        interface: &'static str,
        property: &'static str,
        value: &'static str,
    ) {
        let properties = facts([(property, variant(value))]);
        self.push(object::changed(path, interface, properties));
    }

    fn emit<B>(&self, interface: &str, member: &str, body: &B)
    where
        B: serde::Serialize + zbus::wire::DynamicType,
    {
        if self.bus.is_some() {
            self.push(link::signal(
                public::CONTROLLER_PATH,
                interface,
                member,
                body,
            ));
        }
    }

    pub(crate) fn reply<B>(&self, call: &Message, body: &B)
    where
        B: serde::Serialize + zbus::wire::DynamicType,
    {
        if link::expects_reply(call) {
            self.send(link::reply(call, body), call);
        }
    }

    pub(crate) fn refuse(&self, call: &Message, failure: &Failure) {
        self.send(link::error(call, failure.name, &failure.text), call);
    }

    /// Sends the answer to a call, or says that it could not be made.
    pub(super) fn send(&self, answer: zbus::Result<Message>, call: &Message) {
        if !link::expects_reply(call) {
            return;
        }
        match answer {
            Ok(answer) => self.push(Ok(answer)),
            Err(why) => {
                let text = format!("the answer cannot be put into a message: {why}");
                self.push(link::error(call, error::FAILED, &text));
            }
        }
    }

    pub(super) fn push(&self, message: zbus::Result<Message>) {
        match (&self.bus, message) {
            (Some(bus), Ok(message)) => {
                // It fails when the connection has ended, which its reader will say.
                let _ = bus.try_send(message);
            }
            (None, Ok(_)) => {}
            (_, Err(why)) => tracing::error!(error = %why, "message for the bus cannot be made"),
        }
    }
}
