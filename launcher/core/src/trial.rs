//! A reload, and the trial of a new generation beside the one in service.
//!
//! A generation that is tried is a candidate. [`Launcher::advance_trial`] looks at it after each input:
//! when all of its workers have proved themselves it takes over (`commit`), and only then the one
//! before it is told to go; when one of them fails, all of it goes (`fail`), and the one before has
//! noticed nothing, or is restored to its strength where it has made room.

use std::time::Duration;

use proto::{backoff::Backoff, time::Moment};
use serde::{Deserialize, Serialize};

use crate::{
    Launcher,
    generation::{Generation, Phase, Role, Slot},
    input::{Change, GenerationId, ProcessId, Read, ReloadNumber, WorkerNumber},
    limits,
    output::{Cause, Failure, Note, Outcome, Output, Reason, Signal},
    settings::{Mode, OnReloadFailure},
    status::LastReload,
    stop::Life,
    timer::Timer,
};

/// Where a reload stands.
///
/// | state | leaves by |
/// |---|---|
/// | idle | a wish |
/// | reading | the settings: rejected, told to the workers, or a generation to be tried |
/// | trying | all workers ready and confirmed; one failed; a stop |
/// | waiting | its time, or a wish |
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Reload {
    Idle,
    Reading {
        number: ReloadNumber,
        since: Moment,
    },
    Trying {
        number: ReloadNumber,
        generation: GenerationId,
        since: Moment,
        /// How long it took until all workers were ready.
        ready_in: Option<Duration>,
    },
    /// The last one failed, and is tried again by itself.
    Waiting,
}

impl Launcher {
    pub(crate) fn reload_wanted(&mut self, now: Moment) {
        match (&self.life, &self.reload) {
            (Life::Ending { .. } | Life::Over(_), _) => {
                self.note(Note::Ignored(
                    "a reload was asked for while the service ends",
                ));
            }
            (Life::Beginning, _)
            | (Life::Running, Reload::Reading { .. } | Reload::Trying { .. }) => self.again = true,
            (Life::Running, Reload::Idle | Reload::Waiting) => {
                self.tries = 0;
                self.begin_reload(now);
            }
        }
    }

    fn begin_reload(&mut self, now: Moment) {
        self.timers.cancel(Timer::Retry);
        self.again = false;
        self.reloads = self.reloads.saturating_add(1);
        let number = ReloadNumber(self.reloads);
        self.reload = Reload::Reading { number, since: now };
        self.note(Note::Reloading(number));
        self.outputs.push_back(Output::ReadSettings);
    }

    pub(crate) fn retry(&mut self, now: Moment) {
        if self.reload == Reload::Waiting {
            self.begin_reload(now);
        }
    }

    pub(crate) fn settings_read(&mut self, read: Result<Read, String>, now: Moment) {
        let Reload::Reading { number, since } = self.reload else {
            return;
        };
        match read {
            Err(why) => self.conclude(number, Outcome::Rejected(why), now),
            Ok(Read {
                settings,
                change: Change::Generation,
            }) => {
                let mode = settings.mode;
                let generation = self.open(settings, Reason::Reload);
                self.reload = Reload::Trying {
                    number,
                    generation,
                    since,
                    ready_in: None,
                };
                if let (Mode::Replace, Some(serving)) = (mode, self.serving()) {
                    self.retire(serving, usize::MAX, now);
                }
            }
            Ok(Read {
                change: Change::Mutable { signal },
                ..
            }) => {
                let workers = self.tell_workers(Signal::Number(signal));
                self.conclude(number, Outcome::Told { workers }, now);
            }
        }
    }

    /// Sends a signal to every worker in service, and says to how many.
    fn tell_workers(&mut self, signal: Signal) -> u32 {
        let serving = self.serving().and_then(|id| self.generations.get(&id));
        let running = serving.into_iter().flat_map(Generation::running);
        let ready: Vec<_> = running
            .map(|(_, it)| it)
            .filter(|it| self.is_ready(*it))
            .collect();
        let signals = ready.iter().map(|it| Output::Signal(*it, signal));
        self.outputs.extend(signals);
        u32::try_from(ready.len()).unwrap_or(u32::MAX)
    }

