//! Running statements: the transaction around them, the portal they are read from, the page they fill.
//!
//! A statement of the user goes by the extended protocol (manual, section 55.2.3) and no other way, which takes one
//! statement and no more; the simple protocol (`simple_query`, `batch_execute`) carries only texts of our own.
//! In read-only mode everything that the guard has cleared runs in a READ ONLY transaction that ends in ROLLBACK; or,
//! where there is nothing to roll back, in the one that PostgreSQL makes of a statement by itself, READ ONLY too.

use std::cell::Cell;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use futures_util::TryStreamExt;
use futures_util::future::join;
use serde_json::Value;
use tokio_postgres::Column;
use tokio_postgres::error::SqlState;

use super::connection::{Connection, Prepared};
use super::encode::Codec;
use super::error::{Phase, QueryError};
use super::foreign;
use super::lease::Left;
use super::nearest;
use super::page::{ColumnInfo, FinishedPage, Format, Limits, Page};
use super::params;
use super::reader::Reader;
use super::sampled::Sampled;
use crate::guard::{Cleared, Reviewed};
use crate::progress::Progress;
use crate::settings::AccessMode;

/// One statement to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// Its text.
    pub sql: Arc<str>,
    /// The values of `$1 … $n`; a client's as [`params::written`] makes them.
    pub parameters: Vec<Value>,
}

/// What one statement did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Its rows.
    pub page: FinishedPage,
    /// How many rows it changed, for a statement that changes rows.
    pub rows_affected: Option<u64>,
}

/// How a statement is to be read.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// What the answer may hold.
    pub limits: Limits,
    /// How its text is laid out.
    pub format: Format,
    /// A cell whose text is longer than this is shown from this byte of it on; 0 shows all from their start.
    pub cell_offset: usize,
}

/// How far a statement has come, for whoever may run it once more, and for whoever waits.
#[derive(Debug)]
pub struct Marks {
    /// What whoever waits is told.
    pub progress: Progress,
    /// Its transaction has begun; or it may have, where it has none of its own.
    pub begun: Cell<bool>,
    /// The first of its rows is there.
    pub rows_came: Cell<bool>,
    /// Writing its rows into the answer.
    pub encoding: Sampled,
    /// When it was begun, if nothing else is on its connection.
    pub alone_since: Option<Instant>,
}

impl Marks {
    /// Nothing has come of it yet.
    pub fn new(progress: Progress, is_shared: bool) -> Self {
        let (begun, rows_came, encoding) = Default::default();
        Self { progress, begun, rows_came, encoding, alone_since: (!is_shared).then(Instant::now) }
    }
}

/// What was read of a statement.
pub enum Read {
    /// Its answer.
    Answer(Box<Answer>),
    /// Nothing, for it has outgrown what it was taken for: it must be cancelled and run again, held.
    Outgrown,
}

/// A statement's answer.
pub struct Answer {
    /// Its answer, or the first page of it.
    pub outcome: Outcome,
    /// What gives the rest. Its transaction is open then.
    pub rest: Option<Reader>,
    /// What it has left on its connection, if there is no rest.
    pub left: Left,
}

/// Where a statement runs.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// On this connection, on which nothing else runs, unless it is shared.
    pub connection: &'a Connection,
    /// In this mode.
    pub access: AccessMode,
    /// The connection's transactions are READ ONLY even if nobody begins them.
    pub default_read_only: bool,
    /// What the connection leads to, for the log.
    pub target: &'a str,
}

/// How a statement is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From a portal, which gives no more rows than it is asked for.
    Held,
    /// As [`Way::Held`], but to its end at once if it gave little before: that saves a round trip.
    Quick,
    /// To its end at once, on a connection that others use too: only what was cleared before, and leaves nothing. Whatever
    /// error it ends in, it may run again.
    Shared,
}

