//! Finds who has set the time limit that ended a statement.

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Row};

use super::{CatalogQuery, CatalogRow, TypedParameter, ask, settings};

/// Asks for a time limit of PostgreSQL, if this server has not set it itself in the session.
#[derive(Debug, Clone, Copy)]
struct Limit {
    name: &'static str,
}

struct LimitRow {
    value: String,
    source: String,
}

impl CatalogQuery for Limit {
    const NAME: &'static str = "limit";
    const SQL: &'static str = include_str!("limit.sql");
    type Row = LimitRow;

    fn parameters(&self) -> Vec<TypedParameter> {
        vec![(Box::new(self.name), Type::TEXT)]
    }
}

impl CatalogRow for LimitRow {
    fn read(row: &Row) -> Result<Self, Error> {
        Ok(Self { value: row.try_get("value")?, source: row.try_get("source")? })
    }
}

/// `the lock_timeout of 1s, set for this role (ALTER ROLE … SET)`, if this server has not set that limit itself.
pub async fn whose(client: &Client, name: &'static str) -> Result<Option<String>, Error> {
    let limits = ask(client, &Limit { name }).await?;
    let words =
        |LimitRow { value, source }: &LimitRow| format!("the {name} of {value}, set {}", settings::set_by(source));
    Ok(limits.first().map(words))
}
