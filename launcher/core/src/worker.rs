//! What becomes of single workers: they get ready, live, drain, end, and are started again.

use proto::time::Moment;

use crate::{
    GenerationId, Launcher,
    generation::{Phase, Process, Role, Slot},
    input::{Exit, Herald, ProcessId, WorkerNumber},
    limits,
    output::{Cause, Note, Output, Reason, Signal, Spawn},
    settings::{Limit, Mode, Readiness},
    stop::Life,
    timer::Timer,
};

impl Launcher {
    /// Starts what is due and has room; says whether it did anything.
    pub(crate) fn fill(&mut self, now: Moment) -> bool {
        match self.life {
            Life::Beginning | Life::Running => {}
            Life::Ending { .. } | Life::Over(_) => return false,
        }
        // The one in service first: it is what answers.
        for id in self.serving().into_iter().chain(self.candidate()) {
            let Some(generation) = self.generations.get(&id) else {
                continue;
            };
            let due = generation
                .slots
                .iter()
                .find_map(|(worker, slot)| match slot {
                    Slot::Due { reason, crashes } => Some((*worker, *reason, *crashes)),
                    Slot::Running(_) | Slot::Waiting { .. } | Slot::Retired | Slot::Finished => {
                        None
                    }
                });
            if let Some((worker, reason, crashes)) = due
                && self.has_room(id)
            {
                self.spawn(id, worker, reason, crashes, now);
                return true;
            }
        }
        false
    }

    /// Whether this generation may start one more worker now.
    fn has_room(&self, id: GenerationId) -> bool {
        let Some(generation) = self.generations.get(&id) else {
            return false;
        };
        let is_candidate = generation.role == Role::Candidate;
        match self.mode {
            Mode::Overlap => true,
            Mode::Rolling if is_candidate && self.serving().is_none() => true,
            Mode::Rolling => {
                // The next of a new generation waits until those before it have proved themselves.
                let proved =
                    !is_candidate || generation.running().all(|(_, it)| self.is_confirmed(it));
                proved && self.processes.len() < self.processes_max()
            }
            // Those before it must be gone, whichever they are of; of those that were adopted there
            // is no telling what they are, so they count as well.
            Mode::Replace => self.processes.values().all(|it| it.generation == id),
        }
    }

    /// How many processes a rolling reload may have.
    pub(crate) fn processes_max(&self) -> usize {
        let of = |id: GenerationId| self.generations.get(&id).map_or(0, |it| it.slots.len());
        let most = self.serving().into_iter().chain(self.candidate()).map(of);
        most.max().unwrap_or(0).saturating_add(1)
    }

    fn spawn(
        &mut self,
        id: GenerationId,
        worker: WorkerNumber,
        reason: Reason,
        crashes: u32,
        now: Moment,
    ) {
        let process = ProcessId(self.process_next);
        self.process_next = self.process_next.saturating_add(1);
        let Some(generation) = self.generations.get_mut(&id) else {
            return;
        };
        generation.slots.insert(worker, Slot::Running(process));
        let settings = &generation.settings;
        let workers = u32::try_from(generation.slots.len()).unwrap_or(u32::MAX);
        let (readiness, timeout) = (settings.readiness, settings.ready_timeout);
        let started = Process {
            generation: id,
            worker,
            phase: Phase::Starting,
            crashes,
        };
        self.processes.insert(process, started);
        self.outputs.push_back(Output::Spawn(Spawn {
            process,
            generation: id,
            worker,
            workers,
            reason,
        }));
        let is_late = now.plus(timeout);
        match readiness {
            Readiness::Notify => self.timers.set(Timer::ReadyTimeout(process), is_late),
            Readiness::Auto(warm_up) => {
                self.timers.set(Timer::ReadyTimeout(process), is_late);
                if !self.has_notified {
                    self.timers.set(Timer::WarmUp(process), now.plus(warm_up));
                }
            }
            Readiness::After(time) => self.timers.set(Timer::WarmUp(process), now.plus(time)),
            Readiness::Probe => {
                self.timers.set(Timer::ReadyTimeout(process), is_late);
                self.outputs.push_back(Output::Probe(process));
            }
        }
    }

    pub(crate) fn ready_said(&mut self, process: ProcessId, herald: Herald, now: Moment) {
        let Some(readiness) = self.readiness(process) else {
            return;
        };
        if herald == Herald::Worker {
            self.has_notified = true;
        }
        match (readiness, herald) {
            (Readiness::Notify | Readiness::Auto(_), Herald::Worker)
            | (Readiness::Probe, Herald::Probe) => self.ready(process, now),
            (Readiness::Notify | Readiness::Auto(_), Herald::Probe)
            | (Readiness::After(_), Herald::Worker | Herald::Probe)
            | (Readiness::Probe, Herald::Worker) => {}
        }
    }

