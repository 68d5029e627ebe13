//! The metrics in the text format of Prometheus, version 0.0.4. The names follow its conventions: base units, and
//! `_total` for counters.
//!
//! No label has a value that a client has sent. Tools have the names of this program, databases those of the settings,
//! and all other values are words of this file. This limits the number of series: some 500 for each database, and 150
//! others.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime};

use prometheus_client::encoding::{EncodeLabelSet, prometheus_text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

use super::latency::BUCKETS_MS;
use crate::messages::events::{
    CallEnded, CallOutcome, PoolRebuilt, ReloadOutcome, StatementEnded, StatementOutcome, StatementRefused,
};
use crate::messages::metrics::{DatabaseGauges, Gauges};

/// The prefix of all names, except for those that Prometheus defines for every process.
const PREFIX: &str = "mcp_server_postgres";

/// All metrics. A family without series is not in the text.
pub(super) struct Exposition {
    registry: Registry,
    calls: Family<OfCall, Counter>,
    call_seconds: Family<OfTool, Histogram>,
    statements: Family<OfStatement, Counter>,
    refusals: Family<OfRefusal, Counter>,
    phase_seconds: Family<OfPhase, Histogram>,
    rows: Family<OfDatabase, Counter>,
    bytes: Family<OfDatabase, Counter>,
    retries: Family<OfDatabase, Counter>,
    reloads: Family<OfOutcome, Counter>,
    rebuilds: Family<OfRebuild, Counter>,
    database_up: Family<OfDatabase, Gauge>,
    pool_connections_max: Family<OfDatabase, Gauge>,
    pool_connections: Family<OfConnections, Gauge>,
    pool_waiting: Family<OfDatabase, Gauge>,
    pool_generation: Family<OfDatabase, Gauge>,
    sessions: Family<NoLabels, Gauge>,
    connections: Family<NoLabels, Gauge>,
    resident_bytes: Family<NoLabels, Gauge>,
    descriptors: Family<NoLabels, Gauge>,
}

/// The labels of a metric without labels.
type NoLabels = [(&'static str, &'static str); 0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfCall {
    tool: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfTool {
    tool: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfStatement {
    database: Arc<str>,
    tool: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRefusal {
    database: Arc<str>,
    rule: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPhase {
    database: Arc<str>,
    tool: &'static str,
    phase: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfDatabase {
    database: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfConnections {
    database: Arc<str>,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfOutcome {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRebuild {
    database: Arc<str>,
    outcome: &'static str,
}

impl Exposition {
    /// Metrics without events. Series that can be known at the start exist with 0, so that the first event shows as a
    /// rise.
    pub(super) fn new(since: SystemTime, tools: &[&'static str]) -> Self {
        let mut registry = Registry::default();
        let start: Gauge<f64, AtomicU64> = Gauge::default();
        start.set(since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64());
        registry.register("process_start_time_seconds", "When the process started, since 1970 in UTC", start);
        let (resident_bytes, descriptors) = Default::default();
        register(&mut registry, "process_resident_memory_bytes", "Memory in use", &resident_bytes);
        register(&mut registry, "process_open_fds", "File descriptors that are open", &descriptors);

        let own = registry.sub_registry_with_prefix(PREFIX);
        own.register("build", "The program's version", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let (calls, statements, refusals, rows, bytes, retries, reloads, rebuilds) = Default::default();
        let (call_seconds, phase_seconds) = (
            Family::new_with_constructor(histogram as fn() -> _),
            Family::new_with_constructor(histogram as fn() -> _),
        );
        register(own, "calls", "Calls of tools that have ended, by what became of them", &calls);
        register(own, "call_duration_seconds", "From a call to its answer, of calls that came to run", &call_seconds);
        let what = "Statements that have ended, by what became of them: cancels and refusals too";
        register(own, "statements", what, &statements);
        register(own, "statement_refusals", "Statements that the guard has refused, by its rule", &refusals);
        let what = "Waiting for a connection, opening it (if the call did), running";
        register(own, "statement_phase_seconds", what, &phase_seconds);
        register(own, "statement_rows", "Rows that statements have read or changed", &rows);
        register(own, "answer_bytes", "Bytes of the answers' rows, as JSON", &bytes);
        let what = "Statements that were sent once more, because their connection was lost before the first row";
        register(own, "statement_retries", what, &retries);
        register(own, "reloads", "Changed settings files, by what became of the change", &reloads);
        register(own, "pool_rebuilds", "Pools that a change of the settings was to make", &rebuilds);
        let (database_up, pool_connections_max, pool_connections, pool_waiting, pool_generation) = Default::default();
        let (sessions, connections) = Default::default();
        register(own, "database_up", "Whether the database can be asked: 1 or 0", &database_up);
        register(own, "pool_connections_max", "Connections that the pool may have", &pool_connections_max);
        register(own, "pool_connections", "Connections that the pool has, in use or idle", &pool_connections);
        register(own, "pool_waiting_calls", "Calls that wait for a connection", &pool_waiting);
        let what = "The number of the pool, which each change of it raises";
        register(own, "pool_generation", what, &pool_generation);
        register(own, "sessions", "Sessions of clients", &sessions);
        register(own, "client_connections", "Connections of clients", &connections);

        let exposition = Self {
            registry,
            calls,
            call_seconds,
            statements,
            refusals,
            phase_seconds,
            rows,
            bytes,
            retries,
            reloads,
            rebuilds,
            database_up,
            pool_connections_max,
            pool_connections,
            pool_waiting,
            pool_generation,
            sessions,
            connections,
            resident_bytes,
            descriptors,
        };
        exposition.create_series(tools);
        exposition
    }

    fn create_series(&self, tools: &[&'static str]) {
        for outcome in CallOutcome::ALL.map(CallOutcome::as_str) {
            for tool in tools {
                drop(self.calls.get_or_create(&OfCall { tool, outcome }));
            }
        }
        for outcome in ReloadOutcome::ALL.map(ReloadOutcome::as_str) {
            drop(self.reloads.get_or_create(&OfOutcome { outcome }));
        }
    }

    pub(super) fn call(&self, call: &CallEnded) {
        self.calls.get_or_create(&OfCall { tool: call.tool, outcome: call.outcome.as_str() }).inc();
        if call.outcome.came_to_run() {
            self.call_seconds.get_or_create(&OfTool { tool: call.tool }).observe(call.took.as_secs_f64());
        }
    }

    pub(super) fn statement(&self, event: &StatementEnded) {
        let (database, tool) = (event.database.clone(), event.tool);
        let outcome = match event.outcome {
            StatementOutcome::Done => "successful",
            StatementOutcome::Failed { .. } => "failed",
            StatementOutcome::Refused { .. } => "refused",
            StatementOutcome::Cancelled => "cancelled",
            StatementOutcome::NeverBegan => return,
        };
        self.statements.get_or_create(&OfStatement { database: database.clone(), tool, outcome }).inc();
        let of_database = OfDatabase { database: database.clone() };
        self.rows.get_or_create(&of_database).inc_by(event.rows);
        self.bytes.get_or_create(&of_database).inc_by(event.bytes);
        self.retries.get_or_create(&of_database).inc_by(event.retries.into());
        let observe = |phase, time: Duration| {
            let labels = OfPhase { database: database.clone(), tool, phase };
            self.phase_seconds.get_or_create(&labels).observe(time.as_secs_f64());
        };
        // A phase that the statement did not reach is not observed. With 0 seconds it would look like a fast one.
        observe("wait", event.waited.saturating_sub(event.connected.unwrap_or_default()));
        event.connected.into_iter().for_each(|time| observe("connect", time));
        if event.executed > Duration::ZERO {
            observe("execute", event.executed);
        }
    }

    pub(super) fn refusal(&self, refused: &StatementRefused) {
        let labels = OfRefusal { database: refused.database.clone(), rule: refused.rule.as_str() };
        self.refusals.get_or_create(&labels).inc();
    }

    pub(super) fn reload(&self, outcome: ReloadOutcome) {
        self.reloads.get_or_create(&OfOutcome { outcome: outcome.as_str() }).inc();
    }

    pub(super) fn rebuild(&self, rebuilt: &PoolRebuilt) {
        let outcome = if rebuilt.result.is_ok() { "rebuilt" } else { "failed" };
        self.rebuilds.get_or_create(&OfRebuild { database: rebuilt.database.clone(), outcome }).inc();
    }

    /// The text, with the gauges that the sender of `Scrape` has collected.
    pub(super) fn text(&self, gauges: Gauges) -> String {
        // A removed database must not keep a series.
        self.pool_connections.clear();
        for family in [&self.database_up, &self.pool_connections_max, &self.pool_waiting, &self.pool_generation] {
            family.clear();
        }
        for DatabaseGauges { name, is_up, pool } in gauges.databases {
            let labels = OfDatabase { database: name.clone() };
            set(&self.database_up, &labels, u64::from(is_up));
            set(&self.pool_connections_max, &labels, pool.size_max as u64);
            set(&self.pool_waiting, &labels, pool.waiting as u64);
            set(&self.pool_generation, &labels, pool.generation);
            for (state, count) in [("idle", pool.idle), ("in_use", pool.size.saturating_sub(pool.idle))] {
                set(&self.pool_connections, &OfConnections { database: name.clone(), state }, count as u64);
            }
        }
        set(&self.sessions, &[], gauges.sessions as u64);
        set(&self.connections, &[], gauges.connections as u64);
        for (family, value) in [(&self.resident_bytes, gauges.resident_bytes), (&self.descriptors, gauges.descriptors)]
        {
            family.clear();
            value.into_iter().for_each(|value| set(family, &[], value));
        }
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = prometheus_text::encode(&mut text, &self.registry);
        text
    }
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS_MS.map(|ms| ms / 1e3))
}

fn register(registry: &mut Registry, name: &str, what: &str, metric: &(impl Metric + Clone)) {
    registry.register(name, what, metric.clone());
}

fn set<S: Clone + std::hash::Hash + Eq>(family: &Family<S, Gauge>, labels: &S, value: u64) {
    family.get_or_create(labels).set(i64::try_from(value).unwrap_or(i64::MAX));
}
