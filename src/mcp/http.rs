//! Streamable HTTP. Calls of tools are answered here (`call`); every other request goes to a service of rmcp, with a server
//! for its client.
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
use hyper::{Method, StatusCode};
use rmcp::ServerHandler;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio_util::sync::CancellationToken;

use super::calls::Calls;
use super::server::Server;
use super::sessions::{Sessions, SessionsOf};
use crate::actors::clients::client::Client;
use crate::http::auth::{self, Auth, AuthenticatedClient};
use admission::Admission;

pub mod admission;
mod call;

/// How often a silent stream sends a comment. Many proxies close a stream that is silent for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

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
        .route("/mcp", answer)
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
            return Response::builder().status(500).body(Body::empty()).unwrap_or_default();
        };
        let request = match self.own_answer(request, &client).await {
            Ok(response) => return response,
            Err(request) => request,
        };
        let standing = request.method() == Method::GET;
        let config = StreamableHttpServerConfig::default()
            // The authentication has checked both.
            .disable_allowed_hosts()
            .disable_allowed_origins()
            .with_sse_keep_alive(Some(KEEP_ALIVE))
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
        response
    }

    /// The answer, if the request is a plain call of a tool. If not, the request, which is for rmcp.
    async fn own_answer(&self, request: Request, client: &Arc<Client>) -> Result<Response, Request> {
        if !self.has_own_calls || request.method() != Method::POST {
            return Err(request);
        }
        let (parts, body) = request.into_parts();
        // A layer has read the whole body.
        let bytes = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
        match call::answer(&parts, &bytes, client, &self.sessions).await {
            Some(response) => Ok(response),
            None => Err(Request::from_parts(parts, Body::from(bytes))),
        }
    }
}

/// Our own server for a client.
pub fn server(client: &Arc<Client>, stopping: &CancellationToken) -> Server {
    Server::new(Calls::new(client.session.clone()), client.access.clone(), client.ending.clone(), stopping.clone())
}
