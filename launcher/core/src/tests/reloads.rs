use std::time::Duration;

use test_case::test_case;

use super::world::{World, plain, seconds};
use crate::{
    Cause, Change, Exit, GenerationId, Herald, Input, Limit, Mode, Note, OnReloadFailure, Outcome,
    Output, Read, Readiness, Settings, Stop,
};

#[test]
fn the_old_generation_goes_when_all_of_the_new_one_is_ready() {
    let mut world = World::started(plain(2));
    world.reload(plain(3));
    let new = world.of(2);
    assert_eq!(new.len(), 3);
    for process in &new[..2] {
        world.ready(*process);
    }
    assert!(world.workers.values().all(|it| !it.is_termed));
    world.ready(new[2]);
    assert!(world.of(1).iter().all(|it| world.workers[it].is_termed));
    assert_eq!(world.codes(), [0]);
    world.obey();
    assert_eq!(world.workers.len(), 3);
    world.right();
}

#[test]
fn a_new_generation_is_on_probation_while_the_old_one_serves() {
    let settings = Settings {
        confirm: seconds(2),
        ..plain(1)
    };
    let mut world = World::started(settings.clone());
    world.reload(settings);
    world.all_ready();
    world.pass(Duration::from_millis(1999));
    assert!(world.codes().is_empty() && !world.workers[&world.process(1, 1)].is_termed);
    world.exits(world.process(2, 1), 9);
    assert_eq!(world.codes(), [4]);
    let Some(Outcome::Failed(failure)) = world.ended.values().next() else {
        panic!("{:?}", world.ended);
    };
    assert_eq!(
        failure.to_string(),
        "gen 2 worker 1 exit 9 soon after it was ready"
    );
    assert!(!world.workers[&world.process(1, 1)].is_termed);
    world.right();
}

/// How a generation fails, how that is told, and with which code a client ends.
#[test_case(Some(Exit::Code(3)), 4, "gen 2 worker 1 exit 3 before it was ready")]
#[test_case(Some(Exit::Code(0)), 4, "gen 2 worker 1 exit 0 before it was ready"; "forks away")]
#[test_case(
    Some(Exit::Signal(11)),
    4,
    "gen 2 worker 1 killed by signal 11 before it was ready"
)]
#[test_case(Some(Exit::NeverRan { missing: true, why: "/x: there is no such file".into() }), 4,
    "gen 2 worker 1 could not be started: /x: there is no such file")]
#[test_case(None, 5, "gen 2 worker 1 was not ready within 30s"; "hangs")]
fn a_generation_that_fails_leaves_the_old_one(exit: Option<Exit>, code: u8, text: &str) {
    let mut world = World::started(plain(2));
    world.reload(plain(2));
    // The other one of it was ready, and may be in the middle of a request.
    world.ready(world.process(2, 2));
    match exit {
        Some(exit) => world.give(Input::Exited(world.process(2, 1), exit)),
        None => world.pass(seconds(30)),
    }
    assert_eq!(world.codes(), [code]);
    let outcome = world.ended.values().next().expect("ended");
    assert_eq!(outcome.to_string(), text);
    assert!(world.workers[&world.process(2, 2)].is_termed);
    assert!(!world.workers[&world.process(2, 2)].is_killed);
    assert!(world.of(1).iter().all(|it| !world.workers[it].is_termed));
    // What never was ready has little time, what was has the limit of a reload.
    world.pass(seconds(2));
    assert!(
        world
            .of(2)
            .iter()
            .filter(|it| !world.workers[it].is_ready)
            .all(|it| world.workers[it].is_killed)
    );
    world.pass(seconds(57));
    assert!(!world.workers[&world.process(2, 2)].is_killed);
    world.pass(seconds(1));
    assert!(world.workers[&world.process(2, 2)].is_killed);
    world.right();
}

#[test]
fn settings_that_are_not_valid_change_nothing() {
    let mut world = World::started(plain(1));
    world.give(Input::Reload);
    world.give(Input::Settings(Err("a.toml:1:1: workers: found 0".into())));
    assert_eq!(world.codes(), [3]);
    assert_eq!(world.of(1).len(), world.workers.len());
    world.right();
}

