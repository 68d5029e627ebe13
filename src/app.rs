//! The one place that knows every actor: it starts them, gives each the others' messages, and ends the process.
//!
//! Ends are: the client has gone (end of stdin, closed stdout), a signal (SIGTERM, SIGINT, SIGHUP), or a vital actor
//! lost to a bug. Then the answers already made are written, what still runs is cancelled in PostgreSQL, and the
//! process exits: 0, or 70 (EX_SOFTWARE) after a bug, so that a host or systemd starts it again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use rmcp::ServiceExt;
use slog::Logger;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::actors::config_watcher::ConfigWatcher;
use crate::actors::executor::{self, CloseCursors, Database, Executor};
use crate::actors::metrics::Metrics;
use crate::actors::session::{self, Session};
use crate::caller::Caller;
use crate::guard::parser::Parser;
use crate::log::{LogControl, error, info, warn};
use crate::mcp::offer::Offer;
use crate::mcp::server::Server;
use crate::mcp::standard_streams;
use crate::mcp::stdio::{Stdio, Traffic};
use crate::settings::{self, Inputs, Loaded};

/// How long calls in flight may go on when the client's input has ended: a pipe that ends after its last request
/// (`printf … | mcp-server-postgres`) gets its answer, and a statement that runs on is cancelled.
const LAST_ANSWERS: Duration = Duration::from_millis(200);

/// How long the last writing and cancelling may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The exit status after a bug (sysexits.h, EX_SOFTWARE).
const EXIT_BUG: u8 = 70;

/// The actors, and what is needed to talk to them and to end them.
pub struct System {
    /// The client's session.
    pub session: Addr<Session>,
    /// The databases, the main one first.
    pub databases: Arc<[Database]>,
    /// Their executors.
    pub executors: Vec<Addr<Executor>>,
    /// The metrics.
    pub metrics: Addr<Metrics>,
    /// The settings' files.
    pub config_watcher: Addr<ConfigWatcher>,
    /// Cancelled when an actor that everything depends on is lost.
    pub lost: CancellationToken,
    /// The connections in use, being cleaned, or being cancelled.
    pub endings: TaskTracker,
}

impl System {
    /// Start every actor on this thread's runtime. `inputs` are read again when a file changes; `program` is this
    /// program, to be started as the guard's parser.
    ///
    /// # Errors
    /// What in the settings cannot be used.
    pub fn start(
        loaded: &Loaded,
        inputs: Inputs,
        program: PathBuf,
        log_control: Option<LogControl>,
        log: &Logger,
    ) -> Result<Self, String> {
        let settings = &loaded.settings;
        let lost = CancellationToken::new();
        let endings = TaskTracker::new();
        let metrics = start_vital(Metrics::new(&settings.metrics), &lost);
        let parser = Arc::new(Parser::new(program, log));
        let (mut databases, mut executors) = (Vec::new(), Vec::new());
        for name in settings.databases() {
            let to_metrics = executor::MetricsReach {
                finished: metrics.clone().recipient(),
                rebuilt: metrics.clone().recipient(),
            };
            let executor = Executor::new(name, settings, parser.clone(), to_metrics, endings.clone(), log)?;
            let (database, executor) = Database::of(executor, |executor| start_vital(executor, &lost));
            databases.push(database);
            executors.push(executor);
        }
        let databases: Arc<[Database]> = databases.into();
        let to_metrics = session::MetricsReach {
            summary: metrics.clone().recipient(),
            slow_queries: metrics.clone().recipient(),
            finished: metrics.clone().recipient(),
        };
        let session = Session::new(settings, Caller::stdio(), databases.clone(), to_metrics, log);
        let session = start_vital(session, &lost);
        let mut listeners = vec![session.clone().recipient(), metrics.clone().recipient()];
        listeners.extend(executors.iter().map(|executor| executor.clone().recipient()));
        let load = Arc::new(move || settings::load(&inputs));
        let config_watcher = ConfigWatcher::new(loaded, load, listeners, metrics.clone().recipient(), log_control, log);
        let config_watcher = start_vital(config_watcher, &lost);
        Ok(Self { session, databases, executors, metrics, config_watcher, lost, endings })
    }
}

