//! Requests for jobs that have a name, and their answers.

use std::time::Duration;

use host::link;
use proto::{
    message::{Named, Standing},
    model::{JobId, JobKind, JobMode},
    name::UnitName,
    wire::{enqueued_to_wire, unit_from_wire},
};
use zbus::{Message, message::Body};

use super::{Calls, Heard, ToAgent, invalid, take};

impl Calls {
    /// A request that has a name.
    pub(super) fn enqueue(&mut self, message: &Message, body: &Body) -> Result<Heard, String> {
        type Asked<'m> = (&'m str, &'m str, &'m str, u32, &'m str, u64);
        let (kind, unit, mode, job, cookie, age): Asked<'_> = take("Enqueue", body)?;
        let fail = |error: &dyn std::error::Error| invalid("Enqueue", error);
        let kind = kind.parse().map_err(|error| fail(&error))?;
        let cookie = cookie.parse().map_err(|error| fail(&error))?;
        let (unit, mode) = match unit_and_mode(unit, mode) {
            Ok(both) => both,
            Err(why) => return Ok(Heard::Invalid(why)),
        };
        let age = Duration::from_micros(age);
        let named = Some(Named { cookie, age });
        Ok(self.job(message, JobId(job), (kind, unit, mode), named))
    }

    /// A job that is asked for; the call is answered when it is known what has become of it.
    pub(super) fn job(
        &mut self,
        message: &Message,
        job: JobId,
        (kind, unit, mode): (JobKind, UnitName, JobMode),
        named: Option<Named>,
    ) -> Heard {
        self.jobs.insert(job, message.clone());
        Heard::Say(ToAgent::Job {
            job,
            kind,
            unit,
            mode,
            named,
        })
    }

    /// Answers the call that asked for a job: there is one for it, the one that was asked for or another.
    pub(super) fn enqueued(
        &mut self,
        asked: JobId,
        job: JobId,
        standing: &Standing,
    ) -> Option<zbus::Result<Message>> {
        let call = self.jobs.remove(&asked).filter(link::expects_reply)?;
        let names_it = call.header().member().is_some_and(|it| it == "Enqueue");
        Some(if names_it {
            link::reply(&call, &enqueued_to_wire(job, standing))
        } else {
            link::reply(&call, &())
        })
    }
}

/// What a client has named; why it is not valid.
pub(super) fn unit_and_mode(unit: &str, mode: &str) -> Result<(UnitName, JobMode), String> {
    let unit = unit_from_wire(unit).map_err(|error| error.to_string())?;
    let mode = mode.parse::<JobMode>().map_err(|error| error.to_string())?;
    Ok((unit, mode))
}
