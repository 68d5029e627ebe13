//! Which extensions a database has.

use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};

use super::{CatalogQuery, CatalogRow, TypedParameter};

/// Asks which of these extensions are installed.
#[derive(Debug, Clone)]
pub struct Extensions {
    pub names: Vec<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtensionsRow {
    pub name: String,
}

impl CatalogQuery for Extensions {
    const NAME: &'static str = "extensions";
    const SQL: &'static str = include_str!("extensions.sql");
    type Row = ExtensionsRow;

    fn parameters(&self) -> Vec<TypedParameter> {
        let rows_max = self.names.len() as i64;
        vec![(Box::new(self.names.clone()), Type::NAME_ARRAY), (Box::new(rows_max), Type::INT8)]
    }
}

impl CatalogRow for ExtensionsRow {
    fn read(row: &Row) -> Result<Self, Error> {
        Ok(Self { name: row.try_get("name")? })
    }
}
