//! The executor: the only actor that uses the connection pool of a database. There is one executor for each database.
//!
//! No handler waits. Each statement takes a handle on the current generation of the pool, so a reload replaces the pool
//! by one assignment, and statements that are already running finish on the old pool. The executor does not decide what
//! is queried (the tools do that) or how an answer is shown (the session does that).
//!
//! Its messages are in `messages`. Each message has its own file here: `query` (one statement and its further pages),
//! `batch`, `inspect` (catalog queries of this server), `reload`, `status`, `calls` (the calls in flight). `attempt`
//! decides whether a statement is sent again. `record` reports each statement to the metrics and the log. `handles` is
//! the table of what clients keep open between calls, and `cursors` defines what they can keep open.
//!
//! The futures that the handlers return share three tables with the actor: those of `handles`, `calls` and `record`.
//! Each table is a private field of its file. No method returns a borrow of it, so no borrow lasts across an await.
//! Only the actor itself changes all other state.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use futures_util::FutureExt as _;
use pg_guard::Guard;
use pg_guard::parser::Parser;
use pg_guard::sql::Operation;
use serde_json::Value;
use slog::Logger;
use tokio::sync::watch;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

mod attempt;
mod batch;
mod calls;
mod cursors;
mod handles;
mod inspect;
mod query;
mod record;
mod reload;
mod status;

use calls::{Calls, RunningCall};
use cursors::Cursors;
use record::{DeferredReports, StatementRecord};
use status::ReloadFailure;

use crate::caller::Caller;
use crate::log::warn;
use crate::messages::call::CallContext;
use crate::messages::database::{Database, DatabaseSummary};
use crate::messages::events::{Events, StatementEnded, StatementOutcome};
use crate::messages::statements::{CloseCursors, CloseCursorsOf};
use crate::postgres::cleanup::Cleanup;
use crate::postgres::error::QueryError;
use crate::postgres::pool::{DiscardReason, Draining, Generation, Lease};
use crate::settings::{AccessMode, RoleCheck, Settings, TargetSessionAttrs};

pub struct Executor {
    /// The name of the database, which calls and the settings use.
    name: Arc<str>,
    generation: Arc<Generation>,
    /// The task that finds out when a lost database can be reached again.
    watch: Option<AbortOnDropHandle<()>>,
    /// Older generations that still have a connection in use.
    older: Vec<Draining>,
    /// Why the pool for the newest settings could not be opened, if that is so.
    reload_failure: Option<ReloadFailure>,
    guard: Arc<Guard>,
    role_check: RoleCheck,
    /// What clients may know about the database: its access mode and the findings about its role.
    summary: watch::Sender<DatabaseSummary>,
    access: AccessMode,
    /// Whether a reload has added the database and it is not served yet. Its pool is then opened by `OpenPool`, not
    /// at the start.
    is_pending: bool,
    log_parameters: bool,
    waiting_max: usize,
    cursors: Cursors,
    calls: Calls,
    reports: DeferredReports,
    /// Opens the pool for changed settings, or waits before it tries again.
    probe: Option<SpawnHandle>,
    events: Rc<Events>,
    endings: TaskTracker,
    log: Logger,
}

impl Executor {
    /// An executor for the database `name`. Its pool has no connection yet. `endings` tracks the tasks that cancel or
    /// clean connections after their call has ended: the process waits for them at its end. `parser` parses statements
    /// for the guard.
    ///
    /// # Errors
    /// Which setting cannot be used and why, as a sentence for the operator.
    pub fn new(
        name: &str,
        settings: &Settings,
        parser: Arc<Parser>,
        events: Events,
        endings: TaskTracker,
        log: &Logger,
    ) -> Result<Self, String> {
        let log = log.new(slog::o!("logger" => "executor", "database" => name.to_owned()));
        let (postgres, access) =
            settings.database(name).ok_or_else(|| format!("there is no database {name} in the settings"))?;
        let generation = Generation::new(1, postgres, access, endings.clone(), &log)?;
        Ok(Self {
            name: name.into(),
            generation: Arc::new(generation),
            watch: None,
            older: Vec::new(),
            reload_failure: None,
            guard: Arc::new(Guard::new(parser, settings.policy.clone())),
            role_check: settings.role_check,
            summary: watch::Sender::new(DatabaseSummary { access, is_structured: settings.answers_are_structured() }),
            access,
            is_pending: false,
            log_parameters: settings.log.parameters,
            waiting_max: settings.limits.waiting_max,
            cursors: Cursors::new(cursors::prefix(name), settings.limits.cursors_max, &log),
            calls: Calls::default(),
            reports: DeferredReports::default(),
            probe: None,
            events: Rc::new(events),
            endings,
            log,
        })
    }

    /// The executor of a database that is not served yet: it opens its pool only when it receives `OpenPool`.
    #[must_use]
    pub fn pending(self) -> Self {
        Self { is_pending: true, ..self }
    }

    /// What clients may know about the database, with its changes.
    pub fn summary(&self) -> watch::Receiver<DatabaseSummary> {
        self.summary.subscribe()
    }

