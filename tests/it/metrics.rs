//! The metrics. The test sends them messages and events.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use actix::prelude::*;
use mcp_server_postgres::actors::metrics::Metrics;
use mcp_server_postgres::messages::events::{
    CallEnded, CallOutcome, SettingsChanged, StatementEnded, StatementOutcome,
};
use mcp_server_postgres::messages::metrics::{
    Gauges, MetricsSnapshot, PerformanceSummary, Scrape, SlowList, SlowQueries, Snapshot, Summary,
};
use mcp_server_postgres::postgres::pool::PoolStatus;
use mcp_server_postgres::settings::Settings;
use mcp_server_postgres::tools;
use pg_guard::sql::Operation;

mod exposition;
mod latency;
mod slow;
mod snapshot;
mod summary;
mod text_format;

use crate::common::{settings, settings_with};

/// The metrics of a test.
struct World(Addr<Metrics>);

impl World {
    fn new(settings: &Settings) -> Self {
        Self(Metrics::new(&settings.metrics, &tools::names()).start())
    }

    fn with_history(history_max: usize) -> Self {
        Self::new(&settings_with(|settings| settings.metrics.history_max = history_max))
    }

    async fn finished(&self, event: StatementEnded) {
        self.0.send(event).await.unwrap();
    }

    async fn called(&self, tool: &'static str, outcome: CallOutcome, took: Duration) {
        self.0.send(CallEnded { tool, outcome, took }).await.unwrap();
    }

    async fn summary(&self) -> PerformanceSummary {
        self.summary_of(&["main"]).await
    }

    async fn summary_of(&self, databases: &[&str]) -> PerformanceSummary {
        self.0.send(Summary { databases: names(databases) }).await.unwrap()
    }

    async fn slow(&self, threshold_ms: Option<u64>, limit: usize) -> SlowList {
        self.slow_of(&["main"], threshold_ms, limit).await
    }

    async fn slow_of(&self, databases: &[&str], threshold_ms: Option<u64>, limit: usize) -> SlowList {
        let threshold = threshold_ms.map(Duration::from_millis);
        self.0.send(SlowQueries { threshold, limit, databases: names(databases) }).await.unwrap()
    }

    async fn snapshot(&self) -> MetricsSnapshot {
        self.0.send(Snapshot).await.unwrap()
    }

    async fn scrape(&self, gauges: Gauges) -> String {
        self.0.send(Scrape { gauges }).await.unwrap()
    }

    async fn change(&self, change: impl FnOnce(&mut Settings)) {
        let (old, new) = (Arc::new(settings()), Arc::new(settings_with(change)));
        self.0.send(SettingsChanged { old, new }).await.unwrap();
    }
}

fn names(databases: &[&str]) -> Arc<[Arc<str>]> {
    databases.iter().map(|&name| name.into()).collect()
}

/// The event of a statement that was answered with one row.
fn done(sql: &str, executed_ms: u64) -> StatementEnded {
    StatementEnded {
        tool: "async_query_execute",
        client: "stdio".into(),
        database: "main".into(),
        sql: sql.into(),
        operation: Operation::of(sql),
        began: Instant::now(),
        waited: Duration::from_millis(2),
        connected: None,
        executed: Duration::from_millis(executed_ms),
        rows: 1,
        bytes: 10,
        retries: 0,
        outcome: StatementOutcome::Done,
        generation: 1,
    }
}

fn failed(sql: &str, executed_ms: u64) -> StatementEnded {
    let why = "no such table".to_owned();
    let outcome = StatementOutcome::Failed { sqlstate: Some("42P01".to_owned()), why };
    StatementEnded { outcome, rows: 0, bytes: 0, ..done(sql, executed_ms) }
}

fn refused(sql: &str) -> StatementEnded {
    let outcome = StatementOutcome::Refused { rule: None, why: "not accepted".to_owned() };
    StatementEnded { outcome, rows: 0, bytes: 0, ..done(sql, 0) }
}

fn cancelled(sql: &str, executed_ms: u64) -> StatementEnded {
    StatementEnded { outcome: StatementOutcome::Cancelled, rows: 0, bytes: 0, ..done(sql, executed_ms) }
}

/// The same event of another database.
fn at(database: &str, event: StatementEnded) -> StatementEnded {
    StatementEnded { database: database.into(), ..event }
}

fn texts(list: &SlowList) -> Vec<&str> {
    list.queries.iter().map(|query| query.sql.as_str()).collect()
}
