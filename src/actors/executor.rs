//! The executor: the one actor that holds the connection pool of a database.
//!
//! It never waits. A statement leaves with its own handle on today's generation of the pool, so a reload swaps the
//! pool by an assignment and what is under way finishes on the old one. It decides nothing about what is asked
//! (that was the tool) or shown (that is the session).
//!
//! Its messages are here; what becomes of each is in a file of its own: `query` (one statement, and the pages after
//! its first), `batch`, `reload`, `status`, `calls` (those in flight). `attempt` says whether a statement is sent once
//! more, `handles` keeps what a client has open from one call to the next, `cursors` is that of statements that are not
//! read to their end, `running` tells the metrics and the log.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use actix::prelude::*;
use futures_util::FutureExt as _;
use pg_guard::parser::Parser;
use pg_guard::sql::Operation;
use pg_guard::{Guard, Statement};
use serde_json::Value;
use slog::Logger;
use tokio::sync::watch;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

mod attempt;
mod batch;
mod calls;
mod cursors;
mod database;
mod handles;
mod query;
mod reload;
mod running;
mod status;

use calls::{Calls, InFlight};
use cursors::Cursors;
use handles::Kept;
use running::{Running, ToldLater};
use status::Trouble;

pub use calls::{CallInFlight, CallPhase, CallsInFlight, CancelCall};
pub use database::{Database, Shown};
pub use status::{DatabaseStatus, Status};

use super::metrics::{PoolRebuilt, QueryFinished, Verdict};
use crate::caller::Caller;
use crate::log::warn;
use crate::postgres::error::{Clock, QueryError};
use crate::postgres::lease::{Lease, Left};
use crate::postgres::page::{Format, Limits};
use crate::postgres::pool::Generation;
use crate::postgres::role::Finding;
use crate::postgres::run::{Outcome, Reading};
use crate::progress::Progress;
use crate::settings::{AccessMode, RoleCheck, Settings, TargetSessionAttrs};

/// Runs one statement and replies with its rows. Sent by every tool that reads or writes.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Answered<Outcome>, QueryError>")]
pub struct Query {
    /// Which tool asks, for the log and the metrics.
    pub tool: &'static str,
    /// For whom.
    pub caller: Caller,
    /// What to run.
    pub statement: Statement,
    /// What the answer may hold and how it is laid out.
    pub reading: Reading,
    /// How long the call may take, waiting included.
    pub timeout: Option<Duration>,
    /// How far it has come, for whoever waits.
    pub progress: Progress,
}

/// Reads on where an answer was cut and replies with the next page. Sent by the tool that fetches.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Answered<Outcome>, QueryError>")]
pub struct Fetch {
    /// Which tool asks, for the log and the metrics.
    pub tool: &'static str,
    /// For whom.
    pub caller: Caller,
    /// The cursor's handle, as an answer gave it.
    pub cursor: String,
    /// What the page may hold.
    pub limits: Limits,
    /// How it is laid out; `None` as the page before it.
    pub format: Option<Format>,
    /// How long the call may take.
    pub timeout: Option<Duration>,
    /// How far it has come, for whoever waits.
    pub progress: Progress,
}

/// Closes every cursor. Sent when the process ends.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct CloseCursors;

/// Closes a client's cursors: nobody else may read them on. Sent by its session when that ends.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct CloseCursorsOf {
    /// Whose.
    pub client: Arc<str>,
}

/// Runs statements in one transaction, all or nothing, and replies with what each did.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Answered<Vec<Outcome>>, BatchError>")]
pub struct Batch {
    /// Which tool asks, for the log and the metrics.
    pub tool: &'static str,
    /// For whom.
    pub caller: Caller,
    /// What to run, in this order; never empty.
    pub statements: Vec<Statement>,
    /// What all answers together may hold, and how they are laid out.
    pub reading: Reading,
    /// How long the call may take, waiting included.
    pub timeout: Option<Duration>,
    /// How far it has come, for whoever waits.
    pub progress: Progress,
}

/// Says that the settings have changed. Sent by the config watcher to everybody whose work depends on them.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct ConfigChanged {
    /// What was in force.
    pub old: Arc<Settings>,
    /// What is to be.
    pub new: Arc<Settings>,
}

/// An answer, with what ran it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered<T> {
    /// The answer.
    pub answer: T,
    /// From the message's arrival to the answer, waiting included.
    pub took: Duration,
    /// The generation of the pool that it ran on.
    pub generation: u64,
    /// How to read on, where it was cut.
    pub cursor: Option<Cursor>,
}

/// A statement that waits to be read on, by [`Fetch`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// What it is called by; nobody can guess it.
    pub handle: String,
    /// How long it waits, from the answer on.
    pub lifetime: Duration,
}

/// Why a batch did nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchError {
    /// The number of the statement that failed, from 1; `None` if it was the transaction itself.
    pub statement: Option<usize>,
    /// Why.
    pub error: QueryError,
}

