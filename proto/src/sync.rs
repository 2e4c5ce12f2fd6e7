//! Sets with generations: how one side of a link tells the other a set, keeps it equal through
//! changes, and knows how much of it has arrived.
//!
//! The side that owns the set keeps a [`Teller`]; the other keeps a [`Listener`]. On every new
//! connection the whole set goes over, then changes. At most one message is on the way: what changes
//! meanwhile is folded into the next, so neither a slow peer nor a storm of changes makes a queue
//! longer than the set itself. A message carries a generation that grows by one; its acknowledgement
//! carries the same. Telling a set again changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

/// The number of a message about a set, counted from 1 on each connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

impl Generation {
    /// What comes before the first message.
    pub const NONE: Self = Self(0);

    fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// One message about a set.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Delta<K, V> {
    /// Its number.
    pub generation: Generation,
    /// Whether `put` is the whole set, so that whatever is not in it is gone.
    pub full: bool,
    /// Entries that are new or have changed.
    pub put: Vec<(K, V)>,
    /// Entries that are gone.
    pub drop: Vec<K>,
}

/// The owner's side of a set.
#[derive(Clone, Debug, Hash)]
pub struct Teller<K, V> {
    entries: BTreeMap<K, V>,
    link: Link<K>,
}

#[derive(Clone, Debug, Hash)]
enum Link<K> {
    /// Nobody listens.
    Down,
    /// Somebody listens.
    Up {
        /// The last message that was sent.
        sent: Generation,
        /// Whether it is still to be acknowledged.
        in_flight: bool,
        /// What has changed since.
        changed: Changed<K>,
    },
}

#[derive(Clone, Debug, Hash)]
enum Changed<K> {
    Everything,
    These(BTreeSet<K>),
}

impl<K: Ord + Clone, V: Clone + PartialEq> Default for Teller<K, V> {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            link: Link::Down,
        }
    }
}

impl<K: Ord + Clone, V: Clone + PartialEq> Teller<K, V> {
    /// The set as it is now.
    pub fn entries(&self) -> &BTreeMap<K, V> {
        &self.entries
    }

    /// Puts an entry in. Putting what is there already is no change.
    pub fn put(&mut self, key: K, value: V) {
        if self.entries.get(&key) != Some(&value) {
            self.note(&key);
            self.entries.insert(key, value);
        }
    }

    /// Takes an entry out.
    pub fn drop(&mut self, key: &K) -> Option<V> {
        let value = self.entries.remove(key)?;
        self.note(key);
        Some(value)
    }

    /// A new connection: the next message is the whole set.
    pub fn connected(&mut self) {
        self.link = Link::Up {
            sent: Generation::NONE,
            in_flight: false,
            changed: Changed::Everything,
        };
    }

    /// The connection is gone: nothing is sent until there is a new one.
    pub fn disconnected(&mut self) {
        self.link = Link::Down;
    }

    /// The next message to send, if there is something to tell and the last one has arrived.
    pub fn poll(&mut self) -> Option<Delta<K, V>> {
        let Link::Up {
            sent,
            in_flight,
            changed,
        } = &mut self.link
        else {
            return None;
        };
        if *in_flight {
            return None;
        }
        let (full, put, drop) = match std::mem::replace(changed, Changed::These(BTreeSet::new())) {
            Changed::Everything => {
                let put = self
                    .entries
                    .iter()
                    .map(|(k, v)| (k.clone(), v.clone()))
                    .collect();
                (true, put, Vec::new())
            }
            Changed::These(keys) if keys.is_empty() => return None,
            Changed::These(keys) => {
                let (mut put, mut drop) = (Vec::new(), Vec::new());
                for key in keys {
                    match self.entries.get(&key) {
                        Some(value) => put.push((key, value.clone())),
                        None => drop.push(key),
                    }
                }
                (false, put, drop)
            }
        };
        *sent = sent.next();
        *in_flight = true;
        Some(Delta {
            generation: *sent,
            full,
            put,
            drop,
        })
    }

    /// The peer has taken in this message.
    ///
    /// # Errors
    ///
    /// Fails when no such message is on the way; the peer does not follow the protocol.
    pub fn acknowledged(&mut self, generation: Generation) -> Result<(), SyncError> {
        match &mut self.link {
            Link::Up {
                sent, in_flight, ..
            } if *in_flight && *sent == generation => {
                *in_flight = false;
                Ok(())
            }
            Link::Up { sent, .. } => Err(SyncError::Acknowledged {
                got: generation,
                sent: *sent,
            }),
            Link::Down => Ok(()),
        }
    }

