//! The executor: the one actor that holds the connection pool of a database.
//!
//! It never waits. A statement leaves with its own handle on today's generation of the pool, so a reload swaps the
//! pool by an assignment and what is under way finishes on the old one. It decides nothing about what is asked
//! (that was the tool) or shown (that is the session).
//!
//! Its messages are in `messages`; what becomes of each is in a file of its own: `query` (one statement, and the pages
//! after its first), `batch`, `inspect` (questions of our own), `reload`, `status`, `calls` (those in flight). `attempt`
//! says whether a statement is sent once more, `record` tells the metrics and the log of it. `handles` keeps what a client
//! has open from one call to the next, and `cursors` says what that is.
//!
//! Three tables are shared with the futures that its handlers return: those of `handles`, `calls` and `record`. Each is a
//! private field of its file, and no borrow of it leaves a method there, so none lasts while something waits. All else is
//! changed by the actor alone.

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
use status::Trouble;

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
    /// What calls and the operator name the database by.
    name: Arc<str>,
    generation: Arc<Generation>,
    /// Notices when its database is back.
    watch: Option<AbortOnDropHandle<()>>,
    /// Those before it that still have a statement.
    older: Vec<Draining>,
    /// Why the pool that the settings ask for does not serve.
    trouble: Option<Trouble>,
    guard: Arc<Guard>,
    role_check: RoleCheck,
    /// What clients are told of the database.
    summary: watch::Sender<DatabaseSummary>,
    access: AccessMode,
    /// Whether it is not served yet: then it connects when it is told to, and not by itself.
    is_awaited: bool,
    log_parameters: bool,
    waiting_max: usize,
    cursors: Cursors,
    calls: Calls,
    reports: DeferredReports,
    /// Tries the pool of changed settings, or waits to try it again.
    probe: Option<SpawnHandle>,
    events: Rc<Events>,
    endings: TaskTracker,
    log: Logger,
}

impl Executor {
    /// An executor for the database of that name, whose pool has no connection yet. `endings` are the connections still
    /// being cancelled or cleaned when their call is over: whoever ends the process waits for them. `parser` reads
    /// statements for the guard.
    ///
    /// # Errors
    /// What in the settings cannot be used, as a sentence for the operator.
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
            trouble: None,
            guard: Arc::new(Guard::new(parser, settings.policy.clone())),
            role_check: settings.role_check,
            summary: watch::Sender::new(DatabaseSummary { access, is_structured: settings.answers_are_structured() }),
            access,
            is_awaited: false,
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

    /// The same, which connects to its database only when it is told to ([`OpenPool`](crate::messages::statements::OpenPool)): until then that is not served.
    #[must_use]
    pub fn awaited(self) -> Self {
        Self { is_awaited: true, ..self }
    }

    /// What clients are told of the database, now and whenever that changes.
    pub fn summary(&self) -> watch::Receiver<DatabaseSummary> {
        self.summary.subscribe()
    }

    /// The database of this executor, which is not started yet; `start` starts it.
    pub fn into_database(self, start: impl FnOnce(Self) -> Addr<Self>) -> (Database, Addr<Self>) {
        let (name, summary) = (self.name.clone(), self.summary());
        let executor = start(self);
        let (query, fetch) = (executor.clone().recipient(), executor.clone().recipient());
        let (batch, inspect) = (executor.clone().recipient(), executor.clone().recipient());
        let close_cursors = executor.clone().recipient();
        (Database { name, query, fetch, batch, inspect, close_cursors, summary }, executor)
    }

    /// The mode of that caller's statements.
    fn access_of(&self, caller: &Caller) -> AccessMode {
        if caller.access == AccessMode::ReadOnly { AccessMode::ReadOnly } else { self.access }
    }

    /// Open the connections that there should be before a call asks for one, while the host shakes hands. A database that
    /// is not there yet is no reason not to serve.
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
        if self.is_awaited {
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
        self.cursors.close_those_of(&close.client);
    }
}

/// `work` on a connection, or the error of the clock that ran out: that of the command, or that of its call.
///
/// No `async fn`, nor are those that stand around it: each would hold the work twice, as its argument and as what it
/// awaits, and four around each other made 90 KB to be copied for each call.
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

/// Put a connection back if nothing runs on it any more and it is still what was asked for; otherwise its drop cancels
/// and closes it.
fn settle(lease: Lease, left: Cleanup, error: Option<&QueryError>) {
    match error {
        Some(QueryError::Unavailable { .. }) => lease.discard(DiscardReason::NetworkCut),
        Some(error) if error.is_lost_connection() => lease.discard(DiscardReason::Closed),
        Some(error @ QueryError::Rejected(_)) if is_primary_no_more(&lease, left, error) => {
            lease.discard(DiscardReason::NotPrimary)
        }
        // A connection exception, though the connection still speaks (a pooler's, for its own one).
        Some(QueryError::Rejected(rejection)) if rejection.sqlstate.starts_with("08") => {
            lease.discard(DiscardReason::Closed)
        }
        None | Some(QueryError::Rejected(_) | QueryError::Refused { .. } | QueryError::Undecodable { .. }) => {
            lease.settle(left);
        }
        Some(_) => drop(lease),
    }
}

/// Whether a server that was to take writes has refused one as a standby does (read_only_sql_transaction): after a
/// failover, connections to the old primary would be refused for as long as they live.
fn is_primary_no_more(lease: &Lease, left: Cleanup, error: &QueryError) -> bool {
    error.needs_to_write()
        && left.is_of_a_write()
        && lease.target().target_session_attrs == TargetSessionAttrs::ReadWrite
}