#[test]
fn reloads_that_come_meanwhile_are_one_after_it_with_the_settings_of_then() {
    let mut world = World::started(plain(1));
    world.reload(plain(1));
    for _ in 0..100 {
        world.give(Input::Reload);
    }
    assert_eq!(world.wanted.len(), 2, "the one under way, and one after it");
    world.all_ready();
    assert!(world.is_reading);
    world.settings = plain(4);
    world.answer();
    world.all_ready();
    world.obey();
    assert_eq!((world.workers.len(), world.codes()), (4, vec![0, 0]));
    assert!(!world.is_reading);
    world.right();
}

#[test]
fn what_may_change_while_workers_run_is_only_told_to_them() {
    let mut world = World::started(plain(2));
    world.give(Input::Reload);
    let (settings, change) = (plain(2), Change::Mutable { signal: 1 });
    world.give(Input::Settings(Ok(Read { settings, change })));
    let signals = world
        .told
        .iter()
        .filter(|it| matches!(it, Output::Signal(..)));
    assert_eq!((signals.count(), world.codes()), (2, vec![0]));
    assert_eq!(world.of(1).len(), world.workers.len());
    world.right();
}

#[test]
fn a_rolling_reload_has_one_process_more_and_waits_for_those_that_go() {
    let settings = Settings {
        mode: Mode::Rolling,
        confirm: seconds(1),
        ..plain(3)
    };
    let mut world = World::started(settings.clone());
    world.reload(settings);
    for step in 1..=3 {
        assert_eq!(world.of(2).len(), step);
        world.all_ready();
        world.pass(seconds(1));
        let termed = world.workers.values().filter(|it| it.is_termed).count();
        assert_eq!(
            (termed, world.workers.len()),
            (1, 4),
            "one goes for each that came"
        );
        world.obey();
    }
    assert_eq!((world.workers.len(), world.codes()), (3, vec![0]));
    world.right();
}

#[test]
fn a_rolling_reload_that_fails_brings_back_what_has_gone() {
    let settings = Settings {
        mode: Mode::Rolling,
        ..plain(3)
    };
    let mut world = World::started(settings.clone());
    world.reload(settings);
    world.all_ready();
    world.obey();
    world.exits(world.process(2, 2), 1);
    assert_eq!(world.codes(), [4]);
    world.obey();
    world.all_ready();
    assert_eq!(world.of(1).len(), 3);
    assert_eq!(world.workers.len(), 3);
    world.right();
}

#[test]
fn what_crashes_again_and_again_waits_as_long_after_a_rolling_reload_that_failed() {
    let settings = Settings {
        mode: Mode::Rolling,
        ..plain(2)
    };
    let mut world = World::started(settings.clone());
    for _ in 0..12 {
        world.pass(seconds(30));
        world.exits(world.process(1, 2), 1);
    }
    assert_eq!(world.of(1).len(), 1, "it waits, for some thirty seconds");
    world.reload(settings);
    // It makes room before any that serves does.
    world.ready(world.process(2, 1));
    assert!(world.workers.values().all(|it| !it.is_termed));
    world.exits(world.process(2, 2), 1);
    world.obey();
    assert_eq!((world.codes(), world.of(1).len()), (vec![4], 1));
    world.pass(seconds(10));
    assert_eq!(world.of(1).len(), 1, "it still waits");
    world.pass(seconds(30));
    assert_eq!(world.of(1).len(), 2);
    world.right();
}

#[test]
fn what_crashes_after_a_rolling_reload_to_fewer_is_started_while_those_before_it_still_drain() {
    let rolling = |workers| Settings {
        mode: Mode::Rolling,
        ..plain(workers)
    };
    let mut world = World::started(rolling(4));
    world.reload(rolling(2));
    world.ready(world.process(2, 1));
    world.obey();
    world.ready(world.process(2, 2));
    assert_eq!((world.codes(), world.workers.len()), (vec![0], 5));
    world.exits(world.process(2, 1), 1);
    world.pass(seconds(1));
    assert_eq!((world.of(2).len(), world.of(1).len()), (2, 3));
    world.right();
}

/// A worker more does not take the room of one that has crashed and comes back, while others still drain.
#[test]
fn one_more_after_a_rolling_reload_leaves_room_for_what_has_crashed() {
    let rolling = |workers| Settings {
        mode: Mode::Rolling,
        ..plain(workers)
    };
    let mut world = World::started(rolling(3));
    world.reload(rolling(2));
    world.ready(world.process(2, 1));
    world.obey();
    world.ready(world.process(2, 2));
    let before = world.workers.len();
    assert_eq!((world.codes(), before), (vec![0], 4));
    world.exits(world.process(2, 1), 1);
    world.give(Input::OneMore);
    assert_eq!(world.of(2).len(), 1, "it waits");
    world.pass(seconds(1));
    assert_eq!((world.of(2).len(), world.workers.len()), (2, before));
    world.obey();
    assert_eq!(world.of(2).len(), 3, "there is room now");
    world.right();
}

