//! Whose turn it is to be asked for all of its units: an agent of BlueChi's, as it connects.

use std::collections::{BTreeMap, BTreeSet};

use fleet::PeerId;

use crate::limits::{LIST_BEATS_MAX, LISTS_AT_ONCE_MAX};

/// A whole fleet may connect at once, and a list of units is up to a hundred kilobytes: a few are asked at a time, the
/// others wait. None of them waits for an agent that is silent.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// In the order in which they came, which is that of their numbers.
    waiting: BTreeSet<PeerId>,
    /// Those that were asked, and how many beats ago.
    asked: BTreeMap<PeerId, u8>,
}

impl Turns {
    /// This one is to be asked. Each connection wants it once, so there are no more than connections.
    pub(super) fn want(&mut self, id: PeerId) {
        self.waiting.insert(id);
    }

    /// This one has answered, or is gone.
    pub(super) fn over(&mut self, id: PeerId) {
        self.asked.remove(&id);
        self.waiting.remove(&id);
    }

    /// A heartbeat is sent to this one: if it was asked long ago, others have their turn. Its answer
    /// counts whenever it comes.
    pub(super) fn beat(&mut self, id: PeerId) {
        if let Some(beats) = self.asked.get_mut(&id) {
            *beats += 1;
            if *beats >= LIST_BEATS_MAX {
                self.asked.remove(&id);
            }
        }
    }

    /// The next to be asked, if there is one and it is not too many at once.
    pub(super) fn next(&mut self) -> Option<PeerId> {
        if self.asked.len() >= LISTS_AT_ONCE_MAX {
            return None;
        }
        let id = self.waiting.pop_first()?;
        self.asked.insert(id, 0);
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(turns: &mut Turns) -> Vec<u64> {
        std::iter::from_fn(|| turns.next()).map(|id| id.0).collect()
    }

    fn wanted(count: u64) -> Turns {
        let mut turns = Turns::default();
        (0..count).for_each(|id| turns.want(PeerId(id)));
        turns
    }

    #[test]
    fn a_few_are_asked_at_a_time_in_their_order() {
        let most = LISTS_AT_ONCE_MAX as u64;
        let mut turns = wanted(most + 3);
        assert_eq!(all(&mut turns), (0..most).collect::<Vec<_>>());
        turns.over(PeerId(2));
        turns.over(PeerId(0));
        assert_eq!(all(&mut turns), [most, most + 1]);
    }

    #[test]
    fn one_that_is_gone_is_not_asked_and_one_that_is_silent_holds_nobody_up() {
        let most = LISTS_AT_ONCE_MAX as u64;
        let mut turns = wanted(most + 3);
        assert_eq!(all(&mut turns).len(), LISTS_AT_ONCE_MAX);
        turns.over(PeerId(most));
        for _ in 1..LIST_BEATS_MAX {
            turns.beat(PeerId(1));
            assert!(all(&mut turns).is_empty());
        }
        turns.beat(PeerId(1));
        assert_eq!(all(&mut turns), [most + 1]);
        // Late, and nobody's turn any more.
        turns.over(PeerId(1));
        assert!(all(&mut turns).is_empty());
    }
}
