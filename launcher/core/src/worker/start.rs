//! Places of workers are filled, as far as the mode has room.

use proto::time::Moment;

use crate::{
    GenerationId, Launcher,
    generation::{Phase, Process, Role, Slot},
    input::{ProcessId, WorkerNumber},
    output::{Output, Reason, Spawn},
    settings::{Mode, Readiness},
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
            let mut due = generation
                .slots
                .iter()
                .filter_map(|(worker, slot)| match slot {
                    Slot::Due { reason, crashes } => Some((*worker, *reason, *crashes)),
                    Slot::Running(_)
                    | Slot::Waiting { .. }
                    | Slot::Retired { .. }
                    | Slot::Finished => None,
                });
            if let Some((worker, reason, crashes)) =
                due.find(|(_, _, crashes)| self.has_room(id, *crashes))
            {
                self.spawn(id, worker, reason, crashes, now);
                return true;
            }
        }
        false
    }

    /// Whether this generation may start one more worker now, in a place in which so many have crashed.
    fn has_room(&self, id: GenerationId, crashes: u32) -> bool {
        let Some(generation) = self.generations.get(&id) else {
            return false;
        };
        let is_candidate = generation.role == Role::Candidate;
        match self.mode {
            Mode::Overlap => true,
            Mode::Rolling if is_candidate && self.serving().is_none() => true,
            // It takes the place of one that was there. Those that were replaced may drain for long, and may be more than
            // there are workers now: of a reload to fewer, or of a launcher before this one.
            Mode::Rolling if crashes > 0 && self.candidate().is_none() => {
                let old = self.processes.values().filter(|it| {
                    let of = self.generations.get(&it.generation);
                    of.is_some_and(|it| it.role == Role::Old)
                });
                let slots = generation.slots.len();
                self.processes.len().saturating_sub(old.count()) < slots
            }
            Mode::Rolling => {
                // The next of a new generation waits until those before it have proved themselves, and one more than there
                // were leaves room for those that have crashed and come back.
                let proved =
                    !is_candidate || generation.running().all(|(_, it)| self.is_confirmed(it));
                let is_alone = self.candidate().is_none();
                let places = generation.slots.values();
                let kept = places.filter(|it| is_alone && it.has_crashed()).count();
                proved && self.processes.len().saturating_add(kept) < self.processes_max()
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
}
