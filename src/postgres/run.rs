//! Running statements: the transaction around them, the portal they are read from, the page they fill.
//!
//! A statement of the user goes by the extended protocol (manual, section 55.2.3) and no other way, which takes one
//! statement and no more; the simple protocol (`simple_query`, `batch_execute`) carries only texts of our own.
//! In read-only mode everything runs in a READ ONLY transaction that ends in ROLLBACK.

use std::pin::pin;
use std::sync::Arc;

use futures_util::TryStreamExt;
use serde_json::Value;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{Kind, Type};
use tokio_postgres::{Client, Column, Row, RowStream, Transaction};

use super::error::{Phase, QueryError};
use super::foreign;
use super::nearest;
use super::page::{ColumnInfo, FinishedPage, Format, Limits, Page};
use super::params;
use super::sql::Operation;
use crate::settings::AccessMode;

/// One statement to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// Its text.
    pub sql: Arc<str>,
    /// The values of `$1 … $n`.
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

/// How many rows the first fetch of a portal asks for, when more are wanted: enough for most answers, and little
/// when each row is large.
const FIRST_FETCH_ROWS: usize = 128;

/// The row count of an Execute message that asks for all there are (manual, section 55.7).
const ALL_ROWS: usize = 0;

/// How a statement is to be read.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// What the answer may hold.
    pub limits: Limits,
    /// How its text is laid out.
    pub format: Format,
}

/// Run `statement` in a transaction of its own; `started` is called when that has begun.
///
/// # Errors
/// See [`QueryError`]; nothing of the statement has lasted then, unless the error says that this is unknown.
pub async fn query(
    client: &mut Client,
    statement: &Statement,
    access: AccessMode,
    reading: Reading,
    target: &str,
    started: impl FnOnce(),
) -> Result<Outcome, QueryError> {
    refuse(statement, access)?;
    let run = Run { target, reading };
    let sql = &statement.sql;
    let transaction = run.begin(client, access).await?;
    started();
    match run.portal(&transaction, statement).await {
        Ok(outcome) => {
            run.end(transaction, access).await?;
            Ok(outcome)
        }
        // VACUUM, CREATE INDEX CONCURRENTLY, CREATE DATABASE and their like, or a procedure that commits: PostgreSQL
        // refused them before they did anything that the ROLLBACK does not undo. Alone they may run.
        Err(QueryError::Rejected(rejection))
            if access == AccessMode::ReadWrite
                && (rejection.sqlstate == SqlState::ACTIVE_SQL_TRANSACTION.code()
                    || rejection.sqlstate == SqlState::INVALID_TRANSACTION_TERMINATION.code()) =>
        {
            transaction.rollback().await.map_err(|error| QueryError::of(&error, sql, Phase::End, target))?;
            run.alone(client, statement).await
        }
        Err(error) => {
            drop(transaction);
            Err(with_hint(error, client, sql).await)
        }
    }
}

/// Run `statements` in one transaction, all or nothing; the answers share the limits of `reading`. `started` and
/// `finished` are called for each in its turn.
///
/// # Errors
/// The index of the statement that failed, or `None` where the transaction itself did.
pub async fn batch(
    client: &mut Client,
    statements: &[Statement],
    access: AccessMode,
    reading: Reading,
    target: &str,
    mut started: impl FnMut(),
    mut finished: impl FnMut(&Result<Outcome, QueryError>),
) -> Result<Vec<Outcome>, (Option<usize>, QueryError)> {
    let mut run = Run { target, reading };
    let transaction = run.begin(client, access).await.map_err(|error| (None, error))?;
    let mut outcomes = Vec::with_capacity(statements.len());
    for (at, statement) in statements.iter().enumerate() {
        started();
        let result = match refuse(statement, access) {
            Ok(()) => run.portal(&transaction, statement).await,
            Err(error) => Err(error),
        };
        finished(&result);
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(error) => {
                drop(transaction);
                return Err((Some(at), with_hint(error, client, &statement.sql).await));
            }
        };
        let limits = &mut run.reading.limits;
        limits.rows_max = limits.rows_max.saturating_sub(outcome.page.rows).max(1);
        limits.bytes_max = limits.bytes_max.saturating_sub(outcome.page.json.len()).max(1);
        outcomes.push(outcome);
    }
    run.end(transaction, access).await.map_err(|error| (None, error))?;
    Ok(outcomes)
}

