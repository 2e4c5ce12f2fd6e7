use std::time::Duration;

use test_case::test_case;

use super::world::{World, plain, seconds};
use crate::{Exit, Input, Limit, Note, Output, Settings, Stop, limits::IDLE_GRACE};

#[test]
fn a_stop_drains_everything_once_and_ends_well() {
    let mut world = World::started(plain(2));
    world.reload(plain(2));
    world.all_ready();
    world.reload(plain(2));
    world.stop(Stop::Term);
    world.stop(Stop::Term);
    assert!(world.workers.values().all(|it| it.is_termed));
    assert_eq!(world.codes(), [0, 4], "the reload under way is called off");
    world.give(Input::Reload);
    assert_eq!(world.launcher.covering(), None);
    assert!(world.told.contains(&Output::Stopping));
    world.obey();
    assert_eq!(world.code, Some(0));
    world.right();
}

/// The limits of a stop: what drains already keeps its own if that is sooner.
#[test_case(&[Stop::Term], Limit::After(seconds(5)), Some(5))]
#[test_case(&[Stop::Term, Stop::Term], Limit::After(seconds(5)), Some(5); "twice is once")]
#[test_case(&[Stop::Term], Limit::Unlimited, None; "none")]
#[test_case(&[Stop::Quit], Limit::After(seconds(5)), None; "quit has none")]
#[test_case(&[Stop::Term, Stop::Quit], Limit::After(seconds(5)), None; "quit takes it away")]
#[test_case(&[Stop::Quit, Stop::Term], Limit::After(seconds(5)), Some(5); "term gives one")]
fn a_stop_has_its_limit(stops: &[Stop], graceful: Limit, cut: Option<u64>) {
    let mut world = World::started(Settings {
        graceful,
        ..plain(1)
    });
    for stop in stops {
        world.stop(*stop);
    }
    let before = Duration::from_secs(cut.unwrap_or(100_000)) - Duration::from_millis(1);
    world.pass(before);
    assert!(world.workers.values().all(|it| !it.is_killed));
    world.pass(Duration::from_millis(1));
    assert!(
        world
            .workers
            .values()
            .all(|it| it.is_killed == cut.is_some())
    );
    // All the while the service manager is told that we are at it.
    let extended = world
        .told
        .iter()
        .filter(|it| matches!(it, Output::Extend(_)))
        .count();
    assert_eq!(extended as u64, cut.unwrap_or(100_000) / 10 + 1);
    world.reap();
    if cut.is_some() {
        assert_eq!(world.code, Some(0));
        assert!(
            world
                .told
                .iter()
                .any(|it| matches!(it, Output::Note(Note::Cut(..))))
        );
    }
    world.right();
}

/// Nothing is cut with a worker that has never served.
#[test_case(&[Stop::Term])]
#[test_case(&[Stop::Quit])]
#[test_case(&[Stop::Term, Stop::Quit]; "quit takes no limit away from it")]
#[test_case(&[Stop::Quit, Stop::Term]; "term gives it no more time")]
fn a_worker_that_is_not_ready_yet_keeps_no_stop_waiting(stops: &[Stop]) {
    let mut world = World::new(plain(1));
    for stop in stops {
        world.stop(*stop);
    }
    world.pass(IDLE_GRACE);
    world.reap();
    assert_eq!(world.code, Some(0));
    world.right();
}

#[test_case(&[]; "in service")]
#[test_case(&[Stop::Term]; "while it drains")]
fn an_interrupt_kills_everything_at_once(before: &[Stop]) {
    let mut world = World::started(plain(3));
    for stop in before {
        world.stop(*stop);
    }
    world.stop(Stop::Interrupt);
    assert!(world.workers.values().all(|it| it.is_killed));
    let mut patient = world.clone();
    patient.reap();
    assert_eq!(patient.code, Some(130));
    patient.right();
    // Not even the kernel is waited for.
    world.pass(Duration::from_millis(99));
    assert_eq!(world.code, Some(130));
    world.right();
}

/// A start that fails ends with what it failed of.
#[test_case(Some(Exit::Code(3)), 3)]
#[test_case(Some(Exit::Code(0)), 75; "ends well before it is ready")]
#[test_case(Some(Exit::Signal(11)), 139)]
#[test_case(Some(Exit::NeverRan { missing: true, why: String::new() }), 127; "missing")]
#[test_case(Some(Exit::NeverRan { missing: false, why: String::new() }), 126; "not executable")]
#[test_case(None, 75; "hangs")]
fn a_start_that_fails_has_its_exit_code(exit: Option<Exit>, code: u8) {
    let mut world = World::new(plain(2));
    match exit {
        Some(exit) => world.give(Input::Exited(world.process(1, 1), exit)),
        None => world.pass(seconds(30)),
    }
    world.obey();
    assert_eq!(world.code, Some(code));
    assert!(!world.is_up);
    world.right();
}

#[test_case(Stop::Term, 0)]
#[test_case(Stop::Interrupt, 130)]
fn a_start_can_be_called_off(stop: Stop, code: u8) {
    let mut world = World::new(plain(2));
    world.ready(world.process(1, 1));
    world.stop(stop);
    world.obey();
    assert_eq!(world.code, Some(code));
    world.right();
}

#[test]
fn a_service_whose_workers_have_done_their_work_ends_well() {
    let mut world = World::started(Settings {
        success_code: Some(0),
        ..plain(2)
    });
    world.exits(world.process(1, 1), 0);
    assert_eq!(world.code, None);
    world.exits(world.process(1, 2), 0);
    assert_eq!(world.code, Some(0));
    world.right();
}
