//! What is asked of a database's executor: one statement, the next page, a batch; and what it replies.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use pg_guard::Statement;

use super::call::CallContext;
use crate::postgres::error::QueryError;
use crate::postgres::statement::{Format, Limits, Outcome, Reading};

/// Runs one statement and replies with its rows. Sent by every tool that reads or writes.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Answered<Outcome>, QueryError>")]
pub struct Query {
    /// The call that it is a part of.
    pub call: CallContext,
    /// What to run.
    pub statement: Statement,
    /// What the answer may hold and how it is laid out.
    pub reading: Reading,
}

/// Reads on where an answer was cut and replies with the next page. Sent by the tool that fetches.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Answered<Outcome>, QueryError>")]
pub struct Fetch {
    /// The call that it is a part of.
    pub call: CallContext,
    /// The cursor's handle, as an answer gave it.
    pub cursor: String,
    /// What the page may hold.
    pub limits: Limits,
    /// How it is laid out; `None` as the page before it.
    pub format: Option<Format>,
}

/// Opens the first connections of a database that is not served yet, and replies whether that worked. Sent by the owner of
/// the set of databases, once more for each further try.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Result<(), OpenFailure>")]
pub struct OpenPool;

/// Why a database cannot be served yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenFailure {
    /// For whoever may look at the health of the server: without host, user and password, which are in the log.
    pub why: String,
    /// Whether it may work later though nobody changes anything. What was refused (a wrong password) will not, and asking
    /// again may lock the account.
    pub is_retryable: bool,
}

/// Closes every cursor, and lets no further one be opened. Sent when the process ends, or when the database is removed.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct CloseCursors;

/// Closes a client's cursors: nobody else may read them on. Sent by its session when that ends.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct CloseCursorsOf {
    pub client: Arc<str>,
}

/// Runs statements in one transaction, all or nothing, and replies with what each did.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Answered<Vec<Outcome>>, BatchError>")]
pub struct Batch {
    /// The call that it is a part of.
    pub call: CallContext,
    /// What to run, in this order; never empty.
    pub statements: Vec<Statement>,
    /// What all answers together may hold, and how they are laid out.
    pub reading: Reading,
}

/// An answer, with what ran it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered<T> {
    pub answer: T,
    /// From the message's arrival to the answer, waiting included.
    pub took: Duration,
    /// The generation of the pool that it ran on.
    pub generation: u64,
    /// How to read on, where it was cut.
    pub cursor: Option<Cursor>,
}

/// A statement that waits to be read on, by [`Fetch`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// What it is called by; nobody can guess it.
    pub handle: String,
    /// How long it waits, from the answer on.
    pub lifetime: Duration,
}

/// Why a batch did nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchError {
    /// The number of the statement that failed, from 1; `None` if it was the transaction itself.
    pub statement: Option<usize>,
    pub error: QueryError,
}