    pub(crate) fn warmed_up(&mut self, process: ProcessId, now: Moment) {
        match self.readiness(process) {
            // Meanwhile another one has shown that they say it themselves.
            Some(Readiness::Auto(_)) if self.has_notified => {}
            Some(Readiness::Auto(_) | Readiness::After(_)) => self.ready(process, now),
            Some(Readiness::Notify | Readiness::Probe) | None => {}
        }
    }

    fn readiness(&self, process: ProcessId) -> Option<Readiness> {
        let generation = self.processes.get(&process)?.generation;
        Some(self.generations.get(&generation)?.settings.readiness)
    }

    fn ready(&mut self, process: ProcessId, now: Moment) {
        let nobody_before = !self.has_begun() && !self.has_adopted();
        let Some(it) = self.processes.get_mut(&process) else {
            return;
        };
        if it.phase != Phase::Starting {
            return;
        }
        let Some(generation) = self.generations.get(&it.generation) else {
            return;
        };
        let (confirm, watchdog) = (generation.settings.confirm, generation.settings.watchdog);
        let confirmed = generation.role == Role::Serving || nobody_before || confirm.is_zero();
        it.phase = Phase::Ready {
            since: now,
            confirmed,
            alive: false,
        };
        self.timers.forget(process);
        if !confirmed {
            self.timers.set(Timer::Confirm(process), now.plus(confirm));
        }
        if let Some(watchdog) = watchdog {
            self.timers.set(Timer::Silence(process), now.plus(watchdog));
        }
    }

    pub(crate) fn confirmed(&mut self, process: ProcessId) {
        if let Some(it) = self.processes.get_mut(&process)
            && let Phase::Ready { confirmed, .. } = &mut it.phase
        {
            *confirmed = true;
        }
    }

    pub(crate) fn is_confirmed(&self, process: ProcessId) -> bool {
        let phase = self.processes.get(&process).map(|it| it.phase);
        matches!(
            phase,
            Some(Phase::Ready {
                confirmed: true,
                ..
            })
        )
    }

    pub(crate) fn is_ready(&self, process: ProcessId) -> bool {
        let phase = self.processes.get(&process).map(|it| it.phase);
        matches!(phase, Some(Phase::Ready { .. }))
    }

    pub(crate) fn alive_said(&mut self, process: ProcessId, now: Moment) {
        let Some(it) = self.processes.get_mut(&process) else {
            return;
        };
        let Phase::Ready { alive, .. } = &mut it.phase else {
            return;
        };
        *alive = true;
        let generation = it.generation;
        let watchdog = self
            .generations
            .get(&generation)
            .and_then(|it| it.settings.watchdog);
        if let Some(watchdog) = watchdog {
            self.timers.set(Timer::Silence(process), now.plus(watchdog));
        }
        if self.serving() == Some(generation) {
            self.tell_alive(generation);
        }
    }

    /// Tells the service manager that all is well once every worker in service has said so since the
    /// last time.
    fn tell_alive(&mut self, serving: GenerationId) {
        let all = self.of(serving).all(|(_, it)| match it.phase {
            Phase::Ready { alive, .. } => alive,
            // Those are watched by other limits.
            Phase::Starting | Phase::Draining { .. } | Phase::Aborted | Phase::Killed => true,
        });
        if !all {
            return;
        }
        self.outputs.push_back(Output::Alive);
        for process in self.processes.values_mut() {
            if let Phase::Ready { alive, .. } = &mut process.phase
                && process.generation == serving
            {
                *alive = false;
            }
        }
    }

    pub(crate) fn not_ready(&mut self, process: ProcessId, now: Moment) {
        let Some((it, role, after)) = self.look(process, |it| it.ready_timeout) else {
            return;
        };
        if it.phase != Phase::Starting {
            return;
        }
        match role {
            Role::Candidate => self.fail(it.generation, it.worker, Cause::NotReady(after), now),
            // One of an old generation was started again just before its successor was confirmed.
            Role::Serving | Role::Old | Role::Failed => {
                self.note(Note::NotReady(it.generation, it.worker, after));
                self.kill(process);
            }
        }
    }

