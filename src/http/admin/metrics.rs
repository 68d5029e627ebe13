//! The metrics in the format of Prometheus.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;

use super::AdminState;
use crate::actors::metrics::CONTENT_TYPE as PROMETHEUS;
use crate::http::process;
use crate::messages::metrics::{DatabaseGauges, Gauges, Scrape};
use crate::postgres::pool::health::HealthState;

/// `GET /metrics`.
pub async fn metrics(State(state): State<Arc<AdminState>>) -> Response {
    let databases = state.statuses().await.into_iter().map(|(database, status)| DatabaseGauges {
        name: database,
        is_up: status.state != HealthState::Down,
        pool: status.pool,
    });
    let gauges = Gauges {
        databases: databases.collect(),
        sessions: (state.sessions)(),
        connections: state.connections.len(),
        resident_bytes: process::resident_bytes(),
        descriptors: process::descriptors(),
    };
    match state.scrape.send(Scrape { gauges }).await {
        Ok(text) => ([(CONTENT_TYPE, PROMETHEUS)], text).into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}
