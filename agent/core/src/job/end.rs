//! Jobs that have ended: kept until a controller has acknowledged that, and for a while after, for one
//! that was restarted and asks again.

use std::collections::BTreeMap;

use proto::{
    message::{KnownJob, Standing},
    model::{Cookie, JobId, JobKind, JobMode, JobResult, JobState, Reason},
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
    /// The request, where it has a name.
    pub(super) cookie: Option<Cookie>,
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
            cookie: self.cookie,
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

impl End {
    /// How it stands for whoever asks for it again.
    pub(super) fn standing(&self) -> Standing {
        Standing::Ended(self.result, self.reason.clone())
    }

    /// The note of it, if there is to be one: of one that was acknowledged only its request has to be known.
    pub(super) fn note(&self, job: JobId) -> Option<JobNote> {
        let (result, reason) = (self.result, self.reason.clone());
        match self.heard {
            None => Some(self.task.note(job, NoteStage::Ended(result, reason))),
            Some(_) if self.task.cookie.is_some() => {
                Some(self.task.note(job, NoteStage::Heard(result, reason)))
            }
            Some(_) => None,
        }
    }
}

/// An end that is not kept any more.
#[derive(Debug)]
pub(super) struct Forgotten {
    pub(super) job: JobId,
    pub(super) end: End,
    /// There was no room for it. Otherwise nobody can ask for it any more.
    pub(super) too_early: bool,
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

    /// The one that was made for this request. Looked for among all, which is a fraction of what its note costs.
    pub(super) fn of(&self, cookie: Cookie) -> Option<(JobId, &End)> {
        let is_it = |(_, end): &(&JobId, &End)| end.task.cookie == Some(cookie);
        let it = self.entries.iter().find(is_it);
        it.map(|(job, end)| (*job, end))
    }

    /// Keeps one. Returns those that had to go for it, or whose time was over.
    pub(super) fn keep(&mut self, job: JobId, end: End, now: Moment) -> Vec<Forgotten> {
        let mut forgotten = self.tidy(now);
        if self.entries.len() >= ENDS_MAX {
            forgotten.extend(self.evict());
        }
        self.order.insert(self.next, job);
        self.next = self.next.saturating_add(1);
        self.entries.insert(job, end);
        forgotten
    }

    /// Makes room: the oldest goes, of those that nobody waits for; else of those that were acknowledged; else of
    /// all.
    fn evict(&mut self) -> Option<Forgotten> {
        let goes = |fits: fn(&End) -> bool| {
            let mut order = self.order.iter();
            let fits = |job: &JobId| self.entries.get(job).is_some_and(fits);
            let it = order.find(|(_, job)| fits(job));
            it.map(|(at, job)| (*at, *job))
        };
        let (at, job) = goes(|end| end.heard.is_some() && end.task.cookie.is_none())
            .or_else(|| goes(|end| end.heard.is_some()))
            .or_else(|| goes(|_| true))?;
        self.order.remove(&at);
        let end = self.entries.remove(&job)?;
        let too_early = true;
        Some(Forgotten {
            job,
            end,
            too_early,
        })
    }

    /// A controller has acknowledged one; `None` where that is no news.
    pub(super) fn heard(&mut self, job: JobId, now: Moment) -> Option<&End> {
        let end = self.entries.get_mut(&job)?;
        let is_news = end.heard.replace(now).is_none();
        is_news.then_some(end)
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

    /// All of them, as a controller is told that begins, and those whose time was over.
    pub(super) fn known(&mut self, now: Moment) -> (Vec<KnownJob>, Vec<Forgotten>) {
        let forgotten = self.tidy(now);
        let ends = self.entries.iter().map(|(job, end)| {
            let standing = match end.heard {
                Some(_) => end.standing(),
                // Its end follows.
                None => Standing::Open(JobState::Running),
            };
            end.task.known(*job, now, standing)
        });
        (ends.collect(), forgotten)
    }

    /// Forgets what was acknowledged long ago.
    fn tidy(&mut self, now: Moment) -> Vec<Forgotten> {
        let entries = &mut self.entries;
        let mut forgotten = Vec::new();
        self.order.retain(|_, job| {
            let heard = entries.get(job).and_then(|end| end.heard);
            let old = heard.is_some_and(|at| now.since(at) >= ENDS_KEPT);
            if old && let Some(end) = entries.remove(job) {
                let (job, too_early) = (*job, false);
                forgotten.push(Forgotten {
                    job,
                    end,
                    too_early,
                });
            }
            !old
        });
        forgotten
    }
}
