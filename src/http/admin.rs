//! What an operator, a load balancer and Prometheus see of the server, and where those paths lead.
//!
//! It asks the actors each time and keeps nothing.

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

/// The paths: for anybody whether the server is there and ready, for operators all of it.
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

/// Whom to ask.
pub struct AdminState {
    /// The set of databases.
    pub databases: watch::Receiver<Arc<DatabaseSet>>,
    /// The metrics.
    pub snapshot: Recipient<Snapshot>,
    /// The metrics.
    pub scrape: Recipient<Scrape>,
    /// How many sessions of clients there are.
    pub sessions: Box<dyn Fn() -> usize + Send + Sync>,
    /// The clients.
    pub clients: ClientCount,
    /// The connections of clients.
    pub connections: TaskTracker,
    /// The last lines of the log, the newest first.
    pub recent_lines: Box<dyn Fn() -> Vec<Value> + Send + Sync>,
    /// Where it listens.
    pub urls: Vec<String>,
    /// When it began, by the calendar and by a clock that is never set.
    pub started: (SystemTime, Instant),
    /// Who is let in.
    pub auth: Arc<Auth>,
    /// The logger.
    pub log: Logger,
}

impl AdminState {
    /// How each database is: those that are served, then those that a reload has added and that cannot be reached yet.
    async fn statuses(&self) -> Vec<(Arc<str>, DatabaseStatus)> {
        // Not the set itself: who has that keeps what is removed meanwhile.
        let (probes, pending) = {
            let set = self.databases.borrow();
            (set.probes.clone(), set.pending.clone())
        };
        let asked = probes.iter().map(async |database| {
            // An actor that is gone ends the process, or was removed just now.
            Some((database.name.clone(), database.status.upgrade()?.send(Status).await.ok()?))
        });
        let served = join_all(asked).await.into_iter().flatten();
        served.chain(pending.iter().map(|pending| (pending.name.clone(), pending_status(pending)))).collect()
    }

    /// Those that may have calls in flight.
    fn with_calls(&self) -> Vec<DatabaseProbe> {
        let set = self.databases.borrow();
        set.probes.iter().chain(&set.draining).cloned().collect()
    }
}

/// One that is pending has no pool yet, and is down for whoever counts on it.
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
