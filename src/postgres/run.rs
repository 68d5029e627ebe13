//! Runs statements: the transaction around them, the portal they are read from, the page they fill.
//!
//! A user's statement always uses the extended protocol (manual, section 55.2.3), which accepts one statement only; the
//! simple protocol (`simple_query`, `batch_execute`) carries only SQL of this server. In read-only mode every statement
//! runs in a READ ONLY transaction that ends in ROLLBACK. In read-write mode the transaction ends in COMMIT, and is READ
//! ONLY if the guard knows that the statement only reads.

use std::cell::Cell;
use std::time::Instant;

use pg_guard::{Clearance, Reviewed};
use tokio_postgres::error::SqlState;

use super::cleanup::{Cleanup, SessionCleanup, TransactionEnd};
use super::connection::ExecTarget;
use super::error::{Phase, QueryError};
use super::statement::{Outcome, Reading};
use crate::progress::Progress;
use crate::settings::AccessMode;

mod alone;
mod begin;
mod explain;
mod inspect;
mod prepare;
mod reader;
mod transaction;

pub use inspect::inspect;
pub use reader::Reader;

/// How far a statement has come: for the decision whether it may run again, and for the client that waits.
#[derive(Debug)]
pub struct RunProgress {
    /// The progress that is reported to the client of the call.
    pub call: Progress,
    /// Whether its transaction has begun. If it has none of its own, whether it may have started.
    pub begun: Cell<bool>,
    /// Whether it is known to read only, and may run again.
    pub only_reads: Cell<bool>,
    /// The cleanup of its connection if it ends now.
    pub cleanup: Cell<Cleanup>,
    /// Whether PostgreSQL has bound it, so that it runs.
    pub bound: Cell<bool>,
    /// Whether its first row has come.
    pub rows_came: Cell<bool>,
    /// When it got its connection.
    pub since: Instant,
}

impl RunProgress {
    /// The progress of a statement that has not begun.
    pub fn new(call: Progress) -> Self {
        let (begun, only_reads, bound, rows_came) = Default::default();
        Self { call, begun, only_reads, cleanup: Cell::new(Cleanup::NOTHING), bound, rows_came, since: Instant::now() }
    }
}

impl RunProgress {
    /// It runs in a transaction, with this clearance.
    fn runs_as(&self, clearance: Clearance) {
        self.only_reads.set(clearance.only_reads);
        self.cleanup.set(Cleanup::begun(clearance));
    }
}

/// What running a statement has given.
pub enum RunResult {
    FirstPage(Box<FirstPage>),
    /// Nothing: the result is larger than expected. The statement must be cancelled and run again, from a portal.
    Outgrown,
}

/// The first page of a statement's result.
pub struct FirstPage {
    /// The outcome, with the first page of rows.
    pub outcome: Outcome,
    /// The reader of the further pages, if there are any, with its clearance. Its transaction is still open.
    pub rest: Option<(Reader, Clearance)>,
}

/// How the rows of a statement are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchMode {
    /// From a portal, which returns no more rows than requested.
    Portal,
    /// All at once if earlier results of the statement were small, which saves a round trip; otherwise as
    /// [`FetchMode::Portal`].
    RunToEndIfSmall,
}

/// Run `statement` in its own transaction. A statement that may write is committed, except if it has written nothing so
/// far and has more rows to read.
///
/// # Errors
/// See [`QueryError`]; the statement has changed nothing then, unless the error says that this is unknown.
pub async fn query(
    target: ExecTarget<'_>,
    statement: &Reviewed,
    reading: Reading,
    mode: FetchMode,
    progress: &RunProgress,
) -> Result<RunResult, QueryError> {
    let run = Run { target, progress };
    let inbox = target.connection.inbox();
    inbox.begin();
    let result = async {
        run.check_session(statement)?;
        let small_within = (mode == FetchMode::RunToEndIfSmall).then_some(reading.limits);
        let (mut reader, clearance) = run.begin(statement, small_within).await?;
        let (outcome, has_more) = run.page(&mut reader, clearance, reading).await?;
        if reader.has_outgrown() {
            return Ok(RunResult::Outgrown);
        }
        Ok(RunResult::FirstPage(Box::new(FirstPage { outcome, rest: has_more.then_some((reader, clearance)) })))
    };
    let result = result.await;
    if !progress.only_reads.get() {
        statement.may_have_changed_objects();
    }
    match result {
        // VACUUM, CREATE INDEX CONCURRENTLY, CREATE DATABASE and similar statements, or a procedure that commits:
        // PostgreSQL refused them before they did anything that the ROLLBACK does not undo. Without a transaction block
        // they may run.
        Err(QueryError::Rejected(rejection))
            if target.access == AccessMode::ReadWrite
                && (rejection.sqlstate == SqlState::ACTIVE_SQL_TRANSACTION.code()
                    || rejection.sqlstate == SqlState::INVALID_TRANSACTION_TERMINATION.code()) =>
        {
            run.undo().await?;
            if target.connection.is_pooled() {
                return Err(needs_no_transaction(&rejection.message));
            }
            inbox.begin();
            // It may commit at any time.
            progress.call.commit_started();
            progress.cleanup.set(Cleanup { transaction: TransactionEnd::None, session: SessionCleanup::Everything });
            let alone = async { run.alone(run.clear(statement).await?, reading).await };
            let outcome = Box::pin(alone).await;
            statement.may_have_changed_objects();
            let outcome = match outcome {
                Ok(outcome) => outcome,
                Err(error) => return Err(Box::pin(run.explained(error, statement)).await),
            };
            Ok(RunResult::FirstPage(Box::new(FirstPage { outcome, rest: None })))
        }
        Err(error) => Err(Box::pin(run.explained(error, statement)).await),
        read => read,
    }
}

