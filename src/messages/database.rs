//! A database, for the parts that use it: the messages to its executor and its summary; and the set of all databases, which
//! changes with the settings.
//!
//! The set is one value with one owner ([`actors::databases`](crate::actors::databases)). All other parts subscribe to it and
//! read it at the moment of use. They keep no copy, because a [`Database`] keeps its executor alive.

use std::sync::Arc;
use std::time::SystemTime;

use actix::prelude::*;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::time::Instant;

use super::admin::DatabaseProbe;
use super::inspect::Inspect;
use super::statements::{Batch, CloseCursorsOf, Fetch, Query};
use crate::settings::AccessMode;

/// What is in a cursor's handle between the name of its database and the rest.
pub const OF_DATABASE: char = ':';

/// One database, for the parts that send messages to its executor.
#[derive(Clone)]
pub struct Database {
    /// The name that calls use.
    pub name: Arc<str>,
    /// Runs a statement.
    pub query: Recipient<Query>,
    /// Reads the next page.
    pub fetch: Recipient<Fetch>,
    /// Runs a batch.
    pub batch: Recipient<Batch>,
    /// Asks the catalogs a question of our own.
    pub inspect: Recipient<Inspect>,
    /// Closes the cursors of a client.
    pub close_cursors: Recipient<CloseCursorsOf>,
    /// Its summary for clients.
    pub summary: watch::Receiver<DatabaseSummary>,
}

/// What clients learn about a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatabaseSummary {
    /// The access mode of the database.
    pub access: AccessMode,
    /// Whether answers have structured content.
    pub is_structured: bool,
}

impl Database {
    /// The name of the database in a cursor's handle. `None` if it is the database that calls need not name.
    pub fn named_in(cursor: &str) -> Option<&str> {
        Some(cursor.split_once(OF_DATABASE)?.0)
    }
}

/// The databases that there are now. A call keeps its database until its end, and the executor of a removed database ends with
/// the last such call.
#[derive(Clone, Default)]
pub struct DatabaseSet {
    /// The databases that clients may use: the main one first, then by name.
    pub served: Vec<Arc<Database>>,
    /// The same databases, for the parts that watch over them.
    pub probes: Vec<DatabaseProbe>,
    /// Databases that a reload has added and that could not be reached yet.
    pub pending: Vec<PendingDatabase>,
    /// Databases that a reload has removed and that may still have calls in flight.
    pub draining: Vec<DatabaseProbe>,
    /// The names of the databases that were removed last and are not there again.
    pub removed: Vec<Arc<str>>,
}

/// A database that a reload has added and that is not served yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingDatabase {
    /// The name that calls will use.
    pub name: Arc<str>,
    /// The access mode of the database.
    pub access: AccessMode,
    /// When it was added.
    pub since: SystemTime,
    /// Why it is not served. It names no host, user or password.
    pub why: String,
    /// When it is tried again. `None` while it is being tried, or if only a reload can help.
    pub next_try: Option<Instant>,
}

/// The databases that one client may use, read at the moment of use.
#[derive(Clone)]
pub struct ClientDatabases {
    /// The names of the databases that it may use; `None` for all.
    names: Option<Arc<[String]>>,
    set: watch::Receiver<Arc<DatabaseSet>>,
}

impl ClientDatabases {
    /// All databases of the set.
    pub fn all(set: watch::Receiver<Arc<DatabaseSet>>) -> Self {
        Self { names: None, set }
    }

    /// The databases of the set with these names.
    pub fn named(names: &[String], set: watch::Receiver<Arc<DatabaseSet>>) -> Self {
        Self { names: Some(names.into()), set }
    }

    fn may_ask(&self, name: &str) -> bool {
        self.names.as_ref().is_none_or(|names| names.iter().any(|allowed| allowed == name))
    }

    /// The databases that are served now. A call that names none means the first.
    pub fn now(&self) -> Vec<Arc<Database>> {
        let set = self.set.borrow();
        set.served.iter().filter(|database| self.may_ask(&database.name)).cloned().collect()
    }

    /// The database of a call that names none, if any is served now.
    pub fn first(&self) -> Option<Arc<Database>> {
        self.set.borrow().served.iter().find(|database| self.may_ask(&database.name)).cloned()
    }

    /// The database of that name, if it is served now.
    pub fn find(&self, name: &str) -> Option<Arc<Database>> {
        self.set.borrow().served.iter().find(|database| *database.name == *name && self.may_ask(name)).cloned()
    }

    /// The names of the databases that are served now.
    pub fn names(&self) -> Arc<[Arc<str>]> {
        let set = self.set.borrow();
        let names = set.served.iter().map(|database| &database.name);
        names.filter(|name| self.may_ask(name)).cloned().collect()
    }

    /// Whether calls name their database: there are several now, or there were before some were removed. A client may not have
    /// read its list of tools again since then.
    pub fn are_named(&self) -> bool {
        let set = self.set.borrow();
        let names = set.served.iter().map(|database| &database.name).chain(&set.removed);
        names.filter(|name| self.may_ask(name)).nth(1).is_some()
    }

    /// Whether this client could use that database before it was removed.
    pub fn is_removed(&self, name: &str) -> bool {
        self.may_ask(name) && self.set.borrow().removed.iter().any(|removed| **removed == *name)
    }

    /// Whether this client may use that database as soon as it can be reached.
    pub fn is_pending(&self, name: &str) -> bool {
        self.may_ask(name) && self.set.borrow().pending.iter().any(|pending| *pending.name == *name)
    }

    /// The result of `look` on the served databases and their summaries, as soon as it differs from `known`. `None` when the
    /// owner of the set has ended.
    pub async fn changed<T: PartialEq>(
        &mut self,
        known: &T,
        look: impl Fn(&[(Arc<str>, DatabaseSummary)]) -> T,
    ) -> Option<T> {
        loop {
            let (mut summaries, mut seen) = (Vec::new(), Vec::new());
            let set = self.set.borrow_and_update().clone();
            for database in set.served.iter().filter(|database| self.may_ask(&database.name)) {
                let mut summary = database.summary.clone();
                seen.push((database.name.clone(), *summary.borrow_and_update()));
                summaries.push(summary);
            }
            // No database is kept while this waits.
            drop(set);
            let now = look(&seen);
            if now != *known {
                return Some(now);
            }
            let mut changes: FuturesUnordered<_> = summaries.iter_mut().map(watch::Receiver::changed).collect();
            tokio::select! {
                changed = self.set.changed() => changed.ok()?,
                // A summary whose executor has ended does not change any more: the set will change, or the process ends.
                Some(Ok(())) = changes.next() => {}
            }
        }
    }

    /// The served databases, each with its summary.
    pub fn summaries(&self) -> Vec<(Arc<str>, DatabaseSummary)> {
        self.now().iter().map(|database| (database.name.clone(), *database.summary.borrow())).collect()
    }
}
