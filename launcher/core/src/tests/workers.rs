use std::time::Duration;

use super::world::{World, plain, seconds};
use crate::{Exit, Input, MaxCrashes, Mode, Note, Output, Reason, Settings, Signal};

fn starts(world: &World) -> usize {
    world
        .told
        .iter()
        .filter(|it| matches!(it, Output::Spawn(_)))
        .count()
}

#[test]
fn a_worker_that_ends_is_started_again_after_a_wait_that_doubles() {
    let mut world = World::started(plain(2));
    let other = world.process(1, 2);
    let mut waits = Vec::new();
    for _ in 0..12 {
        world.give(Input::Exited(world.process(1, 1), Exit::Signal(9)));
        let before = world.now;
        while world.of(1).len() < 2 {
            assert!(world.next_timer());
        }
        waits.push(world.now.since(before).as_millis());
        world.ready(world.process(1, 1));
    }
    assert!((75..=100).contains(&waits[0]), "{waits:?}");
    assert!((150..=200).contains(&waits[1]), "{waits:?}");
    assert!((22_500..=30_000).contains(&waits[11]), "{waits:?}");
    assert_eq!(world.process(1, 2), other, "the other one is left alone");
    // Once it has lived for a while, all is forgotten.
    world.pass(seconds(10));
    world.exits(world.process(1, 1), 0);
    world.pass(Duration::from_millis(100));
    assert_eq!(world.of(1).len(), 2);
    world.right();
}

#[test]
fn ten_minutes_of_crashes_are_forty_starts_at_most() {
    let mut world = World::started(plain(1));
    let end = world.now.plus(seconds(600));
    while world.now < end {
        if let Some(process) = world.of(1).first() {
            world.exits(*process, 1);
        }
        world.next_timer();
    }
    assert!((20..=40).contains(&starts(&world)), "{}", starts(&world));
    world.right();
}

#[test]
fn too_many_crashes_drain_the_rest_and_end() {
    let mut world = World::started(Settings {
        max_crashes: Some(MaxCrashes {
            count: 3,
            within: seconds(60),
        }),
        ..plain(2)
    });
    for _ in 0..2 {
        world.exits(world.process(1, 1), 1);
        world.pass(seconds(1));
        world.all_ready();
    }
    world.pass(seconds(60));
    world.exits(world.process(1, 1), 1);
    assert_eq!(world.code, None, "those before it were long ago");
    world.pass(seconds(1));
    for _ in 0..2 {
        world.all_ready();
        world.exits(world.process(1, 1), 1);
        world.pass(seconds(1));
    }
    assert!(world.workers[&world.process(1, 2)].is_termed);
    world.obey();
    assert_eq!(world.code, Some(71));
    world.right();
}

#[test]
fn crashes_of_what_was_replaced_say_nothing_of_what_has_replaced_it() {
    let settings = Settings {
        max_crashes: Some(MaxCrashes {
            count: 2,
            within: seconds(60),
        }),
        ..plain(1)
    };
    let mut world = World::started(settings.clone());
    world.exits(world.process(1, 1), 1);
    world.reload(settings);
    world.all_ready();
    world.exits(world.process(2, 1), 1);
    assert!(!world.told.contains(&Output::Stopping), "it is the first");
    world.pass(seconds(1));
    world.exits(world.process(2, 1), 1);
    assert!(world.told.contains(&Output::Stopping));
    world.right();
}

#[test]
fn a_reload_takes_no_time_off_for_crashes() {
    let mut world = World::started(plain(1));
    for _ in 0..9 {
        world.exits(world.process(1, 1), 1);
        world.pass(seconds(30));
    }
    world.exits(world.process(1, 1), 1);
    world.reload(plain(1));
    assert_eq!(world.of(2).len(), 1);
    world.all_ready();
    assert_eq!(world.codes(), [0]);
    world.pass(seconds(100));
    assert_eq!(world.workers.len(), 1, "nothing of the old one comes back");
    world.right();
}

#[test]
fn a_worker_that_is_started_again_and_hangs_is_killed_and_started_again() {
    let mut world = World::started(plain(1));
    world.exits(world.process(1, 1), 1);
    world.pass(seconds(1));
    world.pass(seconds(30));
    let hung = world.process(1, 1);
    assert!(world.workers[&hung].is_killed);
    world.reap();
    world.pass(seconds(1));
    assert_ne!(world.process(1, 1), hung);
    world.right();
}