/// This program, to start it again. By the process's own link where there is one: the file may have been replaced.
fn this_program() -> PathBuf {
    let link = Path::new("/proc/self/exe");
    if link.exists() { link.to_owned() } else { std::env::current_exe().unwrap_or_default() }
}

/// Start an actor whose loss is the end: a panic in its handler drops its context, and with it the guard.
fn start_vital<A: Actor<Context = Context<A>>>(actor: A, lost: &CancellationToken) -> Addr<A> {
    let guard = lost.clone().drop_guard();
    A::create(move |context| {
        let keep = async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        };
        context.spawn(keep.into_actor(&actor));
        actor
    })
}

/// Serve one client on stdin and stdout until it has gone.
///
/// # Errors
/// Why it cannot begin, as a sentence for the operator.
pub async fn serve_stdio(loaded: Loaded, inputs: Inputs, log_control: LogControl, log: Logger) -> Result<u8, String> {
    let log = log.new(slog::o!("logger" => "app"));
    for warning in &loaded.warnings {
        warn!(log, "settings"; "warning" => warning.as_str());
    }
    let system = System::start(&loaded, inputs, this_program(), Some(log_control), &log)?;
    info!(log, "started";
        "version" => env!("CARGO_PKG_VERSION"), "access" => loaded.settings.access.to_string(), "pid" => std::process::id());

    let cannot = |what: &'static str| move |error: std::io::Error| format!("{what} cannot be used: {error}");
    let input = standard_streams::input().map_err(cannot("stdin"))?;
    let (output, output_closed) = standard_streams::output().map_err(cannot("stdout"))?;
    let gone = CancellationToken::new();
    let ending = CancellationToken::new();
    let transport = Stdio::new(input, output, loaded.settings.limits.line_bytes_max, gone.clone(), &log);
    let traffic = transport.traffic();
    let offer = Offer::new(&Caller::stdio(), &system.databases);
    let server = Server::new(system.session.clone().recipient(), offer, ending.clone());
    let serving_log = log.clone();
    tokio::spawn(async move {
        match server.serve(transport).await {
            // Held to the end: dropping it would cancel what is in flight.
            Ok(service) => drop(service.waiting().await),
            // The client left before it had begun; its absence is seen by the transport.
            Err(why) => info!(serving_log, "no session"; "why" => why.to_string()),
        }
    });

    let mut terminate = signal(SignalKind::terminate()).map_err(cannot("SIGTERM"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot("SIGINT"))?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(cannot("SIGHUP"))?;
    let (why, status) = tokio::select! {
        () = gone.cancelled() => ("the client has gone", 0),
        () = output_closed => ("stdout is closed", 0),
        _ = terminate.recv() => ("SIGTERM", 0),
        _ = interrupt.recv() => ("SIGINT", 0),
        _ = hang_up.recv() => ("SIGHUP", 0),
        () = system.lost.cancelled() => {
            error!(log, "an actor was lost to a bug");
            ("a bug", EXIT_BUG)
        }
    };
    let grace = if gone.is_cancelled() { LAST_ANSWERS } else { Duration::ZERO };
    end(&system, &traffic, &ending, grace).await;
    info!(log, "ended"; "why" => why);
    Ok(status)
}

/// Let what is nearly done be done, then cancel the rest, in bounded time.
async fn end(system: &System, traffic: &Traffic, ending: &CancellationToken, grace: Duration) {
    let _ = tokio::time::timeout(grace, traffic.quiet()).await;
    ending.cancel();
    system.endings.close();
    let last_words = async {
        // In the runtime's next turns the cancelled calls are dropped, then their leases, which cancel.
        traffic.quiet().await;
        for executor in &system.executors {
            let _ = executor.send(CloseCursors).await;
        }
        system.endings.wait().await;
    };
    let _ = tokio::time::timeout(LAST_WORDS, last_words).await;
}
