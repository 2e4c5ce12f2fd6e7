//! What a controller tells of a job.

use std::{collections::HashMap, time::Duration};

use proto::model::JobId;
use zbus::{
    Message, OwnedVariant,
    wire::{OwnedObjectPath, Type as _},
};

use crate::{
    bus,
    command::job_id,
    fault::Fault,
    jobs::{Ended, Told},
};

pub(super) type Facts = HashMap<String, OwnedVariant>;

/// The job in the answer to a request for one: its facts, or its path, where the request had no name.
pub(super) fn of_answer(answer: &Message) -> Result<Told, Fault> {
    let asked = "a request for a job";
    if *answer.body().signature() == *OwnedObjectPath::SIGNATURE {
        let path: OwnedObjectPath = bus::read(answer, asked)?;
        let job = job_id(path.as_str()).ok_or_else(|| Fault::Answer {
            asked,
            cause: format!("'{path}' is no path of a job"),
        })?;
        return Ok(Told { job, ended: None });
    }
    let facts: Facts = bus::read(answer, asked)?;
    read(&facts).ok_or_else(|| Fault::Answer {
        asked,
        cause: "the job has no number".to_owned(),
    })
}

/// The job that these are the facts of.
pub(super) fn read(facts: &Facts) -> Option<Told> {
    let job = number(facts)?;
    let ended = (text(facts, "State") == "ended").then(|| Ended {
        result: text(facts, "Result").to_owned(),
        cause: text(facts, "Cause").to_owned(),
        text: text(facts, "Reason").to_owned(),
    });
    Some(Told { job, ended })
}

pub(super) fn number(facts: &Facts) -> Option<JobId> {
    let id = facts.get("Id")?;
    u32::try_from(id).ok().map(JobId)
}

pub(super) fn age(facts: &Facts) -> Option<Duration> {
    let age = facts.get("AgeUSec")?;
    u64::try_from(age).ok().map(Duration::from_micros)
}

pub(super) fn text<'a>(facts: &'a Facts, key: &str) -> &'a str {
    let value = facts.get(key);
    value
        .and_then(|value| <&str>::try_from(value).ok())
        .unwrap_or_default()
}
