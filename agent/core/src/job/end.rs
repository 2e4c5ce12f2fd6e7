//! Jobs that have ended: kept until a controller has acknowledged that, and for a while after, for one
//! that was restarted and asks again.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

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
    entries: BTreeMap<JobId, Kept>,
    /// The order in which they ended, by their places in it.
    order: BTreeMap<u64, JobId>,
    next: u64,
    /// Those that were acknowledged, in the order in which they go: whether a request has to be known for it, and
    /// since when it is acknowledged.
    heard: BTreeSet<(bool, Moment, JobId)>,
}

#[derive(Clone, Debug, Hash)]
struct Kept {
    end: End,
    place: u64,
}

impl Ends {
    pub(super) fn get(&self, job: JobId) -> Option<&End> {
        self.entries.get(&job).map(|kept| &kept.end)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The requests that are known by them.
    pub(super) fn requests(&self) -> impl Iterator<Item = (Cookie, JobId)> {
        let ends = self.entries.iter();
        ends.filter_map(|(job, kept)| Some((kept.end.task.cookie?, *job)))
    }

    /// Keeps one. Returns those that had to go for it, or whose time was over.
    pub(super) fn keep(&mut self, job: JobId, end: End, now: Moment) -> Vec<Forgotten> {
        let mut forgotten = self.tidy(now);
        if self.entries.len() >= ENDS_MAX {
            forgotten.extend(self.evict());
        }
        let place = self.next;
        self.next = self.next.saturating_add(1);
        self.order.insert(place, job);
        if let Some(at) = end.heard {
            self.heard.insert((end.task.cookie.is_some(), at, job));
        }
        self.entries.insert(job, Kept { end, place });
        forgotten
    }

    /// Makes room: of those that were acknowledged goes the first for which no request has to be known, or else
    /// the first; where none was, the oldest of all.
    fn evict(&mut self) -> Option<Forgotten> {
        let heard = self.heard.first().map(|(_, _, job)| *job);
        let job = heard.or_else(|| self.order.values().next().copied())?;
        self.take(job, true)
    }

    fn take(&mut self, job: JobId, too_early: bool) -> Option<Forgotten> {
        let Kept { end, place } = self.entries.remove(&job)?;
        self.order.remove(&place);
        if let Some(at) = end.heard {
            self.heard.remove(&(end.task.cookie.is_some(), at, job));
        }
        Some(Forgotten {
            job,
            end,
            too_early,
        })
    }

    /// A controller has acknowledged one; `None` where that is no news.
    pub(super) fn heard(&mut self, job: JobId, now: Moment) -> Option<&End> {
        let Kept { end, .. } = self.entries.get_mut(&job)?;
        if end.heard.is_some() {
            return None;
        }
        end.heard = Some(now);
        self.heard.insert((end.task.cookie.is_some(), now, job));
        Some(end)
    }

    /// Forgets all, and says which.
    pub(super) fn clear(&mut self) -> Vec<JobId> {
        std::mem::take(self).entries.into_keys().collect()
    }

    /// Those that are to be told again, in the order in which they ended.
    pub(super) fn unheard(&self) -> impl Iterator<Item = (JobId, &End)> {
        let ends = self.order.values();
        let ends = ends.filter_map(|job| Some((*job, self.get(*job)?)));
        ends.filter(|(_, end)| end.heard.is_none())
    }

    /// All of them, as a controller is told that begins, and those whose time was over.
    pub(super) fn known(&mut self, now: Moment) -> (Vec<KnownJob>, Vec<Forgotten>) {
        let forgotten = self.tidy(now);
        let ends = self.entries.iter().map(|(job, Kept { end, .. })| {
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
        let mut forgotten = Vec::new();
        for named in [false, true] {
            let since = |it: &Self| {
                let all = (named, Moment::at(Duration::ZERO), JobId(0))..;
                let first = it.heard.range(all).next().copied();
                first.filter(|(kind, ..)| *kind == named)
            };
            while let Some((_, at, job)) = since(self)
                && now.since(at) >= ENDS_KEPT
            {
                forgotten.extend(self.take(job, false));
            }
        }
        forgotten
    }
}
