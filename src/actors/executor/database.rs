//! A database, as those who ask it know it: by the messages that its executor hears, and by what that shows.

use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::watch;

use super::cursors::OF_DATABASE;
use super::{Batch, CloseCursorsOf, Executor, Fetch, Query};
use crate::postgres::role::Finding;
use crate::settings::AccessMode;

/// One database, for whoever sends to it.
#[derive(Clone)]
pub struct Database {
    /// What calls name it by.
    pub name: Arc<str>,
    /// Its executor.
    pub query: Recipient<Query>,
    /// Its executor.
    pub fetch: Recipient<Fetch>,
    /// Its executor.
    pub batch: Recipient<Batch>,
    /// Its executor.
    pub close_cursors: Recipient<CloseCursorsOf>,
    /// What clients are told of it.
    pub shown: watch::Receiver<Shown>,
}

/// What clients are told of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
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

    /// The database of that executor, which is not started yet; `start` starts it.
    pub fn of(executor: Executor, start: impl FnOnce(Executor) -> Addr<Executor>) -> (Self, Addr<Executor>) {
        let (name, shown) = (executor.name.clone(), executor.shown());
        let executor = start(executor);
        let (query, fetch) = (executor.clone().recipient(), executor.clone().recipient());
        let (batch, close_cursors) = (executor.clone().recipient(), executor.clone().recipient());
        (Self { name, query, fetch, batch, close_cursors, shown }, executor)
    }
}