/// Run `statement` in a transaction of its own. In read-write mode that is committed, unless it has written nothing so
/// far and there is more to read.
///
/// # Errors
/// See [`QueryError`]; nothing of the statement has lasted then, unless the error says that this is unknown.
pub async fn query(
    place: Place<'_>,
    statement: &Reviewed,
    reading: Reading,
    way: Way,
    marks: &Marks,
) -> Result<Read, QueryError> {
    let Place { connection, access, target, .. } = place;
    let run = Run { connection, target };
    let result = async {
        let (mut reader, left) = match (way, statement.cleared()) {
            (Way::Shared, Some(cleared)) => (run.share(cleared, marks).await?, Left::Nothing),
            _ => {
                let limits = (way == Way::Quick && access == AccessMode::ReadOnly).then_some(reading.limits);
                run.begin(statement, place, limits, marks).await?
            }
        };
        let (outcome, has_more) = run.page(&mut reader, access, reading, marks).await?;
        if reader.has_outgrown() {
            return Ok(Read::Outgrown);
        }
        let left = if access == AccessMode::ReadWrite { Left::Committed } else { left };
        Ok(Read::Answer(Box::new(Answer { outcome, rest: has_more.then_some(reader), left })))
    };
    match result.await {
        Err(error) if way == Way::Shared => Err(error),
        // VACUUM, CREATE INDEX CONCURRENTLY, CREATE DATABASE and their like, or a procedure that commits: PostgreSQL
        // refused them before they did anything that the ROLLBACK does not undo. Alone they may run.
        Err(QueryError::Rejected(rejection))
            if access == AccessMode::ReadWrite
                && (rejection.sqlstate == SqlState::ACTIVE_SQL_TRANSACTION.code()
                    || rejection.sqlstate == SqlState::INVALID_TRANSACTION_TERMINATION.code()) =>
        {
            run.rollback().await?;
            // It may commit by itself, whenever it likes.
            marks.progress.makes_last();
            let alone = async { run.alone(statement.clear(connection, target).await?, reading).await };
            let outcome = Box::pin(alone).await?;
            Ok(Read::Answer(Box::new(Answer { outcome, rest: None, left: Left::by_success(access) })))
        }
        Err(error) => Err(Box::pin(run.with_hint(error, statement.sql())).await),
        read => read,
    }
}

/// The next page of a statement, and whether there is more after it.
///
/// # Errors
/// See [`QueryError`]; the transaction is of no more use then.
pub async fn more(
    place: Place<'_>,
    reader: &mut Reader,
    reading: Reading,
    marks: &Marks,
) -> Result<(Outcome, bool), QueryError> {
    let Place { connection, access, target, .. } = place;
    Run { connection, target }.page(reader, access, reading, marks).await
}

/// Run `statements` in one transaction, all or nothing; the answers share the limits of `reading`. `started` and
/// `finished` are called for each in its turn.
///
/// # Errors
/// The index of the statement that failed, or `None` where the transaction itself did.
pub async fn batch(
    place: Place<'_>,
    statements: &[Reviewed],
    mut reading: Reading,
    marks: &Marks,
    mut started: impl FnMut(),
    mut finished: impl FnMut(&Result<Outcome, QueryError>),
) -> Result<Vec<Outcome>, (Option<usize>, QueryError)> {
    let Place { connection, access, default_read_only, target } = place;
    let run = Run { connection, target };
    connection.begin(access, default_read_only).await.map_err(|error| (None, run.wrong(&error, "", Phase::Begin)))?;
    let mut outcomes = Vec::with_capacity(statements.len());
    for (at, statement) in statements.iter().enumerate() {
        marks.progress.statement_of(statements.len());
        started();
        let result = async {
            let (prepared, cleared) = run.prepare_and_clear(statement, None).await?;
            let mut reader = run.open(prepared, cleared).await?;
            reader.page(connection, reading, target, marks).await
        };
        let result = result.await;
        finished(&result);
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(error) => return Err((Some(at), run.with_hint(error, statement.sql()).await)),
        };
        let limits = &mut reading.limits;
        limits.rows_max = limits.rows_max.saturating_sub(outcome.page.rows).max(1);
        limits.bytes_max = limits.bytes_max.saturating_sub(outcome.page.json.len()).max(1);
        outcomes.push(outcome);
    }
    if access == AccessMode::ReadWrite {
        run.commit(marks).await.map_err(|error| (None, error))?;
    }
    Ok(outcomes)
}

struct Run<'a> {
    connection: &'a Connection,
    target: &'a str,
}

