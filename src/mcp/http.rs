//! Streamable HTTP: rmcp's service, a server for each client behind it.
//!
//! Revision 2026-07-28 has no sessions: a request is all there is, and a client that closes the answer's stream has
//! cancelled it. The older revisions have sessions ([`super::sessions`]), on the same path.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{MethodRouter, any};
use http_body_util::{BodyExt, Collected};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use rmcp::ServerHandler;
use rmcp::model::Extensions;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::calls::Calls;
use super::server::Server;
use super::sessions::{Sessions, SessionsOf};
use crate::actors::clients::client::Client;
use crate::http::auth::{self, Auth, AuthenticatedClient};
use crate::messages::RawArguments;
use crate::messages::in_flight::InFlightPermit;
use admission::Admission;

pub mod admission;

/// How often a stream on which nothing comes says that it is there: proxies close those that are silent for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The path, for clients: who asks is found out before whether it may ask now, and that before the body is read.
pub fn router<F, S>(auth: Arc<Auth>, admission: Admission, mcp: Mcp<F>) -> Router
where
    F: Fn(&Arc<Client>) -> S + Clone + Send + Sync + 'static,
    S: ServerHandler + Send + 'static,
{
    let answer = move |request| mcp.clone().answer(request);
    behind(auth, admission, any(answer))
}

/// `answer` behind all that decides whether a request comes to it.
pub fn behind(auth: Arc<Auth>, admission: Admission, answer: MethodRouter) -> Router {
    Router::new()
        .route("/mcp", answer)
        .layer(from_fn_with_state(auth.clone(), auth::with_whole_body))
        .layer(from_fn_with_state(Arc::new(admission), admission::admit))
        .layer(from_fn_with_state(auth, auth::for_clients))
}

/// MCP over HTTP, with what `serve` makes of a client.
#[derive(Clone)]
pub struct Mcp<F> {
    serve: F,
    sessions: Arc<Sessions>,
    /// The longest body, in bytes.
    bytes_max: usize,
    /// Cancelled when the process is to end: streams that stand for as long as their client end then.
    stopping: CancellationToken,
}

impl<F, S> Mcp<F>
where
    F: Fn(&Arc<Client>) -> S + Clone + Send + Sync + 'static,
    S: ServerHandler + Send + 'static,
{
    /// The protocol, with `serve` for a client's server.
    pub fn new(serve: F, sessions: Arc<Sessions>, bytes_max: usize, stopping: CancellationToken) -> Self {
        Self { serve, sessions, bytes_max, stopping }
    }
}

impl<F, S> Mcp<F>
where
    F: Fn(&Arc<Client>) -> S + Clone + Send + Sync + 'static,
    S: ServerHandler + Send + 'static,
{
    async fn answer(self, request: Request) -> Response {
        let request = with_body_at_hand(request).await;
        // The authentication has put it there.
        let Some(client) = request.extensions().get::<AuthenticatedClient>().cloned() else {
            return Response::builder().status(500).body(Body::empty()).unwrap_or_default();
        };
        let standing = request.method() == Method::GET;
        let config = StreamableHttpServerConfig::default()
            // The authentication has looked at both.
            .disable_allowed_hosts()
            .disable_allowed_origins()
            .with_sse_keep_alive(Some(KEEP_ALIVE))
            // An answer that comes alone is no stream.
            .with_json_response(true)
            .with_max_request_body_bytes(self.bytes_max)
            .with_cancellation_token(if standing { self.stopping.clone() } else { client.ending.clone() });
        let sessions = Arc::new(SessionsOf::new(self.sessions.clone(), client.clone(), self.serve.clone()));
        let serve = self.serve;
        let service = StreamableHttpService::new(move || Ok(serve(&client)), sessions, config);
        let is_delete = request.method() == Method::DELETE;
        let mut response = service.handle(request).await.map(Body::new);
        // rmcp says 202 of a session that has ended, which some clients take for a failure.
        if is_delete && response.status() == StatusCode::ACCEPTED {
            *response.status_mut() = StatusCode::NO_CONTENT;
        }
        response
    }
}

/// A request's body, until the arguments have been taken from it.
#[derive(Clone)]
struct AsItCame(Arc<Mutex<Option<Bytes>>>);

/// The request, with its body among its extensions too. The gate has read it.
async fn with_body_at_hand(request: Request) -> Request {
    let (mut parts, body) = request.into_parts();
    let bytes = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
    parts.extensions.insert(AsItCame(Arc::new(Mutex::new(Some(bytes.clone())))));
    Request::from_parts(parts, Body::from(bytes))
}

/// The arguments of a call as they were written, if it came by HTTP. rmcp has them as a tree of values, which keeps
/// neither how a number is spelled nor a key that comes twice.
pub(super) fn arguments(extensions: &Extensions) -> Option<RawArguments> {
    #[derive(Deserialize)]
    struct Call {
        params: Params,
    }
    #[derive(Deserialize)]
    struct Params {
        arguments: RawArguments,
    }
    let AsItCame(body) = extensions.get::<Parts>()?.extensions.get()?;
    let body = body.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    let call: Call = serde_json::from_slice(&body).ok()?;
    Some(call.params.arguments)
}

/// That a call is counted among those in flight, if it came by HTTP.
pub(super) fn permit(extensions: &Extensions) -> Option<InFlightPermit> {
    extensions.get::<Parts>()?.extensions.get().cloned()
}

/// Our own server for a client.
pub fn server(client: &Arc<Client>, stopping: &CancellationToken) -> Server {
    Server::new(Calls::new(client.session.clone()), client.access.clone(), client.ending.clone(), stopping.clone())
}
