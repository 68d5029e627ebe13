//! The times of calls: of the last hour in steps of 10 seconds, and of each tool since the start. They are kept as
//! histograms, so memory is bounded, however many calls there are: at most 800 KiB for an hour with calls in every
//! step.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime};

use super::distribution::Distribution;
use crate::messages::events::{CallEnded, CallOutcome};
use crate::messages::metrics::{Bucket, Latency, Point, ToolCalls};
use crate::units::milliseconds;

/// The bounds of the histograms in milliseconds, up to the default timeout of a statement.
pub(super) const BUCKETS_MS: [f64; 17] =
    [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10_000.0, 30_000.0];

const STEP: Duration = Duration::from_secs(10);

/// The steps of an hour.
const STEPS_MAX: u64 = 360;

/// The times of calls.
pub(super) struct Latencies {
    /// The steps that have calls, the oldest first.
    steps: VecDeque<Step>,
    tools: BTreeMap<&'static str, Tool>,
}

struct Step {
    /// The number of steps between the start and this one.
    number: u64,
    failed: u64,
    times: Distribution<u32>,
}

#[derive(Default)]
struct Tool {
    failed: u64,
    cancelled: u64,
    times: Distribution<u64>,
    buckets: [u64; BUCKETS_MS.len()],
}

impl Latencies {
    pub(super) fn new() -> Self {
        Self { steps: VecDeque::new(), tools: BTreeMap::new() }
    }

    /// Adds a call that ended at this time after the start.
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
            self.remove_old(number);
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

    /// Removes the steps that are older than an hour.
    fn remove_old(&mut self, now: u64) {
        while self.steps.front().is_some_and(|step| step.number + STEPS_MAX <= now) {
            self.steps.pop_front();
        }
    }

    /// The last hour. `after` is the time since the start.
    pub(super) fn over_time(&mut self, since: SystemTime, after: Duration) -> Latency {
        let now = step(after);
        self.remove_old(now);
        let mut with_calls = self.steps.iter().peekable();
        let points = (now.saturating_sub(STEPS_MAX - 1)..=now).map(|number| {
            let step = with_calls.next_if(|step| step.number == number);
            let times = step.map(|step| &step.times);
            Point {
                at: since + STEP * u32::try_from(number).unwrap_or(u32::MAX),
                calls: times.map_or(0, Distribution::count),
                failed: step.map_or(0, |step| step.failed),
                p50_ms: times.map(|times| milliseconds(times.quantile(0.5))),
                p95_ms: times.map(|times| milliseconds(times.quantile(0.95))),
                max_ms: times.map(|times| milliseconds(times.max())),
            }
        });
        Latency { step_ms: milliseconds(STEP), points: points.collect() }
    }

    /// The tools that were called, by name.
    pub(super) fn by_tool(&self) -> Vec<ToolCalls> {
        let tools = self.tools.iter().map(|(&name, Tool { failed, cancelled, times, buckets })| {
            let mut below = 0;
            let bounded = BUCKETS_MS.iter().zip(buckets).map(|(&bound, count)| {
                below += count;
                Bucket { le_ms: Some(bound), count: below }
            });
            ToolCalls {
                tool: name,
                calls: times.count(),
                failed: *failed,
                cancelled: *cancelled,
                p50_ms: milliseconds(times.quantile(0.5)),
                p95_ms: milliseconds(times.quantile(0.95)),
                p99_ms: milliseconds(times.quantile(0.99)),
                max_ms: milliseconds(times.max()),
                buckets: bounded.chain([Bucket { le_ms: None, count: times.count() }]).collect(),
            }
        });
        tools.collect()
    }
}

fn step(after: Duration) -> u64 {
    after.as_secs() / STEP.as_secs()
}
