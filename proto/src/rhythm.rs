//! When something is done that is done again and again: heartbeats, the watchdog, a line that counts
//! seconds. Pure: the moment is told.
//!
//! The beats are one spacing apart, whatever happens: a run that is late does not move those after
//! it, and what was missed is not made up for. Each run but the first is earlier than its beat by up to a
//! twentieth of the spacing, so that a thousand peers that began together do not stay in step; never
//! later, since somebody may be waiting for it. A spacing of zero is off.
//!
//! Who is awake for another reason may do what is nearly due with it ([`Rhythm::join`]). The beat after that
//! leaves an eighth of a spacing more, so that what comes once in a spacing comes before it, and a thousand
//! heartbeats are answered without a timer of their own.

use std::time::Duration;

use crate::time::Moment;

/// The share of a spacing by which a run may be early: one of so many.
const EARLY: u32 = 20;

/// The share of a spacing within which a run joins something else: one of so many.
const NEAR: u32 = 4;

/// The share of a spacing by which the next beat is later, where something else is expected to come before
/// it: one of so many. More than twice [`EARLY`], for both may be early and late by that.
const ROOM: u32 = 8;

/// The runs of one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rhythm {
    /// The next beat.
    beat: Moment,
    spacing: Duration,
    /// How many runs there were.
    count: u64,
    /// What makes tasks different that began together.
    seed: u64,
}

impl Rhythm {
    /// A task whose first run is at once.
    pub fn at_once(now: Moment, spacing: Duration) -> Self {
        Self {
            beat: now,
            spacing,
            count: 0,
            seed: 0,
        }
    }

    /// A task whose first run is one spacing from now. `seed` is any number that differs from those of
    /// tasks that begin at the same time.
    pub fn after(now: Moment, spacing: Duration, seed: u64) -> Self {
        Self {
            beat: now.plus(spacing),
            spacing,
            count: 1,
            seed,
        }
    }

    /// As [`Rhythm::after`], for a task that joins what comes every spacing, too: it lets that come first.
    pub fn joining(now: Moment, spacing: Duration, seed: u64) -> Self {
        let mut rhythm = Self::after(now, spacing, seed);
        rhythm.beat = rhythm.beat.plus(spacing / ROOM);
        rhythm
    }

    /// Whether a run is due within a quarter of the spacing, and so may be done now with something else. If
    /// so, the next beat is one spacing and an eighth from now.
    pub fn join(&mut self, now: Moment) -> bool {
        let near = now.plus(self.spacing / NEAR);
        if self.due().is_none_or(|due| due > near) {
            return false;
        }
        self.count = self.count.wrapping_add(1);
        self.beat = now.plus(self.spacing).plus(self.spacing / ROOM);
        true
    }

    /// When the next run is due; `None` when it is off.
    pub fn due(&self) -> Option<Moment> {
        if self.spacing.is_zero() {
            return None;
        }
        let early = if self.count == 0 {
            Duration::ZERO
        } else {
            let share = u32::try_from(mix(self.seed ^ self.count) & 0xffff).unwrap_or(0);
            (self.spacing / EARLY).saturating_mul(share) / 0x1_0000
        };
        let beat = self.beat.since_beginning();
        Some(Moment::at(beat.saturating_sub(early)))
    }

    /// Whether a run is due by now. If so, the next one is at a beat to come.
    pub fn take(&mut self, now: Moment) -> bool {
        if self.due().is_none_or(|due| due > now) {
            return false;
        }
        self.count = self.count.wrapping_add(1);
        let late = now.since(self.beat).as_nanos() / self.spacing.as_nanos().max(1);
        let missed = u32::try_from(late).unwrap_or(u32::MAX);
        let ahead = self.spacing.saturating_mul(missed.saturating_add(1));
        self.beat = self.beat.plus(ahead);
        if self.due().is_some_and(|due| due <= now) {
            // A late run was just before this beat, and is as good as the one that is early for it.
            self.beat = self.beat.plus(self.spacing);
        }
        true
    }

    /// Another spacing, counted from the last beat; what would be due already is due now, and nothing later
    /// than one spacing from now. The same spacing changes nothing.
    pub fn set_spacing(&mut self, now: Moment, spacing: Duration) {
        if spacing == self.spacing {
            return;
        }
        let beat = self.beat.since_beginning();
        let last = Moment::at(beat.saturating_sub(self.spacing));
        self.beat = if self.spacing.is_zero() {
            now
        } else {
            last.plus(spacing).clamp(now, now.plus(spacing))
        };
        self.spacing = spacing;
    }
}

