//! The newest statements that have ended, and counters of each database. A client sees only those of the databases that
//! it may use.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::messages::events::{StatementEnded, StatementOutcome};
use crate::messages::metrics::{PerformanceSummary, SlowList, SlowQuery, Times, Totals};
use crate::settings::MetricsSettings;
use pg_guard::sql::normalised;

/// How many characters of a statement are kept.
const SQL_CHARS_MAX: usize = 1000;

/// The outcome of a statement that was answered.
const SUCCESSFUL: &str = "successful";

/// The history and the counters.
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

    /// Adds a statement that ended in this second after the start.
    pub(super) fn record(&mut self, event: StatementEnded, second: u64) {
        if event.outcome == StatementOutcome::NeverBegan {
            return;
        }
        let Counts { totals, per_second } = self.databases.entry(event.database.clone()).or_default();
        let (count, outcome) = match event.outcome {
            StatementOutcome::Done => (&mut totals.successful, SUCCESSFUL),
            StatementOutcome::Failed { .. } => (&mut totals.failed, "failed"),
            StatementOutcome::Refused { .. } => {
                totals.refused += 1;
                (&mut totals.failed, "failed")
            }
            StatementOutcome::Cancelled | StatementOutcome::NeverBegan => (&mut totals.cancelled, "cancelled"),
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

    /// The summary of these databases. `since` is the time of the start, and `uptime` the time since then.
    pub(super) fn summary(&self, databases: &[Arc<str>], since: SystemTime, uptime: Duration) -> PerformanceSummary {
        let counts = || self.databases.iter().filter(|(name, _)| databases.contains(name)).map(|(_, counts)| counts);
        let [successful, failed, cancelled] =
            [|totals: &Totals| totals.successful, |totals: &Totals| totals.failed, |totals: &Totals| totals.cancelled]
                .map(|count| counts().map(|counts| count(&counts.totals)).sum::<u64>());
        let entries: Vec<&SlowQuery> = self.entries_of(databases).collect();
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
    pub(super) fn slow(&self, databases: &[Arc<str>], threshold: Option<Duration>, limit: usize) -> SlowList {
        let threshold = threshold.unwrap_or(self.slow_threshold);
        let (queries, over) = slowest(self.entries_of(databases), threshold, limit);
        SlowList { threshold, looked_at: self.entries_of(databases).count(), over, queries }
    }

    /// The slowest statements of all databases.
    pub(super) fn slow_of_all(&self, limit: usize) -> Vec<SlowQuery> {
        slowest(self.entries.iter(), self.slow_threshold, limit).0
    }

    /// The totals of all databases.
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

    fn entries_of<'a>(&'a self, databases: &'a [Arc<str>]) -> impl Iterator<Item = &'a SlowQuery> {
        self.entries.iter().filter(|entry| databases.contains(&entry.database))
    }
}

/// The statements that ran at least as long as the threshold, slowest first and at most `limit` of them; and how many
/// there are.
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

/// How many statements ended in each of the last 60 seconds. It does not depend on the size of the history.
struct PerSecond {
    /// For each slot, the second that it was last used for and the count of that second.
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
