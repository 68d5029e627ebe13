//! Streamable HTTP. Calls of tools are answered here (`call`); every other request goes to a service of rmcp, with a server
//! for its client. What a request lacks is made up for before that, where it can be understood (`tolerance`).
//!
//! Revision 2026-07-28 has no sessions: each request is complete, and a client that closes the stream of the answer has
//! cancelled it. The older revisions have sessions ([`super::sessions`]), on the same path.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{MethodRouter, any};
use http_body_util::{BodyExt, Collected};
use hyper::header::{ALLOW, HeaderValue};
use hyper::{Method, StatusCode};
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, ServerHandler};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::calls::Calls;
use super::server::Server;
use super::sessions::{Sessions, SessionsOf};
use crate::actors::clients::client::Client;
use crate::http::auth::{self, Auth, AuthenticatedClient};
use crate::http::json_error::{json_error, json_error_to};
use crate::http::paths;
use admission::{Admission, SESSION_ID};
use tolerance::Accepted;

pub mod admission;
mod call;
mod tolerance;

/// How often a silent stream sends a comment. Many proxies close a stream that is silent for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The method whose answer is a stream that lasts as long as its client.
const LISTEN: &str = "subscriptions/listen";

/// The path for clients. The order is: who asks, then whether it may ask now, then the body is read.
pub fn router<F, S>(auth: Arc<Auth>, admission: Admission, mcp: Mcp<F>) -> Router
where
    F: Fn(&Arc<Client>) -> S + Clone + Send + Sync + 'static,
    S: ServerHandler + Send + 'static,
{
    let answer = move |request| mcp.clone().answer(request);
    behind(auth, admission, any(answer))
}

/// `answer`, behind the layers that decide whether a request reaches it.
pub fn behind(auth: Arc<Auth>, admission: Admission, answer: MethodRouter) -> Router {
    Router::new()
        .route(paths::MCP, answer)
        .layer(from_fn_with_state(auth.clone(), auth::with_whole_body))
        .layer(from_fn_with_state(Arc::new(admission), admission::admit))
        .layer(from_fn_with_state(auth, auth::for_clients))
}

/// MCP over HTTP. `serve` makes the server of a client.
#[derive(Clone)]
pub struct Mcp<F> {
    serve: F,
    sessions: Arc<Sessions>,
    /// The longest body, in bytes.
    bytes_max: usize,
    /// Whether plain calls of tools go to the client's session directly, without the server that `serve` makes.
    has_own_calls: bool,
    /// Cancelled when the process is about to end. Streams that last as long as their client then end.
    stopping: CancellationToken,
}

impl<F, S> Mcp<F>
where
    F: Fn(&Arc<Client>) -> S + Clone + Send + Sync + 'static,
    S: ServerHandler + Send + 'static,
{
    /// MCP over HTTP, with `serve` for a client's server.
    pub fn new(serve: F, sessions: Arc<Sessions>, bytes_max: usize, stopping: CancellationToken) -> Self {
        Self { serve, sessions, bytes_max, has_own_calls: false, stopping }
    }

    /// The same, but plain calls of tools go to the client's session directly.
    pub fn with_own_calls(mut self) -> Self {
        self.has_own_calls = true;
        self
    }
}

