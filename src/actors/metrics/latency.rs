//! How long calls took: over the last hour in steps, and by tool since the start. What is kept are counts in fixed
//! buckets, so memory is bounded whatever the number of calls: at most 800 KiB, of a server that was busy all hour.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime};

use crate::messages::events::{CallEnded, CallOutcome};
use crate::messages::metrics::{Bucket, Latency, Point, ToolCalls};
use crate::units::milliseconds;

/// The bounds of the histograms, in milliseconds: from a statement that is known to one that the usual timeout ends.
pub(super) const BUCKETS_MS: [f64; 17] =
    [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10_000.0, 30_000.0];

const STEP: Duration = Duration::from_secs(10);

/// An hour.
const STEPS_MAX: u64 = 360;

/// What calls have taken.
pub(super) struct Latencies {
    /// Those with calls, the oldest first.
    steps: VecDeque<Step>,
    tools: BTreeMap<&'static str, Tool>,
}

struct Step {
    /// How many steps after the start.
    number: u64,
    failed: u64,
    times: Distribution,
}

#[derive(Default)]
struct Tool {
    failed: u64,
    cancelled: u64,
    times: Distribution,
    buckets: [u64; BUCKETS_MS.len()],
}

impl Latencies {
    pub(super) fn new() -> Self {
        Self { steps: VecDeque::new(), tools: BTreeMap::new() }
    }

    /// A call has ended, so long after the start.
    pub(super) fn record(&mut self, call: &CallEnded, after: Duration) {
        if !call.outcome.came_to_run() {
            return;
        }
        let (failed, cancelled) = match call.outcome {
            CallOutcome::Successful => (0, 0),
            CallOutcome::Cancelled => (0, 1),
            _ => (1, 0),
        };
        let number = step(after);
        if self.steps.back().is_none_or(|step| step.number != number) {
            self.forget(number);
            self.steps.push_back(Step { number, failed: 0, times: Distribution::default() });
        }
        if let Some(step) = self.steps.back_mut() {
            step.failed += failed;
            step.times.add(call.took);
        }
        let tool = self.tools.entry(call.tool).or_default();
        tool.failed += failed;
        tool.cancelled += cancelled;
        tool.times.add(call.took);
        let ms = call.took.as_secs_f64() * 1e3;
        if let Some(bucket) = BUCKETS_MS.iter().position(|&bound| ms <= bound) {
            tool.buckets[bucket] += 1;
        }
    }

    /// What is older than an hour.
    fn forget(&mut self, now: u64) {
        while self.steps.front().is_some_and(|step| step.number + STEPS_MAX <= now) {
            self.steps.pop_front();
        }
    }

    /// The last hour, so long after the start.
    pub(super) fn over_time(&mut self, since: SystemTime, after: Duration) -> Latency {
        let now = step(after);
        self.forget(now);
        let mut with_calls = self.steps.iter().peekable();
        let points = (now.saturating_sub(STEPS_MAX - 1)..=now).map(|number| {
            let step = with_calls.next_if(|step| step.number == number);
            let times = step.map(|step| &step.times);
            Point {
                at: since + STEP * u32::try_from(number).unwrap_or(u32::MAX),
                calls: times.map_or(0, |times| times.count),
                failed: step.map_or(0, |step| step.failed),
                p50_ms: times.map(|times| milliseconds(times.quantile(0.5))),
                p95_ms: times.map(|times| milliseconds(times.quantile(0.95))),
                max_ms: times.map(|times| milliseconds(times.max)),
            }
        });
        Latency { step_ms: milliseconds(STEP), points: points.collect() }
    }

    /// Every tool that was called, by name.
    pub(super) fn by_tool(&self) -> Vec<ToolCalls> {
        let tools = self.tools.iter().map(|(&name, Tool { failed, cancelled, times, buckets })| {
            let mut below = 0;
            let bounded = BUCKETS_MS.iter().zip(buckets).map(|(&bound, count)| {
                below += count;
                Bucket { le_ms: Some(bound), count: below }
            });
            ToolCalls {
                tool: name,
                calls: times.count,
                failed: *failed,
                cancelled: *cancelled,
                p50_ms: milliseconds(times.quantile(0.5)),
                p95_ms: milliseconds(times.quantile(0.95)),
                p99_ms: milliseconds(times.quantile(0.99)),
                max_ms: milliseconds(times.max),
                buckets: bounded.chain([Bucket { le_ms: None, count: times.count }]).collect(),
            }
        });
        tools.collect()
    }
}