    /// Whether the peer knows everything.
    pub fn is_settled(&self) -> bool {
        match &self.link {
            Link::Up {
                in_flight: false,
                changed: Changed::These(keys),
                ..
            } => keys.is_empty(),
            Link::Up { .. } | Link::Down => false,
        }
    }

    fn note(&mut self, key: &K) {
        match &mut self.link {
            Link::Up {
                changed: Changed::These(keys),
                ..
            } => {
                keys.insert(key.clone());
            }
            Link::Up {
                changed: Changed::Everything,
                ..
            }
            | Link::Down => {}
        }
    }
}

/// The other side of a set: what was told.
#[derive(Clone, Debug, Hash)]
pub struct Listener<K, V> {
    entries: BTreeMap<K, V>,
    heard: Generation,
}

impl<K: Ord, V> Default for Listener<K, V> {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            heard: Generation::NONE,
        }
    }
}

/// What a message changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes<K, V> {
    /// Entries that are new or different.
    pub put: Vec<K>,
    /// Entries that are gone, with what they were.
    pub dropped: Vec<(K, V)>,
}

impl<K: Ord + Clone, V: PartialEq> Listener<K, V> {
    /// The set as it was last told.
    pub fn entries(&self) -> &BTreeMap<K, V> {
        &self.entries
    }

    /// Whether anything was told on this connection.
    pub fn has_heard(&self) -> bool {
        self.heard != Generation::NONE
    }

    /// A new connection: what was told stays until the whole set comes again.
    pub fn connected(&mut self) {
        self.heard = Generation::NONE;
    }

    /// Gives up an entry of a peer that is away: if it is still there when the peer comes back, it is
    /// new then.
    pub fn forget(&mut self, key: &K) {
        self.entries.remove(key);
    }

    /// Takes a message in.
    ///
    /// # Errors
    ///
    /// Fails, and changes nothing, when a message is missing, when the first one is not the whole
    /// set, or when the set would have more than `entries_max` entries.
    pub fn hear(
        &mut self,
        delta: Delta<K, V>,
        entries_max: usize,
    ) -> Result<Changes<K, V>, SyncError> {
        let Delta {
            generation,
            full,
            put,
            drop,
        } = delta;
        if generation != self.heard.next() {
            return Err(SyncError::Generation {
                got: generation,
                expected: self.heard.next(),
            });
        }
        if !full && self.heard == Generation::NONE {
            return Err(SyncError::NotWhole);
        }
        let kept = if full { 0 } else { self.entries.len() };
        if put.len().saturating_add(kept) > entries_max {
            let new = put
                .iter()
                .filter(|(key, _)| full || !self.entries.contains_key(key))
                .count();
            if new.saturating_add(kept) > entries_max {
                return Err(SyncError::TooMany { entries_max });
            }
        }
        self.heard = generation;
        let mut changes = Changes {
            put: Vec::new(),
            dropped: Vec::new(),
        };
        let gone = if full {
            let stays: BTreeSet<&K> = put.iter().map(|(key, _)| key).collect();
            self.entries
                .keys()
                .filter(|key| !stays.contains(key))
                .cloned()
                .collect()
        } else {
            drop
        };
        for key in gone {
            if let Some(value) = self.entries.remove(&key) {
                changes.dropped.push((key, value));
            }
        }
        for (key, value) in put {
            if self.entries.get(&key) != Some(&value) {
                changes.put.push(key.clone());
                self.entries.insert(key, value);
            }
        }
        Ok(changes)
    }
}

