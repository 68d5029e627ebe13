//! The executor: the one actor that holds the connection pool of a database.
//!
//! It never waits. A statement leaves with its own handle on today's generation of the pool, so a reload swaps the
//! pool by an assignment and what is under way finishes on the old one. It decides nothing about what is asked
//! (that was the tool) or shown (that is the session).
//!
//! Its messages are in `messages`; what becomes of each is in a file of its own: `query` (one statement, and the pages after
//! its first), `batch`, `reload`, `status`, `calls` (those in flight). `cursors` keeps what is not read to its end,
//! `running` tells the metrics and the log.

use std::cell::Cell;
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

mod batch;
mod calls;
mod cursors;
mod query;
mod reload;
mod running;
mod status;

use calls::{Calls, InFlight};
use cursors::Cursors;
use running::{Running, ToldLater};
use status::Trouble;

use crate::caller::Caller;
use crate::log::warn;
use crate::messages::call::CallContext;
use crate::messages::database::{Database, DatabaseSummary};
use crate::messages::events::{Events, StatementEnded, StatementOutcome};
use crate::messages::statements::{CloseCursors, CloseCursorsOf};
use crate::postgres::cleanup::Cleanup;
use crate::postgres::error::{Clock, QueryError};
use crate::postgres::pool::{Draining, Generation, Lease};
use crate::postgres::role::Finding;
use crate::postgres::run::Outcome;
use crate::settings::{AccessMode, RoleCheck, Settings, TargetSessionAttrs};

pub struct Executor {
    /// What calls and the operator name the database by.
    name: Arc<str>,
    generation: Arc<Generation>,
    /// Notices when its database is back.
    watch: Option<AbortOnDropHandle<()>>,
    /// Those before it that still have a statement.
    older: Vec<Draining>,
    trouble: Trouble,
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
    told_later: ToldLater,
    /// Counts the reloads begun: a probe that ends after a newer one has begun has nothing to say.
    reload: Rc<Cell<u64>>,
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
            trouble: Trouble::default(),
            guard: Arc::new(Guard::new(parser, settings.policy.clone())),
            role_check: settings.role_check,
            summary: watch::Sender::new(DatabaseSummary { access, findings: [].into() }),
            access,
            is_awaited: false,
            log_parameters: settings.log.parameters,
            waiting_max: settings.limits.waiting_max,
            cursors: Cursors::new(name, settings.limits.cursors_max, &log),
            calls: Calls::default(),
            told_later: ToldLater::default(),
            reload: Rc::default(),
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
        let (batch, close_cursors) = (executor.clone().recipient(), executor.clone().recipient());
        (Database { name, query, fetch, batch, close_cursors, summary }, executor)
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

    /// Look what the role may do too much of, and tell it; once for a generation, unless it is to be done `anew`.
    fn check_role(&self, anew: bool) {
        if self.role_check == RoleCheck::Off {
            self.summary.send_if_modified(|summary| !std::mem::replace(&mut summary.findings, [].into()).is_empty());
            return;
        }
        if self.generation.role_was_checked(true) && !anew {
            return;
        }
        let (generation, summary, log) = (self.generation.clone(), self.summary.clone(), self.log.clone());
        actix_rt::spawn(async move {
            match generation.findings(true).await {
                Ok(findings) => {
                    for Finding { is_severe, what, mend } in findings.iter() {
                        warn!(log, "the role may do more than it should"; "what" => what, "mend" => mend, "severe" => is_severe);
                    }
                    summary.send_modify(|summary| summary.findings = findings);
                }
                Err(error) => {
                    warn!(log, "the role could not be checked"; "why" => error.to_string());
                    generation.role_was_checked(false);
                }
            }
        });
    }

    fn running(
        &self,
        call: &CallContext,
        (sql, operation): (&Arc<str>, Operation),
        parameters: &[Value],
        generation: u64,
    ) -> Running {
        Running {
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

/// Whether that check lets a statement run on that generation.
async fn allows(check: RoleCheck, generation: &Arc<Generation>) -> Result<(), QueryError> {
    if check != RoleCheck::Enforce {
        return Ok(());
    }
    // Boxed, for it is seldom, and whoever awaits this would have room for it.
    let findings = Box::pin(generation.findings(false)).await?;
    let severe: Vec<_> = findings.iter().filter(|finding| finding.is_severe).map(Finding::to_string).collect();
    match severe.is_empty() {
        true => Ok(()),
        false => Err(QueryError::Refused {
            why: format!(
                "Nothing runs here (MCP_ROLE_CHECK=enforce). {}. The operator has to mend that, and then reload or restart \
                 this server.",
                severe.join(". ")
            ),
        }),
    }
}

/// `work`, or the error of the clock that ran out.
///
/// No `async fn`, nor are those that stand around it: each would hold the work twice, as its argument and as what it
/// awaits, and four around each other made 90 KB to be copied for each call.
fn within<T>(
    clock: Clock,
    after: Duration,
    work: impl Future<Output = Result<T, QueryError>>,
) -> impl Future<Output = Result<T, QueryError>> {
    tokio::time::timeout(after, work).map(move |done| done.unwrap_or(Err(QueryError::TimedOut { clock, after })))
}

/// `work` within the time that its call may take, if that says so.
fn within_the_call<T>(
    call: &InFlight,
    timeout: Option<Duration>,
    work: impl Future<Output = Result<T, QueryError>>,
) -> impl Future<Output = Result<T, QueryError>> {
    match timeout {
        Some(after) => tokio::time::timeout(after, work)
            .map(move |done| done.unwrap_or_else(|_| Err(call.out_of_time(after))))
            .left_future(),
        None => work.right_future(),
    }
}

/// Put a connection back if nothing runs on it any more and it is still what was asked for; otherwise its drop cancels
/// and closes it.
fn settle(lease: Lease, left: Cleanup, error: Option<&QueryError>) {
    match error {
        Some(QueryError::Unavailable { .. }) => lease.cut_off(),
        Some(error) if error.is_lost_connection() => lease.lost(),
        Some(error @ QueryError::Rejected(_)) if is_primary_no_more(&lease, left, error) => lease.astray(),
        // A connection exception, though the connection still speaks (a pooler's, for its own one).
        Some(QueryError::Rejected(rejection)) if rejection.sqlstate.starts_with("08") => lease.lost(),
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

/// How many rows a statement read or changed.
fn rows(outcome: &Outcome) -> u64 {
    outcome.rows_affected.unwrap_or(outcome.page.rows as u64)
}
