//! How long calls took: over the last hour in steps, and by tool since the start. What is kept are counts in fixed
//! buckets, so memory is bounded whatever the number of calls: at most 800 KiB, of a server that was busy all hour.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::distribution::Distribution;
use super::{CallFinished, CallOutcome};
use crate::units::{as_rfc3339, milliseconds};

/// The bounds of the histograms, in milliseconds: from a statement that is known to one that the usual timeout ends.
pub(super) const BUCKETS_MS: [f64; 17] =
    [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10_000.0, 30_000.0];

const STEP: Duration = Duration::from_secs(10);

/// An hour.
const STEPS_MAX: u64 = 360;

/// How long calls took, over time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Latency {
    /// How long a step is.
    pub step_ms: f64,
    /// The steps of the last hour, or of all the time since the start; the oldest first, the last is not over.
    pub points: Vec<Point>,
}

/// One step. Counted are calls that came to run: none that was refused for its arguments or for want of room.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    /// Its beginning.
    #[serde(serialize_with = "as_rfc3339")]
    pub at: SystemTime,
    /// Calls that ended in it.
    pub calls: u64,
    /// Of these, failed or refused by the guard.
    pub failed: u64,
    /// Half took no longer; no more than an eighth off. `None` of a step without calls.
    pub p50_ms: Option<f64>,
    /// 95 of 100 took no longer; no more than an eighth off.
    pub p95_ms: Option<f64>,
    /// The longest, exactly.
    pub max_ms: Option<f64>,
}

/// One tool's calls since the start, counted as those of a [`Point`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ToolCalls {
    /// Its name.
    pub tool: &'static str,
    /// Calls that ended.
    pub calls: u64,
    /// Of these, failed or refused by the guard.
    pub failed: u64,
    /// Of these, cancelled; their times count too.
    pub cancelled: u64,
    /// Half took no longer; no more than an eighth off, as the others.
    pub p50_ms: f64,
    /// 95 of 100 took no longer.
    pub p95_ms: f64,
    /// 99 of 100 took no longer.
    pub p99_ms: f64,
    /// The longest, exactly.
    pub max_ms: f64,
    /// How many took how long.
    pub buckets: Vec<Bucket>,
}

/// Calls up to a bound, those of all smaller bounds included.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bucket {
    /// The bound, which belongs to it; `None` for all calls.
    pub le_ms: Option<f64>,
    /// So many.
    pub count: u64,
}

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

    /// A call has ended, so long after the start.
    pub(super) fn record(&mut self, call: &CallFinished, after: Duration) {
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
                calls: times.map_or(0, Distribution::count),
                failed: step.map_or(0, |step| step.failed),
                p50_ms: times.map(|times| milliseconds(times.quantile(0.5))),
                p95_ms: times.map(|times| milliseconds(times.quantile(0.95))),
                max_ms: times.map(|times| milliseconds(times.max())),
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
