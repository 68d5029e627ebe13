//! The set of databases: the only actor that decides which databases there are.
//!
//! It starts an executor for each database in the settings and publishes the set. A database that a reload adds is
//! pending until its first connections are open; then it is served and enters the set. A database that a reload removes
//! leaves the set at once: its calls in flight continue to their end, its cursors are closed, and its executor ends
//! with its last call. This actor passes no calls on: a caller takes the database from the set and sends to its
//! executor directly.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use actix::fut::wrap_future;
use actix::prelude::*;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use slog::Logger;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::DropGuard;

use crate::log::{error, info};
use crate::messages::admin::{DatabaseProbe, Ping};
use crate::messages::database::{Database, DatabaseSet, PendingDatabase};
use crate::messages::events::SettingsChanged;
use crate::messages::statements::{CloseCursors, OpenFailure, OpenPool};
use crate::settings::{MAIN_DATABASE, Settings};

/// The pause after a failed attempt to open an added database: the first one, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// The names of this many removed databases are kept, for clients that have not listed the tools again.
const REMOVED_MAX: usize = 64;

/// Whether a database is served from the start, or only when its pool is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Served at once, even if it cannot be reached yet: it was in the settings when the process started.
    Served,
    /// Pending until [`OpenPool`] succeeds.
    Pending,
}

/// A started executor, as the owner of the set uses it.
pub struct StartedExecutor {
    /// Takes the statements of clients.
    pub database: Arc<Database>,
    /// Takes the messages of monitoring: status, calls in flight, cancel.
    pub probe: DatabaseProbe,
    /// Opens its first connections.
    pub open_pool: Recipient<OpenPool>,
    /// Takes changed settings.
    pub settings_changed: Recipient<SettingsChanged>,
    /// Closes its cursors.
    pub close_cursors: Recipient<CloseCursors>,
    /// When this is dropped, the executor may end with its last caller. If it ends earlier, that is a bug.
    pub may_end: DropGuard,
}

/// Starts the executor of the named database. The error says which setting cannot be used.
pub type StartExecutor = Box<dyn Fn(&str, &Settings, Start) -> Result<StartedExecutor, String>>;

pub struct Databases {
    set: watch::Sender<Arc<DatabaseSet>>,
    start: StartExecutor,
    /// By name.
    entries: BTreeMap<Arc<str>, Entry>,
    draining: Vec<DatabaseProbe>,
    /// The newest last.
    removed: Vec<Arc<str>>,
    /// The number of databases added so far. A reply for an older entry with the same name is ignored.
    added: u64,
    log: Logger,
}

struct Entry {
    /// `None` if the settings cannot be used.
    executor: Option<StartedExecutor>,
    /// `None` once it is served.
    pending: Option<Pending>,
}

struct Pending {
    number: u64,
    shown: PendingDatabase,
    /// The attempt in progress, or the timer for the next one.
    work: Option<SpawnHandle>,
}

impl Databases {
    /// The databases of these settings, all of them served. `start` starts an executor.
    ///
    /// # Errors
    /// Which setting cannot be used and why, as a sentence for the operator.
    pub fn new(settings: &Settings, start: StartExecutor, log: &Logger) -> Result<Self, String> {
        let mut entries = BTreeMap::new();
        for name in settings.databases() {
            let executor = Some(start(name, settings, Start::Served)?);
            entries.insert(name.into(), Entry { executor, pending: None });
        }
        let databases = Self {
            set: watch::Sender::default(),
            start,
            entries,
            draining: Vec::new(),
            removed: Vec::new(),
            added: 0,
            log: log.new(slog::o!("logger" => "databases")),
        };
        databases.publish();
        Ok(databases)
    }

    /// The set, with its changes.
    pub fn set(&self) -> watch::Receiver<Arc<DatabaseSet>> {
        self.set.subscribe()
    }

    fn publish(&self) {
        let (main, others): (Vec<_>, Vec<_>) = self.entries.iter().partition(|(name, _)| ***name == *MAIN_DATABASE);
        let mut set =
            DatabaseSet { draining: self.draining.clone(), removed: self.removed.clone(), ..DatabaseSet::default() };
        for (_, entry) in main.into_iter().chain(others) {
            match (&entry.pending, &entry.executor) {
                (Some(pending), _) => set.pending.push(pending.shown.clone()),
                (None, Some(executor)) => {
                    set.served.push(executor.database.clone());
                    set.probes.push(executor.probe.clone());
                }
                (None, None) => {}
            }
        }
        self.set.send_replace(Arc::new(set));
    }