impl Run<'_> {
    /// Run `statement` in a transaction, to where its first row is; and what it will leave. In read-only mode nobody ends
    /// the transaction: whoever cleans the connection rolls it back, and no answer waits for that.
    async fn begin(
        &self,
        statement: &Reviewed,
        place: Place<'_>,
        quick_within: Option<Limits>,
        marks: &Marks,
    ) -> Result<(Reader, Left), QueryError> {
        let sql = statement.sql();
        let begin = async {
            self.connection
                .begin(place.access, place.default_read_only)
                .await
                .map_err(|error| self.wrong(&error, "", Phase::Begin))?;
            marks.begun.set(true);
            Ok::<_, QueryError>(())
        };
        let is_small = |prepared: &Prepared| quick_within.is_some_and(|limits| prepared.past.is_small(limits));
        let left = |cleared: Cleared<'_>| match cleared.leaves_nothing() {
            true => Left::Transaction,
            false => Left::by(place.access),
        };
        let kept = self.connection.prepared(sql);
        let was_kept = kept.is_some();
        // Joined, they are sent without waiting for each other.
        let (cleared, opened) = match (kept, statement.cleared()) {
            (Some(prepared), Some(cleared)) if is_small(&prepared) => {
                if cleared.leaves_nothing() && place.default_read_only {
                    // Nothing is answered before it runs.
                    marks.begun.set(true);
                    match self.stream(prepared, cleared).await {
                        Ok(reader) => return Ok((reader, Left::Nothing)),
                        Err(error) => (cleared, Err(error)),
                    }
                } else {
                    let (begun, opened) = join(begin, self.stream(prepared, cleared)).await;
                    begun?;
                    (cleared, opened)
                }
            }
            (Some(prepared), Some(cleared)) => {
                let (begun, opened) = join(begin, self.open(prepared, cleared)).await;
                begun?;
                (cleared, opened)
            }
            (kept, _) => {
                // Boxed, as all that is seldom: the future of every call would have room for it, and is copied about.
                let (begun, both) = join(begin, Box::pin(self.prepare_and_clear(statement, kept))).await;
                begun?;
                let (prepared, cleared) = both?;
                (cleared, self.open(prepared, cleared).await)
            }
        };
        match opened {
            // It was lost (by DEALLOCATE or DISCARD), or its tables are not what they were.
            Err(QueryError::Rejected(_)) if was_kept => {
                self.connection.forget(sql);
                self.rollback().await?;
                let again = self.connection.begin(place.access, place.default_read_only).await;
                again.map_err(|error| self.wrong(&error, "", Phase::Begin))?;
                let prepared = Box::pin(self.prepare(sql)).await?;
                Ok((self.open(prepared, cleared).await?, left(cleared)))
            }
            opened => Ok((opened?, left(cleared))),
        }
    }

    /// Run a statement to its end beside others.
    async fn share(&self, cleared: Cleared<'_>, marks: &Marks) -> Result<Reader, QueryError> {
        let sql = &cleared.statement().sql;
        let prepared = match self.connection.prepared(sql) {
            Some(prepared) => prepared,
            None => Box::pin(self.prepare(sql)).await?,
        };
        marks.begun.set(true);
        self.stream(prepared, cleared).await.inspect_err(|_| self.connection.forget(sql))
    }

    /// Have PostgreSQL and the guard read a statement, at once if that may be.
    async fn prepare_and_clear<'s>(
        &self,
        statement: &'s Reviewed,
        kept: Option<Arc<Prepared>>,
    ) -> Result<(Arc<Prepared>, Cleared<'s>), QueryError> {
        let prepare = async {
            match kept {
                Some(prepared) => Ok(prepared),
                None => self.prepare(statement.sql()).await,
            }
        };
        let clear = statement.clear(self.connection, self.target);
        if statement.must_be_cleared_first() {
            let cleared = clear.await?;
            return Ok((prepare.await?, cleared));
        }
        let (prepared, cleared) = join(prepare, clear).await;
        Ok((prepared?, cleared?))
    }

    /// Have PostgreSQL parse a statement: what its parameters and its columns are is known before anything runs.
    async fn prepare(&self, sql: &Arc<str>) -> Result<Arc<Prepared>, QueryError> {
        let client = self.connection.client();
        let unclear = |error| self.wrong(&error, sql, Phase::Parse);
        let mut statement = client.prepare(sql).await.map_err(unclear)?;
        let columns = statement.columns().iter().map(ColumnInfo::of).collect();
        let mut changes = false;
        if statement.columns().iter().map(Column::type_).chain(statement.params()).any(foreign::has_fields) {
            client.clear_type_cache();
            changes = true;
        }
        if let Some(cast) = foreign::cast(client, sql, statement.columns()).await.map_err(unclear)? {
            statement = client.prepare(&cast).await.map_err(|_| foreign::no_cast(statement.columns()))?;
            changes = true;
        }
        let types: Vec<_> = statement.columns().iter().map(|column| column.type_().clone()).collect();
        let codecs = types.iter().map(Codec::of).collect();
        let prepared =
            Arc::new(Prepared { sql: sql.clone(), statement, columns, types, codecs, past: self.connection.past(sql) });
        if !changes {
            self.connection.keep(prepared.clone());
        }
        Ok(prepared)
    }

    /// Open a portal for a statement.
    async fn open(&self, prepared: Arc<Prepared>, cleared: Cleared<'_>) -> Result<Reader, QueryError> {
        let statement = cleared.statement();
        let parameters = params::convert(&statement.parameters, prepared.statement.params())?;
        let portal = self.connection.bind(cleared, &prepared.statement, &parameters).await;
        let portal = portal.map_err(|error| self.wrong(&error, &statement.sql, Phase::Execute))?;
        Ok(Reader::new(prepared, portal))
    }

    /// Run a statement to its end.
    async fn stream(&self, prepared: Arc<Prepared>, cleared: Cleared<'_>) -> Result<Reader, QueryError> {
        let statement = cleared.statement();
        let parameters = params::convert(&statement.parameters, prepared.statement.params())?;
        let rows = self.connection.stream(cleared, &prepared.statement, &parameters).await;
        let rows = rows.map_err(|error| self.wrong(&error, &statement.sql, Phase::Execute))?;
        Ok(Reader::whole(prepared, rows))
    }

    /// A page, and whether there is more. In read-write mode the transaction is committed when there is not; or when it
    /// has written, since what an answer tells must last.
    async fn page(
        &self,
        reader: &mut Reader,
        access: AccessMode,
        reading: Reading,
        marks: &Marks,
    ) -> Result<(Outcome, bool), QueryError> {
        let outcome = reader.page(self.connection, reading, self.target, marks).await?;
        let mut has_more = outcome.page.cut.is_some() && reader.has_more();
        if access == AccessMode::ReadWrite {
            // While rows are on their way nothing else can be asked on a connection.
            has_more = has_more && reader.rest_of_fetch(self.target).await? && !self.has_written().await?;
            if !has_more {
                reader.abandon();
                self.commit(marks).await?;
            }
        }
        Ok((outcome, has_more))
    }

    async fn commit(&self, marks: &Marks) -> Result<(), QueryError> {
        marks.progress.makes_last();
        let ended = self.connection.client().batch_execute("COMMIT").await;
        ended.map_err(|error| self.wrong(&error, "", Phase::End).unsure(self.target))
    }

    async fn rollback(&self) -> Result<(), QueryError> {
        let ended = self.connection.client().batch_execute("ROLLBACK").await;
        ended.map_err(|error| self.wrong(&error, "", Phase::End))
    }

    /// Whether the transaction has changed anything.
    async fn has_written(&self) -> Result<bool, QueryError> {
        let sql = "SELECT pg_catalog.txid_current_if_assigned() IS NOT NULL";
        let row = self.connection.client().query_typed(sql, &[]).await;
        let row = row.and_then(|rows| rows.first().map_or(Ok(true), |row| row.try_get(0)));
        row.map_err(|error| self.wrong(&error, "", Phase::End))
    }

    /// The same error, with what may have been meant by a table or a column that is not there.
    async fn with_hint(&self, error: QueryError, sql: &str) -> QueryError {
        let QueryError::Rejected(mut rejection) = error else { return error };
        let is_column = rejection.sqlstate == SqlState::UNDEFINED_COLUMN.code();
        if (is_column || rejection.sqlstate == SqlState::UNDEFINED_TABLE.code())
            && rejection.hint.is_none()
            // In a function it is another statement that names it.
            && (rejection.position.is_some() || rejection.context.is_none())
            && self.rollback().await.is_ok()
        {
            // A hint that cannot be had is no second error.
            let client = self.connection.client();
            let hint = match is_column {
                true => nearest::column_hint(client, sql, &rejection).await,
                false => nearest::table_hint(client, sql, &rejection).await,
            };
            rejection.hint = hint.ok().flatten();
        }
        QueryError::Rejected(rejection)
    }

    /// Run a statement outside of any transaction block, reading it to its end. Parts of it may last though it fails.
    async fn alone(&self, cleared: Cleared<'_>, reading: Reading) -> Result<Outcome, QueryError> {
        let statement = cleared.statement();
        let prepared = match self.connection.prepared(&statement.sql) {
            Some(prepared) => prepared,
            None => self.prepare(&statement.sql).await?,
        };
        let wrong = |error| self.wrong(&error, &statement.sql, Phase::Execute).unsure(self.target);
        let parameters = params::convert(&statement.parameters, prepared.statement.params())?;
        let (columns, codecs) = (prepared.columns.clone(), prepared.codecs.clone());
        let mut page = Page::new(columns, codecs, reading.format, reading.limits, reading.cell_offset);
        let foreign = page.foreign_columns();
        let mut held = Vec::new();
        let rows = self.connection.stream(cleared, &prepared.statement, &parameters).await;
        let mut rows = pin!(rows.map_err(wrong)?);
        while let Some(row) = rows.try_next().await.map_err(wrong)? {
            if !foreign.is_empty() {
                // Nothing else can be asked while rows are on their way; but what runs alone has one at most, CALL's.
                held.push(row);
                continue;
            }
            page.push(&row, &[]).map_err(|error| QueryError::undecodable(&error))?;
        }
        let shown = foreign::shown(self.connection.client(), &held, &prepared, &foreign).await.map_err(wrong)?;
        for (row, shown) in held.iter().zip(&shown) {
            page.push(row, shown).map_err(|error| QueryError::undecodable(&error))?;
        }
        Ok(Outcome { page: page.finish(), rows_affected: None })
    }

    fn wrong(&self, error: &tokio_postgres::Error, sql: &str, phase: Phase) -> QueryError {
        QueryError::of(error, sql, phase, self.target)
    }
}
