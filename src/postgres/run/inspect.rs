//! Runs this server's own catalog queries.

use std::pin::pin;

use futures_util::TryStreamExt as _;
use futures_util::future::join;
use pg_guard::Clearance;
use tokio_postgres::types::{ToSql, Type};

use super::super::catalog::{BoundQuery, CatalogRows};
use super::super::connection::ExecTarget;
use super::super::error::{Phase, QueryError};
use super::super::statement::Limits;
use super::{Run, RunProgress};

/// Run a catalog query in a READ ONLY transaction, which the caller must end. No more rows are read than the limits
/// allow; if there are more, the caller must cancel the statement.
///
/// # Errors
/// See [`QueryError`].
pub async fn inspect(
    target: ExecTarget<'_>,
    query: &BoundQuery,
    limits: Limits,
    progress: &RunProgress,
) -> Result<CatalogRows, QueryError> {
    let run = Run { target, progress };
    // The guard does not check SQL of this server.
    let clearance = Clearance { access: target.access, only_reads: true, leaves_no_state: true };
    let to_error = |error: &tokio_postgres::Error| {
        let phase = if progress.rows_came.get() { Phase::Fetch } else { Phase::Execute };
        run.error(error, &query.sql, phase)
    };
    let parameters: Vec<(&(dyn ToSql + Sync), Type)> = query.parameters().collect();
    let rows = target.connection.client().query_typed_raw(&query.sql, parameters);
    // Joined, both are sent without waiting for each other.
    let (begun, rows) = join(run.transaction(clearance), rows).await;
    begun?;
    let mut rows = pin!(rows.map_err(|error| to_error(&error))?);
    let mut found = CatalogRows::default();
    while let Some(row) = rows.try_next().await.map_err(|error| to_error(&error))? {
        progress.rows_came.set(true);
        let bytes = row.raw_size_bytes();
        if found.rows.len() == limits.rows_max || found.bytes + bytes > limits.bytes_max {
            found.is_cut = true;
            break;
        }
        progress.call.rows(1, bytes);
        found.bytes += bytes;
        found.rows.push(row);
    }
    Ok(found)
}