/// Numbers that look random, splitmix64.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use test_case::test_case;

    use super::*;

    const SPACING: Duration = Duration::from_secs(2);

    fn at(ms: u64) -> Moment {
        Moment::at(Duration::from_millis(ms))
    }

    /// Asks at these moments, in milliseconds; yields those at which something was done.
    fn runs(mut rhythm: Rhythm, asked: &[u64]) -> Vec<u64> {
        let mut done = Vec::new();
        for ms in asked {
            done.extend(rhythm.take(at(*ms)).then_some(*ms));
        }
        done
    }

    #[test_case(&[0, 1, 2000, 2001, 4000], &[0, 2000, 4000]; "at once, then at each beat")]
    #[test_case(&[0, 3500, 4000, 6000], &[0, 3500, 4000, 6000]; "a late run does not move those after it")]
    #[test_case(&[0, 9000, 9100, 10_000], &[0, 9000, 10_000]; "what was missed is not made up for")]
    fn the_rhythm_is_kept(asked: &[u64], done: &[u64]) {
        assert_eq!(runs(Rhythm::at_once(at(0), SPACING), asked), done);
    }

    #[test]
    fn a_spacing_of_zero_is_off_and_another_one_is_on_at_once() {
        let mut rhythm = Rhythm::at_once(at(0), Duration::ZERO);
        assert_eq!((rhythm.due(), rhythm.take(at(9000))), (None, false));
        rhythm.set_spacing(at(9000), SPACING);
        assert!(rhythm.take(at(9000)));
        rhythm.set_spacing(at(9500), Duration::ZERO);
        assert_eq!(rhythm.due(), None);
    }

    #[test_case(4000, 2500, &[4500]; "longer")]
    #[test_case(1000, 1500, &[1500]; "shorter, and the beat has passed")]
    #[test_case(2000, 1500, &[2000]; "the same")]
    fn another_spacing_counts_from_the_last_beat(spacing: u64, now: u64, done: &[u64]) {
        let mut rhythm = Rhythm::at_once(at(0), SPACING);
        assert!(rhythm.take(at(0)));
        rhythm.set_spacing(at(now), Duration::from_millis(spacing));
        let asked: Vec<u64> = (now..done[0] + 1).step_by(500).collect();
        let ran = runs(rhythm, &asked);
        // It may be early by a twentieth.
        assert!(ran == done || ran == [done[0] - 500], "{ran:?}");
    }

    proptest! {
        #[test]
        fn after_a_run_the_next_one_is_in_the_future(seed: u64, late in 0..10_000_u64) {
            let mut rhythm = Rhythm::after(at(0), SPACING, seed);
            let now = at(2000 + late);
            prop_assert!(rhythm.take(now));
            let due = rhythm.due().expect("on");
            prop_assert!(due > now && due <= now.plus(SPACING * 21 / 20));
        }

        #[test]
        fn what_comes_in_the_same_rhythm_is_always_joined(
            mine: u64, theirs: u64, spacing in 100..60_000_u64, beats in 1..100_usize,
        ) {
            let spacing = Duration::from_millis(spacing);
            let mut rhythm = Rhythm::joining(at(0), spacing, mine);
            let mut other = Rhythm::after(at(0), spacing, theirs);
            let mut last = at(0);
            for _ in 0..beats {
                let now = other.due().expect("on");
                prop_assert!(rhythm.due().expect("on") > now, "it is not due alone");
                prop_assert!(other.take(now) && rhythm.join(now) && !rhythm.join(now));
                prop_assert!(now.since(last) <= spacing * 9 / 8);
                last = now;
            }
        }

        #[test]
        fn what_is_not_joined_is_as_before(seed: u64, at_ms in 0..1000_u64) {
            let mut rhythm = Rhythm::after(at(0), SPACING, seed);
            let before = rhythm;
            prop_assert!(!rhythm.join(at(at_ms)));
            prop_assert_eq!(rhythm, before);
            prop_assert!(!Rhythm::at_once(at(0), Duration::ZERO).join(at(at_ms)));
        }

        #[test]
        fn a_run_is_early_by_a_twentieth_at_most_and_never_late(seed: u64, beats in 1..200_u64) {
            let mut rhythm = Rhythm::after(at(0), SPACING, seed);
            for beat in 1..=beats {
                let (due, beat) = (rhythm.due().expect("on"), at(beat * 2000));
                prop_assert!(due <= beat && beat.since(due) <= SPACING / 20);
                prop_assert!(rhythm.take(due) && !rhythm.take(due));
            }
        }
    }
}
