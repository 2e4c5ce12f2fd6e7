//! What the loop does again and again, by a clock that moves only when everybody waits.

use std::{fs, path::PathBuf, time::Duration};

use host::{clock::Clock, link, watchdog::Watchdog};
use proto::dbus::{internal, public};
use tests::beat::{TICK, assert_on_the_beat};
use tokio::{
    sync::mpsc::{self, UnboundedReceiver},
    time::Instant,
};

use super::world::{Agent, World, facts, member};

/// A configuration, until it is dropped.
struct File(PathBuf);

impl File {
    fn new(name: &str) -> Self {
        let number = host::clock::random_u64().expect("random");
        Self(std::env::temp_dir().join(format!("unitlink-{name}-{number:x}.toml")))
    }

    /// Heartbeats of this interval, on a controller that listens nowhere.
    fn write(&self, interval: Duration) {
        let text = format!(
            "[listen]\nunix = \"\"\n[node.a]\n[heartbeat]\ninterval = \"{}ms\"\n",
            interval.as_millis()
        );
        fs::write(&self.0, text).expect("written");
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A controller that says that it is alive in this interval, and when it has.
fn watched(interval: Duration, file: &File) -> (World, UnboundedReceiver<Instant>) {
    let (told, beats) = mpsc::unbounded_channel();
    let clock = Clock::start();
    let watchdog = Watchdog::new(clock.now(), interval, move || {
        // Nobody listens any more when the test is over.
        let _ = told.send(Instant::now());
        Ok(())
    });
    (World::reading(&["a"], &file.0, clock, watchdog), beats)
}

/// When so many heartbeats came; each is answered, so that neither side is silent.
async fn heartbeats(agent: &mut Agent, count: usize) -> Vec<Instant> {
    let mut beats = Vec::new();
    while beats.len() < count {
        let message = agent.receiver.recv().await.expect("open").expect("valid");
        if member(&message) == "Heartbeat" {
            beats.push(Instant::now());
            agent.send(link::signal(
                internal::AGENT_PATH,
                internal::AGENT,
                "Heartbeat",
                &(),
            ));
        }
    }
    beats
}

#[tokio::test(start_paused = true)]
async fn heartbeats_keep_their_beat_and_follow_another_interval_at_once() {
    let file = File::new("rhythm");
    let (mut world, _beats) = watched(Duration::ZERO, &file);
    let mut agent = world.agent("a").await;
    let begun = Instant::now();
    let usual = fleet::Heartbeat::default().interval;
    let runs = heartbeats(&mut agent, 30).await;
    // The first leaves room for one of the agent's, which here never comes before.
    assert_on_the_beat(begun + usual / 8, usual, &runs);

    let quick = usual / 4;
    file.write(quick);
    // Whoever reads files has a clock of its own.
    tokio::time::resume();
    world.call(public::CONTROLLER_PATH, public::FLEET, "Reload", &());
    let report = world.answer().await;
    tokio::time::pause();
    assert_eq!(facts(&report)["Result"], "\"applied\"");
    let changed = Instant::now();
    let runs = heartbeats(&mut agent, 31).await;
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
async fn the_service_manager_hears_at_once_that_the_loop_is_alive_and_then_on_the_beat() {
    let spacing = Duration::from_secs(15);
    let begun = Instant::now();
    let (_world, mut beats) = watched(spacing, &File::new("watched"));
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
    let (mut world, mut beats) = watched(Duration::ZERO, &File::new("off"));
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert!(beats.try_recv().is_err());
    world.call("/", "org.freedesktop.DBus.Peer", "Ping", &());
    world.answer().await;
}
