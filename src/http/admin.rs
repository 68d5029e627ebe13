//! The paths for operators, load balancers and Prometheus.
//!
//! Each request asks the actors; nothing is cached.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use actix::Recipient;
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use futures_util::future::join_all;
use serde_json::Value;
use slog::Logger;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::auth::{self, Auth};
use super::paths::nothing_here;
use crate::actors::clients::client::ClientCount;
use crate::messages::admin::{DatabaseProbe, DatabaseStatus, Status};
use crate::messages::database::{DatabaseSet, PendingDatabase};
use crate::messages::metrics::{Scrape, Snapshot};
use crate::postgres::pool::PoolStatus;
use crate::postgres::pool::health::HealthState;

mod metrics;
mod page;
mod status;

/// The router. Anybody may ask whether the server is alive and ready; everything else is for operators.
pub fn router(state: Arc<AdminState>) -> Router {
    let auth = &state.auth;
    let anybody = Router::new()
        .route("/", get(page::page).fallback(nothing_here))
        .layer(from_fn_with_state(auth.clone(), auth::for_anybody));
    let probes = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(status::ready))
        .route("/readyz/{database}", get(status::ready))
        .layer(from_fn_with_state(auth.clone(), auth::for_probes));
    let operators = Router::new()
        .route("/metrics", get(metrics::metrics))
        .route("/status.json", get(status::status))
        .route("/calls/{id}/cancel", post(status::cancel))
        .layer(from_fn_with_state(auth.clone(), auth::for_operators));
    anybody.merge(probes).merge(operators).with_state(state)
}

/// What the handlers need to answer.
pub struct AdminState {
    /// The set of databases.
    pub databases: watch::Receiver<Arc<DatabaseSet>>,
    /// The metrics.
    pub snapshot: Recipient<Snapshot>,
    /// The metrics as Prometheus reads them.
    pub scrape: Recipient<Scrape>,
    /// The number of open sessions.
    pub sessions: Box<dyn Fn() -> usize + Send + Sync>,
    /// The number of clients.
    pub clients: ClientCount,
    /// The open connections.
    pub connections: TaskTracker,
    /// The last lines of the log, newest first.
    pub recent_lines: Box<dyn Fn() -> Vec<Value> + Send + Sync>,
    /// The URLs on which the server listens.
    pub urls: Vec<String>,
    /// When the server started, as a date and as a monotonic time.
    pub started: (SystemTime, Instant),
    /// Decides who may read these paths.
    pub auth: Arc<Auth>,
    pub log: Logger,
}

impl AdminState {
    /// The status of each database: first those that are served, then those that a reload has added and that could not
    /// be reached yet.
    async fn statuses(&self) -> Vec<(Arc<str>, DatabaseStatus)> {
        // Only the parts that are needed are cloned: a clone of the whole set would keep removed databases alive.
        let (probes, pending) = {
            let set = self.databases.borrow();
            (set.probes.clone(), set.pending.clone())
        };
        let asked = probes.iter().map(async |database| {
            // If the actor has stopped, its database was removed a moment ago, or the process is ending.
            Some((database.name.clone(), database.status.upgrade()?.send(Status).await.ok()?))
        });
        let served = join_all(asked).await.into_iter().flatten();
        served.chain(pending.iter().map(|pending| (pending.name.clone(), pending_status(pending)))).collect()
    }

    /// The databases that may have calls in flight.
    fn with_calls(&self) -> Vec<DatabaseProbe> {
        let set = self.databases.borrow();
        set.probes.iter().chain(&set.draining).cloned().collect()
    }
}

/// A pending database has no pool yet, so it is reported as down.
fn pending_status(pending: &PendingDatabase) -> DatabaseStatus {
    DatabaseStatus {
        pool: PoolStatus { generation: 0, size_max: 0, size: 0, idle: 0, waiting: 0 },
        state: HealthState::Down,
        since: pending.since,
        why: Some(format!("a reload has added it, and it is not served yet: {}", pending.why)),
        next_try: pending.next_try.map(|at| at.saturating_duration_since(tokio::time::Instant::now())),
        access: pending.access,
        draining: 0,
        role_findings: [].into(),
    }
}
