//! Authentication: decides whether a request is accepted, and for which client.
//!
//! The checks are in this order: the headers Host and Origin ([`super::names`]), the bearer token (RFC 6750), the rate
//! of the client. Then the body is read completely, with its limits, before anything is done with it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix::Recipient;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::StatusCode;
use hyper::body::Body as _;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::http::request::Parts;
use sha2::{Digest, Sha256};
use slog::Logger;
use tokio::sync::{OnceCell, watch};

use super::json_error::json_error;
use super::names::{Arrival, Host, disallowed_origin};
use crate::actors::clients::client::Client;
use crate::actors::clients::registry::{Admit, Rules};
use crate::log::{debug, warn};

/// Finds the client of a request without a token by its headers, on whatever connection it comes. The module that knows
/// the protocol provides it.
pub type Known = Box<dyn Fn(&HeaderMap) -> Option<Arc<Client>> + Send + Sync>;

/// What decides whether a request is accepted.
pub struct Auth {
    registry: Recipient<Admit>,
    rules: watch::Receiver<Rules>,
    known: Known,
    log: Logger,
}

/// The connection on which a request has come.
#[derive(Default)]
pub struct Connection {
    /// The client of this connection, if there are no tokens. It is set by the first request.
    client: OnceCell<Option<Arc<Client>>>,
    arrival: Arrival,
}

impl Connection {
    /// A connection on which nothing was requested yet.
    pub fn new(arrival: Arrival) -> Self {
        Self { arrival, ..Self::default() }
    }
}

/// Why a request is refused.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The header Host is not a name of this server.
    Host(String),
    /// The header Origin is not an allowed origin.
    Origin(String),
    /// A token is required, and there is none.
    NoToken,
    /// The token is unknown.
    WrongToken,
    /// The path is for operators only.
    NotAnOperator,
    /// The client sends too many requests.
    TooOften {
        /// When the next request will be accepted.
        after: Duration,
        /// The value of MCP_CLIENT_RATE.
        rate: u32,
    },
    /// The body is too long.
    TooLong {
        /// The value of MCP_MAX_LINE_BYTES.
        bytes_max: usize,
    },
    /// The body did not arrive in time.
    TooSlow {
        /// The value of MCP_CLIENT_TIMEOUT.
        after: Duration,
    },
    /// The body ended too early.
    Broken,
}

impl Auth {
    /// Authentication that asks `registry` for clients, and follows these `rules`.
    pub fn new(registry: Recipient<Admit>, rules: watch::Receiver<Rules>, known: Known, log: &Logger) -> Self {
        Self { registry, rules, known, log: log.new(slog::o!("logger" => "http")) }
    }

    /// The current rules.
    pub fn rules(&self) -> Rules {
        self.rules.borrow().clone()
    }

    /// Whether clients must show a token.
    pub fn asks_for_tokens(&self) -> bool {
        self.rules.borrow().settings.http.tokens.is_some()
    }

    /// Checks the headers Host and Origin. A host that `is_enough` is accepted in addition to the names of this server.
    fn check_names(
        &self,
        request: &Parts,
        connection: &Connection,
        is_enough: impl Fn(&Host) -> bool,
    ) -> Result<(), Refusal> {
        let rules = self.rules.borrow();
        let (http, host) = (&rules.settings.http, Host::of(request));
        if !host.is_ours(connection.arrival, http) && !is_enough(&host) {
            return Err(Refusal::Host(host.name()));
        }
        disallowed_origin(&request.headers, &host, http).map_or(Ok(()), |origin| Err(Refusal::Origin(origin)))
    }

    /// The client for which a request is made.
    async fn client(&self, request: &Parts, connection: &Connection) -> Result<Arc<Client>, Refusal> {
        let admit = async |admit| self.registry.send(admit).await.ok().flatten();
        if self.asks_for_tokens() {
            let token = bearer(&request.headers).ok_or(Refusal::NoToken)?;
            return admit(Admit::Bearer(Sha256::digest(token).into())).await.ok_or(Refusal::WrongToken);
        }
        // One client may use several connections, if its headers identify it.
        if let Some(client) = (self.known)(&request.headers) {
            return Ok(client);
        }
        let client = connection.client.get_or_init(|| admit(Admit::Anonymous)).await;
        client.clone().filter(|client| !client.ending.is_cancelled()).ok_or(Refusal::NoToken)
    }

    fn refuse(&self, request: &Parts, refusal: Refusal) -> Response {
        let path = request.uri.path();
        match refusal {
            Refusal::Broken => debug!(self.log, "request refused"; "path" => path, "why" => refusal.to_string()),
            _ => warn!(self.log, "request refused"; "path" => path, "why" => refusal.to_string()),
        }
        refusal.into_response()
    }
}

/// The client of a request, in the extensions of the request.
pub type AuthenticatedClient = Arc<Client>;

