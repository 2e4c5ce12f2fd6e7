//! Workers that do as they are told by a test, and what must hold whatever they do.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proto::time::Moment;

use crate::{
    Change, Exit, GenerationId, Herald, Input, Launcher, Note, Outcome, Output, ProcessId, Read,
    ReloadNumber, Settings, Signal, Spawn, Stop,
};

/// A process as the machine knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Worker {
    pub(super) spawn: Spawn,
    pub(super) is_ready: bool,
    pub(super) is_termed: bool,
    pub(super) is_aborted: bool,
    pub(super) is_killed: bool,
}

#[derive(Clone, Debug, Hash)]
pub(super) struct World {
    pub(super) launcher: Launcher,
    pub(super) now: Moment,
    pub(super) settings: Settings,
    /// Whether the state machine waits for settings.
    pub(super) is_reading: bool,
    pub(super) workers: BTreeMap<ProcessId, Worker>,
    /// Every output since somebody looked.
    pub(super) told: Vec<Output>,
    /// How reloads have ended.
    pub(super) ended: BTreeMap<ReloadNumber, Outcome>,
    /// Reloads that somebody waits for.
    pub(super) wanted: BTreeSet<ReloadNumber>,
    pub(super) is_up: bool,
    pub(super) is_stop_wanted: bool,
    /// Whether any worker has ended by itself.
    pub(super) has_crashed: bool,
    pub(super) code: Option<u8>,
    pub(super) wrong: Vec<String>,
    /// How many processes a rolling reload might have after the last input.
    pub(super) promised: usize,
    /// How many there were when the generation in service took over, with those that it has replaced, or when one has
    /// crashed since: what has crashed may come back beside the others.
    pub(super) there: usize,
}

impl World {
    pub(super) fn new(settings: Settings) -> Self {
        Self::adopting(settings, &[])
    }

    pub(super) fn adopting(settings: Settings, adopted: &[GenerationId]) -> Self {
        let now = Moment::at(Duration::from_secs(1000));
        let mut world = Self {
            launcher: Launcher::new(settings.clone(), adopted, 1, now),
            now,
            settings,
            is_reading: false,
            workers: BTreeMap::new(),
            told: Vec::new(),
            ended: BTreeMap::new(),
            wanted: BTreeSet::new(),
            is_up: false,
            is_stop_wanted: false,
            has_crashed: false,
            code: None,
            wrong: Vec::new(),
            promised: 0,
            there: 0,
        };
        for (index, generation) in adopted.iter().enumerate() {
            let process = ProcessId(index as u64 + 1);
            let spawn = Spawn {
                process,
                generation: *generation,
                worker: crate::WorkerNumber(0),
                workers: 1,
                reason: crate::Reason::Start,
            };
            let worker = Worker {
                spawn,
                is_ready: true,
                is_termed: false,
                is_aborted: false,
                is_killed: false,
            };
            world.workers.insert(process, worker);
        }
        world.drain();
        world
    }

    pub(super) fn give(&mut self, input: Input) {
        match &input {
            Input::Stop(_) => self.is_stop_wanted = true,
            Input::Exited(process, _) => {
                let there = self.workers.len();
                if let Some(worker) = self.workers.remove(process)
                    && !worker.is_termed
                    && !worker.is_killed
                {
                    self.has_crashed = true;
                    self.there = self.there.max(there);
                }
            }
            Input::Ready(process, _) => {
                if let Some(worker) = self.workers.get_mut(process) {
                    worker.is_ready = true;
                }
            }
            Input::Settings(_) => self.is_reading = false,
            Input::Reload | Input::Alive(_) | Input::OneMore | Input::OneLess => {}
        }
        let is_reload = input == Input::Reload;
        self.launcher.handle(input, self.now);
        if is_reload {
            self.wanted.extend(self.launcher.covering());
        }
        self.drain();
    }

    /// Time goes on until the next deadline.
    pub(super) fn next_timer(&mut self) -> bool {
        let Some((at, _)) = self.launcher.deadline() else {
            return false;
        };
        self.now = self.now.max(at);
        self.launcher.handle_timeout(self.now);
        self.drain();
        true
    }

