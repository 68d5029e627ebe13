//! The executor: the one actor that holds the connection pool of a database.
//!
//! It never waits. A statement leaves with its own handle on today's generation of the pool, so a reload swaps the
//! pool by an assignment and what is under way finishes on the old one. It decides nothing about what is asked
//! (that was the tool) or shown (that is the session).

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use slog::Logger;
use tokio_util::task::TaskTracker;

mod running;

use running::{Queue, Running};

use super::metrics::{QueryFinished, Verdict};
use super::wanted::WhileWanted;
use crate::log::{error, info, warn};
use crate::postgres::error::{Clock, QueryError};
use crate::postgres::pool::{Generation, Lease, Left, PoolStatus};
use crate::postgres::run::{self, Marks, Outcome, Reading, Statement};
use crate::postgres::sql::Operation;
use crate::settings::{AccessMode, Settings};

/// Runs one statement and replies with its rows. Sent by every tool that reads or writes.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Answered<Outcome>, QueryError>")]
pub struct Query {
    /// Who asks, for the log and the metrics.
    pub tool: &'static str,
    /// What to run.
    pub statement: Statement,
    /// What the answer may hold and how it is laid out.
    pub reading: Reading,
    /// How long the call may take, waiting included.
    pub timeout: Option<Duration>,
}

/// Runs statements in one transaction, all or nothing, and replies with what each did.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Answered<Vec<Outcome>>, BatchError>")]
pub struct Batch {
    /// Who asks, for the log and the metrics.
    pub tool: &'static str,
    /// What to run, in this order; never empty.
    pub statements: Vec<Statement>,
    /// What all answers together may hold, and how they are laid out.
    pub reading: Reading,
    /// How long the call may take, waiting included.
    pub timeout: Option<Duration>,
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

/// Asks how the pool stands.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "PoolStatus")]
pub struct Status;

/// An answer, with what ran it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered<T> {
    /// The answer.
    pub answer: T,
    /// From the message's arrival to the answer, waiting included.
    pub took: Duration,
    /// The generation of the pool that it ran on.
    pub generation: u64,
}

/// Why a batch did nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchError {
    /// The number of the statement that failed, from 1; `None` if it was the transaction itself.
    pub statement: Option<usize>,
    /// Why.
    pub error: QueryError,
}

/// How long after a failed probe the next one is tried, at first and at most.
const PROBE_RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// The actor.
pub struct Executor {
    generation: Arc<Generation>,
    access: AccessMode,
    log_parameters: bool,
    waiting_max: usize,
    /// Counts the reloads begun: a probe that ends after a newer one has begun has nothing to say.
    reload: Rc<Cell<u64>>,
    finished: Recipient<QueryFinished>,
    endings: TaskTracker,
    log: Logger,
}

impl Executor {
    /// An executor whose pool has no connection yet. `endings` are the connections still being cancelled or cleaned
    /// when their call is over: whoever ends the process waits for them.
    ///
    /// # Errors
    /// What in the settings cannot be used, as a sentence for the operator.
    pub fn new(
        settings: &Settings,
        finished: Recipient<QueryFinished>,
        endings: TaskTracker,
        log: &Logger,
    ) -> Result<Self, String> {
        let log = log.new(slog::o!("logger" => "executor"));
        let generation = Generation::new(1, Arc::new(settings.postgres.clone()), endings.clone(), &log)?;
        Ok(Self {
            generation: Arc::new(generation),
            access: settings.access,
            log_parameters: settings.log.parameters,
            waiting_max: settings.limits.waiting_max,
            reload: Rc::default(),
            finished,
            endings,
            log,
        })
    }

