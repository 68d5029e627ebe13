//! Running statements: the transaction around them, the portal they are read from, the page they fill.
//!
//! A statement of the user goes by the extended protocol (manual, section 55.2.3) and no other way, which takes one
//! statement and no more; the simple protocol (`simple_query`, `batch_execute`) carries only texts of our own.
//! In read-only mode everything that the guard has cleared runs in a READ ONLY transaction that ends in ROLLBACK; or,
//! where there is nothing to roll back, in the one that PostgreSQL makes of a statement by itself, READ ONLY too. In
//! read-write mode the transaction ends in COMMIT, and is READ ONLY if the guard knows that the statement only reads.

use std::cell::Cell;

use pg_guard::{Clearance, Reviewed};
use tokio_postgres::error::SqlState;

use super::catalog::nearest;
use super::cleanup::{Cleanup, SessionCleanup, TransactionEnd};
use super::connection::ExecTarget;
use super::error::{Phase, QueryError};
use super::statement::{Outcome, Reading};
use crate::progress::Progress;
use crate::settings::AccessMode;

mod alone;
mod begin;
mod inspect;
mod prepare;
mod reader;
mod transaction;

pub use inspect::inspect;
pub use reader::Reader;

/// How far a statement has come, for whoever may run it once more, and for whoever waits.
#[derive(Debug)]
pub struct RunProgress {
    /// What is reported to the client of the call.
    pub call: Progress,
    /// Its transaction has begun; or it may have, where it has none of its own.
    pub begun: Cell<bool>,
    /// It is known to read only, and may run once more.
    pub only_reads: Cell<bool>,
    /// What it leaves on its connection if it ends now.
    pub cleanup: Cell<Cleanup>,
    /// The first of its rows is there.
    pub rows_came: Cell<bool>,
}

impl RunProgress {
    /// Nothing has come of it yet.
    pub fn new(call: Progress) -> Self {
        let (begun, only_reads, rows_came) = Default::default();
        Self { call, begun, only_reads, cleanup: Cell::new(Cleanup::NOTHING), rows_came }
    }
}

impl RunProgress {
    /// It runs as that, in a transaction.
    fn runs_as(&self, clearance: Clearance) {
        self.only_reads.set(clearance.only_reads);
        self.cleanup.set(Cleanup::begun(clearance));
    }
}

/// What was read of a statement.
pub enum Read {
    Answer(Box<Answer>),
    /// Nothing, for it has outgrown what it was taken for: it must be cancelled and run again, from a portal.
    Outgrown,
}

/// A statement's answer.
pub struct Answer {
    /// Its answer, or the first page of it.
    pub outcome: Outcome,
    /// What gives the rest, and as what. Its transaction is open then.
    pub rest: Option<(Reader, Clearance)>,
}

/// How the rows of a statement are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchMode {
    /// From a portal, which gives no more rows than it is asked for.
    Portal,
    /// All at once if the statement gave little before, which saves a round trip; otherwise as [`FetchMode::Portal`].
    RunToEndIfSmall,
}

/// Run `statement` in a transaction of its own. What writes is committed; but not a statement that has written nothing so
/// far and has more to read.
///
/// # Errors
/// See [`QueryError`]; nothing of the statement has lasted then, unless the error says that this is unknown.
pub async fn query(
    target: ExecTarget<'_>,
    statement: &Reviewed,
    reading: Reading,
    mode: FetchMode,
    progress: &RunProgress,
) -> Result<Read, QueryError> {
    let run = Run { target, progress };
    let result = async {
        let small_within = (mode == FetchMode::RunToEndIfSmall).then_some(reading.limits);
        let (mut reader, clearance) = run.begin(statement, small_within).await?;
        let (outcome, has_more) = run.page(&mut reader, clearance, reading).await?;
        if reader.has_outgrown() {
            return Ok(Read::Outgrown);
        }
        Ok(Read::Answer(Box::new(Answer { outcome, rest: has_more.then_some((reader, clearance)) })))
    };
    match result.await {
        // VACUUM, CREATE INDEX CONCURRENTLY, CREATE DATABASE and their like, or a procedure that commits: PostgreSQL
        // refused them before they did anything that the ROLLBACK does not undo. Alone they may run.
        Err(QueryError::Rejected(rejection))
            if target.access == AccessMode::ReadWrite
                && (rejection.sqlstate == SqlState::ACTIVE_SQL_TRANSACTION.code()
                    || rejection.sqlstate == SqlState::INVALID_TRANSACTION_TERMINATION.code()) =>
        {
            run.undo().await?;
            // It may commit by itself, whenever it likes.
            progress.call.makes_last();
            progress.cleanup.set(Cleanup { transaction: TransactionEnd::None, session: SessionCleanup::Everything });
            let alone = async { run.alone(run.clear(statement).await?, reading).await };
            let outcome = Box::pin(alone).await?;
            Ok(Read::Answer(Box::new(Answer { outcome, rest: None })))
        }
        Err(error) => Err(Box::pin(run.with_hint(error, statement.statement().sql())).await),
        read => read,
    }
}

