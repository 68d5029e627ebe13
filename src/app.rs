//! The only part that knows all actors: it starts them, connects them by their messages, and ends the process.
//!
//! Each way to serve has its own file: `stdio` serves one client, the host that started the process. `daemon` serves
//! many clients over HTTP.

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

/// How long the last writes and cancellations may take at the end of the process.
const CLEANUP_MAX: Duration = Duration::from_secs(1);

/// The exit status after a bug (EX_SOFTWARE of sysexits.h), so that a host or systemd starts the process again.
const EXIT_BUG: u8 = 70;

/// The actors that do not depend on the clients, and what is needed to reach them and to end them.
pub struct System {
    /// The set of databases.
    pub databases: watch::Receiver<Arc<DatabaseSet>>,
    /// The owner of the set.
    pub owner: Addr<Databases>,
    pub metrics: Addr<Metrics>,
    /// Cancelled when an essential actor is lost to a bug.
    pub lost: CancellationToken,
    /// Tracks the connections that are in use, being cleaned, or being cancelled.
    pub endings: TaskTracker,
    /// The events, with their subscribers.
    pub events: Events,
    /// The actors that receive changed settings.
    listeners: Vec<Recipient<SettingsChanged>>,
}

impl System {
    /// Starts the databases and the metrics on the runtime of this thread. `program` is the path of this program, which
    /// is started again as the parser of the guard.
    ///
    /// # Errors
    /// Which setting cannot be used and why.
    pub fn start(settings: &Settings, program: PathBuf, log: &Logger) -> Result<Self, String> {
        let lost = CancellationToken::new();
        let endings = TaskTracker::new();
        let metrics = start_essential(Metrics::new(&settings.metrics, &tools::names()), &lost);
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
        let owner = start_essential(databases, &lost);
        let listeners = vec![metrics.clone().recipient(), owner.clone().recipient()];
        Ok(Self { databases: set, owner, metrics, lost, endings, events, listeners })
    }

    /// The session of the host that has started this process.
    pub fn session(&mut self, settings: &Settings, log: &Logger) -> Addr<Session> {
        let databases = ClientDatabases::all(self.databases.clone());
        let session = Session::new(settings, Caller::stdio(), databases, self.metrics(), self.events.clone(), log);
        let session = start_essential(session, &self.lost);
        self.listeners.push(session.clone().recipient());
        session
    }

    /// The messages to the metrics that a session needs.
    fn metrics(&self) -> MetricsHandle {
        MetricsHandle { summary: self.metrics.clone().recipient(), slow_queries: self.metrics.clone().recipient() }
    }

    /// Watches the files of the settings from now on, and sends changes to all listeners. A change reads `inputs`
    /// again.
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
        start_essential(watcher, &self.lost)
    }

    /// Waits until every cursor is closed and every cancelled statement has ended in PostgreSQL.
    async fn end(&self) {
        self.endings.close();
        let _ = self.owner.send(CloseCursors).await;
        self.endings.wait().await;
    }
}

/// The path of this program, for starting it again. Linux has a link to it that works even if the file was replaced.
fn this_program() -> PathBuf {
    let link = Path::new("/proc/self/exe");
    if link.exists() { link.to_owned() } else { std::env::current_exe().unwrap_or_default() }
}

/// What every executor is started with.
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
        let executor = if start == Start::Pending { executor.pending() } else { executor };
        let may_end = CancellationToken::new();
        let until = may_end.clone();
        let (database, executor) =
            executor.into_database(|executor| start_essential_until(executor, &self.lost, until.cancelled_owned()));
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

/// Starts an actor that the process cannot do without. A panic in one of its handlers drops its context and so the
/// guard, which cancels `lost`.
fn start_essential<A: Actor<Context = Context<A>>>(actor: A, lost: &CancellationToken) -> Addr<A> {
    start_essential_until(actor, lost, std::future::pending())
}

/// The same, until `may_end` is ready. From then on the actor may end when its last address is dropped.
fn start_essential_until<A: Actor<Context = Context<A>>>(
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
