//! Refusals as JSON-RPC errors. Clients of the protocol show the message of such an error; of a plain text they show
//! only the status.

use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use serde::Serialize;
use serde_json::{Value, json};

/// The code of all refusals (JSON-RPC 2.0, section 5.1: server errors are -32000 to -32099).
const INVALID_REQUEST: i32 = -32600;
const INTERNAL_ERROR: i32 = -32603;

/// A refusal for a request whose id is unknown.
pub(crate) fn json_error(status: StatusCode, why: &str) -> Response {
    let code = if status.is_server_error() { INTERNAL_ERROR } else { INVALID_REQUEST };
    json_error_to(&Value::Null, status, &json!({"code": code, "message": why}))
}

/// A refusal for the request with this id. `error` has a `code` and a `message`.
pub(crate) fn json_error_to(id: &Value, status: StatusCode, error: &impl Serialize) -> Response {
    let body = json!({"jsonrpc": "2.0", "id": id, "error": error});
    (status, [(CONTENT_TYPE, "application/json")], format!("{body}\n")).into_response()
}