    fn running(&self, tool: &'static str, statement: &Statement, generation: &Generation) -> Running {
        Running {
            event: QueryFinished {
                tool,
                sql: statement.sql.clone(),
                operation: Operation::of(&statement.sql),
                began: Instant::now(),
                waited: Duration::ZERO,
                executed: Duration::ZERO,
                rows: 0,
                verdict: Verdict::Cancelled,
                generation: generation.number,
            },
            parameters: self.log_parameters.then(|| statement.parameters.clone()),
            executing_since: None,
            finished: self.finished.clone(),
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
        if connections > 0 {
            // While the host shakes hands. A database that is not there yet is no reason not to serve.
            actix_rt::spawn(async move {
                if let Err(error) = generation.warm(connections).await {
                    warn!(log, "the database is not available yet"; "why" => error.to_string());
                }
            });
        }
    }
}

impl Handler<Query> for Executor {
    type Result = WhileWanted<Result<Answered<Outcome>, QueryError>>;

    fn handle(&mut self, query: Query, _: &mut Context<Self>) -> Self::Result {
        let generation = self.generation.clone();
        let (access, waiting_max) = (self.access, self.waiting_max);
        let mut running = self.running(query.tool, &query.statement, &generation);
        WhileWanted::new(async move {
            let work = async {
                loop {
                    let lease = generation.lease(waiting_max).await?;
                    running.executing();
                    let (target, marks) = (generation.target(), Marks::default());
                    let connection = lease.connection();
                    let work = run::query(connection, &query.statement, access, query.reading, &target, &marks);
                    let result = within(Clock::Command, generation.settings.command_timeout, work).await;
                    let error = result.as_ref().err();
                    settle(lease, access, error);
                    if marks.begun.get() || !error.is_some_and(QueryError::is_lost_connection) {
                        return result.map(|read| read.outcome);
                    }
                    warn!(running.log, "connection had died in the pool, another is taken");
                }
            };
            let result = match query.timeout {
                Some(timeout) => within(Clock::Call, timeout, work).await,
                None => work.await,
            };
            running.end(result.as_ref().map(rows));
            result.map(|answer| running.answered(answer))
        })
    }
}

impl Handler<Batch> for Executor {
    type Result = WhileWanted<Result<Answered<Vec<Outcome>>, BatchError>>;

    fn handle(&mut self, batch: Batch, _: &mut Context<Self>) -> Self::Result {
        let generation = self.generation.clone();
        let (access, waiting_max, log) = (self.access, self.waiting_max, self.log.clone());
        let mut queue: Queue =
            batch.statements.iter().map(|statement| self.running(batch.tool, statement, &generation)).collect();
        WhileWanted::new(async move {
            let began = Instant::now();
            let current = RefCell::new(None::<Running>);
            let work = async {
                loop {
                    let lease = generation.lease(waiting_max).await.map_err(|error| (None, error))?;
                    let target = generation.target();
                    let work = run::batch(
                        lease.connection(),
                        &batch.statements,
                        access,
                        batch.reading,
                        &target,
                        || {
                            let mut next = queue.next();
                            next.iter_mut().for_each(Running::executing);
                            *current.borrow_mut() = next;
                        },
                        |result| {
                            if let Some(mut ended) = current.borrow_mut().take() {
                                ended.end(result.as_ref().map(rows));
                            }
                        },
                    );
                    let result = batch_within(Clock::Command, generation.settings.command_timeout, work).await;
                    let error = result.as_ref().err().map(|(_, error)| error);
                    settle(lease, access, error);
                    if queue.has_begun() || !error.is_some_and(QueryError::is_lost_connection) {
                        return result;
                    }
                    warn!(log, "connection had died in the pool, another is taken");
                }
            };
            let result = match batch.timeout {
                Some(timeout) => batch_within(Clock::Call, timeout, work).await,
                None => work.await,
            };
            if let Err((_, error)) = &result {
                // The one that a clock has stopped; or the first, if the transaction did not even begin.
                let first = if queue.has_begun() { None } else { queue.next() };
                current.take().or(first).into_iter().for_each(|mut stopped| stopped.end(Err(error)));
            }
            match result {
                Ok(answer) => Ok(Answered { answer, took: began.elapsed(), generation: generation.number }),
                Err((at, error)) => Err(BatchError { statement: at.map(|at| at + 1), error }),
            }
        })
    }
}

impl Handler<ConfigChanged> for Executor {
    type Result = ();

