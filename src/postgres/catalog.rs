//! Questions of our own to PostgreSQL's catalogs: the SQL of each is in a file beside this one, and its rows have a type.
//!
//! A question is asked by the message `Inspect`, as a call of its own, or on the connection of the call that it is about
//! ([`ask`]).

use std::sync::Arc;

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row};

use super::error::{Phase, QueryError};

pub mod extensions;
pub mod nearest;
pub mod role;
pub mod server;

/// A question to the catalogs. Its fields are its parameters.
pub trait Question {
    /// What the log and the metrics call it.
    const NAME: &'static str;

    /// Its text: one statement, which reads and leaves nothing on its connection, and bounds its rows by a LIMIT.
    const SQL: &'static str;

    /// What it is answered.
    type Row: CatalogRow;

    /// The values of `$1 … $n`, each with its type.
    fn parameters(&self) -> Vec<Parameter>;
}

/// A row of an answer.
pub trait CatalogRow: Sized {
    /// Read it from PostgreSQL's row.
    ///
    /// # Errors
    /// The driver's, of a column that is not there or is of another type.
    fn read(row: &Row) -> Result<Self, Error>;
}

/// A parameter of a question.
pub type Parameter = (Box<dyn ToSql + Send + Sync>, Type);

/// A question that can be sent to whoever has a connection.
#[derive(Debug)]
pub struct Asked {
    /// What the log and the metrics call it.
    pub name: &'static str,
    /// Its text.
    pub sql: Arc<str>,
    /// The values of `$1 … $n`, each with its type.
    pub parameters: Vec<Parameter>,
}

impl Asked {
    /// That question.
    pub fn of<Q: Question>(question: &Q) -> Self {
        Self { name: Q::NAME, sql: Q::SQL.into(), parameters: question.parameters() }
    }

    /// Its parameters, as the driver takes them.
    pub(super) fn parameters(&self) -> impl Iterator<Item = (&(dyn ToSql + Sync), Type)> {
        self.parameters.iter().map(|(value, of)| (&**value as &(dyn ToSql + Sync), of.clone()))
    }
}

/// What a question was answered.
#[derive(Debug, Default)]
pub struct Inspected {
    /// The rows; [`rows`] gives them their type.
    pub rows: Vec<Row>,
    /// Their size, as PostgreSQL sends them.
    pub bytes: usize,
    /// There are more than the limits allowed.
    pub is_cut: bool,
}

/// The typed rows of the answer to a question of that type.
///
/// # Errors
/// A row is not what the question promises.
pub fn rows<Q: Question>(rows: &[Row]) -> Result<Vec<Q::Row>, QueryError> {
    // It names no target: that is in the log of the statement.
    rows.iter()
        .map(Q::Row::read)
        .collect::<Result<_, _>>()
        .map_err(|error| QueryError::of(&error, Q::SQL, Phase::Encode, ""))
}

/// Ask on that connection, as a part of what it is used for.
///
/// # Errors
/// The driver's.
pub async fn ask<Q: Question>(client: &Client, question: &Q) -> Result<Vec<Q::Row>, Error> {
    let asked = Asked::of(question);
    let parameters: Vec<_> = asked.parameters().collect();
    client.query_typed(&asked.sql, &parameters).await?.iter().map(Q::Row::read).collect()
}
