//! Serves many clients over HTTP until the process ends.
//!
//! The process ends on SIGTERM or SIGINT, or when an essential actor is lost to a bug. Then it accepts no more
//! connections and closes idle ones. Calls in flight may continue for MCP_DRAIN_TIMEOUT; after that they are cancelled
//! in PostgreSQL. A second signal ends the process at once. SIGHUP reloads the settings.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use actix::Addr;
use slog::Logger;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{CLEANUP_MAX, EXIT_BUG, System, start_essential, this_program};
use crate::actors::clients::client::Client;
use crate::actors::clients::registry::ClientRegistry;
use crate::actors::config_watcher::{ConfigWatcher, FilesTouched};
use crate::actors::databases::Databases;
use crate::http::admin::{self, AdminState};
use crate::http::auth::Auth;
use crate::http::listener::{Listener, Serving};
use crate::http::paths;
use crate::log::{LogControl, error, info, warn};
use crate::mcp::http::admission::{Admission, session_owner};
use crate::mcp::http::{self as mcp_http, Mcp, server};
use crate::mcp::sessions::Sessions;
use crate::messages::admin::Ping;
use crate::settings::{Inputs, Loaded};

/// Serves clients over HTTP until the process ends.
///
/// # Errors
/// Why the server cannot start, as a sentence for the operator.
pub async fn serve_http(loaded: Loaded, inputs: Inputs, log_control: LogControl, log: Logger) -> Result<u8, String> {
    let log = log.new(slog::o!("logger" => "app"));
    for warning in &loaded.warnings {
        warn!(log, "settings"; "warning" => warning.as_str());
    }
    // Before anybody can know that the process is there: until then a signal ends it at once.
    let mut signals = Signals::new(log_control.clone())?;
    let settings = &loaded.settings;
    let http = &settings.http;
    let mut listeners = Vec::new();
    for address in &http.addresses {
        listeners.push(Listener::bind(address).await?);
    }
    if http.tls.is_none() && http.addresses.iter().any(|address| !address.is_local()) {
        warn!(log, "tokens travel in clear: set MCP_TLS_CERT and MCP_TLS_KEY, or let a proxy in front have TLS");
    }

    let mut system = System::start(settings, this_program(), &log)?;
    let (stopping, ending) = (CancellationToken::new(), CancellationToken::new());
    let registry = ClientRegistry::new(
        settings,
        system.databases.clone(),
        system.metrics(),
        system.events.clone(),
        ending.clone(),
        &log,
    )?;
    let (rules, clients) = (registry.rules(), registry.count());
    let registry = start_essential(registry, &system.lost);
    system.listeners.push(registry.clone().recipient());
    let config_watcher = system.watch(&loaded, inputs, Some(log_control.clone()), &log);

    let sessions = Arc::new(Sessions::new(http.session_timeout));
    tokio::spawn(Sessions::end_idle(Arc::downgrade(&sessions)));
    let of_session = {
        let sessions = sessions.clone();
        Box::new(move |headers: &_| session_owner(&sessions, headers))
    };
    let auth = Arc::new(Auth::new(registry.recipient(), rules.clone(), of_session, &log));
    let admission = Admission::new(sessions.clone(), rules.clone(), &log);
    let is_tls = http.tls.is_some();
    let urls: Vec<String> = listeners.iter().map(|listener| listener.url(is_tls)).collect();
    for url in &urls {
        info!(log, "listening"; "url" => url);
    }
    let each = {
        let stopping = stopping.clone();
        move |client: &Arc<Client>| server(client, &stopping)
    };
    let bytes_max = settings.limits.line_bytes_max;
    let protocol = Mcp::new(each, sessions.clone(), bytes_max, stopping.clone()).with_own_calls();
    let connections = TaskTracker::new();
    let state = Arc::new(AdminState {
        databases: system.databases.clone(),
        snapshot: system.metrics.clone().recipient(),
        scrape: system.metrics.clone().recipient(),
        sessions: Box::new(move || sessions.len()),
        clients,
        connections: connections.clone(),
        recent_lines: {
            let log_control = log_control.clone();
            Box::new(move || log_control.recent())
        },
        urls,
        started: (SystemTime::now(), Instant::now()),
        auth: auth.clone(),
        log: log.new(slog::o!("logger" => "http")),
    });
    let serving = Serving {
        router: paths::all(mcp_http::router(auth, admission, protocol), admin::router(state)),
        rules,
        places: Arc::new(Semaphore::new(http.connections_max)),
        stopping: stopping.clone(),
        connections: connections.clone(),
        log: log.new(slog::o!("logger" => "http")),
    };
    for listener in listeners {
        tokio::spawn(serving.clone().accept(listener));
    }
    drop(serving);
    info!(log, "started";
        "version" => env!("CARGO_PKG_VERSION"), "access" => settings.access.to_string(), "pid" => std::process::id());
    notify_systemd(sd_notify::NotifyState::Ready, &log);
    let watchdog = tokio::spawn(watchdog(system.owner.clone(), log.clone()));

    let (why, status) = tokio::select! {
        why = signals.end(&config_watcher, &log) => (why, 0),
        () = system.lost.cancelled() => {
            error!(log, "an actor was lost to a bug");
            ("a bug", EXIT_BUG)
        }
    };
    watchdog.abort();
    notify_systemd(sd_notify::NotifyState::Stopping, &log);
    info!(log, "ending"; "why" => why, "connections" => connections.len());
    stopping.cancel();
    connections.close();
    let is_drained = tokio::select! {
        drained = tokio::time::timeout(http.drain, connections.wait()) => drained.is_ok(),
        why = signals.end(&config_watcher, &log) => {
            info!(log, "ended at once"; "why" => why);
            return Ok(status);
        }
    };
    if !is_drained {
        warn!(log, "calls are cancelled: they outlived MCP_DRAIN_TIMEOUT"; "connections" => connections.len());
    }
    ending.cancel();
    let cleanup = async {
        connections.wait().await;
        system.end().await;
    };
    let _ = tokio::time::timeout(CLEANUP_MAX, cleanup).await;
    info!(log, "ended"; "why" => why);
    Ok(status)
}

