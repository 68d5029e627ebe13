//! Which requests of a client are accepted. A client has a limit of requests in flight, and there is a limit of sessions.

use std::fmt;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use hyper::header::{HeaderMap, RETRY_AFTER};
use hyper::{Method, StatusCode};
use slog::Logger;
use tokio::sync::watch;

use crate::actors::clients::client::Client;
use crate::actors::clients::registry::Rules;
use crate::http::auth::AuthenticatedClient;
use crate::http::holding::Holding;
use crate::http::json_error::json_error;
use crate::log::warn;
use crate::mcp::sessions::Sessions;
use crate::messages::in_flight::{Busy, InFlightPermit};
use crate::postgres::error::BUSY_RETRY;

/// The header with the session, in the revisions that have sessions.
pub(super) const SESSION_ID: &str = "mcp-session-id";

/// The header with the method of a request, from revision 2026-07-28 on.
pub(super) const METHOD: &str = "mcp-method";

/// Decides whether a request is accepted.
pub struct Admission {
    sessions: Arc<Sessions>,
    rules: watch::Receiver<Rules>,
    log: Logger,
}

/// Why a request is not accepted.
enum Refusal {
    Busy(Busy),
    /// The value of MCP_MAX_SESSIONS.
    TooManySessions(usize),
}

impl Admission {
    /// An admission that counts these `sessions`, by these `rules`.
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
        // A request without a session that is there, of a revision with sessions, can only open one.
        let session = headers.get(SESSION_ID).and_then(|id| id.to_str().ok());
        let has_session = session.is_some_and(|id| self.sessions.has(id, client));
        let opens = request.method() == Method::POST && !has_session && !headers.contains_key(METHOD);
        if opens && self.sessions.len() >= settings.http.sessions_max {
            return Err(Refusal::TooManySessions(settings.http.sessions_max));
        }
        // A stream that lasts as long as its client does not count as in flight.
        let lasts =
            request.method() == Method::GET || headers.get(METHOD).is_some_and(|method| method == super::LISTEN);
        if lasts {
            return Ok(None);
        }
        match client.in_flight.permit(settings.limits.in_flight_max) {
            Ok(permit) => Ok(Some(permit)),
            // It may be the response that a call in flight waits for. If it is another call, the session of the client counts
            // it.
            Err(_) if self.is_asking(headers) => Ok(None),
            Err(busy) => Err(Refusal::Busy(busy)),
        }
    }
}

/// The owner of the session that a request names. The authentication uses it where there are no tokens.
pub fn session_owner(sessions: &Sessions, headers: &HeaderMap) -> Option<Arc<Client>> {
    sessions.owner(headers.get(SESSION_ID)?.to_str().ok()?)
}

/// Accept a request, or answer why not.
pub async fn admit(State(admission): State<Arc<Admission>>, mut request: Request, next: Next) -> Response {
    let Some(client) = request.extensions().get::<AuthenticatedClient>().cloned() else {
        return json_error(StatusCode::INTERNAL_SERVER_ERROR, "It is not known who asks.");
    };
    match admission.permit(&request, &client) {
        Ok(None) => next.run(request).await,
        Ok(Some(permit)) => {
            request.extensions_mut().insert(permit.clone());
            // It is in flight until the client has read its answer.
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

impl Refusal {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Busy(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::TooManySessions(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let mut response = json_error(status, &self.to_string());
        response.headers_mut().insert(RETRY_AFTER, BUSY_RETRY.as_secs().into());
        response
    }
}
