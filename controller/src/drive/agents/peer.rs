//! One connection of an agent: what is sent on it.

use host::link::{self, CallSerial};
use proto::{message::ToController, model::JobResult};
use tracing::{debug, error};
use zbus::Message;

use super::{Peer, Waiting};
use crate::limits::UNANSWERED_MAX;

impl Peer {
    /// Sends a call whose answer matters.
    pub(super) fn ask(
        &mut self,
        serial: CallSerial,
        waiting: Waiting,
        built: zbus::Result<Option<Message>>,
    ) {
        if self.waiting.len() >= UNANSWERED_MAX {
            debug!("agent leaves too many calls unanswered, breaking off");
            self.sender.abort();
            return;
        }
        if let Waiting::Job(job) = waiting {
            self.asked.insert(job);
        }
        self.waiting.insert(serial, waiting);
        self.send_built(built);
    }

    /// Keeps the failure of a job whose call is still to be answered; hands on all else.
    pub(super) fn keep_early_end(&mut self, said: ToController) -> Option<ToController> {
        if let ToController::JobDone {
            job,
            result: JobResult::Failed,
            reason: Some(_),
        } = said
            && self.asked.contains(&job)
        {
            self.ends.insert(job, said);
            return None;
        }
        Some(said)
    }

    /// It fails when the link has ended, which its reader will say.
    pub(super) fn send(&self, message: Message) {
        let _ = self.sender.try_send(message);
    }

    pub(super) fn send_built(&self, message: zbus::Result<Option<Message>>) {
        match message {
            Ok(Some(message)) => self.send(message),
            Ok(None) => {}
            Err(why) => {
                // Sets are bounded so that they fit into a message, and all else is short.
                error!(error = %why, "message for an agent cannot be made");
                self.sender.abort();
            }
        }
    }

    /// Answers a call, if its caller waits for an answer.
    pub(super) fn reply(&self, call: &Message, build: impl FnOnce() -> zbus::Result<Message>) {
        if link::expects_reply(call) {
            self.send_built(build().map(Some));
        }
    }
}
