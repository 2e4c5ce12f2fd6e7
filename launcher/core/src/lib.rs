//! The pure state machine of a launcher: which workers there are, which generation serves, what a
//! reload, a crash or a stop does to them. It has no clock, no IO and no processes: the same inputs at
//! the same moments give the same outputs in the same order.
//!
//! # Contract
//!
//! The owner of a [`Launcher`] does this, over and over:
//!
//! 1. It gives one [`Input`] to [`Launcher::handle`] with the present moment, or calls
//!    [`Launcher::handle_timeout`] when the moment of [`Launcher::deadline`] has come. Moments never
//!    go backwards.
//! 2. It takes every [`Output`] from [`Launcher::poll_output`] until there is none, and carries them
//!    out in that order.
//! 3. It looks up [`Launcher::deadline`], and waits.
//!
//! # What holds
//!
//! * The generation in service is told to go only when another one is there whose workers all are
//!   ready, and have been so for the time of the settings (but for [`Mode::Replace`], which is for
//!   programs that cannot run twice).
//! * A reload that fails leaves what was there, whatever it failed of.
//! * A worker is sent TERM once.
//! * Reloads that are asked for while one is under way are one reload after it.
//! * Every process that was started is waited for, and whatever is waited for has a limit that the
//!   settings name.
//!
//! [`Launcher::check`] says all of it in code, and the tests try it in every order of events.

mod generation;
mod input;
mod invariant;
pub mod limits;
mod output;
mod settings;
mod status;
mod stop;
#[cfg(test)]
mod tests;
mod timer;
mod trial;
mod worker;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use proto::time::Moment;
use serde::{Deserialize, Serialize};

pub use input::{
    Change, Exit, GenerationId, Herald, Input, ProcessId, Read, ReloadNumber, Stop, WorkerNumber,
};
pub use invariant::Violation;
pub use output::{Cause, Failure, Level, Note, Outcome, Output, Reason, Signal, Spawn};
pub use settings::{Limit, MaxCrashes, Mode, OnReloadFailure, Readiness, Settings};
pub use status::{GenerationView, LastReload, Role as RoleView, Status};

use generation::{Generation, Phase, Process, Role, Slot};
use stop::Life;
use timer::{Timer, Timers};
use trial::Reload;

/// The service was not ready in time at its start.
pub const EXIT_NOT_READY: u8 = 75;
/// Too many workers have crashed.
pub const EXIT_GAVE_UP: u8 = 71;
/// It was interrupted.
pub const EXIT_INTERRUPTED: u8 = 130;

/// All workers of a service. See the [crate] for how it is to be driven.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Launcher {
    life: Life,
    reload: Reload,
    /// Whether another reload is wanted after what is under way.
    again: bool,
    /// How many reloads have begun.
    reloads: u64,
    /// How many reloads in a row have failed and are tried again by themselves.
    tries: u32,
    last: Option<LastReload>,
    /// How the last trial takes, or took, the place of what was there.
    mode: Mode,
    generations: BTreeMap<GenerationId, Generation>,
    processes: BTreeMap<ProcessId, Process>,
    /// When workers in service have ended, as far as it matters.
    crashes: VecDeque<Moment>,
    /// Whether any worker has ever said that it is ready.
    has_notified: bool,
    generation_next: u64,
    process_next: u64,
    /// Where jitter comes from.
    random: u64,
    timers: Timers,
    /// Empty whenever a launcher is handed over.
    #[serde(skip)]
    outputs: VecDeque<Output>,
}

impl Launcher {
    /// A service that begins: its first generation is started at once. `adopted` are workers that a
    /// launcher before this one has left, by their generations; they serve until the first
    /// generation does, and their processes are numbered from 1 in this order. `random` is any number.
    pub fn new(settings: Settings, adopted: &[GenerationId], random: u64, now: Moment) -> Self {
        let before = adopted.iter().map(|generation| generation.0).max();
        let mut launcher = Self {
            life: Life::Beginning,
            reload: Reload::Idle,
            again: false,
            reloads: 0,
            tries: 0,
            last: None,
            mode: settings.mode,
            generations: BTreeMap::new(),
            processes: BTreeMap::new(),
            crashes: VecDeque::new(),
            has_notified: false,
            generation_next: before.unwrap_or(0).saturating_add(1),
            process_next: 1,
            random,
            timers: Timers::default(),
            outputs: VecDeque::new(),
        };
        launcher.adopt(&settings, adopted, now);
        launcher.open(settings, Reason::Start);
        launcher
            .timers
            .set(Timer::Extend, now.plus(limits::EXTEND_EVERY));
        launcher.settle(now);
        launcher
    }

