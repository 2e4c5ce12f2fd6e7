use std::time::Duration;

use proto::backoff::Backoff;
use serde::{Deserialize, Serialize};

/// What the state machine must know of the settings of a generation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Settings {
    /// How many workers, at least one.
    pub workers: u32,
    /// How a generation takes the place of the one before.
    pub mode: Mode,
    /// When a worker is ready.
    pub readiness: Readiness,
    /// A worker that is not ready after this has failed.
    pub ready_timeout: Duration,
    /// How long a worker of a new generation must have been ready before an old one is told to go.
    pub confirm: Duration,
    /// How long a published name has shown to the new generation before the old one is told to go.
    pub settle: Duration,
    /// How long workers may drain at a stop.
    pub graceful: Limit,
    /// How long workers may drain after a reload.
    pub reload_graceful: Limit,
    /// So many generations may drain; the oldest beyond it is killed.
    pub max_old_generations: u32,
    /// What follows a reload that failed.
    pub on_reload_failure: OnReloadFailure,
    /// The wait before a worker that ended is started again: the first, which doubles …
    pub respawn_first: Duration,
    /// … up to this …
    pub respawn_max: Duration,
    /// … and begins anew once a worker was ready for this long.
    pub respawn_reset: Duration,
    /// When to give up.
    pub max_crashes: Option<MaxCrashes>,
    /// A worker that ends with this code has done its work and is not started again.
    pub success_code: Option<u8>,
    /// A worker that is silent for this long is aborted.
    pub watchdog: Option<Duration>,
}

/// How a generation takes the place of the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Mode {
    /// All new workers beside all old ones; then the old ones go.
    Overlap,
    /// One new worker, then one old one goes, and so on: never more than one above the number.
    Rolling,
    /// The old ones go first, for a program that must not run twice.
    Replace,
}

/// When a worker is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Readiness {
    /// When it says so.
    Notify,
    /// When it says so, if any worker ever has; else when it has lived for this long.
    Auto(Duration),
    /// When it has lived for this long.
    After(Duration),
    /// When a probe of the owner succeeds.
    Probe,
}

/// A limit that may be none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Limit {
    /// As long as it takes.
    Unlimited,
    /// This long.
    After(Duration),
}

/// What follows a reload that failed. The old generation serves on in either case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OnReloadFailure {
    /// Nothing, until somebody asks again.
    Abort,
    /// Another try after a while, with the settings as they are then.
    Retry,
}

/// So many crashes within this time are given up on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MaxCrashes {
    /// How many.
    pub count: u32,
    /// Within this time.
    pub within: Duration,
}

impl Settings {
    pub(crate) fn respawn(&self) -> Backoff {
        Backoff {
            first: self.respawn_first,
            max: self.respawn_max,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self {
            workers: 1,
            mode: Mode::Overlap,
            readiness: Readiness::Auto(Duration::from_secs(1)),
            ready_timeout: Duration::from_secs(30),
            confirm: Duration::from_secs(2),
            settle: Duration::ZERO,
            graceful: Limit::After(minute),
            reload_graceful: Limit::After(minute),
            max_old_generations: 3,
            on_reload_failure: OnReloadFailure::Abort,
            respawn_first: Duration::from_millis(100),
            respawn_max: Duration::from_secs(30),
            respawn_reset: Duration::from_secs(10),
            max_crashes: None,
            success_code: None,
            watchdog: None,
        }
    }
}
