//! The messages to the metrics, with the replies: the summary, the slowest statements, the status page and the text for
//! Prometheus.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use actix::prelude::*;
use pg_guard::sql::Operation;
use serde::{Serialize, Serializer};

use crate::postgres::pool::PoolStatus;
use crate::units::{as_milliseconds, as_rfc3339};

/// The metrics, for the tools.
#[derive(Clone)]
pub struct MetricsHandle {
    /// The summary.
    pub summary: Recipient<Summary>,
    pub slow_queries: Recipient<SlowQueries>,
}

/// Asks for a summary. Sent by the tool `performance_summary`.
#[derive(Debug, Clone, Message)]
#[rtype(result = "PerformanceSummary")]
pub struct Summary {
    /// Only of these databases: those that the client may use.
    pub databases: Arc<[Arc<str>]>,
}

/// Asks for the slowest statements of the history. Sent by the tool `slow_queries`.
#[derive(Debug, Clone, Message)]
#[rtype(result = "SlowList")]
pub struct SlowQueries {
    /// Only statements that took at least this long. If none is given, the setting counts.
    pub threshold: Option<Duration>,
    /// At most this many.
    pub limit: usize,
    /// Only of these databases: those that the client may use.
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
    /// Values that the metrics do not count.
    pub gauges: Gauges,
}

/// What the statements have done since the server started. Times are those of answered statements that are still in the
/// history.
#[derive(Debug, Clone, PartialEq)]
pub struct PerformanceSummary {
    /// When counting began.
    pub since: SystemTime,
    /// How long ago that was.
    pub uptime: Duration,
    /// Statements that have ended.
    pub total: u64,
    /// Statements that were answered.
    pub successful: u64,
    /// Statements that failed.
    pub failed: u64,
    /// Statements that were cancelled.
    pub cancelled: u64,
    /// Statements of the last 60 seconds.
    pub queries_per_minute: u64,
    /// Statements in the history.
    pub history: usize,
    /// How many statements the history can hold, of all databases together.
    pub history_max: usize,
    /// `None` if the history has no answered statement.
    pub times: Option<Times>,
}

impl PerformanceSummary {
    /// The share of answered statements, 0 to 1; `None` if none has ended.
    pub fn success_rate(&self) -> Option<f64> {
        (self.total > 0).then(|| self.successful as f64 / self.total as f64)
    }
}

/// Execution times and rows of the answered statements in the history.
#[derive(Debug, Clone, PartialEq)]
pub struct Times {
    /// The arithmetic mean.
    pub average: Duration,
    /// The median (nearest rank).
    pub median: Duration,
    /// The 95th percentile (nearest rank).
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
    /// Statements at or over the threshold, before the limit.
    pub over: usize,
    /// The slowest of them.
    pub queries: Vec<SlowQuery>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SlowQuery {
    /// Its text without literals.
    pub sql: String,
    #[serde(serialize_with = "by_name")]
    pub operation: Operation,
    /// How long it ran.
    #[serde(rename = "executed_ms", serialize_with = "as_milliseconds")]
    pub executed: Duration,
    /// How long it waited for a connection.
    #[serde(rename = "waited_ms", serialize_with = "as_milliseconds")]
    pub waited: Duration,
    /// Rows read or changed.
    pub rows: u64,
    /// Its outcome: `successful`, `failed` or `cancelled`.
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

/// How many statements have ended, by outcome, and what they returned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    pub successful: u64,
    pub failed: u64,
    pub cancelled: u64,
    /// Of the failed statements, those that did not run at all. Nearly all were refused by the guard.
    pub refused: u64,
    /// Rows read or changed.
    pub rows: u64,
    /// Bytes of the answers' rows, as JSON.
    pub bytes: u64,
}

/// The state of the server. Its members are those of the status document.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricsSnapshot {
    /// Statements of all databases since the start.
    pub totals: Totals,
    /// How long calls took in the last hour.
    pub latency: Latency,
    /// How long calls took, by tool, since the start.
    pub tools: Vec<ToolCalls>,
    /// The slowest statements of the history.
    pub slow: Slow,
    /// The changes of the settings, the newest first.
    pub reloads: Vec<Reload>,
}

/// The slowest statements.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Slow {
    /// The setting MCP_SLOW_QUERY_THRESHOLD_MS.
    pub threshold_ms: f64,
    /// Statements that took at least as long, the slowest first.
    pub queries: Vec<SlowQuery>,
}

/// One change of the settings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reload {
    /// When it was noticed.
    #[serde(serialize_with = "as_rfc3339")]
    pub at: SystemTime,
    /// `applied`, `unchanged` or `rejected`.
    pub outcome: &'static str,
    /// What was changed, or why nothing was.
    pub what: String,
}

/// How long calls took, over time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Latency {
    /// The length of a step.
    pub step_ms: f64,
    /// The steps of the last hour, or of the time since the start; the oldest first. The last step is not over.
    pub points: Vec<Point>,
}

/// One step. It counts calls that ran: none that was refused for its arguments or because there were too many.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    /// Its beginning.
    #[serde(serialize_with = "as_rfc3339")]
    pub at: SystemTime,
    /// Calls that ended in it.
    pub calls: u64,
    /// Calls that failed or were refused by the guard.
    pub failed: u64,
    /// The median, at most an eighth off. `None` if the step has no calls.
    pub p50_ms: Option<f64>,
    /// The 95th percentile, at most an eighth off.
    pub p95_ms: Option<f64>,
    /// The longest time, exactly.
    pub max_ms: Option<f64>,
}

/// One tool's calls since the start, counted as those of a [`Point`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ToolCalls {
    pub tool: &'static str,
    /// Calls that ended.
    pub calls: u64,
    /// Calls that failed or were refused by the guard.
    pub failed: u64,
    /// Calls that were cancelled. Their times count too.
    pub cancelled: u64,
    /// The median, at most an eighth off, like the other percentiles.
    pub p50_ms: f64,
    /// The 95th percentile.
    pub p95_ms: f64,
    /// The 99th percentile.
    pub p99_ms: f64,
    /// The longest time, exactly.
    pub max_ms: f64,
    /// The histogram of the times.
    pub buckets: Vec<Bucket>,
}

/// How many calls took at most the bound. Those of all smaller bounds are included.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bucket {
    /// The bound, which is included; `None` for all calls.
    pub le_ms: Option<f64>,
    /// The number of calls.
    pub count: u64,
}

/// Values that the metrics do not count. The sender of the message provides them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Gauges {
    /// The state of each database.
    pub databases: Vec<DatabaseGauges>,
    /// Sessions of clients.
    pub sessions: usize,
    /// Open connections of clients.
    pub connections: usize,
    /// Memory that the process uses, in bytes, if the system says so.
    pub resident_bytes: Option<u64>,
    /// Open file descriptors, if the system says so.
    pub descriptors: Option<u64>,
}

/// The state of a database.
#[derive(Debug, Clone, PartialEq)]
pub struct DatabaseGauges {
    pub name: Arc<str>,
    /// Whether it can be used.
    pub is_up: bool,
    /// Its newest pool.
    pub pool: PoolStatus,
}
