//! One worker more, or one less, until the next reload.

use proto::time::Moment;

use crate::{
    Launcher,
    generation::{Generation, Slot},
    input::WorkerNumber,
    limits,
    output::{Note, Reason},
    stop::Life,
    timer::Timer,
};

impl Launcher {
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
    fn adjustable(&mut self) -> Option<&mut Generation> {
        if !matches!(self.life, Life::Running) || self.candidate().is_some() {
            return None;
        }
        let serving = self.serving()?;
        self.generations.get_mut(&serving)
    }
}