fn step(after: Duration) -> u64 {
    after.as_secs() / STEP.as_secs()
}

/// Each power of two microseconds has this many buckets of one width, which is so the relative error of a quantile.
const PARTS: usize = 8;
const PARTS_LOG2: u32 = PARTS.ilog2();

/// A day and more; what takes longer is counted as that.
const MICROSECONDS_MAX: u64 = (1 << 37) - 1;

const PLACES: usize = place(MICROSECONDS_MAX) + 1;

/// Which bucket a time belongs to. Up to 16 µs each microsecond has its own.
const fn place(us: u64) -> usize {
    if us < PARTS as u64 {
        return us as usize;
    }
    let shift = us.ilog2() - PARTS_LOG2;
    (shift as usize) * PARTS + (us >> shift) as usize
}

/// Where a bucket begins, in microseconds.
const fn beginning(place: usize) -> u64 {
    if place < PARTS {
        return place as u64;
    }
    ((PARTS + place % PARTS) as u64) << (place / PARTS - 1)
}

/// Times, by bucket.
struct Distribution {
    buckets: Box<[u64; PLACES]>,
    count: u64,
    max: Duration,
}

impl Default for Distribution {
    fn default() -> Self {
        Self { buckets: Box::new([0; PLACES]), count: 0, max: Duration::ZERO }
    }
}

impl Distribution {
    fn add(&mut self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).min(MICROSECONDS_MAX);
        self.buckets[place(us)] += 1;
        self.count += 1;
        self.max = self.max.max(time);
    }

    /// The time that this part of all did not exceed (nearest rank), as if those of a bucket lay evenly in it.
    fn quantile(&self, part: f64) -> Duration {
        let rank = ((part * self.count as f64).ceil() as u64).max(1);
        let mut below = 0;
        for (place, &count) in self.buckets.iter().enumerate() {
            if below + count >= rank {
                let (from, to) = (beginning(place) as f64, beginning(place + 1) as f64);
                let within = (rank - below) as f64 / count as f64;
                return Duration::from_secs_f64((from + (to - from) * within) / 1e6).min(self.max);
            }
            below += count;
        }
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_has_one_bucket_and_none_is_wider_than_an_eighth_of_what_it_holds() {
        let mut next = 0;
        for bucket in 0..PLACES {
            let (from, to) = (beginning(bucket), beginning(bucket + 1));
            assert_eq!(from, next, "without a gap");
            assert_eq!((place(from), place(to - 1)), (bucket, bucket));
            assert!(to - from == 1 || (to - from) * PARTS as u64 <= from, "{from} to {to}");
            next = to;
        }
        assert_eq!(next, MICROSECONDS_MAX + 1);
    }

    #[test]
    fn a_quantile_is_no_more_than_an_eighth_off_and_never_past_the_longest() {
        let mut random = fastrand::Rng::with_seed(7);
        for scale in [10, 1000, 50_000, 80_000_000] {
            let mut times: Vec<u64> = (0..1000).map(|_| random.u64(1..=scale)).collect();
            let mut distribution = Distribution::default();
            times.iter().for_each(|&us| distribution.add(Duration::from_micros(us)));
            times.sort_unstable();
            for (part, rank) in [(0.5, 500), (0.95, 950), (0.99, 990), (1.0, 1000)] {
                let (exact, got) = (times[rank - 1] as f64, distribution.quantile(part).as_secs_f64() * 1e6);
                assert!((got - exact).abs() <= (exact / 8.0).max(1.0) + 0.001, "{part} of {scale}: {got}, not {exact}");
            }
            assert!(distribution.quantile(1.0) <= distribution.max);
        }
        let mut one = Distribution::default();
        one.add(Duration::from_secs(1 << 20));
        assert_eq!(one.max, Duration::from_secs(1 << 20), "the longest is exact");
    }
}