    /// Takes in what has happened.
    pub fn handle(&mut self, input: Input, now: Moment) {
        if self.is_over() {
            return;
        }
        match input {
            Input::Reload => self.reload_wanted(now),
            Input::Settings(read) => self.settings_read(read, now),
            Input::Ready(process, herald) => self.ready_said(process, herald, now),
            Input::Alive(process) => self.alive_said(process, now),
            Input::Exited(process, exit) => self.exited(process, exit, now),
            Input::Stop(stop) => self.stop(stop, now),
            Input::OneMore => self.one_more(),
            Input::OneLess => self.one_less(now),
        }
        self.settle(now);
    }

    /// Does what was to be done by now.
    pub fn handle_timeout(&mut self, now: Moment) {
        while !self.is_over() {
            let Some(timer) = self.timers.pop(now) else {
                return;
            };
            self.fire(timer, now);
            self.settle(now);
        }
    }

    /// The next thing to be carried out.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Launcher::handle_timeout`], and why.
    pub fn deadline(&self) -> Option<(Moment, &'static str)> {
        if self.is_over() {
            return None;
        }
        self.timers.next().map(|(at, timer)| (at, timer.why()))
    }

    /// The reload that answers a wish for one which was taken in last; nothing when the service ends.
    pub fn covering(&self) -> Option<ReloadNumber> {
        match self.life {
            Life::Beginning | Life::Running => {
                let next = u64::from(self.again);
                Some(ReloadNumber(self.reloads.saturating_add(next)))
            }
            Life::Ending { .. } | Life::Over(_) => None,
        }
    }

    /// Whether the first generation has served.
    pub fn has_begun(&self) -> bool {
        !matches!(self.life, Life::Beginning)
    }

    /// Whether a process is ready, or was before it was told to go.
    pub fn has_been_ready(&self, process: ProcessId) -> bool {
        match self.processes.get(&process).map(|it| it.phase) {
            Some(Phase::Ready { .. } | Phase::Draining { .. } | Phase::Aborted) => true,
            Some(Phase::Starting | Phase::Killed) | None => false,
        }
    }

    /// The generation in service.
    pub fn serving_generation(&self) -> Option<GenerationId> {
        self.serving()
    }

    fn fire(&mut self, timer: Timer, now: Moment) {
        match timer {
            Timer::Quit => self.end(EXIT_INTERRUPTED),
            Timer::WarmUp(process) => self.warmed_up(process, now),
            Timer::ReadyTimeout(process) => self.not_ready(process, now),
            Timer::Confirm(process) => self.confirmed(process),
            Timer::Silence(process) => self.silent(process, now),
            Timer::Limit(process) => self.limit_reached(process, now),
            Timer::Settle(generation) => self.drain_replaced(generation, now),
            Timer::Respawn(generation, worker) => self.respawn(generation, worker),
            Timer::Retry => self.retry(now),
            Timer::Extend => self.extend(now),
        }
    }

    /// Does what follows from how things are, until nothing does.
    fn settle(&mut self, now: Moment) {
        while self.advance_trial(now) || self.fill(now) {}
        self.limit_old();
        self.close();
        self.finish_life(now);
    }

    fn note(&mut self, note: Note) {
        self.outputs.push_back(Output::Note(note));
    }

    fn serving(&self) -> Option<GenerationId> {
        self.by_role(Role::Serving)
    }

    fn candidate(&self) -> Option<GenerationId> {
        self.by_role(Role::Candidate)
    }

    fn by_role(&self, role: Role) -> Option<GenerationId> {
        let mut all = self.generations.iter();
        all.find(|(_, it)| it.role == role).map(|(id, _)| *id)
    }

