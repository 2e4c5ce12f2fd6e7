//! What the loop does again and again.

use std::{collections::HashMap, time::Duration};

use proto::{dbus::internal, message::PROTOCOL};
use tests::beat::{TICK, assert_on_the_beat};
use tokio::{
    sync::mpsc::{self, UnboundedReceiver},
    time::Instant,
};
use zbus::OwnedVariant;

use super::world::{Controller, World, member};

const SECOND: Duration = Duration::from_secs(1);

/// An agent that says that it is alive in this interval, and when it has.
fn watched(interval: Duration) -> (World, UnboundedReceiver<Instant>) {
    let (told, beats) = mpsc::unbounded_channel();
    let world = World::new("", interval, move || {
        // Nobody listens any more when the test is over.
        let _ = told.send(Instant::now());
    });
    (world, beats)
}

/// A controller that has taken in what the agent had to tell first.
async fn registered(world: &World) -> Controller {
    let mut controller = world.controller(PROTOCOL, false).await;
    for set in ["HoldStates", "Claims"] {
        let call = controller.called(set).await;
        controller.answer(&call, &());
    }
    controller
}

/// When so many heartbeats came; each is answered, so that neither side is silent.
async fn heartbeats(controller: &mut Controller, count: usize) -> Vec<Instant> {
    let mut beats = Vec::new();
    while beats.len() < count {
        if member(&controller.next().await) == "Heartbeat" {
            beats.push(Instant::now());
            controller.beat();
        }
    }
    beats
}

#[tokio::test(start_paused = true)]
async fn heartbeats_keep_their_beat_and_follow_another_interval_at_once() {
    let (world, _beats) = watched(Duration::ZERO);
    let begun = Instant::now();
    let mut controller = registered(&world).await;
    let runs = heartbeats(&mut controller, 30).await;
    assert_on_the_beat(begun, 2 * SECOND, &runs);

    let quick = SECOND / 2;
    world.configure("[heartbeat]\ninterval = \"500ms\"");
    let call = controller.call(internal::AGENT_OWN, "ReloadAgent", &());
    // Whoever reads files has a clock of its own.
    tokio::time::resume();
    let report = controller.answered(call).await;
    tokio::time::pause();
    let report: HashMap<String, OwnedVariant> = report.body().deserialize().expect("facts");
    assert_eq!(report["Result"].to_string(), "\"applied\"");
    let changed = Instant::now();
    let runs = heartbeats(&mut controller, 31).await;
    assert!(
        runs[0].duration_since(changed) <= quick + TICK,
        "it does not wait for the old beat"
    );
    for pair in runs.windows(2) {
        let apart = pair[1].duration_since(pair[0]);
        let jitter = quick / 20 + TICK;
        assert!(
            quick - jitter <= apart && apart <= quick + jitter,
            "{apart:?} apart, not {quick:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_says_nothing_is_left_after_the_threshold_and_called_again_at_once() {
    let (world, _beats) = watched(Duration::ZERO);
    let mut controller = registered(&world).await;
    controller.beat();
    let heard = Instant::now();
    let _next = registered(&world).await;
    let silent = heard.elapsed();
    assert!(
        6 * SECOND <= silent && silent <= 6 * SECOND + 2 * TICK,
        "{silent:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_service_manager_hears_at_once_that_the_loop_is_alive_and_then_on_the_beat() {
    let spacing = 15 * SECOND;
    let begun = Instant::now();
    let (_world, mut beats) = watched(spacing);
    let first = beats.recv().await.expect("a beat");
    assert!(first.duration_since(begun) <= TICK, "it waits for nothing");
    let mut runs = Vec::new();
    for _ in 0..30 {
        runs.push(beats.recv().await.expect("a beat"));
    }
    assert_on_the_beat(begun, spacing, &runs);
}

#[tokio::test(start_paused = true)]
async fn a_service_manager_that_does_not_watch_hears_nothing() {
    let (world, mut beats) = watched(Duration::ZERO);
    let mut controller = registered(&world).await;
    // For ten minutes.
    heartbeats(&mut controller, 300).await;
    assert!(beats.try_recv().is_err());
}