/// Reads the next page of a statement. Returns it, and whether more rows follow.
///
/// # Errors
/// See [`QueryError`]; the transaction cannot be used any more then.
pub async fn more(
    target: ExecTarget<'_>,
    (reader, clearance): (&mut Reader, Clearance),
    reading: Reading,
    progress: &RunProgress,
) -> Result<(Outcome, bool), QueryError> {
    progress.cleanup.set(Cleanup::begun(clearance));
    target.connection.inbox().begin();
    let (run, sql) = (Run { target, progress }, reader.sql().clone());
    match run.page(reader, clearance, reading).await {
        Err(error) => Err(Box::pin(run.explained_by_text(error, &sql)).await),
        page => page,
    }
}

/// Run `statements` in one transaction, all or nothing; the results share the limits of `reading`. `started` and
/// `finished` are called for each statement.
///
/// # Errors
/// The index of the statement that failed, or `None` if BEGIN or COMMIT failed.
pub async fn batch(
    target: ExecTarget<'_>,
    statements: &[Reviewed],
    mut reading: Reading,
    progress: &RunProgress,
    mut started: impl FnMut(),
    mut finished: impl FnMut(&Result<Outcome, QueryError>),
) -> Result<Vec<Outcome>, (Option<usize>, QueryError)> {
    let run = Run { target, progress };
    let inbox = target.connection.inbox();
    inbox.begin();
    progress.cleanup.set(Cleanup::NOTHING);
    run.transaction(Clearance::of(target.access)).await.map_err(|error| (None, run.with_cause(error)))?;
    let mut outcomes = Vec::with_capacity(statements.len());
    for (at, statement) in statements.iter().enumerate() {
        progress.call.statement_of(statements.len());
        started();
        let result = async {
            run.check_session(statement)?;
            let (prepared, cleared) = Box::pin(run.prepare_and_clear(statement, None)).await?;
            let mut reader = run.open(prepared, cleared).await?;
            let mut outcome = reader.page(target.connection, reading, target.name, progress).await?;
            outcome.notices = inbox.take();
            Ok(outcome)
        };
        let result = result.await;
        finished(&result);
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(error) => return Err((Some(at), Box::pin(run.explained(error, statement)).await)),
        };
        let limits = &mut reading.limits;
        limits.rows_max = limits.rows_max.saturating_sub(outcome.page.rows).max(1);
        limits.bytes_max = limits.bytes_max.saturating_sub(outcome.page.json.len()).max(1);
        outcomes.push(outcome);
    }
    if target.access == AccessMode::ReadWrite {
        let committed = run.commit().await;
        statements.iter().for_each(Reviewed::may_have_changed_objects);
        committed.map_err(|error| (None, error.after(inbox.take())))?;
        // Of triggers that were deferred to the end.
        if let Some(last) = outcomes.last_mut() {
            last.notices.append(inbox.take());
        }
    }
    Ok(outcomes)
}

/// The refusal of a statement that PostgreSQL refuses in a transaction, for a connection through a pooler. `why` is
/// PostgreSQL's message.
fn needs_no_transaction(why: &str) -> QueryError {
    QueryError::refused(format!(
        "PostgreSQL says: {why}. This database is reached through a pooler that lends a session for a single transaction, \
         and nothing runs outside of one there. The operator can connect this server to the pooler's session port or to \
         PostgreSQL directly."
    ))
}

/// The run of a statement or a batch on a target.
struct Run<'a> {
    target: ExecTarget<'a>,
    progress: &'a RunProgress,
}

impl Run<'_> {
    /// Reads a page. Returns it, and whether more rows follow. A statement that may write is committed if none follow,
    /// or if it has written: a change that an answer reports must last.
    async fn page(
        &self,
        reader: &mut Reader,
        clearance: Clearance,
        reading: Reading,
    ) -> Result<(Outcome, bool), QueryError> {
        let mut outcome = reader.page(self.target.connection, reading, self.target.name, self.progress).await?;
        let mut has_more = outcome.page.cut.is_some() && reader.has_more();
        if !clearance.only_reads {
            // While rows arrive on a connection, nothing else can be asked on it.
            has_more = has_more && reader.rest_of_fetch(self.target.name).await? && !self.has_written().await?;
            if !has_more {
                reader.release();
                self.commit().await?;
            }
        }
        self.progress.cleanup.set(self.progress.cleanup.get().answered(clearance.access));
        outcome.notices = self.target.connection.inbox().take();
        Ok((outcome, has_more))
    }

    /// Refuses statements whose effect must last longer than a transaction, if a pooler lends the session for one
    /// transaction.
    fn check_session(&self, statement: &Reviewed) -> Result<(), QueryError> {
        if self.target.connection.is_pooled() {
            statement.statement().review_without_session()?;
        }
        Ok(())
    }

    fn error(&self, error: &tokio_postgres::Error, sql: &str, phase: Phase) -> QueryError {
        QueryError::of(error, sql, phase, self.target.name)
    }
}
