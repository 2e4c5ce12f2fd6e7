//! Who waits for which reload.
//!
//! | running | asked | true then |
//! |---|---|---|
//! | no | no | nothing is to be done |
//! | no | yes | one is to be begun at once |
//! | yes | no | one is under way |
//! | yes | yes | one is under way, and exactly one more comes after it |

/// The reload that is under way and the one after it.
#[derive(Clone, Debug)]
pub(super) struct Turns<W> {
    running: Option<Vec<W>>,
    next: Option<Vec<W>>,
}

impl<W> Default for Turns<W> {
    fn default() -> Self {
        Self {
            running: None,
            next: None,
        }
    }
}

impl<W> Turns<W> {
    /// Somebody asks, and perhaps waits.
    pub(super) fn ask(&mut self, who: Option<W>) {
        self.next.get_or_insert_default().extend(who);
    }

    /// Whether one is to be begun now; it is under way then.
    pub(super) fn begin(&mut self) -> bool {
        if self.running.is_none() {
            self.running = self.next.take();
            return self.running.is_some();
        }
        false
    }

    /// The one that was under way has ended. Yields those who have waited for it.
    pub(super) fn end(&mut self) -> Vec<W> {
        self.running.take().unwrap_or_default()
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        let waiting = [&self.running, &self.next].into_iter().flatten();
        waiting.map(Vec::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    /// `a`: somebody asks, `e`: the one under way ends. Yields how many were begun, and who waited for
    /// each that has ended; who asks first is 0.
    fn run(events: &str) -> (usize, Vec<Vec<usize>>) {
        let (mut turns, mut begun, mut ended, mut asker) = (Turns::default(), 0, Vec::new(), 0);
        for event in events.chars() {
            match event {
                'a' => {
                    turns.ask(Some(asker));
                    asker += 1;
                }
                _ => ended.push(turns.end()),
            }
            begun += usize::from(turns.begin());
        }
        (begun, ended)
    }

    #[test_case("", 0, &[]; "nobody asks")]
    #[test_case("ae", 1, &[&[0]]; "one")]
    #[test_case("aaaae", 2, &[&[0]]; "those who ask while one runs get one more")]
    #[test_case("aaaaee", 2, &[&[0], &[1, 2, 3]]; "and exactly one")]
    #[test_case("aaeae", 3, &[&[0], &[1]]; "whoever asks in the second gets a third")]
    #[test_case("aeae", 2, &[&[0], &[1]]; "one after the other")]
    fn reloads_are_merged(events: &str, begun: usize, ended: &[&[usize]]) {
        let ended: Vec<Vec<usize>> = ended.iter().map(|who| who.to_vec()).collect();
        assert_eq!(run(events), (begun, ended));
    }
}
