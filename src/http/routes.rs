//! Where paths lead.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, get, post};

use super::gate::{self, Gate};
use super::page;
use super::seen::{self, AdminState};
use crate::mcp::http::Protocol;

/// The protocol, for clients.
pub fn protocol<P: Protocol>(gate: Arc<Gate>, protocol: P) -> Router {
    Router::new()
        .route("/mcp", any(move |request| protocol.clone().answer(request)))
        .layer(from_fn_with_state(gate, gate::for_clients))
}

/// What is seen of the server: by anybody whether it is there and ready, by operators all of it.
pub fn seen(seen: Arc<AdminState>) -> Router {
    let gate = &seen.gate;
    let anybody = Router::new()
        .route("/", get(page::page))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(seen::ready))
        .route("/readyz/{database}", get(seen::ready))
        .layer(from_fn_with_state(gate.clone(), gate::for_anybody));
    let operators = Router::new()
        .route("/metrics", get(seen::metrics))
        .route("/status.json", get(seen::status))
        .route("/calls/{id}/cancel", post(seen::cancel))
        .layer(from_fn_with_state(gate.clone(), gate::for_operators));
    anybody.merge(operators).with_state(seen)
}
