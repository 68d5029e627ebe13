//! What the metrics are asked: how things have gone, what was slow, what the status page and Prometheus show. With the
//! replies.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use actix::prelude::*;
use pg_guard::sql::Operation;
use serde::{Serialize, Serializer};

use crate::postgres::pool::PoolStatus;
use crate::units::{as_milliseconds, as_rfc3339};

/// The metrics, for whoever asks them on behalf of a client.
#[derive(Clone)]
pub struct MetricsHandle {
    /// How things have gone.
    pub summary: Recipient<Summary>,
    pub slow_queries: Recipient<SlowQueries>,
}

/// Asks how things have gone. Sent by the tool `performance_summary`.
#[derive(Debug, Clone, Message)]
#[rtype(result = "PerformanceSummary")]
pub struct Summary {
    /// At these databases: those that the client may ask.
    pub databases: Arc<[Arc<str>]>,
}

/// Asks for the slowest statements of the history. Sent by the tool `slow_queries`.
#[derive(Debug, Clone, Message)]
#[rtype(result = "SlowList")]
pub struct SlowQueries {
    /// Only those that took at least this long; the setting, if none is given.
    pub threshold: Option<Duration>,
    /// No more than this many.
    pub limit: usize,
    /// Of these databases: those that the client may ask.
    pub databases: Arc<[Arc<str>]>,
}

/// Asks for all that the status page shows, of all databases. Sent by the page's side.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "MetricsSnapshot")]
pub struct Snapshot;

/// Asks for the text that Prometheus reads. Sent by the daemon's HTTP side.
#[derive(Debug, Clone, Message)]
#[rtype(result = "String")]
pub struct Scrape {
    /// What is not counted here.
    pub gauges: Gauges,
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
    pub max: Duration,
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

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SlowQuery {
    /// Its text without literals.
    pub sql: String,
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
    #[serde(serialize_with = "text")]
    pub database: Arc<str>,
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
    pub successful: u64,
    pub failed: u64,
    pub cancelled: u64,
    /// Of those that failed: not let run at all, by the guard for nearly all of them.
    pub refused: u64,
    /// Rows read or changed.
    pub rows: u64,
    /// Bytes of the answers' rows, as JSON.
    pub bytes: u64,
}

/// How things stand; its members are the status document's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricsSnapshot {
    /// Statements of all databases since the start.
    pub totals: Totals,
    /// How long calls took in the last hour.
    pub latency: Latency,
    /// The same by tool, since the start.
    pub tools: Vec<ToolCalls>,
    /// The slowest statements of the history.
    pub slow: Slow,
    /// What became of changes of the settings; the newest first.
    pub reloads: Vec<Reload>,
}

/// The slowest statements.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Slow {
    /// The setting MCP_SLOW_QUERY_THRESHOLD_MS.
    pub threshold_ms: f64,
    /// Those that took at least as long; the slowest first.
    pub queries: Vec<SlowQuery>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reload {
    /// When it was heard of.
    #[serde(serialize_with = "as_rfc3339")]
    pub at: SystemTime,
    /// `applied`, `unchanged` or `rejected`.
    pub outcome: &'static str,
    /// What was changed, or why not.
    pub what: String,
}

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

/// What is not counted here: the asker gathers it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Gauges {
    /// How each database stands.
    pub databases: Vec<DatabaseGauges>,
    /// Sessions of clients that there are.
    pub sessions: usize,
    /// Connections of clients that are open.
    pub connections: usize,
    /// Memory of the process that is in use, in bytes, where the system tells.
    pub resident_bytes: Option<u64>,
    /// File descriptors that are open, where the system tells.
    pub descriptors: Option<u64>,
}

/// How a database stands.
#[derive(Debug, Clone, PartialEq)]
pub struct DatabaseGauges {
    pub name: Arc<str>,
    /// Whether it can be asked.
    pub is_up: bool,
    /// Its newest pool.
    pub pool: PoolStatus,
}