/// In a READ ONLY transaction PostgreSQL 15 lets RESET transaction_read_only through, and any SET of it that comes
/// before the first query: what follows in the same transaction could write then.
fn refuse(statement: &Statement, access: AccessMode) -> Result<(), QueryError> {
    match (access, Operation::of(&statement.sql)) {
        (AccessMode::ReadOnly, operation @ (Operation::SET | Operation::RESET)) => Err(QueryError::Refused {
            why: format!(
                "{operation} is not accepted in read-only mode: it could end that mode for the statements after it. \
                 A setting holds for one call only; to read one, use SHOW. \
                 The operator can allow writes, and with them {operation}, by MCP_ACCESS_MODE=read-write."
            ),
        }),
        _ => Ok(()),
    }
}

/// The same error, with what may have been meant by a table that is not there. The transaction is over.
async fn with_hint(error: QueryError, client: &Client, sql: &str) -> QueryError {
    let QueryError::Rejected(mut rejection) = error else { return error };
    if rejection.sqlstate == SqlState::UNDEFINED_TABLE.code()
        && rejection.hint.is_none()
        && let Some(position) = &rejection.position
    {
        // A hint that cannot be had is no second error.
        rejection.hint = nearest::hint(client, sql, position.character).await.ok().flatten();
    }
    QueryError::Rejected(rejection)
}

struct Run<'a> {
    target: &'a str,
    reading: Reading,
}

