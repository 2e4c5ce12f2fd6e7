//! Time as the cores see it: a moment is told to them, never asked for.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// A moment on a clock that never runs backwards and is not set by anybody (`CLOCK_MONOTONIC`,
/// clock_gettime(2)), as the time since an arbitrary beginning. Arithmetic saturates.
///
/// The clock stands still while the machine is suspended, and that is wanted: machines that sleep
/// and wake together then find their links as they left them, where a clock that went on would
/// make every peer look silent at once. A machine that slept alone is found out by the others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(Duration);

impl Moment {
    /// The moment this long after the beginning.
    pub const fn at(since_beginning: Duration) -> Self {
        Self(since_beginning)
    }

    /// The moment `wait` later.
    #[must_use]
    pub fn plus(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(wait))
    }

    /// The moment `time` earlier; the beginning, where that is later.
    #[must_use]
    pub fn before(self, time: Duration) -> Self {
        Self(self.0.saturating_sub(time))
    }

    /// How long ago `earlier` was; zero if it was not.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The time since the beginning.
    pub fn since_beginning(self) -> Duration {
        self.0
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        let late = Moment::at(Duration::MAX);
        assert_eq!(late.plus(Duration::from_secs(1)), late);
        assert_eq!(Moment::default().since(late), Duration::ZERO);
    }
}
