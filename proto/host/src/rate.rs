//! Keeps a line that repeats (a reconnect that fails every few seconds, for hours) from flooding the
//! log: it is written at first, again when its text changes, and else once in a while with a count.

use std::time::Duration;

use proto::time::Moment;

/// How long an unchanged line is kept back, unless told otherwise: often enough that the end of any
/// log shows what is wrong now.
pub const QUIET: Duration = Duration::from_secs(10 * 60);

/// Decides whether a line is written.
#[derive(Clone, Debug)]
pub struct Repeats {
    quiet: Duration,
    last: Option<Last>,
}

#[derive(Clone, Debug)]
struct Last {
    text: String,
    written: Moment,
    kept_back: u64,
}

/// What to do with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Write it.
    Write {
        /// How many lines of the same text were kept back before it.
        kept_back: u64,
    },
    /// Keep it back.
    KeepBack,
}

impl Repeats {
    /// Nothing was written yet.
    pub fn new(quiet: Duration) -> Self {
        Self { quiet, last: None }
    }

    /// Decides about a line. The text must hold what makes it another matter (an error), and
    /// nothing that changes each time (a count, a wait).
    pub fn line(&mut self, now: Moment, text: &str) -> Line {
        let kept_back = match &mut self.last {
            Some(last) if last.text == text => {
                if now.since(last.written) < self.quiet {
                    last.kept_back = last.kept_back.saturating_add(1);
                    return Line::KeepBack;
                }
                last.kept_back
            }
            Some(_) | None => 0,
        };
        self.last = Some(Last {
            text: text.to_owned(),
            written: now,
            kept_back: 0,
        });
        Line::Write { kept_back }
    }

    /// It is over: the next line is written in any case. Yields how many were kept back.
    pub fn over(&mut self) -> u64 {
        self.last.take().map_or(0, |last| last.kept_back)
    }
}

impl Default for Repeats {
    fn default() -> Self {
        Self::new(QUIET)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::at(Duration::from_secs(seconds))
    }

    #[test]
    fn a_line_is_written_first_then_when_it_changes_then_seldom() {
        let mut repeats = Repeats::new(Duration::from_secs(60));
        assert_eq!(repeats.line(at(0), "refused"), Line::Write { kept_back: 0 });
        assert_eq!(repeats.line(at(1), "refused"), Line::KeepBack);
        assert_eq!(repeats.line(at(59), "refused"), Line::KeepBack);
        assert_eq!(
            repeats.line(at(60), "refused"),
            Line::Write { kept_back: 2 }
        );
        assert_eq!(repeats.line(at(61), "refused"), Line::KeepBack);
        assert_eq!(
            repeats.line(at(62), "no route"),
            Line::Write { kept_back: 0 }
        );
        assert_eq!(repeats.line(at(63), "no route"), Line::KeepBack);
        assert_eq!(repeats.over(), 1);
        assert_eq!(
            repeats.line(at(64), "no route"),
            Line::Write { kept_back: 0 }
        );
    }
}
