//! Which of many calls are under way: as many as the bus allows, and to each object as many as what
//! is behind it takes. Pure.

use std::collections::{BTreeMap, VecDeque};

use crate::limits;

/// Calls that wait for their turn, by the object that they are for.
#[derive(Debug)]
pub(crate) struct Window {
    /// The places of the calls that wait; no queue is empty.
    waiting: BTreeMap<String, VecDeque<usize>>,
    /// How many are under way; no count is 0.
    open: BTreeMap<String, usize>,
}

impl Window {
    /// All wait; `objects` are those of the calls, in their order.
    pub(crate) fn new(objects: impl IntoIterator<Item = String>) -> Self {
        let mut waiting: BTreeMap<_, VecDeque<_>> = BTreeMap::new();
        for (at, object) in objects.into_iter().enumerate() {
            waiting.entry(object).or_default().push_back(at);
        }
        Self {
            waiting,
            open: BTreeMap::new(),
        }
    }

    /// The place of a call that may go now, which then is under way.
    pub(crate) fn next(&mut self) -> Option<usize> {
        let under_way: usize = self.open.values().sum();
        if under_way >= limits::CALLS_AT_ONCE {
            return None;
        }
        let open = &self.open;
        let has_room = |object: &String| {
            let count = open.get(object).copied().unwrap_or(0);
            count < limits::CALLS_OF_OBJECT_AT_ONCE
        };
        let object = self.waiting.keys().find(|object| has_room(object))?.clone();
        let queue = self.waiting.get_mut(&object)?;
        let at = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&object);
        }
        *self.open.entry(object).or_default() += 1;
        at
    }

    /// A call to this object was answered.
    pub(crate) fn answered(&mut self, object: &str) {
        if let Some(count) = self.open.get_mut(object) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.open.remove(object);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(objects: &[(&str, usize)]) -> Window {
        let of = |(object, count): &(&str, usize)| vec![(*object).to_owned(); *count];
        Window::new(objects.iter().flat_map(of))
    }

    fn drain(window: &mut Window) -> Vec<usize> {
        std::iter::from_fn(|| window.next()).collect()
    }

    #[test]
    fn few_calls_go_at_once_and_in_order() {
        assert_eq!(drain(&mut window(&[("a", 3), ("b", 1)])), [0, 1, 2, 3]);
    }

    #[test]
    fn one_object_does_not_hold_up_others() {
        let max = limits::CALLS_OF_OBJECT_AT_ONCE;
        let mut window = window(&[("a", max + 2), ("b", 1)]);
        let mut first: Vec<usize> = (0..max).collect();
        first.push(max + 2);
        assert_eq!(drain(&mut window), first);
        window.answered("a");
        assert_eq!(drain(&mut window), [max]);
    }

    #[test]
    fn together_they_are_bounded() {
        let objects: Vec<String> = (0..1000).map(|n| format!("node{n:04}")).collect();
        let mut window = Window::new(objects);
        assert_eq!(drain(&mut window).len(), limits::CALLS_AT_ONCE);
        window.answered("node0000");
        assert_eq!(drain(&mut window), [limits::CALLS_AT_ONCE]);
    }
}
