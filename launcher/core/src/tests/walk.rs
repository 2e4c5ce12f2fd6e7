//! Every order: from each state of a small world, everything that could happen next happens, one thing
//! at a time, and each state is looked at once. Breadth first, so that what is found has the shortest
//! story there is.

use std::{
    collections::{BTreeSet, VecDeque},
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    time::Duration,
};

use proto::time::Moment;
use test_case::test_case;

use super::world::{World, plain, seconds};
use crate::{
    Exit, Input, Launcher, Limit, MaxCrashes, Mode, OnReloadFailure, Settings, Stop,
    generation::Phase, timer::Timers, trial::Reload,
};

/// What can be done to a world from outside, each so many times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Budget {
    reloads: u8,
    rejections: u8,
    crashes: u8,
    terms: u8,
    quits: u8,
    interrupts: u8,
    more: u8,
    less: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Ready(crate::ProcessId),
    Obeys(crate::ProcessId),
    Dies(crate::ProcessId),
    Crashes(crate::ProcessId),
    Reload,
    Settings,
    Rejected,
    Stop(Stop),
    More,
    Less,
    Time,
}

#[derive(Clone, Debug)]
struct State {
    world: World,
    budget: Budget,
}

impl State {
    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let (world, budget) = (&self.world, &self.budget);
        if world.code.is_some() {
            return steps;
        }
        for (process, worker) in &world.workers {
            if worker.is_killed {
                steps.push(Step::Dies(*process));
                continue;
            }
            if worker.is_termed {
                steps.push(Step::Obeys(*process));
            } else if budget.crashes > 0 {
                steps.push(Step::Crashes(*process));
            }
            if !worker.is_ready && !worker.is_termed {
                steps.push(Step::Ready(*process));
            }
        }
        let mut may = |is: bool, step| steps.extend(is.then_some(step));
        may(world.is_reading, Step::Settings);
        may(world.is_reading && budget.rejections > 0, Step::Rejected);
        may(budget.reloads > 0, Step::Reload);
        may(budget.terms > 0, Step::Stop(Stop::Term));
        may(budget.quits > 0, Step::Stop(Stop::Quit));
        may(budget.interrupts > 0, Step::Stop(Stop::Interrupt));
        may(budget.more > 0, Step::More);
        may(budget.less > 0, Step::Less);
        may(world.launcher.deadline().is_some(), Step::Time);
        steps
    }

    fn take(&mut self, step: Step) {
        let (world, budget) = (&mut self.world, &mut self.budget);
        match step {
            Step::Ready(process) => world.ready(process),
            Step::Obeys(process) => world.exits(process, 0),
            Step::Dies(process) => world.give(Input::Exited(process, Exit::Signal(9))),
            Step::Crashes(process) => {
                budget.crashes -= 1;
                world.exits(process, 3);
            }
            Step::Reload => {
                budget.reloads -= 1;
                world.give(Input::Reload);
            }
            Step::Settings => world.answer(),
            Step::Rejected => {
                budget.rejections -= 1;
                world.give(Input::Settings(Err("no".into())));
            }
            Step::Stop(stop) => {
                match stop {
                    Stop::Term => budget.terms -= 1,
                    Stop::Quit => budget.quits -= 1,
                    Stop::Interrupt => budget.interrupts -= 1,
                }
                world.stop(stop);
            }
            Step::More => {
                budget.more -= 1;
                world.give(Input::OneMore);
            }
            Step::Less => {
                budget.less -= 1;
                world.give(Input::OneLess);
            }
            Step::Time => drop(world.next_timer()),
        }
        world.told.clear();
    }

    /// What tells states apart: the same one a minute later is the same one.
    fn shape(&self) -> u64 {
        let world = World {
            launcher: self.world.launcher.rebased(self.world.now),
            now: Moment::default(),
            ..self.world.clone()
        };
        BuildHasherDefault::<DefaultHasher>::new().hash_one((world, self.budget))
    }
}

