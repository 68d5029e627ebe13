//! Where paths lead.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, get};

use super::gate::{self, Gate};
use crate::mcp::http::Protocol;

/// All that is served.
pub fn router<P: Protocol>(gate: Arc<Gate>, protocol: P) -> Router {
    let clients = Router::new()
        .route("/mcp", any(move |request| protocol.clone().answer(request)))
        .layer(from_fn_with_state(gate.clone(), gate::for_clients));
    let anybody =
        Router::new().route("/healthz", get(async || "ok\n")).layer(from_fn_with_state(gate, gate::for_anybody));
    clients.merge(anybody)
}
