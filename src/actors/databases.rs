//! The set of databases: the one actor that decides which databases there are.
//!
//! It starts an executor for each database that the settings name, and publishes the set. A database that a reload adds
//! is tried first, and is in the set when its first connections are open. One that a reload removes leaves the set at
//! once: its calls in flight go on to their end, its cursors are closed, and its executor ends when nobody asks it any
//! more. It knows nothing of statements, and passes no call on: whoever asks a database takes it from the set.

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
use crate::messages::database::{AwaitedDatabase, Database, DatabaseSet};
use crate::messages::events::SettingsChanged;
use crate::messages::statements::{CloseCursors, OpenFailure, OpenPool};
use crate::settings::{MAIN_DATABASE, Settings};

/// How long after a failed try an added database is tried again, at first and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Of so many removed databases the names are kept, for clients that have not read their list of tools again.
const REMOVED_MAX: usize = 64;

/// Whether a database is served from its start on, or has to be tried first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// It is served at once, even if it cannot be reached yet: it was there when the process started.
    Served,
    /// It waits for [`OpenPool`].
    Awaited,
}

/// A started executor, as the owner of the set knows it.
pub struct StartedExecutor {
    /// For those who ask it.
    pub database: Arc<Database>,
    /// For those who watch over it.
    pub probe: DatabaseProbe,
    /// Opens its first connections.
    pub open_pool: Recipient<OpenPool>,
    /// Hears of changed settings.
    pub settings_changed: Recipient<SettingsChanged>,
    /// Closes its cursors.
    pub close_cursors: Recipient<CloseCursors>,
    /// Dropped, the executor may end with the last of those who ask it. Before that its end is a bug.
    pub may_end: DropGuard,
}

/// Starts the executor of the database of that name, or says what in the settings cannot be used.
pub type StartExecutor = Box<dyn Fn(&str, &Settings, Start) -> Result<StartedExecutor, String>>;

pub struct Databases {
    set: watch::Sender<Arc<DatabaseSet>>,
    start: StartExecutor,
    /// By their names.
    entries: BTreeMap<Arc<str>, Entry>,
    draining: Vec<DatabaseProbe>,
    /// The last removed is the last.
    removed: Vec<Arc<str>>,
    /// Counts the databases that were to be added: what is heard of an earlier one of the same name means nothing.
    added: u64,
    log: Logger,
}

struct Entry {
    /// Absent where the settings cannot be used.
    executor: Option<StartedExecutor>,
    /// Until it is served.
    awaited: Option<Awaited>,
}

struct Awaited {
    number: u64,
    shown: AwaitedDatabase,
    /// The try under way, or the wait for the next one.
    work: Option<SpawnHandle>,
}

impl Databases {
    /// The databases of these settings, all of them in the set; `start` starts an executor.
    ///
    /// # Errors
    /// What in the settings cannot be used, as a sentence for the operator.
    pub fn new(settings: &Settings, start: StartExecutor, log: &Logger) -> Result<Self, String> {
        let mut entries = BTreeMap::new();
        for name in settings.databases() {
            let executor = Some(start(name, settings, Start::Served)?);
            entries.insert(name.into(), Entry { executor, awaited: None });
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

    /// The set, now and whenever it changes.
    pub fn set(&self) -> watch::Receiver<Arc<DatabaseSet>> {
        self.set.subscribe()
    }

    fn publish(&self) {
        let (main, others): (Vec<_>, Vec<_>) = self.entries.iter().partition(|(name, _)| ***name == *MAIN_DATABASE);
        let mut set =
            DatabaseSet { draining: self.draining.clone(), removed: self.removed.clone(), ..DatabaseSet::default() };
        for (_, entry) in main.into_iter().chain(others) {
            match (&entry.awaited, &entry.executor) {
                (Some(awaited), _) => set.awaited.push(awaited.shown.clone()),
                (None, Some(executor)) => {
                    set.served.push(executor.database.clone());
                    set.probes.push(executor.probe.clone());
                }
                (None, None) => {}
            }
        }
        self.set.send_replace(Arc::new(set));
    }

    /// Start a database that is not there, and try it; it has been awaited `since` then, if it was before.
    fn add(&mut self, name: &str, settings: &Settings, since: Option<SystemTime>, context: &mut Context<Self>) {
        let Some((_, access)) = settings.database(name) else { return };
        self.added += 1;
        let shown = AwaitedDatabase {
            name: name.into(),
            access,
            since: since.unwrap_or_else(SystemTime::now),
            why: "it was not reached yet".to_owned(),
            next_try: None,
        };
        let mut awaited = Awaited { number: self.added, shown, work: None };
        let executor = match (self.start)(name, settings, Start::Awaited) {
            Ok(executor) => Some(executor),
            Err(why) => {
                error!(self.log, "the added database cannot be served"; "database" => name, "why" => why);
                awaited.shown.why = "its settings cannot be used: see the log".to_owned();
                None
            }
        };
        self.entries.insert(name.into(), Entry { executor, awaited: Some(awaited) });
        self.try_to_open(&name.into(), RETRY.0, context);
    }

    /// Try an awaited database; if that fails, again after `pause`.
    fn try_to_open(&mut self, name: &Arc<str>, pause: Duration, context: &mut Context<Self>) {
        let Some(Entry { executor: Some(executor), awaited: Some(awaited) }) = self.entries.get_mut(name) else {
            return;
        };
        awaited.shown.next_try = None;
        let (name, number) = (name.clone(), awaited.number);
        let opening = wrap_future::<_, Self>(executor.open_pool.send(OpenPool));
        let opening = opening.map(move |opened, databases, context| {
            // An executor that is lost ends the process.
            if let Ok(opened) = opened {
                databases.opened(&name, number, opened, pause, context);
            }
        });
        awaited.work = Some(context.spawn(opening));
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
        let Some(awaited) = entry.awaited.as_mut().filter(|awaited| awaited.number == number) else { return };
        match opened {
            Ok(()) => {
                info!(self.log, "database added"; "database" => &**name, "access" => awaited.shown.access.to_string());
                entry.awaited = None;
                self.removed.retain(|removed| removed != name);
            }
            Err(OpenFailure { why, is_retryable }) => {
                awaited.shown.why = why;
                awaited.work = is_retryable.then(|| {
                    awaited.shown.next_try = Some(Instant::now() + pause);
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

    /// Take a database out. Whoever asks it keeps it until its answer is there.
    fn remove(&mut self, name: &Arc<str>, context: &mut Context<Self>) -> Option<Awaited> {
        let Entry { executor, awaited } = self.entries.remove(name)?;
        match (awaited, executor) {
            (Some(awaited), _) => {
                if let Some(work) = awaited.work {
                    context.cancel_future(work);
                }
                Some(awaited)
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
                Some(Entry { awaited: None, executor }) => {
                    executor.iter().for_each(|executor| executor.settings_changed.do_send(change.clone()));
                }
                // Nobody asks it yet, so it begins anew.
                Some(Entry { awaited: Some(_), .. }) => {
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
        // Those that drain have closed theirs.
        let closing = join_all(executors.map(|executor| executor.close_cursors.send(CloseCursors)));
        Box::pin(closing.map(drop))
    }
}

impl Handler<Ping> for Databases {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Context<Self>) {}
}