impl Launcher {
    /// The same with all moments counted from now, and those of the past forgotten.
    fn rebased(&self, now: Moment) -> Self {
        let mut it = self.clone();
        let rebase = |moment: Moment| Moment::at(moment.since(now));
        let timers: Vec<_> = it.timers.into();
        let timers = timers.into_iter().map(|(timer, at)| (timer, rebase(at)));
        it.timers = Timers::from(timers.collect::<Vec<_>>());
        for process in it.processes.values_mut() {
            match &mut process.phase {
                Phase::Ready { since, .. } | Phase::Draining { since, .. } => {
                    *since = rebase(*since)
                }
                Phase::Starting | Phase::Aborted | Phase::Killed => {}
            }
        }
        match &mut it.reload {
            Reload::Reading { since, .. } => *since = rebase(*since),
            Reload::Trying {
                since, ready_in, ..
            } => {
                *since = rebase(*since);
                *ready_in = ready_in.map(|_| Duration::ZERO);
            }
            Reload::Idle | Reload::Waiting => {}
        }
        it.last = None;
        it.crashes.iter_mut().for_each(|at| *at = rebase(*at));
        it.random = 0;
        it
    }
}

const STATES: usize = if cfg!(debug_assertions) {
    2_500
} else {
    100_000
};

fn walk(settings: Settings, budget: Budget) -> (usize, usize) {
    let first = State {
        world: World::new(settings),
        budget,
    };
    let mut seen = BTreeSet::from([first.shape()]);
    let mut queue = VecDeque::from([(first, Vec::new())]);
    let mut ends = 0;
    while let Some((state, story)) = queue.pop_front() {
        for step in state.steps() {
            let mut next = state.clone();
            next.take(step);
            let told = || {
                let mut story: Vec<Step> = story.clone();
                story.push(step);
                story
            };
            assert!(
                next.world.wrong.is_empty(),
                "{:?} after {:?}\n{:#?}",
                next.world.wrong,
                told(),
                next.world.launcher
            );
            ends += usize::from(next.world.code.is_some());
            if seen.len() < STATES && seen.insert(next.shape()) {
                let story = told();
                queue.push_back((next, story));
            }
        }
    }
    (seen.len(), ends)
}

const OPERATOR: Budget = Budget {
    reloads: 2,
    rejections: 1,
    crashes: 0,
    terms: 1,
    quits: 0,
    interrupts: 0,
    more: 0,
    less: 0,
};
const CRASHES: Budget = Budget {
    reloads: 1,
    crashes: 2,
    terms: 1,
    rejections: 0,
    quits: 0,
    interrupts: 0,
    more: 0,
    less: 0,
};
const STOPS: Budget = Budget {
    reloads: 1,
    crashes: 1,
    terms: 2,
    quits: 1,
    interrupts: 1,
    rejections: 0,
    more: 0,
    less: 0,
};
const NUMBERS: Budget = Budget {
    reloads: 1,
    crashes: 1,
    more: 2,
    less: 2,
    rejections: 0,
    terms: 0,
    quits: 0,
    interrupts: 0,
};

#[test_case("two reloads and a stop", OPERATOR)]
#[test_case("two crashes and a reload", CRASHES)]
#[test_case("every kind of stop", STOPS)]
#[test_case("more and less", NUMBERS)]
fn every_order(what: &str, budget: Budget) {
    let crashes = MaxCrashes {
        count: 2,
        within: seconds(1_000_000),
    };
    for mode in [Mode::Overlap, Mode::Rolling, Mode::Replace] {
        for confirm in [0, 2] {
            for (limit, failure) in [
                (Limit::After(seconds(60)), OnReloadFailure::Abort),
                (Limit::Unlimited, OnReloadFailure::Retry),
            ] {
                let settings = Settings {
                    mode,
                    confirm: seconds(confirm),
                    reload_graceful: limit,
                    on_reload_failure: failure,
                    max_old_generations: 1,
                    respawn_reset: Duration::ZERO,
                    max_crashes: (confirm == 0).then_some(crashes),
                    ..plain(2)
                };
                let (states, ends) = walk(settings, budget);
                println!("{what}, {mode:?}, {confirm} s, {limit:?}: {states} states, {ends} ends");
                assert!(states > 300, "{states}");
            }
        }
    }
}
