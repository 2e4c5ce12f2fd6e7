//! Jobs over all runs of the controller.

use std::collections::BTreeMap;

use fleet::Job;
use proto::model::{JobId, JobResult};

use super::World;

/// A job that was announced by some run of the controller.
#[derive(Clone, Debug)]
pub(crate) struct Announced {
    /// The machine, and which of its boots it was.
    at: usize,
    boot: u64,
    pub(crate) results: Vec<JobResult>,
}

/// The jobs of a world.
pub(crate) type AllJobs = BTreeMap<JobId, Announced>;

impl World {
    /// A run of the controller announces a job.
    pub(super) fn job_announced(&mut self, id: JobId) {
        let job = self.controller.core.as_ref().and_then(|core| core.job(id));
        let Some(at) = job.and_then(|job| self.index(&job.node)) else {
            return;
        };
        let boot = self.machines.get(at).map_or(0, |machine| machine.boot);
        self.jobs.entry(id).or_insert(Announced {
            at,
            boot,
            results: Vec::new(),
        });
    }

    /// A run of the controller says that a job has ended.
    pub(super) fn job_ended(&mut self, job: &Job, result: JobResult) {
        if let Some(announced) = self.jobs.get_mut(&job.id) {
            announced.results.push(result);
        }
    }

    /// Jobs that were announced and of which no run of the controller has said the end, less those of machines
    /// that have lost power since, and what was noted with it.
    pub(crate) fn jobs_lost(&self) -> Vec<JobId> {
        let lost = self.jobs.iter().filter(|(_, job)| {
            let machine = self.machines.get(job.at);
            let same = machine.is_some_and(|it| it.boot == job.boot);
            let twins = self.machines.iter().filter(|it| {
                let there = machine.is_some_and(|machine| machine.name == it.name);
                there && it.boot > 0
            });
            job.results.is_empty() && same && twins.count() == 1
        });
        lost.map(|(id, _)| *id).collect()
    }
}
