//! The tools that run statements: one ([`execute`]), several in one transaction ([`batch`]), and the next rows of an answer
//! that was cut ([`fetch`]). `page` writes their rows, `notes` says what was cut.

use pg_guard::{Statement, Transaction};
use serde_json::Value;

use crate::postgres::error::QueryError;
use crate::settings::AccessMode;

pub(super) mod batch;
pub(super) mod execute;
pub(super) mod fetch;
mod notes;
mod page;

/// The statement of that text, if a call can run it in this mode and in such a transaction.
fn statement(
    sql: String,
    parameters: Vec<Value>,
    access: AccessMode,
    transaction: Transaction,
) -> Result<Statement, QueryError> {
    let statement = Statement::new(sql, parameters)?;
    statement.review(access, transaction)?;
    Ok(statement)
}
