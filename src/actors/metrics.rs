//! The metrics aggregator: what ran, how long it took and what became of it.
//!
//! It hears of each statement and each call that has ended and of each reload, and keeps a bounded history and counts
//! that never stop. It shows them to the tools (`history`), to the status page (`snapshot`, `latency`) and to
//! Prometheus (`exposition`), and a statement's text only with its literals taken out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use actix::prelude::*;

mod exposition;
mod history;
mod latency;
mod snapshot;

use exposition::Exposition;
use history::History;
use latency::Latencies;

pub use exposition::{DatabaseGauges, Gauges};
pub use history::{PerformanceSummary, SlowList, SlowQuery, Times, Totals};
pub use latency::{Bucket, Latency, Point, ToolCalls};
/// The media type of what [`Scrape`] is answered.
pub use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;
pub use snapshot::{MetricsSnapshot, Reload, Slow};

use super::executor::ConfigChanged;
use crate::units::milliseconds;
use pg_guard::sql::Operation;

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
    /// When it was asked for; in a batch, when its turn came.
    pub began: Instant,
    /// All that came before its connection was there: the guard's look at its text, waiting for a connection, opening it.
    pub waited: Duration,
    /// Of that, opening the connection; `None` if one was there.
    pub connected: Option<Duration>,
    /// From having the connection to the end.
    pub executed: Duration,
    /// Rows read, or changed.
    pub rows: u64,
    /// Bytes of the answer's rows, as JSON.
    pub bytes: u64,
    /// How many times it was sent once more, because its connection was lost.
    pub retries: u32,
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
        /// It was not let run: by the guard, or by what its role may do.
        is_refusal: bool,
    },
    /// Nobody wanted the answer any more.
    Cancelled,
    /// An earlier statement of its batch ended the batch; it is in no count.
    NeverBegan,
}

/// Says that a call of a tool has ended, in whatever way. Sent by the session, once for each call.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct CallFinished {
    /// Which tool; `unknown` if there is none of that name.
    pub tool: &'static str,
    /// What became of it.
    pub outcome: CallOutcome,
    /// From the call to its answer, or to its end without one.
    pub took: Duration,
}

macro_rules! outcomes {
    ($(#[$doc:meta])* $name:ident { $($(#[$what:meta])* $variant:ident => $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$what])* $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: [Self; [$($text),*].len()] = [$(Self::$variant),*];

            /// Its name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

outcomes! {
    /// What became of a call.
    CallOutcome {
        /// It was answered.
        Successful => "successful",
        /// It came to run, and failed.
        Failed => "failed",
        /// The guard did not let its statement run.
        Refused => "refused",
        /// There were too many calls already, of the session or for the database.
        Busy => "busy",
        /// What it was called with does not fit.
        InvalidArguments => "invalid_arguments",
        /// There is no such tool.
        UnknownTool => "unknown_tool",
        /// Nobody wanted the answer any more.
        Cancelled => "cancelled",
    }
}

impl CallOutcome {
    /// Whether it says something about how long calls take.
    pub fn came_to_run(self) -> bool {
        !matches!(self, Self::Busy | Self::InvalidArguments | Self::UnknownTool)
    }
}

/// Says what became of a change of the settings' files. Sent by the config watcher.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct ReloadFinished {
    /// What became of it.
    pub outcome: ReloadOutcome,
    /// The keys that were changed, or why nothing was; never a secret.
    pub what: String,
}

outcomes! {
    /// What became of a change of the settings' files.
    ReloadOutcome {
        /// It is in force.
        Applied => "applied",
        /// It changes nothing.
        Unchanged => "unchanged",
        /// It cannot be used; what was in force still is.
        Rejected => "rejected",
    }
}

/// Says that a changed setting has a new pool, or that the old one had to stay. Sent by the executor.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct PoolRebuilt {
    /// Of which database.
    pub database: Arc<str>,
    /// The new generation, or why it could not be.
    pub result: Result<u64, String>,
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

/// How many slow statements a snapshot has.
const SLOW_MAX: usize = 20;

/// How many reloads are remembered.
const RELOADS_MAX: usize = 50;

/// The actor.
pub struct Metrics {
    /// By the calendar, and by the runtime's clock (which a test can move).
    since: (SystemTime, tokio::time::Instant),
    history: History,
    latencies: Latencies,
    exposition: Exposition,
    /// The newest first.
    reloads: VecDeque<Reload>,
}

impl Metrics {
    /// Nothing recorded yet.
    pub fn new(settings: &crate::settings::MetricsSettings) -> Self {
        let since = SystemTime::now();
        Self {
            since: (since, tokio::time::Instant::now()),
            history: History::new(settings),
            latencies: Latencies::new(),
            exposition: Exposition::new(since),
            reloads: VecDeque::new(),
        }
    }

    fn uptime(&self) -> Duration {
        self.since.1.elapsed()
    }

    /// What comes again and again, as a pool that cannot be reached, stands there once, with its last time.
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

impl Handler<QueryFinished> for Metrics {
    type Result = ();

    fn handle(&mut self, event: QueryFinished, _: &mut Context<Self>) {
        self.exposition.statement(&event);
        self.history.record(event, self.uptime().as_secs());
    }
}

impl Handler<CallFinished> for Metrics {
    type Result = ();

    fn handle(&mut self, call: CallFinished, _: &mut Context<Self>) {
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

impl Handler<ConfigChanged> for Metrics {
    type Result = ();

    fn handle(&mut self, change: ConfigChanged, _: &mut Context<Self>) {
        self.history.reload(&change.new.metrics);
    }
}