#[test]
fn replacing_stops_the_old_ones_first_and_brings_them_back_after_a_failure() {
    let settings = Settings {
        mode: Mode::Replace,
        ..plain(2)
    };
    let mut world = World::started(plain(2));
    world.reload(settings);
    assert!(world.of(2).is_empty());
    assert!(world.workers.values().all(|it| it.is_termed));
    world.obey();
    assert_eq!(world.of(2).len(), 2);
    world.exits(world.process(2, 1), 1);
    assert!(world.of(1).is_empty(), "not before the others have gone");
    world.obey();
    assert_eq!((world.of(1).len(), world.codes()), (2, vec![4]));
    world.all_ready();
    world.right();
}

#[test]
fn old_generations_are_cut_at_their_limit_and_when_there_are_too_many() {
    let settings = Settings {
        reload_graceful: Limit::Unlimited,
        max_old_generations: 2,
        ..plain(1)
    };
    let mut world = World::started(settings.clone());
    for _ in 0..2 {
        world.reload(settings.clone());
        world.all_ready();
    }
    world.pass(seconds(10_000));
    assert!(world.workers.values().all(|it| !it.is_killed));
    let two = Settings {
        max_old_generations: 2,
        ..plain(1)
    };
    world.reload(two.clone());
    world.all_ready();
    assert!(world.workers[&world.process(1, 1)].is_killed);
    assert!(!world.workers[&world.process(2, 1)].is_killed);
    assert!(
        world
            .told
            .contains(&Output::Note(Note::TooManyOld(GenerationId(1), 2)))
    );
    world.reap();
    world.reload(two);
    world.all_ready();
    world.reap();
    let fourth = world.process(4, 1);
    world.pass(seconds(59));
    assert!(!world.workers[&fourth].is_killed);
    world.pass(seconds(1));
    assert!(
        world.workers[&fourth].is_killed,
        "its own limit is a minute"
    );
    world.right();
}

#[test]
fn a_reload_that_failed_is_tried_again_if_the_settings_say_so() {
    let settings = Settings {
        on_reload_failure: OnReloadFailure::Retry,
        ..plain(1)
    };
    let mut world = World::started(settings.clone());
    world.reload(settings);
    world.exits(world.process(2, 1), 1);
    assert_eq!(world.codes(), [4], "whoever waits is told at once");
    for number in 2..5 {
        assert!(!world.is_reading);
        world.next_timer();
        world.answer();
        world.exits(world.process(number + 1, 1), 1);
    }
    world.reload(plain(1));
    world.all_ready();
    assert_eq!(world.codes(), [4, 4, 4, 4, 0]);
    world.obey();
    world.pass(seconds(1000));
    assert_eq!(world.codes().len(), 5);
    world.right();
}

/// What makes a worker ready.
#[test_case(Readiness::Notify, false, Some(Herald::Worker), 0; "its word")]
#[test_case(Readiness::Probe, false, Some(Herald::Probe), 0; "a probe")]
#[test_case(Readiness::After(seconds(5)), false, None, 5; "a time")]
#[test_case(Readiness::Auto(seconds(1)), false, None, 1; "a time if none has ever said so")]
#[test_case(Readiness::Auto(seconds(1)), true, Some(Herald::Worker), 20; "its word if one has")]
fn a_worker_is_ready(readiness: Readiness, before: bool, herald: Option<Herald>, after: u64) {
    let settings = Settings {
        readiness,
        ..plain(1)
    };
    let mut world = World::new(Settings {
        readiness: if before {
            Readiness::Notify
        } else {
            Readiness::After(seconds(1))
        },
        ..plain(1)
    });
    if before {
        world.all_ready();
    }
    world.pass(seconds(1));
    assert!(world.is_up);
    world.reload(settings);
    let new = world.process(2, 1);
    // Who is not asked does not count.
    let other = match readiness {
        Readiness::Probe => Some(Herald::Worker),
        Readiness::Notify => Some(Herald::Probe),
        Readiness::After(_) | Readiness::Auto(_) => None,
    };
    if let Some(other) = other {
        world.give(Input::Ready(new, other));
    }
    assert!(world.codes().is_empty());
    world.pass(seconds(after).saturating_sub(Duration::from_millis(1)));
    assert!(world.codes().is_empty(), "too early");
    match herald {
        Some(herald) => world.give(Input::Ready(new, herald)),
        None => world.pass(Duration::from_millis(1)),
    }
    assert_eq!(world.codes(), [0]);
}