    /// Time goes on for so long.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now.plus(time);
        while self.launcher.deadline().is_some_and(|(at, _)| at <= end) {
            self.next_timer();
        }
        self.now = end;
    }

    fn drain(&mut self) {
        while let Some(output) = self.launcher.poll_output() {
            self.carry_out(&output);
            self.told.push(output);
        }
        self.promised = self.launcher.processes_max();
        let wrong = self.launcher.check();
        self.wrong.extend(wrong.into_iter().map(|it| it.0));
        let serving = self.workers.iter().filter(|(process, it)| {
            self.launcher.is_ready(**process) && !it.is_termed && !it.is_killed && !it.is_aborted
        });
        let must_serve = self.is_up
            && !self.is_stop_wanted
            && !self.has_crashed
            && self.code.is_none()
            && self.settings.mode != crate::Mode::Replace;
        if must_serve && serving.count() == 0 {
            self.wrong.push("nobody serves".into());
        }
    }

    fn carry_out(&mut self, output: &Output) {
        if self.code.is_some() {
            self.wrong.push(format!("after the end: {output:?}"));
        }
        match output {
            Output::ReadSettings => {
                if self.is_reading {
                    self.wrong.push("settings are read twice at once".into());
                }
                self.is_reading = true;
            }
            Output::Spawn(spawn) => {
                let worker = Worker {
                    spawn: spawn.clone(),
                    is_ready: false,
                    is_termed: false,
                    is_aborted: false,
                    is_killed: false,
                };
                if self.workers.insert(spawn.process, worker).is_some() {
                    self.wrong
                        .push(format!("{:?} is used twice", spawn.process));
                }
                // A start may have been told before a failure at the same moment that promises less.
                let most = self.launcher.processes_max().max(self.promised);
                let most = most.max(self.there);
                let now = self.workers.len();
                if self.settings.mode == crate::Mode::Rolling && self.is_up && now > most {
                    self.wrong
                        .push(format!("{now} processes, at most {most} were promised"));
                }
            }
            Output::Signal(process, signal) => self.signal(*process, *signal),
            Output::Kill(process) => match self.workers.get_mut(process) {
                Some(worker) if !worker.is_killed => worker.is_killed = true,
                Some(_) => self.wrong.push(format!("{process:?} is killed twice")),
                None => self
                    .wrong
                    .push(format!("{process:?} is killed and is not there")),
            },
            Output::Ready => {
                if std::mem::replace(&mut self.is_up, true) {
                    self.wrong.push("it is said to be up twice".into());
                }
            }
            Output::Reloaded(number, outcome) => {
                if self.ended.insert(*number, outcome.clone()).is_some() {
                    self.wrong.push(format!("{number:?} ends twice"));
                }
                if self.ended.keys().max() != Some(number) {
                    self.wrong
                        .push(format!("{number:?} ends after a later one"));
                }
            }
            Output::End(code) => self.ended_with(*code),
            Output::Note(Note::GaveUp(..) | Note::StartFailed(_) | Note::Finished(..)) => {
                self.is_stop_wanted = true;
            }
            Output::Publish(_) => self.there = self.workers.len(),
            Output::Open(_)
            | Output::Probe(_)
            | Output::Close(_)
            | Output::Stopping
            | Output::Alive
            | Output::Extend(_)
            | Output::Note(_) => {}
        }
    }

    fn signal(&mut self, process: ProcessId, signal: Signal) {
        let Some(worker) = self.workers.get_mut(&process) else {
            return self
                .wrong
                .push(format!("{process:?} is not there for {signal:?}"));
        };
        match signal {
            Signal::Term if worker.is_termed || worker.is_killed || worker.is_aborted => {
                self.wrong.push(format!("{process:?} is told to go again"));
            }
            Signal::Term => worker.is_termed = true,
            Signal::Abort => {
                worker.is_aborted = true;
                self.has_crashed = true;
            }
            Signal::Number(_) => {}
        }
    }

    fn ended_with(&mut self, code: u8) {
        self.code = Some(code);
        let is_interrupted = code == crate::EXIT_INTERRUPTED;
        let is_adopted = |it: &Worker| it.spawn.worker.0 == 0;
        if !is_interrupted && !self.workers.values().all(is_adopted) {
            self.wrong
                .push(format!("{:?} are left at the end", self.workers.keys()));
        }
        let unanswered: Vec<_> = self
            .wanted
            .iter()
            .filter(|it| !self.ended.contains_key(it))
            .collect();
        if !unanswered.is_empty() {
            self.wrong
                .push(format!("{unanswered:?} are never answered"));
        }
    }

    /// What is written to tests as a story: workers by generation and number.
    pub(super) fn process(&self, generation: u64, worker: u32) -> ProcessId {
        let mut all = self
            .workers
            .values()
            .filter(|it| it.spawn.generation.0 == generation && it.spawn.worker.0 == worker);
        all.next_back().expect("runs").spawn.process
    }

    pub(super) fn of(&self, generation: u64) -> Vec<ProcessId> {
        let all = self
            .workers
            .values()
            .filter(|it| it.spawn.generation.0 == generation);
        all.map(|it| it.spawn.process).collect()
    }

    pub(super) fn ready(&mut self, process: ProcessId) {
        self.give(Input::Ready(process, Herald::Worker));
    }

    pub(super) fn exits(&mut self, process: ProcessId, code: u8) {
        self.give(Input::Exited(process, Exit::Code(code)));
    }

    pub(super) fn all_ready(&mut self) {
        let waiting: Vec<_> = self.workers.values().filter(|it| !it.is_ready).collect();
        for process in waiting
            .into_iter()
            .map(|it| it.spawn.process)
            .collect::<Vec<_>>()
        {
            self.ready(process);
        }
    }

    /// Whoever was told to go goes.
    pub(super) fn obey(&mut self) {
        let going: Vec<_> = self
            .workers
            .values()
            .filter(|it| it.is_termed && !it.is_killed)
            .collect();
        for process in going
            .into_iter()
            .map(|it| it.spawn.process)
            .collect::<Vec<_>>()
        {
            self.exits(process, 0);
        }
        self.reap();
    }

    /// Whoever was killed is gone.
    pub(super) fn reap(&mut self) {
        let killed: Vec<_> = self.workers.values().filter(|it| it.is_killed).collect();
        for process in killed
            .into_iter()
            .map(|it| it.spawn.process)
            .collect::<Vec<_>>()
        {
            self.give(Input::Exited(process, Exit::Signal(9)));
        }
    }

    /// A wish for a reload with these settings.
    pub(super) fn reload(&mut self, settings: Settings) {
        self.settings = settings;
        self.give(Input::Reload);
        self.answer();
    }

    pub(super) fn answer(&mut self) {
        if self.is_reading {
            let settings = self.settings.clone();
            let change = Change::Generation;
            self.give(Input::Settings(Ok(Read { settings, change })));
        }
    }

    pub(super) fn stop(&mut self, stop: Stop) {
        self.give(Input::Stop(stop));
    }

    /// The codes with which waiting clients ended, in order.
    pub(super) fn codes(&self) -> Vec<u8> {
        self.ended.values().map(Outcome::code).collect()
    }

    /// The first generation serves.
    pub(super) fn started(settings: Settings) -> Self {
        let mut world = Self::new(settings);
        // A mode with fewer at once takes turns.
        for _ in 0..world.settings.workers {
            world.all_ready();
        }
        assert!(world.is_up, "{:?}", world.told);
        world.told.clear();
        world
    }

    pub(super) fn right(&self) {
        assert_eq!(self.wrong, Vec::<String>::new());
    }
}

/// `workers` that say when they are ready, without a probation.
pub(super) fn plain(workers: u32) -> Settings {
    Settings {
        workers,
        readiness: crate::Readiness::Notify,
        confirm: Duration::ZERO,
        ..Settings::default()
    }
}

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
