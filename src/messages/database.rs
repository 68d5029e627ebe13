//! A database, as those who ask it know it: by the messages that its executor hears, and by what that says of itself; and
//! the set of all databases, which changes with the settings.
//!
//! The set is one value with one owner ([`actors::databases`](crate::actors::databases)). Everybody else subscribes to it
//! and looks at it at the moment of use: nobody keeps a copy, for whoever keeps a [`Database`] keeps its executor.

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
    /// Asks the catalogs a question of our own.
    pub inspect: Recipient<Inspect>,
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

/// The databases that there are now. Who asks one holds it for as long as the call; the executor of a database that was
/// removed ends when nobody does.
#[derive(Clone, Default)]
pub struct DatabaseSet {
    /// Those that clients may ask: the main one first, then by name.
    pub served: Vec<Arc<Database>>,
    /// The same, for whoever watches over them.
    pub probes: Vec<DatabaseProbe>,
    /// Those that a reload has added and that could not be reached yet.
    pub awaited: Vec<AwaitedDatabase>,
    /// Those that a reload has removed and that may still have calls in flight.
    pub draining: Vec<DatabaseProbe>,
    /// The names of those that were removed last and are not there again.
    pub removed: Vec<Arc<str>>,
}

/// A database that a reload has added and that is not served yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwaitedDatabase {
    /// What calls will name it by.
    pub name: Arc<str>,
    /// The most that statements may do there.
    pub access: AccessMode,
    /// Since when it is awaited.
    pub since: SystemTime,
    /// Why it is not served; without host, user and password.
    pub why: String,
    /// When it is tried again; `None` while it is being tried, or if only a reload can help.
    pub next_try: Option<Instant>,
}

/// The databases that one client may ask, as they are at the moment of use.
#[derive(Clone)]
pub struct ClientDatabases {
    /// The names of those that it may ask; `None` for all that there are.
    names: Option<Arc<[String]>>,
    set: watch::Receiver<Arc<DatabaseSet>>,
}

impl ClientDatabases {
    /// All of the set.
    pub fn all(set: watch::Receiver<Arc<DatabaseSet>>) -> Self {
        Self { names: None, set }
    }

    /// Those of the set that have these names.
    pub fn named(names: &[String], set: watch::Receiver<Arc<DatabaseSet>>) -> Self {
        Self { names: Some(names.into()), set }
    }

    fn may_ask(&self, name: &str) -> bool {
        self.names.as_ref().is_none_or(|names| names.iter().any(|allowed| allowed == name))
    }

    /// Those that are served now; a call that names none means the first.
    pub fn now(&self) -> Vec<Arc<Database>> {
        let set = self.set.borrow();
        set.served.iter().filter(|database| self.may_ask(&database.name)).cloned().collect()
    }

    /// The one that a call means which names none, if any is served now.
    pub fn first(&self) -> Option<Arc<Database>> {
        self.set.borrow().served.iter().find(|database| self.may_ask(&database.name)).cloned()
    }

    /// The one of that name, if it is served now.
    pub fn find(&self, name: &str) -> Option<Arc<Database>> {
        self.set.borrow().served.iter().find(|database| *database.name == *name && self.may_ask(name)).cloned()
    }

    /// The names of those that are served now.
    pub fn names(&self) -> Arc<[Arc<str>]> {
        let set = self.set.borrow();
        let names = set.served.iter().map(|database| &database.name);
        names.filter(|name| self.may_ask(name)).cloned().collect()
    }

    /// Whether calls name their database: there are several now, or there were before some were removed. A client may
    /// not have read its list of tools again since then.
    pub fn are_named(&self) -> bool {
        let set = self.set.borrow();
        let names = set.served.iter().map(|database| &database.name).chain(&set.removed);
        names.filter(|name| self.may_ask(name)).nth(1).is_some()
    }

    /// Whether this client could ask that database before it was removed.
    pub fn is_removed(&self, name: &str) -> bool {
        self.may_ask(name) && self.set.borrow().removed.iter().any(|removed| **removed == *name)
    }

    /// Whether this client may ask that database as soon as it can be reached.
    pub fn is_awaited(&self, name: &str) -> bool {
        self.may_ask(name) && self.set.borrow().awaited.iter().any(|awaited| *awaited.name == *name)
    }

    /// What `look` gives of those that are served, each with what clients are told of it, as soon as that differs from
    /// `known`; `None` when the owner of the set is gone.
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
                seen.push((database.name.clone(), summary.borrow_and_update().clone()));
                summaries.push(summary);
            }
            // Whoever waits keeps no database.
            drop(set);
            let now = look(&seen);
            if now != *known {
                return Some(now);
            }
            let mut changes: FuturesUnordered<_> = summaries.iter_mut().map(watch::Receiver::changed).collect();
            tokio::select! {
                changed = self.set.changed() => changed.ok()?,
                // One whose executor has ended changes no more: then the set changes, or the process ends.
                Some(Ok(())) = changes.next() => {}
            }
        }
    }

    /// Those that are served, each with what clients are told of it.
    pub fn summaries(&self) -> Vec<(Arc<str>, DatabaseSummary)> {
        self.now().iter().map(|database| (database.name.clone(), database.summary.borrow().clone())).collect()
    }
}