    fn handle(&mut self, change: ConfigChanged, context: &mut Context<Self>) {
        self.access = change.new.access;
        self.log_parameters = change.new.log.parameters;
        self.waiting_max = change.new.limits.waiting_max;
        self.reload.set(self.reload.get() + 1);
        // Compared with what is in force here, not with `old`: an earlier change may have failed its probe.
        if change.new.postgres == *self.generation.settings {
            return;
        }
        let settings = Arc::new(change.new.postgres.clone());
        let number = self.generation.number + 1;
        let generation = match Generation::new(number, settings, self.endings.clone(), &self.log) {
            Ok(generation) => Arc::new(generation),
            Err(why) => {
                error!(self.log, "pool not rebuilt, the old one stays"; "why" => why);
                return;
            }
        };
        let wanted = Wanted { this: self.reload.get(), newest: self.reload.clone() };
        let probing = probe(generation, wanted, self.log.clone());
        // An actor future, so that the swap is an assignment in the actor's own turn.
        context.spawn(probing.into_actor(self).map(|generation, executor, _| {
            if let Some(generation) = generation {
                info!(executor.log, "pool rebuilt";
                    "generation" => generation.number, "size" => generation.settings.pool_size,
                    "target" => generation.target());
                // The last statement on the old one closes it.
                executor.generation = generation;
            }
        }));
    }
}

/// Which reload this is, and which is the newest.
struct Wanted {
    this: u64,
    newest: Rc<Cell<u64>>,
}

impl Wanted {
    fn still(&self) -> bool {
        self.this == self.newest.get()
    }
}

/// Open the first connections of a new generation; `None` if that cannot be, or a newer one is wanted by now.
async fn probe(generation: Arc<Generation>, wanted: Wanted, log: Logger) -> Option<Arc<Generation>> {
    let mut pause = PROBE_RETRY.0;
    while wanted.still() {
        match generation.warm(generation.settings.pool_min_size).await {
            Ok(()) => return wanted.still().then_some(generation),
            Err(error) => {
                error!(log, "pool not rebuilt, the old one stays";
                    "why" => error.to_string(), "sqlstate" => error.sqlstate().unwrap_or("").to_owned());
                // A refusal (wrong password, no such database) will not go away by itself, and asking again may
                // lock the account. What cannot be reached now may be there in a moment.
                if !error.is_retryable() {
                    return None;
                }
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PROBE_RETRY.1);
    }
    None
}

impl Handler<Status> for Executor {
    type Result = MessageResult<Status>;

    fn handle(&mut self, _: Status, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.generation.status())
    }
}

/// `work`, or the error of the clock that ran out.
async fn within<T>(
    clock: Clock,
    after: Duration,
    work: impl Future<Output = Result<T, QueryError>>,
) -> Result<T, QueryError> {
    tokio::time::timeout(after, work).await.unwrap_or(Err(QueryError::TimedOut { clock, after }))
}

/// The same of a batch, whose errors name a statement.
async fn batch_within<T>(
    clock: Clock,
    after: Duration,
    work: impl Future<Output = Result<T, (Option<usize>, QueryError)>>,
) -> Result<T, (Option<usize>, QueryError)> {
    tokio::time::timeout(after, work).await.unwrap_or(Err((None, QueryError::TimedOut { clock, after })))
}

/// Put a connection back if nothing runs on it any more; otherwise its drop cancels and closes it.
fn settle(lease: Lease, access: AccessMode, error: Option<&QueryError>) {
    let left = match access {
        AccessMode::ReadOnly => Left::WhatRollbackLeaves,
        AccessMode::ReadWrite => Left::Anything,
    };
    match error {
        Some(error) if error.is_lost_connection() => drop(lease),
        None | Some(QueryError::Rejected(_) | QueryError::Refused { .. }) => lease.settle(left),
        Some(_) => drop(lease),
    }
}

/// How many rows a statement read or changed.
fn rows(outcome: &Outcome) -> u64 {
    outcome.rows_affected.unwrap_or(outcome.page.rows as u64)
}
