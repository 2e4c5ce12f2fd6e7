//! Circles of things that wait for each other.

use std::collections::{BTreeMap, VecDeque};

/// The shortest way from something over what it waits for back to itself: beginning with it, each
/// waits for the next one, and the last for the first. `None` if no way leads back.
pub fn shortest<T, Next>(begin: &T, next: impl Fn(&T) -> Next) -> Option<Vec<T>>
where
    T: Clone + Ord,
    Next: IntoIterator<Item = T>,
{
    let mut before: BTreeMap<T, T> = BTreeMap::new();
    let mut open = VecDeque::from([begin.clone()]);
    while let Some(from) = open.pop_front() {
        for to in next(&from) {
            if to == *begin {
                let mut circle = VecDeque::from([from]);
                while let Some(earlier) = circle.front().and_then(|first| before.get(first)) {
                    circle.push_front(earlier.clone());
                }
                return Some(circle.into());
            }
            if !before.contains_key(&to) {
                before.insert(to.clone(), from.clone());
                open.push_back(to);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("ab bc", None; "no way back")]
    #[test_case("aa", Some("a"); "itself")]
    #[test_case("ab bc ca cb", Some("abc"); "over others, and past a circle without it")]
    #[test_case("ab bc ca bd da", Some("abc"); "the first of two that are as short")]
    #[test_case("ab bc cd da ca", Some("abc"); "the shortest")]
    fn circles_are_found(waits: &str, circle: Option<&str>) {
        let next = |from: &char| {
            let begins = |wait: &&str| wait.starts_with(*from);
            let waits = waits.split(' ').filter(begins);
            waits
                .filter_map(|wait| wait.chars().nth(1))
                .collect::<Vec<_>>()
        };
        let found = shortest(&'a', next).map(|circle| circle.into_iter().collect::<String>());
        assert_eq!(found.as_deref(), circle);
    }
}