impl Run<'_> {
    async fn begin<'c>(&self, client: &'c mut Client, access: AccessMode) -> Result<Transaction<'c>, QueryError> {
        let mut builder = client.build_transaction();
        if access == AccessMode::ReadOnly {
            builder = builder.read_only(true);
        }
        builder.start().await.map_err(|error| QueryError::of(&error, "", Phase::Begin, self.target))
    }

    async fn end(&self, transaction: Transaction<'_>, access: AccessMode) -> Result<(), QueryError> {
        match access {
            // Its drop sends ROLLBACK; the answer does not wait for it.
            AccessMode::ReadOnly => drop(transaction),
            AccessMode::ReadWrite => transaction
                .commit()
                .await
                .map_err(|error| QueryError::of(&error, "", Phase::End, self.target).unsure(self.target))?,
        }
        Ok(())
    }

    /// Run a statement through a portal, fetching no more than the page takes.
    async fn portal(&self, transaction: &Transaction<'_>, statement: &Statement) -> Result<Outcome, QueryError> {
        let sql = &*statement.sql;
        let unclear = |error| self.wrong(&error, sql, Phase::Parse);
        let wrong = |error| self.wrong(&error, sql, Phase::Execute);
        // Preparing tells the parameters' types and the columns' before anything runs.
        let mut prepared = transaction.prepare(sql).await.map_err(unclear)?;
        if prepared.columns().iter().map(Column::type_).chain(prepared.params()).any(has_fields) {
            // The driver would remember the fields for as long as the connection lives, and ALTER TABLE changes them.
            transaction.client().clear_type_cache();
        }
        let columns = prepared.columns().iter().map(ColumnInfo::of).collect();
        if let Some(cast) = foreign::cast(transaction, sql, prepared.columns()).await.map_err(unclear)? {
            prepared = transaction.prepare(&cast).await.map_err(|_| foreign::no_cast(prepared.columns()))?;
        }
        let parameters = params::convert(&statement.parameters, prepared.params())?;
        let portal = transaction.bind_raw(&prepared, &parameters).await.map_err(wrong)?;

        let operation = Operation::of(sql);
        let types: Vec<Type> = prepared.columns().iter().map(|column| column.type_().clone()).collect();
        let mut page = Page::new(columns, &types, self.reading.format, self.reading.limits);
        let foreign = page.foreign_columns();
        let mut fetch = FIRST_FETCH_ROWS.min(page.rows_left() + 1);
        let mut rows_read = 0;
        let command_rows = loop {
            let mut rows = pin!(transaction.query_portal_raw(&portal, as_count(fetch)).await.map_err(wrong)?);
            if foreign.is_empty() {
                while let Some(row) = rows.try_next().await.map_err(wrong)? {
                    rows_read += 1;
                    page.push(&row, &[]).map_err(|error| refused(&error))?;
                    if page.is_cut() && !operation.changes_rows() {
                        break;
                    }
                }
            } else {
                let fetched = drain(rows.as_mut()).await.map_err(wrong)?;
                rows_read += fetched.len() as u64;
                let shown = foreign::texts(transaction, &fetched, &types, &foreign).await.map_err(wrong)?;
                for (row, shown) in fetched.iter().zip(&shown) {
                    page.push(row, shown).map_err(|error| refused(&error))?;
                }
            }
            if let Some(count) = rows.rows_affected() {
                // Of RETURNING the tag counts the rows of this fetch alone.
                break Some(if types.is_empty() { count } else { rows_read });
            }
            fetch = match (page.is_cut(), operation.changes_rows()) {
                // One row more than there is room for shows whether there is more.
                (false, _) => page.rows_left_by_bytes().unwrap_or(1).min(page.rows_left()) + 1,
                (true, false) => break None,
                // It has changed all its rows before its portal gave the first; how many is known when all are read.
                (true, true) => ALL_ROWS,
            };
        };
        let counts = operation.changes_rows() || (operation.as_str() == "WITH" && types.is_empty());
        Ok(Outcome { page: page.finish(), rows_affected: command_rows.filter(|_| counts) })
    }

    /// Run a statement outside of any transaction block, reading it to its end. Parts of it may last though it fails.
    async fn alone(&self, client: &Client, statement: &Statement) -> Result<Outcome, QueryError> {
        let sql = &*statement.sql;
        let prepared = client.prepare(sql).await.map_err(|error| self.wrong(&error, sql, Phase::Parse))?;
        let wrong = |error| self.wrong(&error, sql, Phase::Execute).unsure(self.target);
        let parameters = params::convert(&statement.parameters, prepared.params())?;
        let columns = prepared.columns().iter().map(ColumnInfo::of).collect();
        let types: Vec<Type> = prepared.columns().iter().map(|column| column.type_().clone()).collect();
        let mut page = Page::new(columns, &types, self.reading.format, self.reading.limits);
        let mut rows = pin!(client.query_raw(&prepared, &parameters).await.map_err(wrong)?);
        while let Some(row) = rows.try_next().await.map_err(wrong)? {
            page.push(&row, &[]).map_err(|error| refused(&error))?;
        }
        Ok(Outcome { page: page.finish(), rows_affected: None })
    }

    fn wrong(&self, error: &tokio_postgres::Error, sql: &str, phase: Phase) -> QueryError {
        QueryError::of(error, sql, phase, self.target)
    }
}

/// Whether a composite type is in this one.
fn has_fields(ty: &Type) -> bool {
    match ty.kind() {
        Kind::Composite(_) => true,
        Kind::Array(inner) | Kind::Domain(inner) | Kind::Range(inner) | Kind::Multirange(inner) => has_fields(inner),
        _ => false,
    }
}

async fn drain(rows: std::pin::Pin<&mut RowStream>) -> Result<Vec<Row>, tokio_postgres::Error> {
    let mut rows = rows;
    let mut all = Vec::new();
    while let Some(row) = rows.try_next().await? {
        all.push(row);
    }
    Ok(all)
}

fn refused(error: &super::encode::DecodeError) -> QueryError {
    QueryError::Refused {
        why: format!("The answer cannot be shown: {error}. Cast that column to text (column::text)."),
    }
}

fn as_count(rows: usize) -> i32 {
    i32::try_from(rows).unwrap_or(i32::MAX)
}
