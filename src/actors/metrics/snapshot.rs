//! What the status page shows of the metrics.

use std::time::SystemTime;

use serde::Serialize;

use super::history::{SlowQuery, Totals};
use super::latency::{Latency, ToolCalls};
use crate::units::as_rfc3339;

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