#[test]
fn a_silent_worker_is_aborted_and_the_service_manager_hears_when_all_live() {
    let settings = Settings {
        watchdog: Some(seconds(10)),
        ..plain(2)
    };
    let mut world = World::started(settings);
    let (one, two) = (world.process(1, 1), world.process(1, 2));
    let alive = |world: &World| world.told.iter().filter(|it| **it == Output::Alive).count();
    for _ in 0..2 {
        world.pass(seconds(4));
        world.give(Input::Alive(one));
    }
    assert_eq!(alive(&world), 0, "the other one has said nothing");
    world.pass(seconds(2));
    assert!(world.told.contains(&Output::Signal(two, Signal::Abort)));
    assert!(
        world
            .told
            .iter()
            .any(|it| matches!(it, Output::Note(Note::Silent(..))))
    );
    world.pass(seconds(3));
    world.give(Input::Alive(one));
    assert_eq!(alive(&world), 1, "it is dealt with");
    world.pass(seconds(2));
    assert!(world.workers[&two].is_killed);
    world.reap();
    world.right();
}

#[test]
fn a_worker_that_was_silent_after_a_long_life_is_started_again_at_once() {
    let settings = Settings {
        watchdog: Some(seconds(60)),
        ..plain(1)
    };
    let mut world = World::started(settings);
    for _ in 0..20 {
        let worker = world.process(1, 1);
        world.pass(seconds(60));
        assert!(world.workers[&worker].is_aborted);
        world.give(Input::Exited(worker, Exit::Signal(6)));
        // The first wait is 100 ms, with jitter less.
        world.pass(Duration::from_millis(100));
        world.all_ready();
    }
    world.right();
}

#[test]
fn somebody_else_has_to_speak_while_no_worker_can() {
    let settings = Settings {
        watchdog: Some(seconds(10)),
        ..plain(1)
    };
    let mut world = World::new(settings.clone());
    assert!(!world.launcher.is_spoken_for(), "nobody is ready");
    world.all_ready();
    assert!(world.launcher.is_spoken_for());
    world.exits(world.process(1, 1), 1);
    assert!(
        !world.launcher.is_spoken_for(),
        "it waits to be started again"
    );
    world.pass(seconds(1));
    assert!(!world.launcher.is_spoken_for(), "it is not ready");
    world.all_ready();
    assert!(world.launcher.is_spoken_for());
    world.reload(Settings {
        watchdog: None,
        ..settings
    });
    world.all_ready();
    assert!(
        !world.launcher.is_spoken_for(),
        "the new ones are not asked"
    );
    world.right();
}

#[test]
fn one_more_and_one_less_last_until_the_next_reload() {
    let mut world = World::started(plain(2));
    world.give(Input::OneMore);
    world.give(Input::OneMore);
    world.all_ready();
    assert_eq!(world.workers.len(), 4);
    for _ in 0..7 {
        world.give(Input::OneLess);
    }
    world.obey();
    assert_eq!(world.workers.len(), 1, "one stays");
    world.reload(plain(2));
    world.give(Input::OneMore);
    world.all_ready();
    world.obey();
    assert_eq!(world.workers.len(), 2, "not during a change");
    world.right();
}

#[test]
fn workers_know_who_they_are() {
    let mut world = World::new(Settings {
        mode: Mode::Rolling,
        ..plain(3)
    });
    let spawns = |world: &World| {
        let mut all = Vec::new();
        for output in &world.told {
            if let Output::Spawn(it) = output {
                all.push((it.generation.0, it.worker.0, it.workers, it.reason));
            }
        }
        all
    };
    assert_eq!(spawns(&world)[2], (1, 3, 3, Reason::Start));
    world.all_ready();
    world.exits(world.process(1, 2), 1);
    world.pass(seconds(1));
    assert_eq!(spawns(&world)[3], (1, 2, 3, Reason::Respawn));
    world.all_ready();
    world.reload(plain(1));
    assert_eq!(spawns(&world)[4], (2, 1, 1, Reason::Reload));
    world.right();
}
