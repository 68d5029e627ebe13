//! A statement that PostgreSQL has parsed: what it takes, what it gives, and how it went before.

use std::sync::Arc;

use pg_guard::sql::Operation;
use pg_render::Codec;
use tokio_postgres::Statement;
use tokio_postgres::types::Type;

use super::history::Past;
use super::statement::ColumnInfo;

/// A statement that PostgreSQL has parsed.
pub struct Prepared {
    pub sql: Arc<str>,
    pub operation: Operation,
    /// The driver's handle; PostgreSQL forgets the statement when the last is dropped.
    pub statement: Statement,
    /// The columns of its rows.
    pub columns: Arc<[ColumnInfo]>,
    /// The types their values come in: others than the columns' own where a cast stands between.
    pub types: Vec<Type>,
    /// What reads those.
    pub codecs: Arc<[Codec]>,
    /// How it went when it ran before, on whatever connection.
    pub past: Arc<Past>,
}
