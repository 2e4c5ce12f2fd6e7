//! Numbers that only look random: the same seed, or the same bytes, give the same world.

use std::{collections::VecDeque, time::Duration};

/// Where choices come from.
#[derive(Clone, Debug, Hash)]
pub struct Rng(Source);

#[derive(Clone, Debug, Hash)]
enum Source {
    /// A generator (SplitMix64, Steele, Lea and Flood, "Fast splittable pseudorandom number
    /// generators", 2014): one word of state, good enough to choose faults.
    Seed(u64),
    /// What somebody else has written, such as a fuzzer: each choice takes as many bytes as it
    /// needs, and where none are left it is 0. So a change of one byte is a change of one choice.
    Bytes(VecDeque<u8>),
}

impl Rng {
    /// The numbers of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Source::Seed(seed))
    }

    /// The choices that these bytes are.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(Source::Bytes(bytes.iter().copied().collect()))
    }

    /// A generator of its own, so that what one part draws does not move what another draws.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self::new(self.next())
    }

    /// Whether there is nothing left to choose: bytes come to their end, a seed never does.
    #[must_use]
    pub fn is_over(&self) -> bool {
        match &self.0 {
            Source::Seed(_) => false,
            Source::Bytes(bytes) => bytes.is_empty(),
        }
    }

    /// The next number.
    #[expect(
        clippy::should_implement_trait,
        reason = "it never ends, so it is no iterator"
    )]
    pub fn next(&mut self) -> u64 {
        self.upto(u64::MAX)
    }

    /// The next number; of bytes, as many as a number up to `most` has.
    fn upto(&mut self, most: u64) -> u64 {
        match &mut self.0 {
            Source::Seed(state) => {
                *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut z = *state;
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                z ^ (z >> 31)
            }
            Source::Bytes(bytes) => {
                let count = (u64::BITS - most.leading_zeros()).div_ceil(u8::BITS);
                let taken = (0..count).map(|_| bytes.pop_front().unwrap_or(0));
                taken.fold(0, |number, byte| number << u8::BITS | u64::from(byte))
            }
        }
    }

    /// A number below `bound`; 0 for a bound of 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let number = self.upto(bound.saturating_sub(1));
        number.checked_rem(bound).unwrap_or(0)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// A time from `low` to `high` milliseconds.
    pub fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_micros(self.between(low * 1000, high * 1000))
    }

    /// True in so many of 100 cases.
    pub fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(usize::try_from(self.below(of.len() as u64)).ok()?)
    }

    /// An identifier of 128 bits.
    pub fn id(&mut self) -> [u8; 16] {
        (u128::from(self.next()) << 64 | u128::from(self.next())).to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_choices_one_after_the_other() {
        let mut rng = Rng::of_bytes(&[7, 250, 1, 2, 3]);
        assert_eq!(rng.below(6), 1);
        assert!(!rng.percent(50));
        assert_eq!(rng.below(1), 0, "nothing to choose takes no byte");
        assert_eq!(rng.below(300), 258, "two bytes, the first is the higher");
        assert!(!rng.is_over());
        assert_eq!(rng.next(), 3 << 56);
        assert!(rng.is_over());
        assert_eq!(rng.next(), 0);
    }

    #[test]
    fn a_seed_is_never_over() {
        let mut rng = Rng::new(1);
        assert_ne!(rng.next(), rng.next());
        assert!(!rng.is_over());
    }
}