/// The actor.
pub struct Executor {
    /// What calls and the operator name the database by.
    name: Arc<str>,
    generation: Arc<Generation>,
    /// Notices when its database is back.
    watch: Option<AbortOnDropHandle<()>>,
    /// Those before it that still have a statement.
    older: Vec<Weak<Generation>>,
    trouble: Trouble,
    guard: Arc<Guard>,
    role_check: RoleCheck,
    /// What clients are told of the database.
    shown: watch::Sender<Shown>,
    access: AccessMode,
    log_parameters: bool,
    waiting_max: usize,
    cursors: Cursors,
    calls: Calls,
    told_later: ToldLater,
    /// Counts the reloads begun: a probe that ends after a newer one has begun has nothing to say.
    reload: Rc<Cell<u64>>,
    metrics: Rc<MetricsReach>,
    endings: TaskTracker,
    log: Logger,
}

/// The metrics, as an executor knows them.
#[derive(Clone)]
pub struct MetricsReach {
    /// What has ended.
    pub finished: Recipient<QueryFinished>,
    /// What a reload has changed.
    pub rebuilt: Recipient<PoolRebuilt>,
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
        metrics: MetricsReach,
        endings: TaskTracker,
        log: &Logger,
    ) -> Result<Self, String> {
        let log = log.new(slog::o!("logger" => "executor", "database" => name.to_owned()));
        let (postgres, access) =
            settings.database(name).ok_or_else(|| format!("there is no database {name} in the settings"))?;
        let generation = Generation::new(1, Arc::new(postgres.clone()), access, endings.clone(), &log)?;
        Ok(Self {
            name: name.into(),
            generation: Arc::new(generation),
            watch: None,
            older: Vec::new(),
            trouble: Trouble::default(),
            guard: Arc::new(Guard::new(parser, settings.policy.clone())),
            role_check: settings.role_check,
            shown: watch::Sender::new(Shown { access, findings: [].into() }),
            access,
            log_parameters: settings.log.parameters,
            waiting_max: settings.limits.waiting_max,
            cursors: Cursors::new(cursors::prefix(name), settings.limits.cursors_max, &log),
            calls: Calls::default(),
            told_later: ToldLater::default(),
            reload: Rc::default(),
            metrics: Rc::new(metrics),
            endings,
            log,
        })
    }

    /// What clients are told of the database, now and whenever that changes.
    pub fn shown(&self) -> watch::Receiver<Shown> {
        self.shown.subscribe()
    }

    /// The mode of that caller's statements.
    fn access_of(&self, caller: &Caller) -> AccessMode {
        if caller.access == AccessMode::ReadOnly { AccessMode::ReadOnly } else { self.access }
    }

    /// Look what the role may do too much of, and tell it; once for a generation, unless it is to be done `anew`.
    fn check_role(&self, anew: bool) {
        if self.role_check == RoleCheck::Off {
            self.shown.send_if_modified(|shown| !std::mem::replace(&mut shown.findings, [].into()).is_empty());
            return;
        }
        if self.generation.role_was_checked(true) && !anew {
            return;
        }
        let (generation, shown, log) = (self.generation.clone(), self.shown.clone(), self.log.clone());
        actix_rt::spawn(async move {
            match generation.findings(true).await {
                Ok(findings) => {
                    for Finding { is_severe, what, mend } in findings.iter() {
                        warn!(log, "the role may do more than it should"; "what" => what, "mend" => mend, "severe" => is_severe);
                    }
                    shown.send_modify(|shown| shown.findings = findings);
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
        tool: &'static str,
        caller: &Caller,
        (sql, operation): (&Arc<str>, Operation),
        parameters: &[Value],
        generation: &Generation,
    ) -> Running {
        Running {
            event: QueryFinished {
                tool,
                client: caller.name.clone(),
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
                verdict: Verdict::Cancelled,
                generation: generation.number,
            },
            parameters: self.log_parameters.then(|| parameters.to_vec()),
            executing_since: None,
            metrics: self.metrics.clone(),
            log: self.log.clone(),
        }
    }
}

impl Actor for Executor {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        let generation = self.generation.clone();
        let log = self.log.clone();
        let connections = generation.settings.pool_min_size;
        self.watch = Some(generation.watch());
        if connections > 0 {
            self.check_role(false);
            // While the host shakes hands. A database that is not there yet is no reason not to serve.
            actix_rt::spawn(async move {
                if let Err(error) = generation.warm(connections).await {
                    warn!(log, "the database is not available yet"; "why" => error.to_string());
                }
            });
        }
    }
}

impl From<Kept> for Cursor {
    fn from(Kept { handle, lifetime }: Kept) -> Self {
        Self { handle, lifetime }
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
fn settle(lease: Lease, left: Left, error: Option<&QueryError>) {
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
fn is_primary_no_more(lease: &Lease, left: Left, error: &QueryError) -> bool {
    error.needs_to_write()
        && left.is_of_a_write()
        && lease.generation().settings.target_session_attrs == TargetSessionAttrs::ReadWrite
}

/// How many rows a statement read or changed.
fn rows(outcome: &Outcome) -> u64 {
    outcome.rows_affected.unwrap_or(outcome.page.rows as u64)
}
