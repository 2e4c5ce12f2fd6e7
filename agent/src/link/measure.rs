//! How long systemd takes for the jobs of the controller, while it wants to know.

use std::collections::BTreeMap;

use host::link;
use node::limits::JOBS_MAX;
use proto::{
    dbus::internal,
    message::ToAgent,
    model::{JobId, JobKind},
    name::UnitName,
};
use tokio::time::Instant;
use zbus::Message;

/// Jobs that are measured.
#[derive(Debug, Default)]
pub(super) struct Measures {
    enabled: bool,
    begun: BTreeMap<JobId, (Instant, UnitName, JobKind)>,
}

impl Measures {
    pub(super) fn enable(&mut self, on: bool) {
        self.enabled = on;
        if !on {
            self.begun.clear();
        }
    }

    /// The controller has said something; it may begin a job.
    pub(super) fn heard(&mut self, message: &ToAgent) {
        if let ToAgent::Job {
            job, kind, unit, ..
        } = message
            && self.enabled
            && self.begun.len() < JOBS_MAX
        {
            self.begun
                .insert(*job, (Instant::now(), unit.clone(), *kind));
        }
    }

    /// A job was not begun: there is another for the same request.
    pub(super) fn not_begun(&mut self, job: JobId) {
        self.begun.remove(&job);
    }

    /// A job has ended; what is to be told of it.
    pub(super) fn ended(&mut self, job: JobId) -> Option<zbus::Result<Message>> {
        let (begun, unit, kind) = self.begun.remove(&job)?;
        let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        let method = match kind {
            JobKind::Start => "StartUnit",
            JobKind::Stop => "StopUnit",
            JobKind::Restart => "RestartUnit",
            JobKind::Reload => "ReloadUnit",
        };
        let (path, interface) = (internal::METRICS_PATH, internal::METRICS);
        let body = (unit.as_str(), method, micros);
        Some(link::signal(path, interface, "AgentJobMetrics", &body))
    }
}
