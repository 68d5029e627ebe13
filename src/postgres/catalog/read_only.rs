//! Finds why PostgreSQL refuses a write in read-write mode.

use tokio_postgres::{Client, Error, Row};

use super::{CatalogQuery, CatalogRow, TypedParameter, ask, settings};

/// Asks whether the server is a standby, and what the default of transactions is.
#[derive(Debug, Clone, Copy)]
struct ReadOnly;

struct ReadOnlyRow {
    is_standby: bool,
    is_default: bool,
    source: String,
}

impl CatalogQuery for ReadOnly {
    const NAME: &'static str = "read_only";
    const SQL: &'static str = include_str!("read_only.sql");
    type Row = ReadOnlyRow;

    fn parameters(&self) -> Vec<TypedParameter> {
        Vec::new()
    }
}

impl CatalogRow for ReadOnlyRow {
    fn read(row: &Row) -> Result<Self, Error> {
        let (is_standby, is_default) = (row.try_get("is_standby")?, row.try_get("is_default")?);
        Ok(Self { is_standby, is_default, source: row.try_get("source")? })
    }
}

/// The hint for a write that was refused (SQLSTATE 25006) though this server is in read-write mode.
pub async fn hint(client: &Client) -> Result<Option<String>, Error> {
    Ok(ask(client, &ReadOnly).await?.first().map(|row| match row {
        ReadOnlyRow { is_standby: true, .. } => "PostgreSQL is a standby here, which can only be read. Writes go to the \
                                                 primary: the operator sets POSTGRES_HOST to it, or lists all hosts with \
                                                 POSTGRES_TARGET_SESSION_ATTRS=read-write."
            .to_owned(),
        ReadOnlyRow { is_default: true, source, .. } => format!(
            "Transactions are read-only by default here: default_transaction_read_only is on, set {}. Only whoever set it \
             can allow writes.",
            settings::set_by(source)
        ),
        _ => "The transaction was made read-only inside PostgreSQL, by a function or a statement of the batch.".to_owned(),
    }))
}
