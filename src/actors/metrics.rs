//! The metrics: which statements and calls have ended, how long they took, and how they ended.
//!
//! The actor receives an event for each statement, call and reload that has ended. It keeps a history of limited size
//! and counters that only rise. The tools read `history`, the status page reads `latency`, and Prometheus reads
//! `exposition`. The text of a statement is kept and shown only without its literals.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use actix::prelude::*;

mod distribution;
mod exposition;
mod history;
mod latency;

use exposition::Exposition;
use history::History;
use latency::Latencies;

/// The media type of the reply to [`Scrape`].
pub use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;

use crate::messages::events::{
    CallEnded, PoolRebuilt, ReloadFinished, ReloadOutcome, SettingsChanged, StatementEnded, StatementRefused,
};
use crate::messages::metrics::{MetricsSnapshot, Reload, Scrape, Slow, SlowQueries, Snapshot, Summary};
use crate::units::milliseconds;

/// How many slow statements are in a snapshot.
const SLOW_MAX: usize = 20;

/// How many reloads are remembered.
const RELOADS_MAX: usize = 50;

pub struct Metrics {
    /// The start, as the time of day and by the clock of the runtime, which tests can move.
    since: (SystemTime, tokio::time::Instant),
    history: History,
    latencies: Latencies,
    exposition: Exposition,
    /// The newest first.
    reloads: VecDeque<Reload>,
}

impl Metrics {
    /// Metrics without events. The counters of each of `tools` exist from the start, with 0.
    pub fn new(settings: &crate::settings::MetricsSettings, tools: &[&'static str]) -> Self {
        let since = SystemTime::now();
        Self {
            since: (since, tokio::time::Instant::now()),
            history: History::new(settings),
            latencies: Latencies::new(),
            exposition: Exposition::new(since, tools),
            reloads: VecDeque::new(),
        }
    }

    fn uptime(&self) -> Duration {
        self.since.1.elapsed()
    }

    /// Adds a reload to the list. If the newest one is equal, as when a pool cannot be opened for a long time, it is
    /// replaced, so that it is listed once, with its latest time.
    fn remember(&mut self, outcome: ReloadOutcome, what: String) {
        let reload = Reload { at: SystemTime::now(), outcome: outcome.as_str(), what };
        if self.reloads.front().is_some_and(|newest| (newest.outcome, &newest.what) == (reload.outcome, &reload.what)) {
            self.reloads.pop_front();
        }
        self.reloads.truncate(RELOADS_MAX - 1);
        self.reloads.push_front(reload);
    }
}

impl Actor for Metrics {
    type Context = Context<Self>;
}

impl Handler<StatementEnded> for Metrics {
    type Result = ();

    fn handle(&mut self, event: StatementEnded, _: &mut Context<Self>) {
        self.exposition.statement(&event);
        // Catalog queries of this server have no client, and no client sees them in its summary.
        if !event.client.is_empty() {
            self.history.record(event, self.uptime().as_secs());
        }
    }
}

impl Handler<StatementRefused> for Metrics {
    type Result = ();

    fn handle(&mut self, refused: StatementRefused, _: &mut Context<Self>) {
        self.exposition.refusal(&refused);
    }
}

impl Handler<CallEnded> for Metrics {
    type Result = ();

    fn handle(&mut self, call: CallEnded, _: &mut Context<Self>) {
        self.exposition.call(&call);
        let after = self.uptime();
        self.latencies.record(&call, after);
    }
}

impl Handler<ReloadFinished> for Metrics {
    type Result = ();

    fn handle(&mut self, reload: ReloadFinished, _: &mut Context<Self>) {
        self.exposition.reload(reload.outcome);
        self.remember(reload.outcome, reload.what);
    }
}

impl Handler<PoolRebuilt> for Metrics {
    type Result = ();

    fn handle(&mut self, rebuilt: PoolRebuilt, _: &mut Context<Self>) {
        self.exposition.rebuild(&rebuilt);
        let database = &rebuilt.database;
        let (outcome, what) = match &rebuilt.result {
            Ok(generation) => (ReloadOutcome::Applied, format!("pool rebuilt: {database}, generation {generation}")),
            Err(why) => (ReloadOutcome::Rejected, format!("pool not rebuilt: {database}: {why}")),
        };
        self.remember(outcome, what);
    }
}

impl Handler<Summary> for Metrics {
    type Result = MessageResult<Summary>;

    fn handle(&mut self, asked: Summary, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.history.summary(&asked.databases, self.since.0, self.uptime()))
    }
}

impl Handler<SlowQueries> for Metrics {
    type Result = MessageResult<SlowQueries>;

    fn handle(&mut self, asked: SlowQueries, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.history.slow(&asked.databases, asked.threshold, asked.limit))
    }
}

impl Handler<Snapshot> for Metrics {
    type Result = MessageResult<Snapshot>;

    fn handle(&mut self, _: Snapshot, _: &mut Context<Self>) -> Self::Result {
        MessageResult(MetricsSnapshot {
            totals: self.history.totals(),
            latency: self.latencies.over_time(self.since.0, self.since.1.elapsed()),
            tools: self.latencies.by_tool(),
            slow: Slow {
                threshold_ms: milliseconds(self.history.slow_threshold),
                queries: self.history.slow_of_all(SLOW_MAX),
            },
            reloads: self.reloads.iter().cloned().collect(),
        })
    }
}

impl Handler<Scrape> for Metrics {
    type Result = String;

    fn handle(&mut self, asked: Scrape, _: &mut Context<Self>) -> String {
        self.exposition.text(asked.gauges)
    }
}

impl Handler<SettingsChanged> for Metrics {
    type Result = ();

    fn handle(&mut self, change: SettingsChanged, _: &mut Context<Self>) {
        self.history.reload(&change.new.metrics);
    }
}
