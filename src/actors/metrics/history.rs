//! The last finished statements, and counts of each database that never stop. What a client may see of them is of the
//! databases that it may ask.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

use super::{QueryFinished, Verdict};
use crate::settings::MetricsSettings;
use crate::units::{as_milliseconds, as_rfc3339};
use pg_guard::sql::{Operation, normalised};

/// How much of a statement is kept, in characters.
const SQL_CHARS_MAX: usize = 1000;

/// What is said of a statement that was answered.
const SUCCESSFUL: &str = "successful";

/// How things have gone since the server started. Times are of answered statements still in the history.
#[derive(Debug, Clone, PartialEq)]
pub struct PerformanceSummary {
    /// When counting began.
    pub since: SystemTime,
    /// How long ago that was.
    pub uptime: Duration,
    /// Statements that have ended.
    pub total: u64,
    /// Of these, answered.
    pub successful: u64,
    /// Of these, failed.
    pub failed: u64,
    /// Of these, cancelled.
    pub cancelled: u64,
    /// Of the last 60 seconds.
    pub queries_per_minute: u64,
    /// Statements in the history.
    pub history: usize,
    /// How many it can hold, of all databases together.
    pub history_max: usize,
    /// Absent when the history holds no answered statement.
    pub times: Option<Times>,
}

impl PerformanceSummary {
    /// Answered of all that ended, 0 to 1; `None` when nothing has.
    pub fn success_rate(&self) -> Option<f64> {
        (self.total > 0).then(|| self.successful as f64 / self.total as f64)
    }
}

/// Execution times and rows of the answered statements in the history.
#[derive(Debug, Clone, PartialEq)]
pub struct Times {
    /// The arithmetic mean.
    pub average: Duration,
    /// Half took no longer (nearest rank).
    pub median: Duration,
    /// 95 of 100 took no longer (nearest rank).
    pub p95: Duration,
    /// The longest.
    pub max: Duration,
    /// The shortest.
    pub min: Duration,
    /// Rows a statement, on average.
    pub average_rows: f64,
}

/// The slowest statements, slowest first.
#[derive(Debug, Clone, PartialEq)]
pub struct SlowList {
    /// The threshold that was applied.
    pub threshold: Duration,
    /// Statements in the history that were looked at.
    pub looked_at: usize,
    /// Those at or over the threshold, before the limit.
    pub over: usize,
    /// The slowest of these.
    pub queries: Vec<SlowQuery>,
}

/// One slow statement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SlowQuery {
    /// Its text without literals.
    pub sql: String,
    /// What kind it is.
    #[serde(serialize_with = "by_name")]
    pub operation: Operation,
    /// Running.
    #[serde(rename = "executed_ms", serialize_with = "as_milliseconds")]
    pub executed: Duration,
    /// Waiting for a connection.
    #[serde(rename = "waited_ms", serialize_with = "as_milliseconds")]
    pub waited: Duration,
    /// Rows read or changed.
    pub rows: u64,
    /// What became of it: `successful`, `failed` or `cancelled`.
    pub outcome: &'static str,
    /// When it was asked for.
    #[serde(rename = "began_at", serialize_with = "as_rfc3339")]
    pub began: SystemTime,
    /// Which database was asked.
    #[serde(serialize_with = "text")]
    pub database: Arc<str>,
    /// For whom.
    #[serde(serialize_with = "text")]
    pub client: Arc<str>,
}

fn by_name<S: Serializer>(operation: &Operation, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(operation.as_str())
}

fn text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

/// How many statements have ended, by what became of them, and what they gave.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Answered.
    pub successful: u64,
    /// Failed.
    pub failed: u64,
    /// Cancelled.
    pub cancelled: u64,
    /// Of those that failed: not let run at all, by the guard for nearly all of them.
    pub refused: u64,
    /// Rows read or changed.
    pub rows: u64,
    /// Bytes of the answers' rows, as JSON.
    pub bytes: u64,
}

/// The history, and the counts.
pub(super) struct History {
    entries: VecDeque<SlowQuery>,
    pub(super) entries_max: usize,
    pub(super) slow_threshold: Duration,
    databases: HashMap<Arc<str>, Counts>,
}

#[derive(Default)]
struct Counts {
    totals: Totals,
    per_second: PerSecond,
}

impl History {
    pub(super) fn new(settings: &MetricsSettings) -> Self {
        Self {
            entries: VecDeque::new(),
            entries_max: settings.history_max,
            slow_threshold: settings.slow_query_threshold,
            databases: HashMap::new(),
        }
    }

    pub(super) fn reload(&mut self, settings: &MetricsSettings) {
        self.entries_max = settings.history_max;
        self.slow_threshold = settings.slow_query_threshold;
        let surplus = self.entries.len().saturating_sub(self.entries_max);
        self.entries.drain(..surplus);
    }