/// The next page of a statement, and whether there is more after it.
///
/// # Errors
/// See [`QueryError`]; the transaction is of no more use then.
pub async fn more(
    target: ExecTarget<'_>,
    (reader, clearance): (&mut Reader, Clearance),
    reading: Reading,
    progress: &RunProgress,
) -> Result<(Outcome, bool), QueryError> {
    progress.cleanup.set(Cleanup::begun(clearance));
    Run { target, progress }.page(reader, clearance, reading).await
}

/// Run `statements` in one transaction, all or nothing; the answers share the limits of `reading`. `started` and
/// `finished` are called for each in its turn.
///
/// # Errors
/// The index of the statement that failed, or `None` where the transaction itself did.
pub async fn batch(
    target: ExecTarget<'_>,
    statements: &[Reviewed],
    mut reading: Reading,
    progress: &RunProgress,
    mut started: impl FnMut(),
    mut finished: impl FnMut(&Result<Outcome, QueryError>),
) -> Result<Vec<Outcome>, (Option<usize>, QueryError)> {
    let run = Run { target, progress };
    progress.cleanup.set(Cleanup::NOTHING);
    run.transaction(Clearance::of(target.access)).await.map_err(|error| (None, error))?;
    let mut outcomes = Vec::with_capacity(statements.len());
    for (at, statement) in statements.iter().enumerate() {
        progress.call.statement_of(statements.len());
        started();
        let result = async {
            let (prepared, cleared) = Box::pin(run.prepare_and_clear(statement, None)).await?;
            let mut reader = run.open(prepared, cleared).await?;
            reader.page(target.connection, reading, target.name, progress).await
        };
        let result = result.await;
        finished(&result);
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(error) => return Err((Some(at), run.with_hint(error, statement.statement().sql()).await)),
        };
        let limits = &mut reading.limits;
        limits.rows_max = limits.rows_max.saturating_sub(outcome.page.rows).max(1);
        limits.bytes_max = limits.bytes_max.saturating_sub(outcome.page.json.len()).max(1);
        outcomes.push(outcome);
    }
    if target.access == AccessMode::ReadWrite {
        run.commit().await.map_err(|error| (None, error))?;
    }
    Ok(outcomes)
}

/// One statement's run, or a batch's.
struct Run<'a> {
    target: ExecTarget<'a>,
    progress: &'a RunProgress,
}

impl Run<'_> {
    /// A page, and whether there is more. What may write is committed when there is not; or when it has written, since what
    /// an answer tells must last.
    async fn page(
        &self,
        reader: &mut Reader,
        clearance: Clearance,
        reading: Reading,
    ) -> Result<(Outcome, bool), QueryError> {
        let outcome = reader.page(self.target.connection, reading, self.target.name, self.progress).await?;
        let mut has_more = outcome.page.cut.is_some() && reader.has_more();
        if !clearance.only_reads {
            // While rows are on their way nothing else can be asked on a connection.
            has_more = has_more && reader.rest_of_fetch(self.target.name).await? && !self.has_written().await?;
            if !has_more {
                reader.abandon();
                self.commit().await?;
            }
        }
        self.progress.cleanup.set(self.progress.cleanup.get().answered(clearance.access));
        Ok((outcome, has_more))
    }

    /// The same error, with what may have been meant by a table or a column that is not there.
    async fn with_hint(&self, error: QueryError, sql: &str) -> QueryError {
        let QueryError::Rejected(mut rejection) = error else { return error };
        let is_column = rejection.sqlstate == SqlState::UNDEFINED_COLUMN.code();
        if (is_column || rejection.sqlstate == SqlState::UNDEFINED_TABLE.code())
            && rejection.hint.is_none()
            // In a function it is another statement that names it.
            && (rejection.position.is_some() || rejection.context.is_none())
            && self.undo().await.is_ok()
        {
            // A hint that cannot be had is no second error.
            let client = self.target.connection.client();
            let hint = match is_column {
                true => nearest::column_hint(client, sql, &rejection).await,
                false => nearest::table_hint(client, sql, &rejection).await,
            };
            rejection.hint = hint.ok().flatten();
        }
        QueryError::Rejected(rejection)
    }

    fn wrong(&self, error: &tokio_postgres::Error, sql: &str, phase: Phase) -> QueryError {
        QueryError::of(error, sql, phase, self.target.name)
    }
}
