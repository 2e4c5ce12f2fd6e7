//! The jobs of one agent: they outlive connections, and ends are kept until they are acknowledged.

use std::collections::BTreeMap;

use anyhow::Result;
use host::link::{self, CallSerial, LinkSender};
use proto::{
    message::{KnownJob, Standing},
    model::{Cookie, JobId, JobKind, JobMode, JobResult, JobState},
    name::UnitName,
    wire::jobs_to_wire,
};
use tokio::time::Instant;

use super::agent::{controller, emit};

/// Ends that are remembered; a real agent keeps them for a minute.
const ENDS_MAX: usize = 4096;

/// The jobs that an agent knows.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    known: BTreeMap<u32, Known>,
    /// Calls that tell an end and are not answered.
    calls: BTreeMap<CallSerial, u32>,
}

#[derive(Clone, Debug)]
struct Known {
    /// What the client calls its request, where it does.
    cookie: Option<Cookie>,
    kind: JobKind,
    unit: UnitName,
    since: Instant,
    ended: Option<JobResult>,
    heard: bool,
}

impl Jobs {
    /// Whether it is new.
    pub(super) fn begin(
        &mut self,
        id: u32,
        (kind, unit): (JobKind, UnitName),
        cookie: Option<Cookie>,
    ) -> bool {
        if self.known.contains_key(&id) {
            return false;
        }
        if self.known.len() >= ENDS_MAX {
            self.known.retain(|_, job| !job.heard);
        }
        let job = Known {
            cookie,
            kind,
            unit,
            since: Instant::now(),
            ended: None,
            heard: false,
        };
        self.known.insert(id, job);
        true
    }

    /// The job that was made for a request, and how it stands.
    pub(super) fn of(&self, cookie: Cookie) -> Option<(JobId, Standing)> {
        let mut known = self.known.iter();
        let (id, job) = known.find(|(_, job)| job.cookie == Some(cookie))?;
        let standing = match job.ended {
            Some(result) => Standing::Ended(result, None),
            None => Standing::Open(JobState::Running),
        };
        Some((JobId(*id), standing))
    }

    /// A job is known: what is known of it is said again.
    pub(super) fn say_again(&mut self, sender: &LinkSender, id: u32) -> Result<()> {
        match self.known.get(&id).and_then(|job| job.ended) {
            Some(result) => self.tell_end(sender, id, result),
            None => emit(sender, "JobStateChanged", &(id, "running")),
        }
    }

    /// A job has ended, in whichever state the connection is.
    pub(super) fn ended(&mut self, sender: &LinkSender, id: u32, result: JobResult) -> Result<()> {
        if let Some(job) = self.known.get_mut(&id) {
            job.ended = Some(result);
        }
        self.tell_end(sender, id, result)
    }

    fn tell_end(&mut self, sender: &LinkSender, id: u32, result: JobResult) -> Result<()> {
        let serial = sender.next_serial();
        let body = (id, result.as_str(), "", "");
        self.calls.insert(serial, id);
        let call = link::call(serial, controller("JobDone"), &body)?;
        Ok(sender.try_send(call)?)
    }

    /// Whether the answer was one to an end.
    pub(super) fn answered(&mut self, serial: CallSerial) -> bool {
        let id = self.calls.remove(&serial);
        if let Some(job) = id.and_then(|id| self.known.get_mut(&id)) {
            job.heard = true;
        }
        id.is_some()
    }

    /// A connection begins: what is known is told.
    pub(super) fn tell(&mut self, sender: &LinkSender) -> Result<()> {
        self.calls.clear();
        if self.known.is_empty() {
            return Ok(());
        }
        let known = self.known.iter().map(|(id, job)| KnownJob {
            job: JobId(*id),
            kind: job.kind,
            unit: job.unit.clone(),
            mode: JobMode::Replace,
            age: job.since.elapsed(),
            standing: match job.ended {
                Some(result) if job.heard => Standing::Ended(result, None),
                Some(_) | None => Standing::Open(JobState::Running),
            },
        });
        let known: Vec<_> = known.collect();
        let serial = sender.next_serial();
        let call = link::call_quietly(serial, controller("Jobs"), &jobs_to_wire(&known))?;
        sender.try_send(call)?;
        let ends = self.known.iter().filter(|(_, job)| !job.heard);
        let ends: Vec<_> = ends
            .filter_map(|(id, job)| Some((*id, job.ended?)))
            .collect();
        for (id, result) in ends {
            self.tell_end(sender, id, result)?;
        }
        Ok(())
    }
}
