//! How long to wait before the next attempt: doubling, bounded, jittered. Pure; the caller brings
//! the randomness.

use std::time::Duration;

/// A rule of waiting. The first attempt is made at once, the second after `first`, each later one
/// after twice the wait before it, never after more than `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Backoff {
    /// The wait before the second attempt.
    pub first: Duration,
    /// The longest wait.
    pub max: Duration,
}

impl Backoff {
    /// The wait before attempt number `attempt`, counted from 0. `random` is any number; it takes
    /// up to a quarter off, so that those who lost the same peer do not come back in step.
    pub fn wait(self, attempt: u32, random: u64) -> Duration {
        let Some(doublings) = attempt.checked_sub(1) else {
            return Duration::ZERO;
        };
        let factor = 1u32.checked_shl(doublings.min(31)).unwrap_or(u32::MAX);
        let wait = self.first.saturating_mul(factor).min(self.max);
        let quarter = wait / 4;
        let share = u32::try_from(random & 0xffff).unwrap_or(0);
        wait.saturating_sub(quarter.saturating_mul(share) / 0x1_0000)
    }

    /// How many connections in a row were too short, when one more has ended that lasted so long. That
    /// many is the attempt to make next: the one at once, as long as each connection lasts at
    /// least as long as the wait that it would otherwise cost. So whoever is killed and started
    /// again every second finds its peers back each time, and whoever takes connections only to
    /// drop them is called less and less.
    pub fn too_short(self, before: u32, lasted: Duration) -> u32 {
        let count = before.saturating_add(1);
        if lasted >= self.wait(count, 0) {
            0
        } else {
            count
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RULE: Backoff = Backoff {
        first: Duration::from_millis(20),
        max: Duration::from_secs(5),
    };

    #[test]
    fn the_first_attempt_is_made_at_once_and_waits_double() {
        let waits: Vec<_> = (0..10).map(|n| RULE.wait(n, 0).as_millis()).collect();
        assert_eq!(waits, [0, 20, 40, 80, 160, 320, 640, 1280, 2560, 5000]);
    }

    #[test]
    fn a_connection_counts_as_failed_unless_it_lasted_as_long_as_the_wait_for_it() {
        let counts = |lives: &[u64]| {
            let mut count = 0;
            let mut all = Vec::new();
            for life in lives {
                count = RULE.too_short(count, Duration::from_millis(*life));
                all.push(count);
            }
            all
        };
        assert_eq!(counts(&[20, 300, 20]), [0, 0, 0]);
        assert_eq!(counts(&[19, 19, 79, 159, 320]), [1, 2, 3, 4, 0]);
        let dropped = counts(&[4999; 20]);
        assert_eq!(
            dropped.last(),
            Some(&0),
            "five seconds are the longest wait"
        );
    }

    proptest! {
        #[test]
        fn every_wait_is_within_its_bounds(attempt: u32, random: u64) {
            let wait = RULE.wait(attempt, random);
            prop_assert!(wait <= RULE.max);
            if attempt > 0 {
                prop_assert!(wait >= RULE.first * 3 / 4);
            }
            if attempt > 10 {
                prop_assert!(wait >= RULE.max * 3 / 4);
            }
        }
    }
}
