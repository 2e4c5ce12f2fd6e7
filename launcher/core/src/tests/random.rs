//! Many seeds of long lives: whatever happens in whatever order, everything holds; and once everybody
//! behaves again, the service does too.

use super::world::{World, plain, seconds};
use crate::{
    Exit, GenerationId, Herald, Input, Limit, MaxCrashes, Mode, OnReloadFailure, ProcessId,
    Readiness, Settings, Stop,
};

struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    fn settings(&mut self, mode: Mode) -> Settings {
        let limits = [
            Limit::After(seconds(5)),
            Limit::After(seconds(60)),
            Limit::Unlimited,
        ];
        Settings {
            workers: self.pick(&[1, 1, 2, 3, 5]),
            mode,
            readiness: self.pick(&[
                Readiness::Notify,
                Readiness::Auto(seconds(1)),
                Readiness::After(seconds(2)),
                Readiness::Probe,
            ]),
            confirm: seconds(self.pick(&[0, 0, 2])),
            settle: seconds(self.pick(&[0, 0, 1])),
            graceful: self.pick(&limits),
            reload_graceful: self.pick(&limits),
            max_old_generations: self.pick(&[0, 1, 3]),
            on_reload_failure: self.pick(&[OnReloadFailure::Abort, OnReloadFailure::Retry]),
            max_crashes: self.pick(&[
                None,
                None,
                Some(MaxCrashes {
                    count: 4,
                    within: seconds(30),
                }),
            ]),
            success_code: self.pick(&[None, None, None, Some(7)]),
            watchdog: self.pick(&[None, None, Some(seconds(20))]),
            ..plain(1)
        }
    }

    fn step(&mut self, world: &mut World) {
        let all: Vec<ProcessId> = world.workers.keys().copied().collect();
        let process = if all.is_empty() {
            ProcessId(0)
        } else {
            self.pick(&all)
        };
        let killed = world.workers.get(&process).is_some_and(|it| it.is_killed);
        match self.below(100) {
            0..25 => world.give(Input::Ready(
                process,
                self.pick(&[Herald::Worker, Herald::Probe]),
            )),
            25..35 => world.obey(),
            35..40 => world.reap(),
            40..46 if !killed => {
                let exit = self.pick(&[0, 1, 7]);
                world.give(Input::Exited(process, Exit::Code(exit)));
            }
            40..46 => world.reap(),
            46..56 => world.give(Input::Reload),
            56..70 => {
                if self.below(6) == 0 && world.is_reading {
                    world.give(Input::Settings(Err("no".into())));
                } else {
                    let mode = world.settings.mode;
                    world.settings = self.settings(mode);
                    world.answer();
                }
            }
            70..74 => world.give(Input::Alive(process)),
            74..77 => world.give(Input::OneMore),
            77..80 => world.give(Input::OneLess),
            80..82 if self.below(6) == 0 => {
                world.stop(self.pick(&[Stop::Term, Stop::Quit, Stop::Interrupt]));
            }
            80..95 => drop(world.next_timer()),
            _ => world.pass(seconds(self.below(40))),
        }
    }
}

fn live(seed: u64) {
    let mut dice = Dice(seed);
    let mode = dice.pick(&[Mode::Overlap, Mode::Rolling, Mode::Replace]);
    let settings = dice.settings(mode);
    let adopted = [GenerationId(3), GenerationId(4)];
    let adopted = &adopted[..dice.pick(&[0, 0, 2])];
    let mut world = World::adopting(settings, adopted);
    for step in 0..300 {
        dice.step(&mut world);
        assert!(
            world.wrong.is_empty(),
            "seed {seed}, step {step}: {:?}",
            world.wrong
        );
        if world.code.is_some() {
            return;
        }
    }
    // Everybody behaves from now on.
    for _ in 0..400 {
        let calm = Settings {
            workers: 2,
            ..plain(2)
        };
        world.settings = Settings { mode, ..calm };
        world.answer();
        world.obey();
        for process in world.workers.keys().copied().collect::<Vec<_>>() {
            world.give(Input::Ready(process, Herald::Worker));
            world.give(Input::Ready(process, Herald::Probe));
            world.give(Input::Alive(process));
        }
        world.pass(seconds(5));
        world.obey();
        assert!(
            world.wrong.is_empty(),
            "seed {seed}, calm: {:?}",
            world.wrong
        );
        if world.code.is_some() {
            return;
        }
    }
    let status = world.launcher.status();
    assert_eq!(status.state, "running", "seed {seed}: {status:?}");
    assert_eq!(status.generations.len(), 1, "seed {seed}: {status:?}");
    let serving = &status.generations[0];
    assert_eq!(
        (serving.ready, serving.starting, serving.draining),
        (serving.workers, 0, 0),
        "seed {seed}: {status:?}"
    );
    let open: Vec<_> = world
        .wanted
        .iter()
        .filter(|it| !world.ended.contains_key(it))
        .collect();
    assert!(open.is_empty(), "seed {seed}: {open:?} are never answered");
}

#[test]
fn seeds() {
    let count = if cfg!(debug_assertions) { 300 } else { 20_000 };
    for seed in 0..count {
        live(seed);
    }
}
