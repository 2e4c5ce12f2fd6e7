use crate::{
    Launcher,
    generation::{Phase, Role, Slot},
    settings::{Limit, Mode},
    stop::Life,
    timer::Timer,
    trial::Reload,
};

/// Something that must never be. Its text says what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(pub String);

impl Launcher {
    /// Walks the whole state and says what contradicts itself; empty when all is well. For tests and
    /// simulations, between two inputs.
    pub fn check(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        if self.is_over() {
            return found;
        }
        self.check_roles(&mut found);
        self.check_places(&mut found);
        self.check_limits(&mut found);
        self.check_service(&mut found);
        self.check_timers(&mut found);
        found
    }

    fn check_roles(&self, found: &mut Vec<Violation>) {
        let count = |role| {
            self.generations
                .values()
                .filter(|it| it.role == role)
                .count()
        };
        must(found, count(Role::Candidate) <= 1, || {
            "two are tried".into()
        });
        must(found, count(Role::Serving) <= 1, || "two serve".into());
        let is_trying = match self.reload {
            Reload::Trying { generation, .. } => {
                must(found, self.candidate() == Some(generation), || {
                    format!("{generation} is tried and no candidate")
                });
                true
            }
            Reload::Idle | Reload::Reading { .. } | Reload::Waiting => false,
        };
        let expected = match self.life {
            Life::Beginning => true,
            Life::Running => is_trying,
            Life::Ending { .. } | Life::Over(_) => return,
        };
        must(found, self.candidate().is_some() == expected, || {
            format!(
                "{:?}, {:?}, candidate {:?}",
                self.life,
                self.reload,
                self.candidate()
            )
        });
        must(
            found,
            self.serving().is_some() == matches!(self.life, Life::Running),
            || format!("{:?}, serving {:?}", self.life, self.serving()),
        );
    }

    /// Places and processes agree, and nothing is due for which there is room.
    fn check_places(&self, found: &mut Vec<Violation>) {
        for (id, generation) in &self.generations {
            for (worker, process) in generation.running() {
                let is_there = self.processes.get(&process);
                must(
                    found,
                    is_there.is_some_and(|it| it.generation == *id && it.worker == worker),
                    || format!("{id} {worker} is said to run and does not"),
                );
            }
            for (worker, slot) in &generation.slots {
                let is_set = self.timers.at(Timer::Respawn(*id, *worker)).is_some();
                must(
                    found,
                    is_set == matches!(slot, Slot::Waiting { .. }),
                    || format!("{id} {worker} is {slot:?}, and its respawn is set: {is_set}"),
                );
            }
            let is_left = self.of(*id).next().is_some();
            must(
                found,
                is_left || matches!(generation.role, Role::Candidate | Role::Serving),
                || format!("{id} is {:?}, and nothing of it is left", generation.role),
            );
        }
        for (process, it) in &self.processes {
            must(found, self.generations.contains_key(&it.generation), || {
                format!("{process:?} is of no generation")
            });
        }
    }

    /// Everything that was told to go has the limit of the settings, and only few generations do.
    fn check_limits(&self, found: &mut Vec<Violation>) {
        let is_quitting = self.is_ending();
        for (process, it) in &self.processes {
            let is_limited = self.timers.at(Timer::Limit(*process)).is_some();
            let Some(generation) = self.generations.get(&it.generation) else {
                continue;
            };
            let settings = &generation.settings;
            let is_finite = |limit| limit != Limit::Unlimited;
            let must_be = match it.phase {
                Phase::Draining { .. } if is_quitting => continue,
                // Without a limit in the settings, only what serves nobody has one.
                Phase::Draining { .. } => is_finite(settings.reload_graceful) || is_limited,
                Phase::Aborted => true,
                Phase::Starting | Phase::Ready { .. } | Phase::Killed => false,
            };
            must(found, is_limited == must_be, || {
                format!(
                    "{process:?} is {:?}, and its limit is set: {is_limited}",
                    it.phase
                )
            });
            let must_wait = it.phase == Phase::Starting;
            let waits = self.timers.at(Timer::ReadyTimeout(*process)).is_some()
                || self.timers.at(Timer::WarmUp(*process)).is_some();
            must(found, waits == must_wait, || {
                format!(
                    "{process:?} is {:?}, and its readiness is waited for: {waits}",
                    it.phase
                )
            });
        }
    }

    /// As long as nobody wants an end, somebody serves, or will.
    fn check_service(&self, found: &mut Vec<Violation>) {
        if !matches!(self.life, Life::Running) {
            return;
        }
        let Some(serving) = self.serving().and_then(|id| self.generations.get(&id)) else {
            return;
        };
        let is_trying = self.candidate().is_some();
        for (worker, slot) in &serving.slots {
            let is_kept = match slot {
                Slot::Running(process) => {
                    self.processes
                        .get(process)
                        .is_some_and(|it| match it.phase {
                            Phase::Starting
                            | Phase::Ready { .. }
                            | Phase::Aborted
                            | Phase::Killed => true,
                            // Only what has made room drains.
                            Phase::Draining { .. } => false,
                        })
                }
                Slot::Due { .. } => self.mode != Mode::Overlap,
                Slot::Waiting { .. } | Slot::Finished => true,
                Slot::Retired { .. } => is_trying && self.mode != Mode::Overlap,
            };
            must(found, is_kept, || {
                format!("{worker} in service is {slot:?}, and nothing takes its place")
            });
        }
        if self.mode == Mode::Rolling && is_trying {
            let retired = serving.slots.values().filter(|it| it.is_retired()).count();
            let ready = self.candidate().map_or(0, |id| {
                self.of(id)
                    .filter(|(process, _)| self.is_ready(*process))
                    .count()
            });
            let finished = self
                .candidate()
                .and_then(|id| self.generations.get(&id))
                .map_or(0, |it| {
                    it.slots
                        .values()
                        .filter(|it| **it == Slot::Finished)
                        .count()
                });
            must(found, retired <= ready + finished, || {
                format!("{retired} have made room for {ready}")
            });
        }
    }

    fn check_timers(&self, found: &mut Vec<Violation>) {
        for timer in self.timers.iter() {
            let is_of_something = match timer {
                Timer::Quit => self.is_ending(),
                Timer::WarmUp(process)
                | Timer::ReadyTimeout(process)
                | Timer::Confirm(process)
                | Timer::Silence(process)
                | Timer::Limit(process) => self.processes.contains_key(&process),
                Timer::Settle(generation) | Timer::Respawn(generation, _) => {
                    self.generations.contains_key(&generation)
                }
                Timer::Retry => self.reload == Reload::Waiting,
                Timer::Extend => !matches!(self.life, Life::Running),
            };
            must(found, is_of_something, || {
                format!("{timer:?} is set for nothing")
            });
        }
    }
}

fn must(found: &mut Vec<Violation>, holds: bool, what: impl FnOnce() -> String) {
    if !holds {
        found.push(Violation(what()));
    }
}
