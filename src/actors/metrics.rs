//! The metrics aggregator: what ran, how long it took and what became of it.
//!
//! It holds a bounded history of finished statements and counts that never stop. It shows a statement's text only
//! with its literals taken out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use actix::prelude::*;

use super::executor::ConfigChanged;
use crate::postgres::sql::{Operation, normalised};

/// Says that a statement has ended, in whatever way. Sent by the executor, once for each statement.
#[derive(Debug, Clone, PartialEq, Message)]
#[rtype(result = "()")]
pub struct QueryFinished {
    /// Which tool asked.
    pub tool: &'static str,
    /// For whom.
    pub client: Arc<str>,
    /// Which database was asked.
    pub database: Arc<str>,
    /// The statement as it was given.
    pub sql: Arc<str>,
    /// What kind it is.
    pub operation: Operation,
    /// When it was asked for.
    pub began: Instant,
    /// Waiting for a connection.
    pub waited: Duration,
    /// From having the connection to the end.
    pub executed: Duration,
    /// Rows read, or changed.
    pub rows: u64,
    /// What became of it.
    pub verdict: Verdict,
    /// The pool's generation it ran on.
    pub generation: u64,
}

/// What became of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It was answered.
    Done,
    /// It was not.
    Failed {
        /// PostgreSQL's code, where it gave one.
        sqlstate: Option<String>,
        /// The whole reason, for the log.
        why: String,
    },
    /// Nobody wanted the answer any more.
    Cancelled,
    /// An earlier statement of its batch ended the batch; it is in no count.
    NeverBegan,
}

/// Asks how things have gone. Sent by the tool `performance_summary`.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "PerformanceSummary")]
pub struct Summary;

/// Asks for the slowest statements of the history. Sent by the tool `slow_queries`.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "SlowList")]
pub struct SlowQueries {
    /// Only those that took at least this long; the setting, if none is given.
    pub threshold: Option<Duration>,
    /// No more than this many.
    pub limit: usize,
}

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
    /// How many it can hold.
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
#[derive(Debug, Clone, PartialEq)]
pub struct SlowQuery {
    /// Its text without literals.
    pub sql: String,
    /// What kind it is.
    pub operation: Operation,
    /// Waiting for a connection.
    pub waited: Duration,
    /// Running.
    pub executed: Duration,
    /// Rows read or changed.
    pub rows: u64,
    /// What became of it: `successful`, `failed` or `cancelled`.
    pub outcome: &'static str,
    /// When it was asked for.
    pub began: SystemTime,
}

/// How much of a statement is kept, in characters.
const SQL_CHARS_MAX: usize = 1000;

struct Entry {
    shown: SlowQuery,
    answered: bool,
}

/// The actor.
pub struct Metrics {
    /// By the calendar, and by the runtime's clock (which a test can move).
    since: (SystemTime, tokio::time::Instant),
    history: VecDeque<Entry>,
    history_max: usize,
    slow_query_threshold: Duration,
    successful: u64,
    failed: u64,
    cancelled: u64,
    per_second: PerSecond,
}

impl Metrics {
    /// Nothing recorded yet.
    pub fn new(settings: &crate::settings::MetricsSettings) -> Self {
        Self {
            since: (SystemTime::now(), tokio::time::Instant::now()),
            history: VecDeque::new(),
            history_max: settings.history_max,
            slow_query_threshold: settings.slow_query_threshold,
            successful: 0,
            failed: 0,
            cancelled: 0,
            per_second: PerSecond::default(),
        }
    }

    fn times(&self) -> Option<Times> {
        let answered = || self.history.iter().filter(|entry| entry.answered);
        let mut times: Vec<Duration> = answered().map(|entry| entry.shown.executed).collect();
        times.sort_unstable();
        let count = times.len();
        let rank = |of_hundred: usize| times[(count * of_hundred).div_ceil(100).max(1) - 1];
        let (Some(&min), Some(&max)) = (times.first(), times.last()) else { return None };
        let rows: u64 = answered().map(|entry| entry.shown.rows).sum();
        Some(Times {
            average: times.iter().sum::<Duration>() / u32::try_from(count).unwrap_or(u32::MAX),
            median: rank(50),
            p95: rank(95),
            max,
            min,
            average_rows: rows as f64 / count as f64,
        })
    }
}

impl Actor for Metrics {
    type Context = Context<Self>;
}

impl Handler<QueryFinished> for Metrics {
    type Result = ();

    fn handle(&mut self, event: QueryFinished, _: &mut Context<Self>) {
        let outcome = match event.verdict {
            Verdict::Done => "successful",
            Verdict::Failed { .. } => "failed",
            Verdict::Cancelled => "cancelled",
            Verdict::NeverBegan => return,
        };
        match outcome {
            "successful" => self.successful += 1,
            "failed" => self.failed += 1,
            _ => self.cancelled += 1,
        }
        self.per_second.count(self.since.1.elapsed().as_secs());
        while self.history.len() >= self.history_max {
            self.history.pop_front();
        }
        self.history.push_back(Entry {
            answered: event.verdict == Verdict::Done,
            shown: SlowQuery {
                sql: normalised(&event.sql, SQL_CHARS_MAX),
                operation: event.operation,
                waited: event.waited,
                executed: event.executed,
                rows: event.rows,
                outcome,
                began: SystemTime::now() - event.began.elapsed(),
            },
        });
    }
}

impl Handler<Summary> for Metrics {
    type Result = MessageResult<Summary>;

    fn handle(&mut self, _: Summary, _: &mut Context<Self>) -> Self::Result {
        let uptime = self.since.1.elapsed();
        MessageResult(PerformanceSummary {
            since: self.since.0,
            uptime,
            total: self.successful + self.failed + self.cancelled,
            successful: self.successful,
            failed: self.failed,
            cancelled: self.cancelled,
            queries_per_minute: self.per_second.last_minute(uptime.as_secs()),
            history: self.history.len(),
            history_max: self.history_max,
            times: self.times(),
        })
    }
}

impl Handler<SlowQueries> for Metrics {
    type Result = MessageResult<SlowQueries>;

    fn handle(&mut self, asked: SlowQueries, _: &mut Context<Self>) -> Self::Result {
        let threshold = asked.threshold.unwrap_or(self.slow_query_threshold);
        let mut queries: Vec<SlowQuery> = self
            .history
            .iter()
            .map(|entry| &entry.shown)
            .filter(|query| query.executed >= threshold)
            .cloned()
            .collect();
        queries.sort_by_key(|query| std::cmp::Reverse(query.executed));
        let over = queries.len();
        queries.truncate(asked.limit);
        MessageResult(SlowList { threshold, looked_at: self.history.len(), over, queries })
    }
}

impl Handler<ConfigChanged> for Metrics {
    type Result = ();

    fn handle(&mut self, change: ConfigChanged, _: &mut Context<Self>) {
        self.history_max = change.new.metrics.history_max;
        self.slow_query_threshold = change.new.metrics.slow_query_threshold;
        let surplus = self.history.len().saturating_sub(self.history_max);
        self.history.drain(..surplus);
    }
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