    pub(crate) fn silent(&mut self, process: ProcessId, now: Moment) {
        let Some((it, role, after)) = self.look(process, |it| it.watchdog.unwrap_or_default())
        else {
            return;
        };
        if !self.is_ready(process) {
            return;
        }
        self.note(Note::Silent(it.generation, it.worker, after));
        self.timers.forget(process);
        self.timers
            .set(Timer::Limit(process), now.plus(limits::ABORT_GRACE));
        self.phase(process, Phase::Aborted);
        self.outputs
            .push_back(Output::Signal(process, Signal::Abort));
        if role == Role::Candidate {
            self.fail(it.generation, it.worker, Cause::Silent(after), now);
        }
    }

    fn look<T>(
        &self,
        process: ProcessId,
        of: impl Fn(&crate::Settings) -> T,
    ) -> Option<(Process, Role, T)> {
        let it = self.processes.get(&process)?;
        let generation = self.generations.get(&it.generation)?;
        Some((it.clone(), generation.role, of(&generation.settings)))
    }

    fn phase(&mut self, process: ProcessId, phase: Phase) {
        if let Some(it) = self.processes.get_mut(&process) {
            it.phase = phase;
        }
    }

    /// Tells a worker to drain, unless it was told already: then only its limit may come sooner.
    pub(crate) fn drain(&mut self, process: ProcessId, limit: Limit, now: Moment) {
        let is_idle = self.is_idle(process);
        let Some(it) = self.processes.get(&process) else {
            return;
        };
        match it.phase {
            Phase::Starting | Phase::Ready { .. } => {
                self.timers.forget(process);
                self.phase(process, Phase::Draining { since: now });
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

    /// Whether a worker serves nobody yet, so that nothing is cut with it. One that does not say when
    /// it is ready may be serving all the same.
    fn is_idle(&self, process: ProcessId) -> bool {
        let phase = self.processes.get(&process).map(|it| it.phase);
        phase == Some(Phase::Starting)
            && match self.readiness(process) {
                Some(Readiness::Notify | Readiness::Probe) | None => true,
                Some(Readiness::Auto(_)) => self.has_notified,
                Some(Readiness::After(_)) => false,
            }
    }

    pub(crate) fn limit_reached(&mut self, process: ProcessId, now: Moment) {
        let Some(it) = self.processes.get(&process) else {
            return;
        };
        match it.phase {
            Phase::Draining { since } => {
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
                generation.slots.insert(it.worker, Slot::Retired);
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
            generation.slots.insert(it.worker, Slot::Retired);
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
        let lived = match it.phase {
            Phase::Ready { since, .. } => now.since(since),
            Phase::Starting | Phase::Draining { .. } | Phase::Aborted | Phase::Killed => {
                std::time::Duration::ZERO
            }
        };
        let crashes = if lived >= settings.respawn_reset {
            1
        } else {
            it.crashes.saturating_add(1)
        };
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

    pub(crate) fn one_more(&mut self) {
        let Some(generation) = self.adjustable() else {
            return self.note(Note::Ignored(
                "one worker more was asked for during a change",
            ));
        };
        let next = generation
            .slots
            .keys()
            .last()
            .map_or(1, |it| it.0.saturating_add(1));
        if next > limits::WORKERS_MAX {
            return self.note(Note::Ignored(
                "one worker more was asked for, above the limit",
            ));
        }
        let due = Slot::Due {
            reason: Reason::Start,
            crashes: 0,
        };
        generation.slots.insert(WorkerNumber(next), due);
    }

    pub(crate) fn one_less(&mut self, now: Moment) {
        let Some(generation) = self.adjustable() else {
            return self.note(Note::Ignored(
                "one worker less was asked for during a change",
            ));
        };
        let active = generation
            .slots
            .values()
            .filter(|it| it.is_active())
            .count();
        let last = generation.slots.iter().rev().find(|(_, it)| it.is_active());
        let Some((worker, slot)) = last.map(|(worker, slot)| (*worker, *slot)) else {
            return;
        };
        if active < 2 {
            return self.note(Note::Ignored(
                "one worker less was asked for, and there is one",
            ));
        }
        let limit = generation.settings.reload_graceful;
        generation.slots.remove(&worker);
        if let Some(serving) = self.serving() {
            self.timers.cancel(Timer::Respawn(serving, worker));
        }
        if let Slot::Running(process) = slot {
            self.drain(process, limit, now);
        }
    }

    /// The generation in service, while nothing is about to take its place.
    fn adjustable(&mut self) -> Option<&mut crate::Generation> {
        if !matches!(self.life, Life::Running) || self.candidate().is_some() {
            return None;
        }
        let serving = self.serving()?;
        self.generations.get_mut(&serving)
    }
}
