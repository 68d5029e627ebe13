//! This server's own queries of PostgreSQL's catalogs. The SQL of each query is in a file of this folder, and its rows
//! have a type.
//!
//! A query runs by the message `Inspect`, as a call of its own; or by [`ask`], on the connection of the call that needs
//! the answer.

use std::sync::Arc;

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row};

use super::error::{Phase, QueryError};

pub mod blockers;
pub mod extensions;
pub mod limit;
pub mod nearest;
pub mod read_only;
pub mod role;
pub mod server;
pub mod settings;

/// A query of the catalogs. The fields of the type are the parameters of the query.
pub trait CatalogQuery {
    /// Its name in the log and in the metrics.
    const NAME: &'static str;

    /// The SQL: one statement that only reads, leaves nothing on its connection, and has a LIMIT.
    const SQL: &'static str;

    /// The type of its rows.
    type Row: CatalogRow;

    /// The values of `$1 … $n`, each with its type.
    fn parameters(&self) -> Vec<TypedParameter>;
}

/// One row of a catalog query, with typed fields.
pub trait CatalogRow: Sized {
    /// Read the fields from the driver's row.
    ///
    /// # Errors
    /// The error of the driver, if a column is missing or has another type.
    fn read(row: &Row) -> Result<Self, Error>;
}

/// A parameter of a catalog query.
pub type TypedParameter = (Box<dyn ToSql + Send + Sync>, Type);

/// A catalog query with its parameters, without its type: a message can carry it to the executor.
#[derive(Debug)]
pub struct BoundQuery {
    /// The name in the log and in the metrics.
    pub name: &'static str,
    pub sql: Arc<str>,
    /// The values of `$1 … $n`, each with its type.
    pub parameters: Vec<TypedParameter>,
}

impl BoundQuery {
    /// Takes the text and the parameters of that query.
    pub fn of<Q: CatalogQuery>(query: &Q) -> Self {
        Self { name: Q::NAME, sql: Q::SQL.into(), parameters: query.parameters() }
    }

    /// The parameters in the form that the driver expects.
    pub(super) fn parameters(&self) -> impl Iterator<Item = (&(dyn ToSql + Sync), Type)> {
        self.parameters.iter().map(|(value, of)| (&**value as &(dyn ToSql + Sync), of.clone()))
    }
}

/// The rows that a catalog query returned.
#[derive(Debug, Default)]
pub struct CatalogRows {
    /// The rows of the driver; [`rows`] converts them to their type.
    pub rows: Vec<Row>,
    /// Their size in bytes, as PostgreSQL sent them.
    pub bytes: usize,
    /// Whether there are more rows than the limits allow.
    pub is_cut: bool,
}

/// Converts the rows of a query of type `Q`.
///
/// # Errors
/// A row does not have the columns that the query promises.
pub fn rows<Q: CatalogQuery>(rows: &[Row]) -> Result<Vec<Q::Row>, QueryError> {
    // No target is named: it is in the log of the statement.
    rows.iter()
        .map(Q::Row::read)
        .collect::<Result<_, _>>()
        .map_err(|error| QueryError::of(&error, Q::SQL, Phase::Encode, ""))
}

/// Run the query on a connection that a call already has.
///
/// # Errors
/// The error of the driver.
pub async fn ask<Q: CatalogQuery>(client: &Client, query: &Q) -> Result<Vec<Q::Row>, Error> {
    let bound = BoundQuery::of(query);
    let parameters: Vec<_> = bound.parameters().collect();
    client.query_typed(&bound.sql, &parameters).await?.iter().map(Q::Row::read).collect()
}
