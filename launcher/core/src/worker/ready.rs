//! A worker is ready, has proved itself, and lives: or is late, or silent.

use proto::time::Moment;

use crate::{
    GenerationId, Launcher,
    generation::{Phase, Role},
    input::{Herald, ProcessId},
    limits,
    output::{Cause, Note, Output, Signal},
    settings::Readiness,
    timer::Timer,
};

impl Launcher {
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

    pub(super) fn readiness(&self, process: ProcessId) -> Option<Readiness> {
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

    /// Whether there is a worker in service who is to say that it lives. While there is none, since they are not
    /// watched, or all of them start or wait to be started, it is the owner who speaks to the service manager.
    pub fn is_spoken_for(&self) -> bool {
        let Some(serving) = self.serving() else {
            return false;
        };
        let settings = self.generations.get(&serving).map(|it| &it.settings);
        settings.is_some_and(|it| it.watchdog.is_some())
            && self
                .of(serving)
                .any(|(_, it)| matches!(it.phase, Phase::Ready { .. }))
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
        self.forgive(process, now);
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
}
