//! A worker drains, is killed, or ends by itself and is started again.

use proto::time::Moment;

use crate::{
    GenerationId, Launcher,
    generation::{Phase, Process, Role, Slot},
    input::{Exit, ProcessId, WorkerNumber},
    limits,
    output::{Cause, Note, Output, Reason, Signal},
    settings::{Limit, Readiness},
    stop::Life,
    timer::Timer,
};

impl Launcher {
    /// Tells a worker to drain, unless it was told already: then only its limit may come sooner.
    pub(crate) fn drain(&mut self, process: ProcessId, limit: Limit, now: Moment) {
        let is_idle = self.is_idle(process);
        let Some(it) = self.processes.get(&process) else {
            return;
        };
        match it.phase {
            Phase::Starting | Phase::Ready { .. } => {
                self.timers.forget(process);
                self.phase(
                    process,
                    Phase::Draining {
                        since: now,
                        is_idle,
                    },
                );
                self.outputs
                    .push_back(Output::Signal(process, Signal::Term));
            }
            Phase::Draining { .. } => {}
            Phase::Aborted | Phase::Killed => return,
        }
        let limit = match limit {
            Limit::After(time) if is_idle => Limit::After(time.min(limits::IDLE_GRACE)),
            Limit::Unlimited if is_idle => Limit::After(limits::IDLE_GRACE),
            Limit::After(_) | Limit::Unlimited => limit,
        };
        if let Limit::After(time) = limit {
            let at = now.plus(time);
            let before = self.timers.at(Timer::Limit(process));
            self.timers
                .set(Timer::Limit(process), before.map_or(at, |it| it.min(at)));
        }
    }

    /// Whether a worker serves nobody yet, or did not when it was told to drain, so that nothing is cut with it. One that does not say when
    /// it is ready may be serving all the same.
    fn is_idle(&self, process: ProcessId) -> bool {
        match self.processes.get(&process).map(|it| it.phase) {
            Some(Phase::Starting) => match self.readiness(process) {
                Some(Readiness::Notify | Readiness::Probe) | None => true,
                Some(Readiness::Auto(_)) => self.has_notified,
                Some(Readiness::After(_)) => false,
            },
            Some(Phase::Draining { is_idle, .. }) => is_idle,
            Some(Phase::Ready { .. } | Phase::Aborted | Phase::Killed) | None => false,
        }
    }

    pub(crate) fn limit_reached(&mut self, process: ProcessId, now: Moment) {
        let Some(it) = self.processes.get(&process) else {
            return;
        };
        match it.phase {
            Phase::Draining { since, .. } => {
                let note = Note::Cut(it.generation, it.worker, now.since(since));
                self.note(note);
                self.kill(process);
            }
            Phase::Aborted => self.kill(process),
            Phase::Starting | Phase::Ready { .. } | Phase::Killed => {}
        }
    }

    pub(crate) fn kill(&mut self, process: ProcessId) {
        let phase = self.processes.get(&process).map(|it| it.phase);
        if phase.is_none_or(|phase| phase == Phase::Killed) {
            return;
        }
        self.timers.forget(process);
        self.phase(process, Phase::Killed);
        self.outputs.push_back(Output::Kill(process));
    }

    pub(crate) fn exited(&mut self, process: ProcessId, exit: Exit, now: Moment) {
        self.forgive(process, now);
        let Some(it) = self.processes.remove(&process) else {
            return;
        };
        self.timers.forget(process);
        let Some(generation) = self.generations.get_mut(&it.generation) else {
            return;
        };
        let has_place = generation.has(it.worker, process);
        let is_success =
            matches!(exit, Exit::Code(code) if generation.settings.success_code == Some(code));
        let is_ending = matches!(self.life, Life::Ending { .. });
        match generation.role {
            Role::Candidate | Role::Serving if !has_place || is_ending => {
                self.gone(&it, has_place, exit);
            }
            Role::Old | Role::Failed => self.gone(&it, has_place, exit),
            Role::Candidate | Role::Serving if is_success => {
                generation.slots.insert(it.worker, Slot::Finished);
                self.note(Note::Finished(it.generation, it.worker));
            }
            Role::Candidate => {
                generation
                    .slots
                    .insert(it.worker, Slot::Retired { crashes: 0 });
                let cause = match it.phase {
                    Phase::Ready { .. } => Cause::AfterReady(exit),
                    Phase::Starting | Phase::Draining { .. } | Phase::Aborted | Phase::Killed => {
                        Cause::BeforeReady(exit)
                    }
                };
                self.fail(it.generation, it.worker, cause, now);
            }
            Role::Serving => self.crashed(&it, exit, now),
        }
    }

    /// A worker has ended that was told to.
    fn gone(&mut self, it: &Process, has_place: bool, exit: Exit) {
        if has_place && let Some(generation) = self.generations.get_mut(&it.generation) {
            generation
                .slots
                .insert(it.worker, Slot::Retired { crashes: 0 });
        }
        // A program without a handler ends by the signal, and is in its right to.
        let is_well = matches!(exit, Exit::Code(0 | 143) | Exit::Signal(15) | Exit::Unknown);
        if !is_well && matches!(it.phase, Phase::Draining { .. }) {
            self.note(Note::DrainedBadly(it.generation, it.worker, exit));
        }
    }

    /// A worker in service has ended by itself.
    fn crashed(&mut self, it: &Process, exit: Exit, now: Moment) {
        let random = self.draw();
        let Some(generation) = self.generations.get_mut(&it.generation) else {
            return;
        };
        let settings = &generation.settings;
        let crashes = it.crashes.saturating_add(1);
        let wait = settings.respawn().wait(crashes, random);
        let max_crashes = settings.max_crashes;
        generation
            .slots
            .insert(it.worker, Slot::Waiting { crashes });
        self.timers
            .set(Timer::Respawn(it.generation, it.worker), now.plus(wait));
        self.note(Note::Crashed(it.generation, it.worker, exit, wait));
        if let Some(max) = max_crashes {
            self.crashes.push_back(now);
            while self.crashes.len() > max.count.max(1) as usize {
                self.crashes.pop_front();
            }
            let is_full = self.crashes.len() >= max.count.max(1) as usize;
            let first = self.crashes.front();
            // What is being tried may be the cure.
            if is_full
                && first.is_some_and(|first| now.since(*first) <= max.within)
                && self.candidate().is_none()
            {
                self.give_up(max, now);
            }
        }
    }

    /// Those that ended in its place before are forgotten if this one has lived for long. It is to be asked while it
    /// counts as ready: later nobody knows since when it was.
    pub(super) fn forgive(&mut self, process: ProcessId, now: Moment) {
        let Some(it) = self.processes.get_mut(&process) else {
            return;
        };
        let Some(generation) = self.generations.get(&it.generation) else {
            return;
        };
        if let Phase::Ready { since, .. } = it.phase
            && now.since(since) >= generation.settings.respawn_reset
        {
            it.crashes = 0;
        }
    }

    pub(crate) fn respawn(&mut self, id: GenerationId, worker: WorkerNumber) {
        if let Some(generation) = self.generations.get_mut(&id)
            && let Some(Slot::Waiting { crashes }) = generation.slots.get(&worker).copied()
        {
            let reason = Reason::Respawn;
            generation
                .slots
                .insert(worker, Slot::Due { reason, crashes });
        }
    }
}