    /// Does the next step of what is being tried; says whether it did anything.
    pub(crate) fn advance_trial(&mut self, now: Moment) -> bool {
        match self.life {
            Life::Beginning | Life::Running => {}
            Life::Ending { .. } | Life::Over(_) => return false,
        }
        let Some(id) = self.candidate() else {
            return self.begin_next(now);
        };
        let Some(candidate) = self.generations.get(&id) else {
            return false;
        };
        let slots = candidate.slots.len();
        let proved = self.count(candidate, |launcher, it| launcher.is_confirmed(it));
        if self.count(candidate, |launcher, it| launcher.is_ready(it)) == slots
            && let Reload::Trying {
                ready_in, since, ..
            } = &mut self.reload
        {
            ready_in.get_or_insert(now.since(*since));
        }
        if proved == slots {
            self.commit(id, now);
            return true;
        }
        match (self.mode, self.serving()) {
            (Mode::Rolling, Some(serving)) => {
                // The last one stays until all is proved, should the next of the new ones fail.
                let spare = self.unfinished(serving).saturating_sub(1);
                self.retire(serving, proved.min(spare), now)
            }
            (Mode::Rolling, None) | (Mode::Overlap | Mode::Replace, _) => false,
        }
    }

    /// How many places of a generation have not done their work.
    fn unfinished(&self, id: GenerationId) -> usize {
        let slots = self.generations.get(&id).map(|it| it.slots.values());
        let unfinished = slots.into_iter().flatten();
        unfinished.filter(|it| **it != Slot::Finished).count()
    }

    /// How many places are filled by workers that are thus, or have done their work.
    fn count(&self, generation: &Generation, is_thus: impl Fn(&Self, ProcessId) -> bool) -> usize {
        let slots = generation.slots.values();
        slots
            .filter(|slot| match slot {
                Slot::Running(process) => is_thus(self, *process),
                Slot::Finished => true,
                Slot::Due { .. } | Slot::Waiting { .. } | Slot::Retired { .. } => false,
            })
            .count()
    }

    /// Begins the reload that was asked for meanwhile.
    fn begin_next(&mut self, now: Moment) -> bool {
        let is_free = match self.reload {
            Reload::Idle | Reload::Waiting => true,
            Reload::Reading { .. } | Reload::Trying { .. } => false,
        };
        if !(self.again && is_free && matches!(self.life, Life::Running)) {
            return false;
        }
        self.tries = 0;
        self.begin_reload(now);
        true
    }

    /// Has workers of the generation in service make room until so many have; says whether any did.
    fn retire(&mut self, id: GenerationId, wanted: usize, now: Moment) -> bool {
        let mut any = false;
        while let Some(generation) = self.generations.get_mut(&id) {
            let retired = generation.slots.values().filter(|it| it.is_retired());
            if retired.count() >= wanted {
                break;
            }
            // One that does not run costs nothing.
            let next = generation.slots.iter().filter(|(_, slot)| slot.is_active());
            let next = next.min_by_key(|(worker, slot)| {
                (
                    matches!(slot, Slot::Running(_)),
                    std::cmp::Reverse(**worker),
                )
            });
            let Some((worker, slot)) = next.map(|(worker, slot)| (*worker, *slot)) else {
                break;
            };
            let limit = generation.settings.reload_graceful;
            generation.slots.insert(worker, slot.retired());
            self.timers.cancel(Timer::Respawn(id, worker));
            if let Slot::Running(process) = slot {
                self.drain(process, limit, now);
            }
            any = true;
        }
        any
    }

    /// A generation has proved itself, and serves from now on.
    fn commit(&mut self, id: GenerationId, now: Moment) {
        let before = self.serving();
        for (other, role) in [(Some(id), Role::Serving), (before, Role::Old)] {
            if let Some(generation) = other.and_then(|id| self.generations.get_mut(&id)) {
                generation.role = role;
            }
        }
        if let Some(before) = before {
            self.vacate(before);
        }
        self.tries = 0;
        // Those of what was replaced say nothing of this one.
        self.crashes.clear();
        let settings = self.generations.get(&id).map(|it| it.settings.clone());
        let settle = settings.as_ref().map(|it| it.settle).unwrap_or_default();
        self.outputs.push_back(Output::Publish(id));
        let replaced: Vec<_> = self
            .generations
            .iter()
            .filter(|(_, it)| it.role == Role::Old)
            .map(|(id, _)| *id)
            .filter(|id| self.of(*id).any(|(it, _)| self.is_starting_or_ready(it)))
            .collect();
        for old in replaced {
            let settles = Timer::Settle(old);
            if settle.is_zero() {
                self.timers.cancel(settles);
                self.drain_replaced(old, now);
            } else if self.timers.at(settles).is_none() {
                // The name has left those before it earlier, and they have had their time or have it still.
                self.timers.set(settles, now.plus(settle));
            }
        }
        match self.reload {
            Reload::Trying {
                number,
                since,
                ready_in,
                ..
            } => {
                let ready_in = ready_in.unwrap_or_else(|| now.since(since));
                let generation = id;
                let done = Outcome::Done {
                    generation,
                    ready_in,
                };
                self.conclude(number, done, now);
            }
            Reload::Idle | Reload::Reading { .. } | Reload::Waiting => {
                self.life = Life::Running;
                self.timers.cancel(Timer::Extend);
                self.note(Note::Started(id, settings.map_or(0, |it| it.workers)));
                self.outputs.push_back(Output::Ready);
            }
        }
    }