    /// A statement has ended, so many seconds after counting began.
    pub(super) fn record(&mut self, event: QueryFinished, second: u64) {
        if event.verdict == Verdict::NeverBegan {
            return;
        }
        let Counts { totals, per_second } = self.databases.entry(event.database.clone()).or_default();
        let (count, outcome) = match event.verdict {
            Verdict::Done => (&mut totals.successful, SUCCESSFUL),
            Verdict::Failed { is_refusal, .. } => {
                totals.refused += u64::from(is_refusal);
                (&mut totals.failed, "failed")
            }
            Verdict::Cancelled | Verdict::NeverBegan => (&mut totals.cancelled, "cancelled"),
        };
        *count += 1;
        totals.rows += event.rows;
        totals.bytes += event.bytes;
        per_second.count(second);
        while self.entries.len() >= self.entries_max {
            self.entries.pop_front();
        }
        self.entries.push_back(SlowQuery {
            sql: normalised(&event.sql, SQL_CHARS_MAX),
            operation: event.operation,
            waited: event.waited,
            executed: event.executed,
            rows: event.rows,
            outcome,
            began: SystemTime::now() - event.began.elapsed(),
            database: event.database,
            client: event.client,
        });
    }

    /// How things have gone at these databases, so long after counting began.
    pub(super) fn summary(&self, of: &[Arc<str>], since: SystemTime, uptime: Duration) -> PerformanceSummary {
        let counts = || self.databases.iter().filter(|(name, _)| of.contains(name)).map(|(_, counts)| counts);
        let [successful, failed, cancelled] =
            [|totals: &Totals| totals.successful, |totals: &Totals| totals.failed, |totals: &Totals| totals.cancelled]
                .map(|count| counts().map(|counts| count(&counts.totals)).sum::<u64>());
        let entries: Vec<&SlowQuery> = self.of(of).collect();
        PerformanceSummary {
            since,
            uptime,
            total: successful + failed + cancelled,
            successful,
            failed,
            cancelled,
            queries_per_minute: counts().map(|counts| counts.per_second.last_minute(uptime.as_secs())).sum(),
            history: entries.len(),
            history_max: self.entries_max,
            times: times(&entries),
        }
    }

    /// The slowest statements of these databases.
    pub(super) fn slow(&self, of: &[Arc<str>], threshold: Option<Duration>, limit: usize) -> SlowList {
        let threshold = threshold.unwrap_or(self.slow_threshold);
        let (queries, over) = slowest(self.of(of), threshold, limit);
        SlowList { threshold, looked_at: self.of(of).count(), over, queries }
    }

    /// The slowest statements of all databases.
    pub(super) fn slow_of_all(&self, limit: usize) -> Vec<SlowQuery> {
        slowest(self.entries.iter(), self.slow_threshold, limit).0
    }

    /// Of all databases together.
    pub(super) fn totals(&self) -> Totals {
        self.databases.values().fold(Totals::default(), |sum, Counts { totals, .. }| Totals {
            successful: sum.successful + totals.successful,
            failed: sum.failed + totals.failed,
            cancelled: sum.cancelled + totals.cancelled,
            refused: sum.refused + totals.refused,
            rows: sum.rows + totals.rows,
            bytes: sum.bytes + totals.bytes,
        })
    }

    fn of<'a>(&'a self, databases: &'a [Arc<str>]) -> impl Iterator<Item = &'a SlowQuery> {
        self.entries.iter().filter(|entry| databases.contains(&entry.database))
    }
}

/// Those at or over the threshold, slowest first and at most so many; and how many there are.
fn slowest<'a>(
    entries: impl Iterator<Item = &'a SlowQuery>,
    threshold: Duration,
    limit: usize,
) -> (Vec<SlowQuery>, usize) {
    let mut over: Vec<&SlowQuery> = entries.filter(|query| query.executed >= threshold).collect();
    over.sort_by_key(|query| std::cmp::Reverse(query.executed));
    (over.iter().take(limit).map(|&query| query.clone()).collect(), over.len())
}

fn times(entries: &[&SlowQuery]) -> Option<Times> {
    let answered = || entries.iter().filter(|entry| entry.outcome == SUCCESSFUL);
    let mut times: Vec<Duration> = answered().map(|entry| entry.executed).collect();
    times.sort_unstable();
    let count = times.len();
    let rank = |of_hundred: usize| times[(count * of_hundred).div_ceil(100).max(1) - 1];
    let (Some(&min), Some(&max)) = (times.first(), times.last()) else { return None };
    let rows: u64 = answered().map(|entry| entry.rows).sum();
    Some(Times {
        average: times.iter().sum::<Duration>() / u32::try_from(count).unwrap_or(u32::MAX),
        median: rank(50),
        p95: rank(95),
        max,
        min,
        average_rows: rows as f64 / count as f64,
    })
}

/// How many statements ended in each of the last 60 seconds, whatever the history still holds.
struct PerSecond {
    /// The second a slot was last used for, and its count.
    slots: [(u64, u64); 60],
}

impl Default for PerSecond {
    fn default() -> Self {
        Self { slots: [(0, 0); 60] }
    }
}

impl PerSecond {
    fn count(&mut self, second: u64) {
        let slot = &mut self.slots[(second % 60) as usize];
        if slot.0 != second {
            *slot = (second, 0);
        }
        slot.1 += 1;
    }

    fn last_minute(&self, now: u64) -> u64 {
        self.slots.iter().filter(|(second, _)| now - second < 60).map(|(_, count)| count).sum()
    }
}
