//! Which requests of a client are taken: no more than it may have in flight, and no more sessions than there may be.

use std::fmt;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::header::{HeaderMap, RETRY_AFTER};
use hyper::{Method, StatusCode};
use slog::Logger;
use tokio::sync::watch;

use crate::actors::clients::client::Client;
use crate::actors::clients::registry::Rules;
use crate::http::auth::AuthenticatedClient;
use crate::http::holding::Holding;
use crate::log::warn;
use crate::mcp::sessions::Sessions;
use crate::messages::in_flight::{Busy, InFlightPermit};
use crate::postgres::error::BUSY_RETRY;

/// The header that names a session of the revisions that have them.
pub(super) const SESSION_ID: &str = "mcp-session-id";

/// The header that names the method of a request, from revision 2026-07-28 on.
pub(super) const METHOD: &str = "mcp-method";

/// What decides whether a request is taken.
pub struct Admission {
    sessions: Arc<Sessions>,
    rules: watch::Receiver<Rules>,
    log: Logger,
}

/// Why a request is not taken.
enum Refusal {
    Busy(Busy),
    /// MCP_MAX_SESSIONS.
    TooManySessions(usize),
}

impl Admission {
    /// One that counts these `sessions`, by these `rules`.
    pub fn new(sessions: Arc<Sessions>, rules: watch::Receiver<Rules>, log: &Logger) -> Self {
        Self { sessions, rules, log: log.new(slog::o!("logger" => "http")) }
    }

    fn is_asking(&self, headers: &HeaderMap) -> bool {
        let session = headers.get(SESSION_ID).and_then(|id| id.to_str().ok());
        session.is_some_and(|id| self.sessions.is_asking(id))
    }

    fn permit(&self, request: &Request, client: &Client) -> Result<Option<InFlightPermit>, Refusal> {
        let settings = self.rules.borrow().settings.clone();
        let headers = request.headers();
        // What has no session, and is of no revision without, can only open one.
        let opens =
            request.method() == Method::POST && [SESSION_ID, METHOD].iter().all(|name| !headers.contains_key(*name));
        if opens && self.sessions.len() >= settings.http.sessions_max {
            return Err(Refusal::TooManySessions(settings.http.sessions_max));
        }
        // A stream that lasts as long as its client is no work in flight.
        let lasts = request.method() == Method::GET
            || headers.get(METHOD).is_some_and(|method| method == "subscriptions/listen");
        if lasts {
            return Ok(None);
        }
        match client.in_flight.permit(settings.limits.in_flight_max) {
            Ok(permit) => Ok(Some(permit)),
            // It may be the answer that a call in flight waits for. If it is another call, the client's session counts it.
            Err(_) if self.is_asking(headers) => Ok(None),
            Err(busy) => Err(Refusal::Busy(busy)),
        }
    }
}

/// The client whose session a request names; for the authentication, where there are no tokens.
pub fn session_owner(sessions: &Sessions, headers: &HeaderMap) -> Option<Arc<Client>> {
    sessions.owner(headers.get(SESSION_ID)?.to_str().ok()?)
}

/// Take a request, or say why not.
pub async fn admit(State(admission): State<Arc<Admission>>, mut request: Request, next: Next) -> Response {
    let Some(client) = request.extensions().get::<AuthenticatedClient>().cloned() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    match admission.permit(&request, &client) {
        Ok(None) => next.run(request).await,
        Ok(Some(permit)) => {
            request.extensions_mut().insert(permit.clone());
            // It is in flight until its answer has been taken.
            next.run(request).await.map(|body| Holding::body(body, permit))
        }
        Err(refusal) => {
            warn!(admission.log, "request refused"; "path" => request.uri().path(), "why" => refusal.to_string());
            refusal.into_response()
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy(busy) => busy.fmt(f),
            Self::TooManySessions(sessions_max) => {
                write!(f, "Busy: there are {sessions_max} sessions already (MCP_MAX_SESSIONS).")
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Busy(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::TooManySessions(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, [(RETRY_AFTER, BUSY_RETRY.as_secs().to_string())], format!("{self}\n")).into_response()
    }
}