    /// Tells the workers of a generation that was replaced to go.
    pub(crate) fn drain_replaced(&mut self, id: GenerationId, now: Moment) {
        for process in self.ids(id) {
            let limit = self
                .processes
                .get(&process)
                .map(|it| self.limit_of(it, |settings| settings.reload_graceful));
            if self.is_starting_or_ready(process)
                && let Some(limit) = limit
            {
                self.drain(process, limit, now);
            }
        }
    }

    fn is_starting_or_ready(&self, process: ProcessId) -> bool {
        match self.processes.get(&process).map(|it| it.phase) {
            Some(Phase::Starting | Phase::Ready { .. }) => true,
            Some(Phase::Draining { .. } | Phase::Aborted | Phase::Killed) | None => false,
        }
    }

    /// Nothing is started in this generation any more.
    pub(crate) fn vacate(&mut self, id: GenerationId) {
        let Some(generation) = self.generations.get_mut(&id) else {
            return;
        };
        for (worker, slot) in &mut generation.slots {
            match slot {
                Slot::Due { .. } | Slot::Waiting { .. } => {
                    self.timers.cancel(Timer::Respawn(id, *worker));
                    *slot = slot.retired();
                }
                Slot::Running(_) | Slot::Retired { .. } | Slot::Finished => {}
            }
        }
    }

    /// A generation that was being tried has failed of one of its workers.
    pub(crate) fn fail(
        &mut self,
        id: GenerationId,
        worker: WorkerNumber,
        cause: Cause,
        now: Moment,
    ) {
        let Some(generation) = self.generations.get_mut(&id) else {
            return;
        };
        generation.role = Role::Failed;
        let limit = generation.settings.reload_graceful;
        let on_failure = generation.settings.on_reload_failure;
        self.vacate(id);
        for process in self.ids(id) {
            self.drain(process, limit, now);
        }
        let generation = id;
        let failure = Failure {
            generation,
            worker,
            cause,
        };
        match self.reload {
            Reload::Trying { number, .. } => {
                self.restore(now);
                self.conclude(number, Outcome::Failed(failure), now);
                if on_failure == OnReloadFailure::Retry && !self.again {
                    self.retry_later(now);
                }
            }
            Reload::Idle | Reload::Reading { .. } | Reload::Waiting => {
                self.start_failed(failure, now);
            }
        }
    }

    /// What has made room for a generation that failed is started again, or waits again as it did.
    fn restore(&mut self, now: Moment) {
        let Some(id) = self.serving() else {
            return;
        };
        let Some(generation) = self.generations.get(&id) else {
            return;
        };
        let respawn = generation.settings.respawn();
        let retired = generation
            .slots
            .iter()
            .filter_map(|(worker, slot)| match slot {
                Slot::Retired { crashes } => Some((*worker, *crashes)),
                Slot::Due { .. } | Slot::Running(_) | Slot::Waiting { .. } | Slot::Finished => None,
            });
        for (worker, crashes) in retired.collect::<Vec<_>>() {
            let slot = if crashes == 0 {
                let reason = Reason::Respawn;
                Slot::Due { reason, crashes }
            } else {
                let wait = respawn.wait(crashes, self.draw());
                self.timers.set(Timer::Respawn(id, worker), now.plus(wait));
                Slot::Waiting { crashes }
            };
            if let Some(generation) = self.generations.get_mut(&id) {
                generation.slots.insert(worker, slot);
            }
        }
    }

    fn retry_later(&mut self, now: Moment) {
        let rule = Backoff {
            first: limits::RETRY_FIRST,
            max: limits::RETRY_MAX,
        };
        self.tries = self.tries.saturating_add(1);
        let random = self.draw();
        let wait = rule.wait(self.tries, random);
        self.reload = Reload::Waiting;
        self.timers.set(Timer::Retry, now.plus(wait));
        self.note(Note::Retry(wait));
    }

    /// A reload is over.
    pub(crate) fn conclude(&mut self, number: ReloadNumber, outcome: Outcome, now: Moment) {
        self.reload = Reload::Idle;
        self.last = Some(LastReload {
            number,
            outcome: outcome.clone(),
            at: now,
        });
        self.note(Note::Reloaded(number, outcome.clone()));
        self.outputs.push_back(Output::Reloaded(number, outcome));
    }
}