    fn of(&self, generation: GenerationId) -> impl Iterator<Item = (ProcessId, &Process)> {
        let all = self.processes.iter();
        all.filter(move |(_, it)| it.generation == generation)
            .map(|(id, it)| (*id, it))
    }

    fn ids(&self, generation: GenerationId) -> Vec<ProcessId> {
        self.of(generation).map(|(id, _)| id).collect()
    }

    /// A new generation, to be tried.
    fn open(&mut self, settings: Settings, reason: Reason) -> GenerationId {
        let id = GenerationId(self.generation_next);
        self.generation_next = self.generation_next.saturating_add(1);
        self.mode = settings.mode;
        self.generations
            .insert(id, Generation::candidate(settings, reason));
        self.outputs.push_back(Output::Open(id));
        id
    }

    fn adopt(&mut self, settings: &Settings, adopted: &[GenerationId], now: Moment) {
        for generation in adopted {
            let id = ProcessId(self.process_next);
            self.process_next = self.process_next.saturating_add(1);
            let of = self
                .generations
                .entry(*generation)
                .or_insert_with(|| Generation {
                    settings: settings.clone(),
                    role: Role::Old,
                    slots: BTreeMap::new(),
                });
            let worker = WorkerNumber(u32::try_from(of.slots.len()).unwrap_or(u32::MAX));
            of.slots.insert(worker, Slot::Running(id));
            let phase = Phase::Ready {
                since: now,
                confirmed: true,
                alive: false,
            };
            let process = Process {
                generation: *generation,
                worker,
                phase,
                crashes: 0,
            };
            self.processes.insert(id, process);
        }
    }

    /// Whether workers of a launcher before this one still serve.
    fn has_adopted(&self) -> bool {
        self.processes.values().any(|process| {
            let role = self.generations.get(&process.generation).map(|it| it.role);
            role == Some(Role::Old) && matches!(process.phase, Phase::Ready { .. })
        })
    }

    /// Up to a number of generations may drain; the oldest beyond it is killed.
    fn limit_old(&mut self) {
        let newest = self.serving().or(self.candidate());
        let Some(most) = newest
            .and_then(|id| self.generations.get(&id))
            .map(|it| it.settings.max_old_generations)
        else {
            return;
        };
        let was_replaced = |id: &GenerationId| {
            let role = self.generations.get(id).map(|it| it.role);
            matches!(role, Some(Role::Old | Role::Failed))
        };
        let draining: BTreeSet<GenerationId> = self
            .processes
            .values()
            .filter(|it| matches!(it.phase, Phase::Draining { .. }))
            .map(|it| it.generation)
            .filter(was_replaced)
            .collect();
        let beyond = draining.len().saturating_sub(most as usize);
        for generation in draining.into_iter().take(beyond) {
            self.note(Note::TooManyOld(generation, most));
            for process in self.ids(generation) {
                self.kill(process);
            }
        }
    }

    /// Forgets generations of which nothing is left.
    fn close(&mut self) {
        let over: Vec<_> = self
            .generations
            .iter()
            .filter(|(_, it)| matches!(it.role, Role::Old | Role::Failed))
            .map(|(id, _)| *id)
            .filter(|id| self.of(*id).next().is_none())
            .collect();
        for id in over {
            self.generations.remove(&id);
            self.timers.cancel(Timer::Settle(id));
            self.outputs.push_back(Output::Close(id));
        }
    }

    /// The next number that looks random (SplitMix64).
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn extend(&mut self, now: Moment) {
        match self.life {
            Life::Beginning | Life::Ending { .. } => {
                self.outputs.push_back(Output::Extend(limits::EXTEND_BY));
                self.timers
                    .set(Timer::Extend, now.plus(limits::EXTEND_EVERY));
            }
            Life::Running | Life::Over(_) => {}
        }
    }

    fn limit_of(&self, process: &Process, of: impl Fn(&Settings) -> Limit) -> Limit {
        let generation = self.generations.get(&process.generation);
        generation.map_or(Limit::After(Duration::ZERO), |it| of(&it.settings))
    }
}
