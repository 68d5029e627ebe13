//! The one place that knows every actor: it starts them, gives each the others' messages, and ends the process.
//!
//! What they are started for is in a file of its own: `stdio`, one client whose host has started this process, and
//! `daemon`, many clients of a process that stays.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use slog::Logger;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::actors::config_watcher::ConfigWatcher;
use crate::actors::databases::{Databases, Start, StartedExecutor};
use crate::actors::executor::Executor;
use crate::actors::metrics::Metrics;
use crate::actors::session::Session;
use crate::caller::Caller;
use crate::log::LogControl;
use crate::messages::admin::DatabaseProbe;
use crate::messages::database::{ClientDatabases, DatabaseSet};
use crate::messages::events::{Events, SettingsChanged, Subscribers};
use crate::messages::metrics::MetricsHandle;
use crate::messages::statements::CloseCursors;
use crate::settings::{self, Inputs, Loaded, Settings};
use crate::tools;
use pg_guard::parser::Parser;

mod daemon;
mod stdio;

pub use daemon::serve_http;
pub use stdio::serve_stdio;

/// How long the last writing and cancelling may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The exit status after a bug (sysexits.h, EX_SOFTWARE), so that a host or systemd starts this again.
const EXIT_BUG: u8 = 70;

/// The actors that are there whoever the clients are, and what is needed to talk to them and to end them.
pub struct System {
    /// The set of databases.
    pub databases: watch::Receiver<Arc<DatabaseSet>>,
    /// Its owner.
    pub owner: Addr<Databases>,
    pub metrics: Addr<Metrics>,
    /// Cancelled when an actor that everything depends on is lost.
    pub lost: CancellationToken,
    /// The connections in use, being cleaned, or being cancelled.
    pub endings: TaskTracker,
    /// Who is told of what has happened.
    pub events: Events,
    /// Who is told of changed settings.
    listeners: Vec<Recipient<SettingsChanged>>,
}

impl System {
    /// Start the databases and the metrics on this thread's runtime. `program` is this program, to be started as the
    /// guard's parser.
    ///
    /// # Errors
    /// What in the settings cannot be used.
    pub fn start(settings: &Settings, program: PathBuf, log: &Logger) -> Result<Self, String> {
        let lost = CancellationToken::new();
        let endings = TaskTracker::new();
        let metrics = start_vital(Metrics::new(&settings.metrics, &tools::names()), &lost);
        let events = Events {
            statement_began: Subscribers::default(),
            statement_refused: metrics.clone().recipient().into(),
            statement_ended: metrics.clone().recipient().into(),
            call_ended: metrics.clone().recipient().into(),
            pool_rebuilt: metrics.clone().recipient().into(),
            reload_finished: metrics.clone().recipient().into(),
        };
        let executors = Executors {
            parser: Arc::new(Parser::new(program, log)),
            events: events.clone(),
            endings: endings.clone(),
            lost: lost.clone(),
            log: log.clone(),
        };
        let start = move |name: &str, settings: &Settings, start| executors.start(name, settings, start);
        let databases = Databases::new(settings, Box::new(start), log)?;
        let set = databases.set();
        let owner = start_vital(databases, &lost);
        let listeners = vec![metrics.clone().recipient(), owner.clone().recipient()];
        Ok(Self { databases: set, owner, metrics, lost, endings, events, listeners })
    }

    /// The session of the host that has started this process.
    pub fn session(&mut self, settings: &Settings, log: &Logger) -> Addr<Session> {
        let databases = ClientDatabases::all(self.databases.clone());
        let session = Session::new(settings, Caller::stdio(), databases, self.metrics(), self.events.clone(), log);
        let session = start_vital(session, &self.lost);
        self.listeners.push(session.clone().recipient());
        session
    }

    /// The metrics, as sessions know them.
    fn metrics(&self) -> MetricsHandle {
        MetricsHandle { summary: self.metrics.clone().recipient(), slow_queries: self.metrics.clone().recipient() }
    }

    /// Follow the settings' files from now on, for all who are there. `inputs` are read again when a file changes.
    pub fn watch(
        &self,
        loaded: &Loaded,
        inputs: Inputs,
        log_control: Option<LogControl>,
        log: &Logger,
    ) -> Addr<ConfigWatcher> {
        let load = Arc::new(move || settings::load(&inputs));
        let watcher = ConfigWatcher::new(
            loaded,
            load,
            self.listeners.iter().cloned().collect(),
            self.events.reload_finished.clone(),
            log_control,
            log,
        );
        start_vital(watcher, &self.lost)
    }

    /// Wait until every cursor is closed, and what was cancelled has ended in PostgreSQL.
    async fn end(&self) {
        self.endings.close();
        let _ = self.owner.send(CloseCursors).await;
        self.endings.wait().await;
    }
}

/// This program, to start it again. By the process's own link where there is one: the file may have been replaced.
fn this_program() -> PathBuf {
    let link = Path::new("/proc/self/exe");
    if link.exists() { link.to_owned() } else { std::env::current_exe().unwrap_or_default() }
}

/// What the executors are started with.
struct Executors {
    parser: Arc<Parser>,
    events: Events,
    endings: TaskTracker,
    lost: CancellationToken,
    log: Logger,
}

impl Executors {
    fn start(&self, name: &str, settings: &Settings, start: Start) -> Result<StartedExecutor, String> {
        let (parser, events, endings) = (self.parser.clone(), self.events.clone(), self.endings.clone());
        let executor = Executor::new(name, settings, parser, events, endings, &self.log)?;
        let executor = if start == Start::Awaited { executor.awaited() } else { executor };
        let may_end = CancellationToken::new();
        let until = may_end.clone();
        let (database, executor) =
            executor.into_database(|executor| start_vital_until(executor, &self.lost, until.cancelled_owned()));
        let probe = DatabaseProbe {
            name: database.name.clone(),
            status: executor.downgrade().recipient(),
            calls: executor.downgrade().recipient(),
            cancel: executor.downgrade().recipient(),
        };
        Ok(StartedExecutor {
            database: Arc::new(database),
            probe,
            open_pool: executor.clone().recipient(),
            settings_changed: executor.clone().recipient(),
            close_cursors: executor.recipient(),
            may_end: may_end.drop_guard(),
        })
    }
}

/// Start an actor whose loss is the end: a panic in its handler drops its context, and with it the guard.
fn start_vital<A: Actor<Context = Context<A>>>(actor: A, lost: &CancellationToken) -> Addr<A> {
    start_vital_until(actor, lost, std::future::pending())
}

/// The same, until `may_end` has come: from then on the actor ends with the last of those who know it.
fn start_vital_until<A: Actor<Context = Context<A>>>(
    actor: A,
    lost: &CancellationToken,
    may_end: impl Future<Output = ()> + 'static,
) -> Addr<A> {
    let guard = lost.clone().drop_guard();
    A::create(move |context| {
        let keep = async move {
            may_end.await;
            guard.disarm();
        };
        context.spawn(keep.into_actor(&actor));
        actor
    })
}
