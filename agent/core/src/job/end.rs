//! Jobs that have ended: kept until a controller has acknowledged that, and for a while after, for one
//! that was restarted and asks again.

use std::collections::BTreeMap;

use proto::{
    message::{KnownJob, Standing},
    model::{JobId, JobKind, JobMode, JobResult, JobState, Reason},
    name::UnitName,
    time::Moment,
};

use super::note::{JobNote, NoteStage};
use crate::limits::{ENDS_KEPT, ENDS_MAX};

/// What is done with which unit.
#[derive(Clone, Debug, Hash)]
pub(super) struct Task {
    pub(super) kind: JobKind,
    pub(super) unit: UnitName,
    pub(super) mode: JobMode,
    /// When the agent was given it, or has found it again.
    pub(super) since: Moment,
}

impl Task {
    pub(super) fn note(&self, job: JobId, stage: NoteStage) -> JobNote {
        JobNote {
            job,
            kind: self.kind,
            unit: self.unit.clone(),
            mode: self.mode,
            stage,
        }
    }

    pub(super) fn known(&self, job: JobId, now: Moment, standing: Standing) -> KnownJob {
        KnownJob {
            job,
            kind: self.kind,
            unit: self.unit.clone(),
            mode: self.mode,
            age: now.since(self.since),
            standing,
        }
    }
}

/// A job that has ended.
#[derive(Clone, Debug, Hash)]
pub(super) struct End {
    pub(super) task: Task,
    pub(super) result: JobResult,
    pub(super) reason: Option<Reason>,
    /// When a controller has acknowledged it.
    pub(super) heard: Option<Moment>,
}

/// The jobs that have ended.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Ends {
    entries: BTreeMap<JobId, End>,
    /// The order in which they ended, by their places in it.
    order: BTreeMap<u64, JobId>,
    next: u64,
}

impl Ends {
    pub(super) fn get(&self, job: JobId) -> Option<&End> {
        self.entries.get(&job)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Keeps one. Returns another that nobody has acknowledged and that has to go for it, if there is no
    /// room.
    pub(super) fn keep(&mut self, job: JobId, end: End, now: Moment) -> Option<JobId> {
        self.tidy(now);
        let lost = if self.entries.len() >= ENDS_MAX {
            let heard = |job: &JobId| self.entries.get(job).is_some_and(|it| it.heard.is_some());
            let oldest = |only_heard: bool| {
                let mut order = self.order.iter();
                order.find(|(_, job)| !only_heard || heard(job))
            };
            let goes = oldest(true).or_else(|| oldest(false));
            let goes = goes.map(|(at, job)| (*at, *job));
            goes.and_then(|(at, job)| {
                self.order.remove(&at);
                let gone = self.entries.remove(&job)?;
                gone.heard.is_none().then_some(job)
            })
        } else {
            None
        };
        self.order.insert(self.next, job);
        self.next = self.next.saturating_add(1);
        self.entries.insert(job, end);
        lost
    }

    /// A controller has acknowledged one. Whether that is news.
    pub(super) fn heard(&mut self, job: JobId, now: Moment) -> bool {
        let end = self.entries.get_mut(&job);
        end.is_some_and(|end| end.heard.replace(now).is_none())
    }

    /// Forgets all, and says which.
    pub(super) fn clear(&mut self) -> Vec<JobId> {
        self.order.clear();
        let all = std::mem::take(&mut self.entries);
        all.into_keys().collect()
    }

    /// Those that are to be told again, in the order in which they ended.
    pub(super) fn unheard(&self) -> impl Iterator<Item = (JobId, &End)> {
        let ends = self.order.values();
        let ends = ends.filter_map(|job| Some((*job, self.entries.get(job)?)));
        ends.filter(|(_, end)| end.heard.is_none())
    }

    /// All of them, as a controller is told that begins.
    pub(super) fn known(&mut self, now: Moment) -> Vec<KnownJob> {
        self.tidy(now);
        let ends = self.entries.iter().map(|(job, end)| {
            let standing = match end.heard {
                Some(_) => Standing::Ended(end.result, end.reason.clone()),
                // Its end follows.
                None => Standing::Open(JobState::Running),
            };
            end.task.known(*job, now, standing)
        });
        ends.collect()
    }

    /// Forgets what was acknowledged long ago.
    fn tidy(&mut self, now: Moment) {
        let entries = &mut self.entries;
        self.order.retain(|_, job| {
            let heard = entries.get(job).and_then(|end| end.heard);
            let old = heard.is_some_and(|at| now.since(at) >= ENDS_KEPT);
            if old {
                entries.remove(job);
            }
            !old
        });
    }
}