/// A peer that does not follow the protocol of sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error, Hash)]
pub enum SyncError {
    /// A message is missing or came twice.
    #[error("generation {} came where {} was expected", got.0, expected.0)]
    Generation {
        /// What came.
        got: Generation,
        /// What should have come.
        expected: Generation,
    },
    /// The first message of a connection was only a change.
    #[error("the first message of a connection is not the whole set")]
    NotWhole,
    /// Something was acknowledged that was not sent.
    #[error("generation {} was acknowledged where {} was sent last", got.0, sent.0)]
    Acknowledged {
        /// What was acknowledged.
        got: Generation,
        /// What was sent.
        sent: Generation,
    },
    /// The set is larger than allowed.
    #[error("the set would have more than {entries_max} entries")]
    TooMany {
        /// The bound.
        entries_max: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type T = Teller<u8, u8>;
    type L = Listener<u8, u8>;

    fn tell(teller: &mut T, listener: &mut L) {
        while let Some(delta) = teller.poll() {
            let generation = delta.generation;
            listener.hear(delta, 100).expect("in order");
            teller.acknowledged(generation).expect("sent");
        }
    }

    #[test]
    fn nothing_is_sent_without_a_connection() {
        let mut teller = T::default();
        teller.put(1, 1);
        assert_eq!(teller.poll(), None);
    }

    #[test]
    fn a_connection_begins_with_the_whole_set_even_if_it_is_empty() {
        let mut teller = T::default();
        teller.connected();
        let delta = teller.poll().expect("whole set");
        assert!(delta.full && delta.put.is_empty());
    }

    #[test]
    fn changes_wait_for_the_acknowledgement_and_are_folded() {
        let mut teller = T::default();
        teller.connected();
        let first = teller.poll().expect("whole set");
        teller.put(1, 1);
        teller.put(2, 2);
        teller.put(1, 3);
        teller.drop(&2);
        assert_eq!(teller.poll(), None);
        teller.acknowledged(first.generation).expect("sent");
        let second = teller.poll().expect("changes");
        assert_eq!(
            (second.full, second.put, second.drop),
            (false, vec![(1, 3)], vec![2])
        );
    }

    #[test]
    fn what_is_put_again_unchanged_is_not_told_again() {
        let (mut teller, mut listener) = (T::default(), L::default());
        teller.put(1, 1);
        teller.connected();
        tell(&mut teller, &mut listener);
        teller.put(1, 1);
        assert_eq!(teller.poll(), None);
        assert!(teller.is_settled());
    }

    #[test]
    fn a_whole_set_takes_out_what_is_not_in_it() {
        let mut listener = L::default();
        let whole = |put| Delta {
            generation: Generation(1),
            full: true,
            put,
            drop: vec![],
        };
        listener
            .hear(whole(vec![(1, 1), (2, 2)]), 10)
            .expect("first");
        listener.connected();
        let changes = listener.hear(whole(vec![(2, 3)]), 10).expect("again");
        assert_eq!(
            changes,
            Changes {
                put: vec![2],
                dropped: vec![(1, 1)]
            }
        );
    }

    #[test]
    fn a_peer_that_breaks_the_rules_changes_nothing() {
        let mut listener = L::default();
        let delta = |generation, full, n: u8| Delta {
            generation: Generation(generation),
            full,
            put: (0..n).map(|k| (k, k)).collect(),
            drop: vec![],
        };
        assert_eq!(
            listener.hear(delta(1, false, 1), 3),
            Err(SyncError::NotWhole)
        );
        assert!(matches!(
            listener.hear(delta(2, true, 1), 3),
            Err(SyncError::Generation { .. })
        ));
        assert!(matches!(
            listener.hear(delta(1, true, 4), 3),
            Err(SyncError::TooMany { .. })
        ));
        listener.hear(delta(1, true, 3), 3).expect("whole");
        listener
            .hear(delta(2, false, 3), 3)
            .expect("the same entries again");
        assert_eq!(listener.entries().len(), 3);
        let mut teller = T::default();
        teller.connected();
        assert!(teller.acknowledged(Generation(1)).is_err());
    }

    #[test]
    fn an_acknowledgement_names_the_message_that_is_on_the_way_and_comes_once() {
        let mut teller = T::default();
        teller.connected();
        let generation = teller.poll().expect("the whole set").generation;
        assert!(teller.acknowledged(generation.next()).is_err());
        assert!(teller.acknowledged(Generation::NONE).is_err());
        teller.acknowledged(generation).expect("on the way");
        assert!(teller.acknowledged(generation).is_err());
    }

    proptest! {
        /// Whatever is put, dropped, cut and told again, both sides agree at the end.
        #[test]
        fn both_sides_agree_when_quiet(steps in proptest::collection::vec((0u8..5, 0u8..4, 0u8..4), 0..60)) {
            let (mut teller, mut listener) = (T::default(), L::default());
            let mut on_the_way = None;
            for (what, key, value) in steps {
                match what {
                    0 => teller.put(key, value),
                    1 => { teller.drop(&key); }
                    2 => {
                        teller.connected();
                        listener.connected();
                        on_the_way = None;
                    }
                    3 => if on_the_way.is_none() { on_the_way = teller.poll(); },
                    _ => if let Some(delta) = on_the_way.take() {
                        let generation = delta.generation;
                        listener.hear(delta, 100).expect("in order");
                        teller.acknowledged(generation).expect("sent");
                    }
                }
            }
            teller.connected();
            listener.connected();
            tell(&mut teller, &mut listener);
            prop_assert_eq!(teller.entries(), listener.entries());
            prop_assert!(teller.is_settled());
        }
    }
}
