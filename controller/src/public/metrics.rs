//! How long jobs take: measured here for starts, and told by agents.

use std::{collections::BTreeMap, time::Duration};

use fleet::{ClientId, Input, Job, Request};
use host::link;
use proto::{
    dbus::public,
    model::{JobId, JobKind, JobResult},
    name::NodeName,
    time::Moment,
};
use zbus::{Message, OwnedVariant};

use super::{Open, Public, object::job_path};

/// What is measured.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    pub(super) enabled: bool,
    /// When jobs were announced that are open. The core bounds them.
    begun: BTreeMap<JobId, Moment>,
}

/// A start that is over, about which its unit is being asked.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    job: JobId,
    node: NodeName,
    unit: String,
    took: Duration,
}

impl Measured {
    pub(super) fn unit(&self) -> &str {
        &self.unit
    }
}

impl Metrics {
    pub(super) fn enable(&mut self, on: bool) {
        self.enabled = on;
        if !on {
            self.begun.clear();
        }
    }

    pub(super) fn job_new(&mut self, now: Moment, id: JobId) {
        if self.enabled {
            self.begun.insert(id, now);
        }
    }

    fn job_removed(&mut self, now: Moment, job: &Job, result: JobResult) -> Option<Measured> {
        let took = now.since(self.begun.remove(&job.id)?);
        let measured = self.enabled && job.kind == JobKind::Start && result == JobResult::Done;
        measured.then(|| Measured {
            job: job.id,
            node: job.node.clone(),
            unit: job.unit.as_str().to_owned(),
            took,
        })
    }
}

impl Public {
    /// A job has ended. Where it is to be measured, its unit is asked when it started.
    pub(crate) fn measure(&mut self, now: Moment, job: &Job, result: JobResult) -> Option<Input> {
        let measured = self.metrics.job_removed(now, job, result)?;
        let node = measured.node.clone();
        // Nobody's client, and bounded as the jobs are.
        Some(self.request(
            ClientId(0),
            Request::Forward { node },
            Open::Measure(measured),
        ))
    }

    /// The unit of a start has answered.
    pub(super) fn measured(&self, start: &Measured, answer: &Message) {
        let body = answer.body();
        let Ok(properties) = body.deserialize::<std::collections::HashMap<String, OwnedVariant>>()
        else {
            return;
        };
        let stamp = |name: &str| {
            let value = properties.get(name)?;
            value.downcast_ref::<u64>().ok()
        };
        let (left, entered) = (
            stamp("InactiveExitTimestampMonotonic").unwrap_or(0),
            stamp("ActiveEnterTimestampMonotonic").unwrap_or(0),
        );
        let took = u64::try_from(start.took.as_micros()).unwrap_or(u64::MAX);
        let body = (
            start.node.as_str(),
            job_path(start.job),
            start.unit.as_str(),
            took,
            entered.saturating_sub(left),
        );
        self.emit_metrics("StartUnitJobMetrics", &body);
    }

    /// An agent has measured how long systemd took for a job.
    pub(crate) fn agent_measured(&self, node: &NodeName, said: &Message) {
        let body = said.body();
        let Ok((unit, method, took)) = body.deserialize::<(&str, &str, u64)>() else {
            return;
        };
        let body = (node.as_str(), unit, method, took);
        self.emit_metrics("AgentJobMetrics", &body);
    }

    fn emit_metrics<B>(&self, member: &str, body: &B)
    where
        B: serde::Serialize + zbus::wire::DynamicType,
    {
        if self.metrics.enabled && self.bus.is_some() {
            let path = public::METRICS_PATH;
            self.push(link::signal(path, public::METRICS, member, body));
        }
    }
}
