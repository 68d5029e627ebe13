//! Finds who holds the lock that a statement waits for.

use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};

use super::{CatalogQuery, CatalogRow, TypedParameter};
use crate::postgres::error::Blocker;

/// Asks which backends another backend waits for.
#[derive(Debug, Clone, Copy)]
pub struct Blockers {
    /// The process of the backend that waits.
    pub pid: i32,
}

impl CatalogQuery for Blockers {
    const NAME: &'static str = "blockers";
    const SQL: &'static str = include_str!("blockers.sql");
    type Row = Blocker;

    fn parameters(&self) -> Vec<TypedParameter> {
        vec![(Box::new(self.pid), Type::INT4)]
    }
}

impl CatalogRow for Blocker {
    fn read(row: &Row) -> Result<Self, Error> {
        Ok(Self { pid: row.try_get("pid")?, state: row.try_get("state")?, seconds: row.try_get("seconds")? })
    }
}
