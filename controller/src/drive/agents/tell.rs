//! What agents are told that the core's messages do not say.

use fleet::{Choice, PeerId};
use host::link::{self, CallSerial};
use proto::{dbus::internal, model::JobId, name::UnitName};
use tracing::debug;
use zbus::Message;

use super::{Agents, Waiting};

impl Agents {
    /// Asks an agent to tell of a unit, or not to any more.
    pub(in crate::drive) fn watch(&mut self, id: PeerId, unit: &Choice<UnitName>, on: bool) {
        let (ask, again) = self.watch_adapted(id, unit, on);
        let unit = match unit {
            Choice::All => "*",
            Choice::One(unit) => unit.as_str(),
        };
        if again {
            self.tell(id, "Unsubscribe", &unit);
        }
        if !ask {
            return;
        }
        let member = if on { "Subscribe" } else { "Unsubscribe" };
        self.tell(id, member, &unit);
    }

    /// Agents are to measure jobs, or not any more; those that come later, too.
    pub(in crate::drive) fn measure(&mut self, on: bool) {
        self.measure = on;
        let peers: Vec<PeerId> = self.peers.keys().copied().collect();
        for peer in peers {
            self.tell_measure(peer);
        }
    }

    pub(super) fn tell_measure(&self, id: PeerId) {
        let member = if self.measure {
            "EnableMetrics"
        } else {
            "DisableMetrics"
        };
        self.tell(id, member, &());
    }

    /// Calls a method of BlueChi's agents whose answer says nothing. One that does not know it goes
    /// without.
    pub(super) fn tell<B>(&self, id: PeerId, member: &str, body: &B)
    where
        B: serde::Serialize + zbus::wire::DynamicType,
    {
        if let Some(peer) = self.peers.get(&id) {
            let method = link::Method {
                destination: None,
                path: internal::AGENT_PATH,
                interface: internal::AGENT,
                member,
            };
            let serial = peer.sender.next_serial();
            peer.send_built(link::call_quietly(serial, method, body).map(Some));
        }
    }

    /// Asks an agent for a job with the properties that a client's call brings.
    pub(in crate::drive) fn transient(
        &mut self,
        id: PeerId,
        job: JobId,
        build: impl FnOnce(CallSerial) -> Option<zbus::Result<Message>>,
    ) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        let serial = peer.sender.next_serial();
        match build(serial) {
            Some(Ok(message)) => peer.ask(serial, Waiting::Job(job), Ok(Some(message))),
            // The core hears nothing of the job, and answers the call when its time is over.
            Some(Err(why)) => debug!(error = %why, "call cannot be handed on"),
            None => {}
        }
    }
}