/// The signals that the daemon handles.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    log_control: LogControl,
}

impl Signals {
    fn new(log_control: LogControl) -> Result<Self, String> {
        let on = |kind| signal(kind).map_err(|error| format!("signals cannot be heard: {error}"));
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
            hang_up: on(SignalKind::hangup())?,
            log_control,
        })
    }

    /// Waits for a signal that ends the process. SIGHUP causes a reload.
    async fn end(&mut self, config_watcher: &Addr<ConfigWatcher>, log: &Logger) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hang_up.recv() => {
                    self.log_control.follow_file();
                    info!(log, "SIGHUP: the settings are read again");
                    config_watcher.do_send(FilesTouched);
                }
            }
        }
    }
}

/// Notifies the watchdog of systemd twice in each of its periods (sd_watchdog_enabled(3)), while this thread runs and
/// the owner of the databases replies.
async fn watchdog(databases: Addr<Databases>, log: Logger) {
    let Some(within) = sd_notify::watchdog_enabled() else { return };
    let mut next = tokio::time::interval((within / 2).max(Duration::from_millis(1)));
    loop {
        next.tick().await;
        if databases.send(Ping).await.is_ok() {
            notify_systemd(sd_notify::NotifyState::Watchdog, &log);
        }
    }
}

fn notify_systemd(state: sd_notify::NotifyState<'_>, log: &Logger) {
    // Without NOTIFY_SOCKET systemd did not start this process.
    if std::env::var_os("NOTIFY_SOCKET").is_some()
        && let Err(error) = sd_notify::notify(&[state])
    {
        warn!(log, "systemd could not be told"; "why" => error.to_string());
    }
}
