//! The status of the server for load balancers and for the status page, and the path that cancels a call.
//!
//! Each request asks the actors; nothing is cached. Statements are shown without their literals.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use futures_util::future::join_all;
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};

use super::AdminState;
use crate::http::auth::AuthenticatedClient;
use crate::http::json_error::json_error;
use crate::http::process;
use crate::log::info;
use crate::messages::admin::{CallsInFlight, CancelCall, DatabaseStatus};
use crate::messages::metrics::Snapshot;
use crate::postgres::catalog::role::Finding;
use crate::postgres::pool::health::HealthState;
use crate::units::{milliseconds, rfc3339};

/// Why nobody can cancel a call if there are no tokens.
const NO_OPERATORS: &str =
    "Calls can be cancelled by whoever has a token with `operator = true`; without MCP_TOKENS_FILE there is none.";

/// `GET /readyz` and `GET /readyz/DATABASE`: the state of all databases, or of one. The status is 503 if none of them
/// can be reached. A database that a reload has added is included before it can be reached, because the operator who
/// added it wants to see that.
pub async fn ready(State(state): State<Arc<AdminState>>, database: Option<Path<String>>) -> Response {
    let statuses = state.statuses().await;
    let is_meant = |name: &str| database.as_ref().is_none_or(|Path(meant)| meant == name);
    let meant: Vec<_> = statuses.iter().filter(|(database, _)| is_meant(database)).collect();
    if meant.is_empty() && database.is_some() {
        return json_error(StatusCode::NOT_FOUND, "There is no such database.");
    }
    let is_ready = meant.iter().any(|(_, status)| status.state != HealthState::Down);
    let is_whole = meant.iter().all(|(_, status)| status.state == HealthState::Up);
    let databases: Vec<Value> = meant.iter().map(|(database, status)| condition(database, status)).collect();
    let state = match (is_ready, is_whole) {
        (true, true) => "up",
        (true, false) => "degraded",
        (false, _) => "down",
    };
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, document(&json!({"state": state, "databases": databases}))).into_response()
}

/// `GET /status.json`: everything that the page at `/` shows.
pub async fn status(
    State(state): State<Arc<AdminState>>,
    Extension(client): Extension<AuthenticatedClient>,
) -> Response {
    let Ok(snapshot) = state.snapshot.send(Snapshot).await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let statuses = state.statuses().await;
    let databases = statuses.iter().map(|(database, status)| {
        let mut shown = condition(database, status);
        let pool = &status.pool;
        shown["access"] = status.access.to_string().into();
        shown["generation"] = pool.generation.into();
        shown["draining"] = status.draining.into();
        let found = status.role_findings.iter();
        let found =
            found.map(|Finding { is_severe, what, mend }| json!({"severe": is_severe, "what": what, "mend": mend}));
        shown["role_findings"] = found.collect();
        shown["pool"] = json!({
            "size_max": pool.size_max,
            "size": pool.size,
            "in_use": pool.size.saturating_sub(pool.idle),
            "idle": pool.idle,
            "waiting": pool.waiting,
        });
        shown
    });
    let databases: Vec<Value> = databases.collect();
    let with_calls = state.with_calls();
    let asked = with_calls.iter().filter_map(|database| Some(database.calls.upgrade()?.send(CallsInFlight)));
    let calls: Vec<_> = join_all(asked).await.into_iter().flatten().flatten().collect();
    let may_cancel = state.auth.asks_for_tokens() && client.is_operator;
    let (since, began) = state.started;
    let mut page = json!({
        "server": {
            "name": env!("CARGO_PKG_NAME"),
            "version": env!("CARGO_PKG_VERSION"),
            "started_at": rfc3339(since),
            "uptime_ms": milliseconds(began.elapsed()),
            "pid": std::process::id(),
            "resident_bytes": process::resident_bytes(),
            "descriptors": process::descriptors(),
            "connections": state.connections.len(),
            "sessions": (state.sessions)(),
            "clients": state.clients.others(),
            "listeners": state.urls,
            "generated_at": rfc3339(SystemTime::now()),
        },
        "operator": {
            "name": &*client.caller.name,
            "may_cancel": may_cancel,
            "why_not": (!may_cancel).then_some(NO_OPERATORS),
        },
        "databases": databases,
        "calls": calls,
        "log": (state.recent_lines)(),
    });
    if let (Some(page), Ok(Value::Object(metrics))) = (page.as_object_mut(), serde_json::to_value(snapshot)) {
        page.extend(metrics);
    }
    document(&page)
}

/// `POST /calls/ID/cancel`: cancels a call. The status is 204, or 404 if the call has ended.
pub async fn cancel(
    State(state): State<Arc<AdminState>>,
    Extension(client): Extension<AuthenticatedClient>,
    Path(id): Path<u64>,
) -> Response {
    if !state.auth.asks_for_tokens() {
        return json_error(StatusCode::FORBIDDEN, NO_OPERATORS);
    }
    info!(state.log, "an operator cancels a call"; "operator" => &*client.caller.name, "call" => id);
    for database in state.with_calls() {
        let Some(cancel) = database.cancel.upgrade() else { continue };
        if cancel.send(CancelCall { id }).await.unwrap_or(false) {
            return StatusCode::NO_CONTENT.into_response();
        }
    }
    json_error(StatusCode::NOT_FOUND, "There is no such call: it may have ended.")
}

fn condition(name: &str, status: &DatabaseStatus) -> Value {
    json!({
        "name": name,
        "state": match status.state {
            HealthState::Up => "up",
            HealthState::Degraded => "degraded",
            HealthState::Down => "down",
        },
        "since_at": rfc3339(status.since),
        "why": status.why,
        "next_try_ms": status.next_try.map(|after: Duration| milliseconds(after)),
    })
}

/// A JSON response that must not be cached.
fn document(value: &Value) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, format!("{value}\n")).into_response()
}
