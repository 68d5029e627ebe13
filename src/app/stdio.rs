//! Serves one client on stdin and stdout until the client or the process ends.
//!
//! The process ends when the client disconnects (end of stdin, closed stdout), on a signal (SIGTERM, SIGINT, SIGHUP),
//! or when an essential actor is lost to a bug. Then finished answers are written and running statements are cancelled
//! in PostgreSQL. The exit status is 0, or 70 (EX_SOFTWARE) after a bug, so that a host or systemd starts the process
//! again.

use std::time::Duration;

use rmcp::ServiceExt;
use slog::Logger;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{CLEANUP_MAX, EXIT_BUG, System, this_program};
use crate::actors::clients::access::ClientAccess;
use crate::caller::Caller;
use crate::log::{LogControl, error, info, warn};
use crate::mcp::calls::Calls;
use crate::mcp::server::Server;
use crate::mcp::standard_streams;
use crate::mcp::stdio::{Stdio, Traffic};
use crate::messages::database::ClientDatabases;
use crate::settings::{Inputs, Loaded};

/// A shell pipe such as `printf … | mcp-server-postgres` ends its input right after its last request. Calls that came
/// at most `LAST_CALLS` before the end of the input get `LAST_ANSWERS` to be answered. All other calls are cancelled at
/// once.
const LAST_CALLS: Duration = Duration::from_millis(50);
const LAST_ANSWERS: Duration = Duration::from_millis(200);

/// Serves one client on stdin and stdout until it disconnects.
///
/// # Errors
/// Why the server cannot start, as a sentence for the operator.
pub async fn serve_stdio(loaded: Loaded, inputs: Inputs, log_control: LogControl, log: Logger) -> Result<u8, String> {
    let log = log.new(slog::o!("logger" => "app"));
    for warning in &loaded.warnings {
        warn!(log, "settings"; "warning" => warning.as_str());
    }
    let mut system = System::start(&loaded.settings, this_program(), &log)?;
    let session = system.session(&loaded.settings, &log).recipient();
    let _config_watcher = system.watch(&loaded, inputs, Some(log_control), &log);
    info!(log, "started";
        "version" => env!("CARGO_PKG_VERSION"), "access" => loaded.settings.access.to_string(), "pid" => std::process::id());

    let cannot = |what: &'static str| move |error: std::io::Error| format!("{what} cannot be used: {error}");
    let input = standard_streams::input().map_err(cannot("stdin"))?;
    let (output, output_closed) = standard_streams::output().map_err(cannot("stdout"))?;
    let gone = CancellationToken::new();
    let ending = CancellationToken::new();
    let calls = Calls::new(session);
    let transport = Stdio::new(input, output, calls.clone(), loaded.settings.limits.line_bytes_max, gone.clone(), &log);
    let traffic = transport.traffic();
    let access = ClientAccess::new(&Caller::stdio(), ClientDatabases::all(system.databases.clone()));
    let server = Server::new(calls, access, ending.clone(), ending.clone());
    let serving_log = log.clone();
    tokio::spawn(async move {
        match server.serve(transport).await {
            // Kept to the end, because its drop would cancel the calls in flight.
            Ok(service) => drop(service.waiting().await),
            // The client disconnected before it initialized. The transport reports the end.
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
    end(&system, &traffic, &ending, gone.is_cancelled()).await;
    info!(log, "ended"; "why" => why);
    Ok(status)
}

/// Answers the last calls of an input that has ended, then cancels all others. The time is limited.
async fn end(system: &System, traffic: &Traffic, ending: &CancellationToken, input_has_ended: bool) {
    if input_has_ended {
        let now = Instant::now();
        traffic.end(now.checked_sub(LAST_CALLS).unwrap_or(now));
        let _ = tokio::time::timeout(LAST_ANSWERS, traffic.quiet()).await;
    }
    ending.cancel();
    traffic.end(Instant::now());
    let cleanup = async {
        // The runtime drops the cancelled calls next, and then their leases, which cancel the statements.
        traffic.quiet().await;
        system.end().await;
    };
    let _ = tokio::time::timeout(CLEANUP_MAX, cleanup).await;
}
