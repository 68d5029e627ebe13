//! A question of our own to the catalogs.

use std::pin::pin;

use futures_util::TryStreamExt as _;
use futures_util::future::join;
use pg_guard::Clearance;
use tokio_postgres::types::{ToSql, Type};

use super::super::catalog::{Asked, Inspected};
use super::super::connection::ExecTarget;
use super::super::error::{Phase, QueryError};
use super::super::statement::Limits;
use super::{Run, RunProgress};

/// Ask PostgreSQL that in a READ ONLY transaction, whose end is the caller's. No more rows are read than the limits allow;
/// if there are more, the statement must be cancelled.
///
/// # Errors
/// See [`QueryError`].
pub async fn inspect(
    target: ExecTarget<'_>,
    asked: &Asked,
    limits: Limits,
    progress: &RunProgress,
) -> Result<Inspected, QueryError> {
    let run = Run { target, progress };
    // A text of ours is not for the guard to clear.
    let clearance = Clearance { access: target.access, only_reads: true, leaves_nothing: true };
    let wrong = |error: &tokio_postgres::Error| {
        let phase = if progress.rows_came.get() { Phase::Fetch } else { Phase::Execute };
        run.wrong(error, &asked.sql, phase)
    };
    let parameters: Vec<(&(dyn ToSql + Sync), Type)> = asked.parameters().collect();
    let rows = target.connection.client().query_typed_raw(&asked.sql, parameters);
    // Joined, they are sent without waiting for each other.
    let (begun, rows) = join(run.transaction(clearance), rows).await;
    begun?;
    let mut rows = pin!(rows.map_err(|error| wrong(&error))?);
    let mut inspected = Inspected::default();
    while let Some(row) = rows.try_next().await.map_err(|error| wrong(&error))? {
        progress.rows_came.set(true);
        let bytes = row.raw_size_bytes();
        if inspected.rows.len() == limits.rows_max || inspected.bytes + bytes > limits.bytes_max {
            inspected.is_cut = true;
            break;
        }
        progress.call.rows(1, bytes);
        inspected.bytes += bytes;
        inspected.rows.push(row);
    }
    Ok(inspected)
}
