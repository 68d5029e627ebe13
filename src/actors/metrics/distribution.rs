//! The distribution of the times of calls, as a histogram. Its memory is bounded, however many calls there are.

use std::time::Duration;

use hdrhistogram::{Counter, Histogram};

/// With one digit no bucket is wider than a sixteenth of its smallest value. That is the largest error of a quantile.
const SIGNIFICANT_DIGITS: u8 = 1;

/// About 38 hours. Longer times are counted as this one.
const MICROSECONDS_MAX: u64 = (1 << 37) - 1;

/// `C` is the type of the counter of a bucket.
pub(super) struct Distribution<C: Counter> {
    microseconds: Histogram<C>,
    max: Duration,
}

impl<C: Counter> Default for Distribution<C> {
    fn default() -> Self {
        // It begins with a few buckets and grows with the largest time.
        let microseconds = Histogram::new(SIGNIFICANT_DIGITS).expect("0 to 5 digits are allowed");
        Self { microseconds, max: Duration::ZERO }
    }
}

impl<C: Counter> Distribution<C> {
    pub fn add(&mut self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).min(MICROSECONDS_MAX);
        // An error would mean that the buckets up to the largest time do not fit into the address space.
        let _ = self.microseconds.record(us);
        self.max = self.max.max(time);
    }

    /// How many times were added.
    pub fn count(&self) -> u64 {
        self.microseconds.len()
    }

    /// The longest, exactly.
    pub fn max(&self) -> Duration {
        self.max
    }

    /// The time that this part of all did not exceed (nearest rank).
    pub fn quantile(&self, part: f64) -> Duration {
        Duration::from_micros(self.microseconds.value_at_quantile(part)).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_no_more_than_a_sixteenth_off_and_never_longer_than_the_longest() {
        let mut random = fastrand::Rng::with_seed(7);
        for scale in [10, 1000, 50_000, 80_000_000] {
            let mut times: Vec<u64> = (0..1000).map(|_| random.u64(1..=scale)).collect();
            let mut distribution = Distribution::<u32>::default();
            times.iter().for_each(|&us| distribution.add(Duration::from_micros(us)));
            times.sort_unstable();
            for (part, rank) in [(0.5, 500), (0.95, 950), (0.99, 990), (1.0, 1000)] {
                let (exact, got) = (times[rank - 1], distribution.quantile(part).as_micros() as u64);
                assert!(got.abs_diff(exact) <= exact / 16, "{part} of {scale}: {got}, not {exact}");
            }
            assert!(distribution.quantile(1.0) <= distribution.max());
            assert_eq!(distribution.count(), 1000);
        }
        assert_eq!(Distribution::<u32>::default().quantile(0.5), Duration::ZERO);
    }

    #[test]
    fn a_time_beyond_the_last_bucket_is_counted_and_the_longest_is_exact() {
        let mut distribution = Distribution::<u32>::default();
        let times = [Duration::ZERO, Duration::from_secs(1 << 20), Duration::MAX];
        times.iter().for_each(|&time| distribution.add(time));
        assert_eq!((distribution.count(), distribution.max()), (3, Duration::MAX));
        let median = distribution.quantile(0.5).as_micros() as u64;
        assert!(median.abs_diff(MICROSECONDS_MAX) <= MICROSECONDS_MAX / 16, "{median}");
    }

    #[test]
    fn the_buckets_of_an_hour_of_steps_are_bounded() {
        let mut distribution = Distribution::<u32>::default();
        distribution.add(Duration::MAX);
        let bytes = distribution.microseconds.distinct_values() * size_of::<u32>();
        assert!(bytes * 360 <= 800 * 1024, "{bytes} bytes a step");
    }
}
