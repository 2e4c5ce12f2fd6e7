//! Repeated measurements of one thing.

use std::time::Duration;

/// What one thing took, each time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample(Vec<Duration>);

impl Sample {
    pub(crate) fn push(&mut self, took: Duration) {
        self.0.push(took);
    }

    /// All of these together.
    pub(crate) fn of_all(samples: Vec<Self>) -> Self {
        Self(samples.into_iter().flat_map(|sample| sample.0).collect())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The value below which this share of all is, in hundredths; zero where nothing was measured.
    pub(crate) fn percentile(&self, hundredths: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        let at = (sorted.len() * hundredths / 100).min(last);
        sorted.get(at).copied().unwrap_or_default()
    }

    pub(crate) fn median(&self) -> Duration {
        self.percentile(50)
    }
}

impl Extend<Duration> for Sample {
    fn extend<T: IntoIterator<Item = Duration>>(&mut self, all: T) {
        self.0.extend(all);
    }
}

/// How much of `floor` this is.
pub(crate) fn ratio(it: Duration, floor: Duration) -> f64 {
    it.as_secs_f64() / floor.as_secs_f64().max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let mut sample = Sample::default();
        assert_eq!(sample.median(), Duration::ZERO);
        sample.extend((1..=200).rev().map(Duration::from_millis));
        assert_eq!(sample.median(), Duration::from_millis(101));
        assert_eq!(sample.percentile(99), Duration::from_millis(199));
        assert_eq!(sample.percentile(100), Duration::from_millis(200));
        assert_eq!(sample.count(), 200);
    }
}
