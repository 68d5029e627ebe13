//! A statement: its text, its kind by the first keyword, and the values of its parameters.

use std::sync::Arc;

use serde_json::Value;

use crate::refusal::{Refusal, Rule};
use crate::session::needs_session;
use crate::sql::Operation;
use crate::unsupported::{Transaction, unsupported};

/// One SQL statement. It is not empty and has no U+0000. It has not been parsed.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    sql: Arc<str>,
    operation: Operation,
    parameters: Vec<Value>,
}

/// Whether statements may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccessMode {
    /// Every statement runs in a READ ONLY transaction that is rolled back.
    ReadOnly,
    /// Every statement runs in a transaction that is committed.
    ReadWrite,
}

impl Statement {
    /// A statement with this text and with the values of `$1 … $n`.
    ///
    /// # Errors
    /// The text has no statement, or it has a character that PostgreSQL's protocol cannot carry.
    pub fn new(sql: impl Into<Arc<str>>, parameters: Vec<Value>) -> Result<Self, Refusal> {
        let sql = sql.into();
        let operation = Operation::of(&sql);
        let refused = |rule, why| Err(Refusal::new(rule, "", why));
        if sql.trim().is_empty() {
            refused(Rule::NoStatement, "The query is empty: give one SQL statement.")
        } else if sql.contains('\0') {
            let why = "The query holds the character U+0000, which PostgreSQL's protocol cannot carry.";
            refused(Rule::NulCharacter, why)
        } else if operation.is_none() {
            refused(Rule::NoStatement, "The query holds only comments: give one SQL statement.")
        } else {
            Ok(Self { sql, operation, parameters })
        }
    }

    /// Checks whether a call can run it at all, in this access mode and in this kind of transaction. It looks only at
    /// the first words and needs no parser and no database. In read-only mode the [`Guard`](crate::Guard) checks the
    /// rest.
    ///
    /// # Errors
    /// What cannot run, and what to do instead.
    pub fn review(&self, access: AccessMode, transaction: Transaction) -> Result<(), Refusal> {
        // A read-only batch accepts no more kinds of statements, so a refusal must not recommend it.
        let transaction = if access == AccessMode::ReadOnly { Transaction::Shared } else { transaction };
        unsupported(&self.sql, self.operation, transaction)
    }

    /// Whether it can run in a session that is lent for one transaction, as poolers do.
    ///
    /// # Errors
    /// What in it needs a session, and what to do instead.
    pub fn review_without_session(&self) -> Result<(), Refusal> {
        needs_session(&self.sql, self.operation)
    }

    /// Its text.
    pub fn sql(&self) -> &Arc<str> {
        &self.sql
    }

    /// The kind, by the first keyword.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// The values of `$1 … $n`.
    pub fn parameters(&self) -> &[Value] {
        &self.parameters
    }
}

impl std::fmt::Display for AccessMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ReadOnly => "read-only",
            Self::ReadWrite => "read-write",
        })
    }
}
