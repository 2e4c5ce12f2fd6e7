//! Whether a daemon keeps the beat that `proto::rhythm` promises, by a clock that is moved by hand.

use std::time::Duration;

use tokio::time::Instant;

/// How exact the runtime's timers are.
pub const TICK: Duration = Duration::from_millis(2);

/// Whether the n-th of these, from one on, is at the n-th beat after `begun`, and at most a twentieth early.
///
/// # Panics
///
/// Where one is not.
#[track_caller]
pub fn assert_on_the_beat(begun: Instant, spacing: Duration, runs: &[Instant]) {
    for (run, number) in runs.iter().zip(1_u32..) {
        let beat = spacing * number;
        let at = run.duration_since(begun);
        let early = (beat - spacing / 20).saturating_sub(TICK);
        assert!(
            early <= at && at <= beat + TICK,
            "run {number} is at {at:?}, and its beat is at {beat:?}"
        );
    }
}