/// Accepts requests to the health checks: like [`for_anybody`], and also without a name of this server.
pub async fn for_probes(State(auth): State<Arc<Auth>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match auth.check_names(&parts, &connection(&parts), Host::is_no_name) {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(refusal) => auth.refuse(&parts, refusal),
    }
}

/// Accepts every request to an allowed name.
pub async fn for_anybody(State(auth): State<Arc<Auth>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match auth.check_names(&parts, &connection(&parts), |_| false) {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(refusal) => auth.refuse(&parts, refusal),
    }
}

/// Accepts requests of operators. Without tokens, every client that can reach the server is accepted.
pub async fn for_operators(State(auth): State<Arc<Auth>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match operator(&auth, &parts).await {
        Ok(client) => {
            parts.extensions.insert::<AuthenticatedClient>(client);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(refusal) => auth.refuse(&parts, refusal),
    }
}

async fn operator(auth: &Auth, parts: &Parts) -> Result<Arc<Client>, Refusal> {
    let connection = connection(parts);
    auth.check_names(parts, &connection, |_| false)?;
    let client = auth.client(parts, &connection).await?;
    if auth.asks_for_tokens() && !client.is_operator {
        return Err(Refusal::NotAnOperator);
    }
    Ok(client)
}

/// Accepts requests of clients of the protocol.
pub async fn for_clients(State(auth): State<Arc<Auth>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match client(&auth, &parts).await {
        Ok(client) => {
            parts.extensions.insert::<AuthenticatedClient>(client);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(refusal) => auth.refuse(&parts, refusal),
    }
}

async fn client(auth: &Auth, parts: &Parts) -> Result<Arc<Client>, Refusal> {
    let connection = connection(parts);
    auth.check_names(parts, &connection, |_| false)?;
    let client = auth.client(parts, &connection).await?;
    let rate = auth.rules.borrow().settings.http.rate;
    client.count(rate).map_err(|after| Refusal::TooOften { after, rate })?;
    Ok(client)
}

/// Reads the whole body, with the current limits, before anything is done with it.
pub async fn with_whole_body(State(auth): State<Arc<Auth>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let settings = auth.rules().settings;
    match whole(body, settings.limits.line_bytes_max, settings.http.client_timeout).await {
        Ok(body) => next.run(Request::from_parts(parts, Body::from(body))).await,
        Err(refusal) => auth.refuse(&parts, refusal),
    }
}

fn connection(request: &Parts) -> Arc<Connection> {
    request.extensions.get::<Arc<Connection>>().cloned().unwrap_or_default()
}

/// The token in the header Authorization. The name of the scheme is not case-sensitive (RFC 9110, section 11.1).
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(b"bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

async fn whole(body: Body, bytes_max: usize, within: Duration) -> Result<Bytes, Refusal> {
    // If the announced length is too long, the body is not read.
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(Refusal::TooLong { bytes_max });
    }
    let read = tokio::time::timeout(within, Limited::new(body, bytes_max).collect()).await;
    match read.map_err(|_| Refusal::TooSlow { after: within })? {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal::TooLong { bytes_max }),
        Err(_) => Err(Refusal::Broken),
    }
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Host(_) | Self::Origin(_) | Self::NotAnOperator => StatusCode::FORBIDDEN,
            Self::NoToken | Self::WrongToken => StatusCode::UNAUTHORIZED,
            Self::TooOften { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::TooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(name) => {
                write!(f, "Host {name:?} is no name of this server. The operator can add it to MCP_ALLOWED_HOSTS.")
            }
            Self::Origin(origin) => write!(
                f,
                "Pages of {origin:?} may not call this server. The operator can add it to MCP_ALLOWED_ORIGINS."
            ),
            Self::NoToken => f.write_str("A token is needed: Authorization: Bearer TOKEN."),
            Self::WrongToken => f.write_str("The token is not known, or no longer."),
            Self::NotAnOperator => f.write_str("This is for operators: the token has no `operator = true`."),
            Self::TooOften { rate, .. } => {
                write!(f, "This client has made more than {rate} requests a second (MCP_CLIENT_RATE).")
            }
            Self::TooLong { bytes_max } => write!(f, "A request has at most {bytes_max} bytes (MCP_MAX_LINE_BYTES)."),
            Self::TooSlow { after } => {
                write!(f, "The request did not come whole within {after:?} (MCP_CLIENT_TIMEOUT).")
            }
            Self::Broken => f.write_str("The request has ended before its end."),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = json_error(self.status(), &self.to_string());
        let headers = response.headers_mut();
        match &self {
            Self::NoToken => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(r#"Bearer realm="mcp-server-postgres""#));
            }
            Self::WrongToken => {
                let why = r#"Bearer realm="mcp-server-postgres", error="invalid_token""#;
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(why));
            }
            Self::TooOften { after, .. } => {
                headers.insert(RETRY_AFTER, (after.as_secs_f64().ceil() as u64).max(1).into());
            }
            _ => {}
        }
        response
    }
}