    /// Starts an added database as pending and tries to open it. If it was pending before this change, it has been
    /// since `since`.
    fn add(&mut self, name: &str, settings: &Settings, since: Option<SystemTime>, context: &mut Context<Self>) {
        let Some((_, access)) = settings.database(name) else { return };
        self.added += 1;
        let shown = PendingDatabase {
            name: name.into(),
            access,
            since: since.unwrap_or_else(SystemTime::now),
            why: "it was not reached yet".to_owned(),
            next_try: None,
        };
        let mut pending = Pending { number: self.added, shown, work: None };
        let executor = match (self.start)(name, settings, Start::Pending) {
            Ok(executor) => Some(executor),
            Err(why) => {
                error!(self.log, "the added database cannot be served"; "database" => name, "why" => why);
                pending.shown.why = "its settings cannot be used: see the log".to_owned();
                None
            }
        };
        self.entries.insert(name.into(), Entry { executor, pending: Some(pending) });
        self.try_to_open(&name.into(), RETRY.0, context);
    }

    /// Tries to open a pending database; after a failure, again after `pause`.
    fn try_to_open(&mut self, name: &Arc<str>, pause: Duration, context: &mut Context<Self>) {
        let Some(Entry { executor: Some(executor), pending: Some(pending) }) = self.entries.get_mut(name) else {
            return;
        };
        pending.shown.next_try = None;
        let (name, number) = (name.clone(), pending.number);
        let opening = wrap_future::<_, Self>(executor.open_pool.send(OpenPool));
        let opening = opening.map(move |opened, databases, context| {
            // No reply means that the executor was lost to a bug, which ends the process.
            if let Ok(opened) = opened {
                databases.opened(&name, number, opened, pause, context);
            }
        });
        pending.work = Some(context.spawn(opening));
    }

    fn opened(
        &mut self,
        name: &Arc<str>,
        number: u64,
        opened: Result<(), OpenFailure>,
        pause: Duration,
        context: &mut Context<Self>,
    ) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        let Some(pending) = entry.pending.as_mut().filter(|pending| pending.number == number) else { return };
        match opened {
            Ok(()) => {
                info!(self.log, "database added"; "database" => &**name, "access" => pending.shown.access.to_string());
                entry.pending = None;
                self.removed.retain(|removed| removed != name);
            }
            Err(OpenFailure { why, is_retryable }) => {
                pending.shown.why = why;
                pending.work = is_retryable.then(|| {
                    pending.shown.next_try = Some(Instant::now() + pause);
                    let (name, next) = (name.clone(), (pause * 2).min(RETRY.1));
                    context.run_later(pause, move |databases, context| {
                        databases.try_to_open(&name, next, context);
                        databases.publish();
                    })
                });
            }
        }
        self.publish();
    }

    /// Removes a database. Its callers keep it until they have their answers.
    fn remove(&mut self, name: &Arc<str>, context: &mut Context<Self>) -> Option<Pending> {
        let Entry { executor, pending } = self.entries.remove(name)?;
        match (pending, executor) {
            (Some(pending), _) => {
                if let Some(work) = pending.work {
                    context.cancel_future(work);
                }
                Some(pending)
            }
            (None, executor) => {
                info!(self.log, "database removed: its calls in flight go on to their end"; "database" => &**name);
                if let Some(executor) = executor {
                    executor.close_cursors.do_send(CloseCursors);
                    self.draining.push(executor.probe);
                }
                self.removed.retain(|removed| removed != name);
                self.removed.push(name.clone());
                let surplus = self.removed.len().saturating_sub(REMOVED_MAX);
                self.removed.drain(..surplus);
                None
            }
        }
    }
}

impl Actor for Databases {
    type Context = Context<Self>;
}

impl Handler<SettingsChanged> for Databases {
    type Result = ();

    fn handle(&mut self, change: SettingsChanged, context: &mut Context<Self>) {
        let settings = &change.new;
        let gone: Vec<_> = self.entries.keys().filter(|name| settings.database(name).is_none()).cloned().collect();
        for name in gone {
            self.remove(&name, context);
        }
        self.draining.retain(|draining| draining.calls.upgrade().is_some());
        for name in settings.databases() {
            match self.entries.get(name) {
                Some(Entry { pending: None, executor }) => {
                    executor.iter().for_each(|executor| executor.settings_changed.do_send(change.clone()));
                }
                // A pending database has no callers, so it is replaced.
                Some(Entry { pending: Some(_), .. }) => {
                    let before = self.remove(&name.into(), context);
                    self.add(name, settings, before.map(|before| before.shown.since), context);
                }
                None => self.add(name, settings, None, context),
            }
        }
        self.publish();
    }
}

impl Handler<CloseCursors> for Databases {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: CloseCursors, _: &mut Context<Self>) -> Self::Result {
        let executors = self.entries.values().filter_map(|entry| entry.executor.as_ref());
        // Draining executors have closed their cursors already.
        let closing = join_all(executors.map(|executor| executor.close_cursors.send(CloseCursors)));
        Box::pin(closing.map(drop))
    }
}

impl Handler<Ping> for Databases {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Context<Self>) {}
}