impl<F, S> Mcp<F>
where
    F: Fn(&Arc<Client>) -> S + Clone + Send + Sync + 'static,
    S: ServerHandler + Send + 'static,
{
    async fn answer(self, request: Request) -> Response {
        // The authentication has put the client there.
        let Some(client) = request.extensions().get::<AuthenticatedClient>().cloned() else {
            return json_error(StatusCode::INTERNAL_SERVER_ERROR, "It is not known who asks.");
        };
        let has_session = request.headers().contains_key(SESSION_ID);
        match *request.method() {
            Method::POST => self.post(request, client).await,
            Method::GET if has_session && !Accepted::of(request.headers()).events => {
                json_error(StatusCode::NOT_ACCEPTABLE, "GET opens a stream of events: send Accept: text/event-stream.")
            }
            Method::GET | Method::DELETE if has_session => self.by_rmcp(request, client, &Value::Null).await,
            Method::GET | Method::DELETE => {
                let why = "Without Mcp-Session-Id there is nothing to GET or DELETE: messages are sent by POST.";
                not_allowed(why, "POST")
            }
            _ => not_allowed("MCP is spoken by POST, GET and DELETE.", "GET, POST, DELETE"),
        }
    }

    async fn post(self, request: Request, client: Arc<Client>) -> Response {
        let accepted = Accepted::of(request.headers());
        if !accepted.json {
            return json_error(StatusCode::NOT_ACCEPTABLE, "Send Accept: application/json, text/event-stream.");
        }
        let (mut parts, body) = request.into_parts();
        // A layer has read the whole body.
        let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
        if self.has_own_calls
            && let Some(answer) = call::answer(&parts, &body, &client, &self.sessions, accepted.names_events).await
        {
            return answer;
        }
        let message = match tolerance::read(&body) {
            Ok(message) => message,
            Err(refusal) => return *refusal,
        };
        let (id, method) = tolerance::id_and_method(&message);
        // Whoever initialises after its session has ended wants a new one.
        let session = parts.headers.get(SESSION_ID).and_then(|id| id.to_str().ok());
        if method == "initialize" && !session.is_some_and(|id| self.sessions.has(id, &client)) {
            parts.headers.remove(SESSION_ID);
        }
        let is_stream = method == LISTEN;
        if is_stream && !accepted.events {
            let why =
                format!("{LISTEN} is answered by a stream of events: send Accept: application/json, text/event-stream");
            return json_error_to(&id, StatusCode::NOT_ACCEPTABLE, &ErrorData::invalid_request(why, None));
        }
        let answer = self.by_rmcp(Request::from_parts(parts, Body::from(body)), client, &id).await;
        if is_stream || accepted.names_events { answer } else { tolerance::without_events(answer).await }
    }

    /// The answer of rmcp to the request, which has that id.
    async fn by_rmcp(self, mut request: Request, client: Arc<Client>, id: &Value) -> Response {
        tolerance::set_media_types(request.headers_mut());
        let standing = request.method() == Method::GET;
        let config = StreamableHttpServerConfig::default()
            // The authentication has checked both.
            .disable_allowed_hosts()
            .disable_allowed_origins()
            .with_sse_keep_alive(Some(KEEP_ALIVE))
            // Nothing is kept for a client that comes back. Otherwise each stream would begin with an event without data, at
            // which clients of revisions before 2025-11-25 stop.
            .with_sse_retry(None)
            // If there is only the answer, it is not a stream.
            .with_json_response(true)
            .with_max_request_body_bytes(self.bytes_max)
            .with_cancellation_token(if standing { self.stopping.clone() } else { client.ending.clone() });
        let sessions = Arc::new(SessionsOf::new(self.sessions.clone(), client.clone(), self.serve.clone()));
        let serve = self.serve;
        let service = StreamableHttpService::new(move || Ok(serve(&client)), sessions, config);
        let is_delete = request.method() == Method::DELETE;
        let mut response = service.handle(request).await.map(Body::new);
        // rmcp answers 202 for a session that has ended, and some clients take that for a failure.
        if is_delete && response.status() == StatusCode::ACCEPTED {
            *response.status_mut() = StatusCode::NO_CONTENT;
        }
        tolerance::in_json(response, id).await
    }
}

/// The refusal of a method. `allowed` are the methods that would be served.
fn not_allowed(why: &str, allowed: &'static str) -> Response {
    let mut refusal = json_error(StatusCode::METHOD_NOT_ALLOWED, why);
    refusal.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    refusal
}

/// Our own server for a client.
pub fn server(client: &Arc<Client>, stopping: &CancellationToken) -> Server {
    Server::new(Calls::new(client.session.clone()), client.access.clone(), client.ending.clone(), stopping.clone())
}