    /// Starts this executor with `start` and returns its database and its address.
    pub fn into_database(self, start: impl FnOnce(Self) -> Addr<Self>) -> (Database, Addr<Self>) {
        let (name, summary) = (self.name.clone(), self.summary());
        let executor = start(self);
        let (query, fetch) = (executor.clone().recipient(), executor.clone().recipient());
        let (batch, inspect) = (executor.clone().recipient(), executor.clone().recipient());
        let close_cursors = executor.clone().recipient();
        (Database { name, query, fetch, batch, inspect, close_cursors, summary }, executor)
    }

    /// The stricter of the access modes of the caller and of the database.
    fn access_of(&self, caller: &Caller) -> AccessMode {
        if caller.access == AccessMode::ReadOnly { AccessMode::ReadOnly } else { self.access }
    }

    /// Opens the minimum number of connections while the host still initializes, before the first call. If the database
    /// cannot be reached, the server starts all the same.
    fn warm(&self) {
        let (generation, log) = (self.generation.clone(), self.log.clone());
        if generation.min_size() == 0 {
            return;
        }
        actix_rt::spawn(async move {
            if let Err(error) = generation.warm().await {
                warn!(log, "the database is not available yet"; "why" => error.to_string());
            }
        });
    }

    fn record(
        &self,
        call: &CallContext,
        (sql, operation): (&Arc<str>, Operation),
        parameters: &[Value],
        generation: u64,
    ) -> StatementRecord {
        StatementRecord {
            event: StatementEnded {
                tool: call.tool,
                client: call.caller.name.clone(),
                database: self.name.clone(),
                sql: sql.clone(),
                operation,
                began: Instant::now(),
                waited: Duration::ZERO,
                connected: None,
                executed: Duration::ZERO,
                rows: 0,
                bytes: 0,
                retries: 0,
                outcome: StatementOutcome::Cancelled,
                generation,
            },
            parameters: self.log_parameters.then(|| parameters.to_vec()),
            trace: call.trace.clone(),
            executing_since: None,
            began: false,
            events: self.events.clone(),
            log: self.log.clone(),
        }
    }
}

impl Actor for Executor {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        if self.is_pending {
            return;
        }
        self.watch = Some(self.generation.watch());
        if self.generation.min_size() > 0 {
            self.check_role(false);
            self.warm();
        }
    }
}

impl Handler<CloseCursors> for Executor {
    type Result = ();

    fn handle(&mut self, _: CloseCursors, _: &mut Context<Self>) {
        self.cursors.close_all();
    }
}

impl Handler<CloseCursorsOf> for Executor {
    type Result = ();

    fn handle(&mut self, close: CloseCursorsOf, _: &mut Context<Self>) {
        self.cursors.close_owned_by(&close.client);
    }
}

/// `work` on a connection, or the error of the clock that ran out: that of the command, or that of its call.
///
/// This is not an `async fn`, and neither are the functions that call it: an `async fn` stores such an argument twice,
/// as the argument and as the future that it awaits. With four of them nested, each call copied 90 KB.
fn within<T>(
    call: &RunningCall,
    command_timeout: Duration,
    work: impl Future<Output = Result<T, QueryError>>,
) -> impl Future<Output = Result<T, QueryError>> {
    let (clock, after, at) = call.limit(command_timeout);
    tokio::time::timeout_at(at, work).map(move |done| done.unwrap_or(Err(QueryError::TimedOut { clock, after })))
}

/// End the lease of work that has failed. Returns the error with what is known then: whether a statement whose time was
/// over was cancelled, and what it waited for.
async fn fail(lease: Lease, left: Cleanup, error: QueryError) -> QueryError {
    match error {
        QueryError::TimedOut { clock, after } => lease.stop(clock, after).await,
        error => {
            settle(lease, left, Some(&error));
            error
        }
    }
}

/// Returns a connection to the pool if no statement runs on it and it can still be used. Otherwise drops it, which
/// cancels its statement and closes it.
fn settle(lease: Lease, cleanup: Cleanup, error: Option<&QueryError>) {
    match error {
        Some(QueryError::Unavailable { .. }) => lease.discard(DiscardReason::NetworkCut),
        Some(error) if error.is_lost_connection() => lease.discard(DiscardReason::Closed),
        Some(error @ QueryError::Rejected(_)) if has_lost_primary_role(&lease, cleanup, error) => {
            lease.discard(DiscardReason::NotPrimary)
        }
        // Class 08 is a connection exception. The connection itself still works: it is a pooler that has lost its own.
        Some(QueryError::Rejected(rejection)) if rejection.sqlstate.starts_with("08") => {
            lease.discard(DiscardReason::Closed)
        }
        None | Some(QueryError::Rejected(_) | QueryError::Refused { .. } | QueryError::Undecodable { .. }) => {
            lease.settle(cleanup);
        }
        Some(_) => drop(lease),
    }
}

/// Whether a server that should be the primary has refused a write with read_only_sql_transaction, as a standby does.
/// After a failover, every connection to the old primary would refuse writes.
fn has_lost_primary_role(lease: &Lease, cleanup: Cleanup, error: &QueryError) -> bool {
    error.needs_to_write()
        && cleanup.is_of_a_write()
        && matches!(lease.target().target_session_attrs, TargetSessionAttrs::ReadWrite | TargetSessionAttrs::Primary)
}
