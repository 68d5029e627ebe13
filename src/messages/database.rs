//! A database, as those who ask it know it: by the messages that its executor hears, and by what that says of itself.

use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::watch;

use super::statements::{Batch, CloseCursorsOf, Fetch, Query};
use crate::postgres::catalog::role::Finding;
use crate::settings::AccessMode;

/// What stands in a cursor's handle between the name of its database and the rest.
pub const OF_DATABASE: char = ':';

/// One database, for whoever sends to it.
#[derive(Clone)]
pub struct Database {
    /// What calls name it by.
    pub name: Arc<str>,
    /// Runs a statement.
    pub query: Recipient<Query>,
    /// Reads the next page.
    pub fetch: Recipient<Fetch>,
    /// Runs a batch.
    pub batch: Recipient<Batch>,
    /// Closes the cursors of a client.
    pub close_cursors: Recipient<CloseCursorsOf>,
    /// What clients are told of it.
    pub summary: watch::Receiver<DatabaseSummary>,
}

/// What clients are told of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseSummary {
    /// The most that statements may do there.
    pub access: AccessMode,
    /// What the role may do too much of.
    pub findings: Arc<[Finding]>,
}

impl Database {
    /// The name of the database that a cursor's handle is of, if it is not the one that calls need not name.
    pub fn named_in(cursor: &str) -> Option<&str> {
        Some(cursor.split_once(OF_DATABASE)?.0)
    }
}
