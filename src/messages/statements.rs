//! The messages to the executor of a database, with the replies: one statement, the next page, a batch.

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
    /// Its call.
    pub call: CallContext,
    /// The statement.
    pub statement: Statement,
    /// The limits and the format of the answer.
    pub reading: Reading,
}

/// Reads on after a truncated answer and replies with the next page. Sent by the tool that fetches.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Answered<Outcome>, QueryError>")]
pub struct Fetch {
    /// Its call.
    pub call: CallContext,
    /// The handle of the cursor, from an answer.
    pub cursor: String,
    /// The limits of the page.
    pub limits: Limits,
    /// The format; `None` for that of the page before.
    pub format: Option<Format>,
}

/// Opens the first connections of a database that is not served yet, and replies whether that worked. Sent by the owner of the
/// set of databases, and again for each further try.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Result<(), OpenFailure>")]
pub struct OpenPool;

/// Why a database cannot be served yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenFailure {
    /// The reason, for the people who may see the health of the server. It names no host, user or password; those are in the
    /// log.
    pub why: String,
    /// Whether a later try may work without a change. A refusal (a wrong password) stays a refusal, and trying again may lock
    /// the account.
    pub is_retryable: bool,
}

/// Closes all cursors and allows no new ones. Sent when the process ends, or when the database is removed.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct CloseCursors;

/// Closes the cursors of a client, which no other client may use. Sent by the session of the client when it ends, unless the
/// client is anonymous.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct CloseCursorsOf {
    pub client: Arc<str>,
}

/// Runs statements in one transaction, all or nothing, and replies with what each did.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Answered<Vec<Outcome>>, BatchError>")]
pub struct Batch {
    /// Its call.
    pub call: CallContext,
    /// The statements, in this order. Never empty.
    pub statements: Vec<Statement>,
    /// The limits for all answers together, and their format.
    pub reading: Reading,
}

/// An answer, with how it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered<T> {
    pub answer: T,
    /// The time from the arrival of the message to the answer, waiting included.
    pub took: Duration,
    /// The generation of the pool that it ran on.
    pub generation: u64,
    /// The cursor to read on with, if the answer was truncated.
    pub cursor: Option<Cursor>,
}

/// A statement whose next rows can be read by [`Fetch`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Its name, which nobody can guess.
    pub handle: String,
    /// How long it stays open after the answer.
    pub lifetime: Duration,
}

/// Why a batch has changed nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchError {
    /// The number of the statement that failed, from 1. `None` if the transaction itself failed.
    pub statement: Option<usize>,
    pub error: QueryError,
}
