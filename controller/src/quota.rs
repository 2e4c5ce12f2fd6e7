use std::time::Duration;

use proto::time::Moment;

/// So many log lines in a time; what is more is counted and said with the next one.
#[derive(Clone, Debug)]
pub(crate) struct Quota {
    lines_max: u32,
    time: Duration,
    since: Moment,
    written: u32,
    kept_back: u64,
}

impl Quota {
    pub(crate) fn new(lines_max: u32, time: Duration) -> Self {
        Self {
            lines_max,
            time,
            since: Moment::default(),
            written: 0,
            kept_back: 0,
        }
    }

    /// Whether a line may be written now, and how many were kept back before it.
    pub(crate) fn take(&mut self, now: Moment) -> Option<u64> {
        if now.since(self.since) >= self.time {
            self.since = now;
            self.written = 0;
        }
        if self.written >= self.lines_max {
            self.kept_back = self.kept_back.saturating_add(1);
            return None;
        }
        self.written = self.written.saturating_add(1);
        Some(std::mem::take(&mut self.kept_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_the_quota_are_counted() {
        let at = |seconds| Moment::at(Duration::from_secs(seconds));
        let mut quota = Quota::new(2, Duration::from_secs(10));
        let taken: Vec<_> = [0, 1, 2, 3, 11, 12].map(|s| quota.take(at(s))).into();
        assert_eq!(taken, [Some(0), Some(0), None, None, Some(2), Some(0)]);
    }
}
