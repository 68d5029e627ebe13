//! A statement that PostgreSQL has parsed: its parameters, its columns and the size of its earlier results.

use std::sync::Arc;

use pg_guard::sql::Operation;
use pg_render::Codec;
use tokio_postgres::Statement;
use tokio_postgres::types::Type;

use super::history::PastSize;
use super::statement::ColumnInfo;

/// A statement that PostgreSQL has parsed.
pub struct Prepared {
    pub sql: Arc<str>,
    pub operation: Operation,
    /// The driver's handle; PostgreSQL drops the statement with its last clone.
    pub statement: Statement,
    /// The columns of its rows.
    pub columns: Arc<[ColumnInfo]>,
    /// The types of the values that PostgreSQL sends; they differ from the columns' own types where a cast was added.
    pub types: Vec<Type>,
    /// The codecs of these types.
    pub codecs: Arc<[Codec]>,
    /// The size of its earlier results on any connection.
    pub past_size: Arc<PastSize>,
}
