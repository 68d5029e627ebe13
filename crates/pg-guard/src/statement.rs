//! A statement: its text, what kind it is by its first keyword, and the values of its parameters.

use std::sync::Arc;

use serde_json::Value;

use crate::refusal::{Refusal, Rule};
use crate::session::needs_session;
use crate::sql::Operation;
use crate::unsupported::{Transaction, unsupported};

/// One statement to run. It is not empty and holds no U+0000; more is not known of it yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    sql: Arc<str>,
    operation: Operation,
    parameters: Vec<Value>,
}

/// Whether statements may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessMode {
    /// Every statement runs in a READ ONLY transaction that is rolled back.
    ReadOnly,
    /// Every statement runs in a transaction that is committed.
    ReadWrite,
}

impl Statement {
    /// The statement of this text, with the values of `$1 … $n`.
    ///
    /// # Errors
    /// There is no statement in the text, or a character that PostgreSQL's protocol cannot carry.
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

    /// Whether a call can run it at all, in this mode and in such a transaction: what can be said by its first words,
    /// without a parser and a database. In read-only mode the [`Guard`](crate::Guard) says more, in its own words.
    ///
    /// # Errors
    /// What cannot be run so, and what to do instead.
    pub fn review(&self, access: AccessMode, transaction: Transaction) -> Result<(), Refusal> {
        // In read-only mode a batch takes no more than a query, so there is nothing to be referred to.
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

    /// What kind it is, by its first keyword.
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