#[test]
fn a_published_name_settles_before_the_old_one_goes() {
    let settings = Settings {
        settle: Duration::from_millis(100),
        ..plain(1)
    };
    let mut world = World::started(settings.clone());
    world.reload(settings);
    world.all_ready();
    assert!(world.told.contains(&Output::Publish(GenerationId(2))));
    assert!(!world.workers[&world.process(1, 1)].is_termed);
    world.pass(Duration::from_millis(100));
    assert!(world.workers[&world.process(1, 1)].is_termed);
    world.right();
}

#[test]
fn a_name_that_moves_on_gives_nobody_more_time() {
    let settings = Settings {
        settle: Duration::from_millis(100),
        ..plain(1)
    };
    let mut world = World::started(settings.clone());
    for old in 1..10 {
        world.reload(settings.clone());
        world.all_ready();
        world.pass(Duration::from_millis(60));
        if old > 1 {
            assert!(world.workers[&world.process(old - 1, 1)].is_termed, "{old}");
        }
    }
    world.right();
}

#[test]
fn what_a_launcher_before_has_left_serves_until_the_first_generation_does() {
    let left = [GenerationId(6), GenerationId(7), GenerationId(7)];
    let settings = Settings {
        confirm: seconds(2),
        ..plain(2)
    };
    let mut world = World::adopting(settings.clone(), &left);
    assert_eq!(world.of(8).len(), 2, "numbers go on");
    world.all_ready();
    assert!(!world.is_up);
    world.pass(seconds(2));
    assert!(world.is_up);
    for generation in [6, 7] {
        assert!(
            world
                .of(generation)
                .iter()
                .all(|it| world.workers[it].is_termed)
        );
    }
    world.obey();
    assert_eq!(world.workers.len(), 2);
    world.right();

    let mut world = World::adopting(settings, &left);
    for process in world.of(8) {
        world.exits(process, 7);
    }
    assert_eq!(world.code, Some(7));
    assert_eq!(
        world
            .workers
            .values()
            .filter(|it| it.is_termed || it.is_killed)
            .count(),
        0
    );
    world.right();
}

#[test]
fn a_launcher_that_is_handed_over_goes_on_where_it_was() {
    let mut world = World::started(Settings {
        confirm: seconds(2),
        ..plain(2)
    });
    world.reload(plain(3));
    world.ready(world.process(2, 1));
    world.give(Input::Reload);
    let text = serde_json::to_string(&world.launcher).expect("written");
    let read: crate::Launcher = serde_json::from_str(&text).expect("read");
    assert_eq!(read, world.launcher);
    world.launcher = read;
    world.all_ready();
    world.answer();
    world.all_ready();
    assert_eq!(world.codes(), [0, 0]);
    world.stop(Stop::Term);
    world.obey();
    assert_eq!(world.code, Some(0));
    world.right();
}

#[test]
fn the_status_is_one_line_that_stays_true() {
    let clock = |at: proto::time::Moment| format!("{}", at.since_beginning().as_secs());
    let mut world = World::started(plain(2));
    assert_eq!(world.launcher.status().line(clock), "gen 1: 2/2 ready");
    world.reload(plain(2));
    assert_eq!(
        world.launcher.status().line(clock),
        "gen 2: trying, 0/2 ready; gen 1: 2/2 ready"
    );
    world.now = world.now.plus(Duration::from_micros(5_600));
    world.all_ready();
    assert_eq!(
        world.launcher.status().line(clock),
        "gen 2: 2/2 ready; gen 1: 2 draining until 1060; last reload ok 5.6 ms at 1000"
    );
    world.obey();
    world.reload(plain(2));
    world.exits(world.process(3, 2), 3);
    assert_eq!(
        world.launcher.status().line(clock),
        "gen 3: failed, 1 draining until 1002; gen 2: 2/2 ready; \
         last reload FAILED (gen 3 worker 2 exit 3 before it was ready) at 1000"
    );
    assert!(matches!(
        world.ended.values().last(),
        Some(Outcome::Failed(failure)) if failure.cause == Cause::BeforeReady(Exit::Code(3))
    ));
}
