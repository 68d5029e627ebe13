//! Refusals as JSON-RPC errors, in JSON: clients of the protocol show the words of such an error. Of a text they show only
//! the status.

use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use serde::Serialize;
use serde_json::{Value, json};

/// JSON-RPC 2.0, section 5.1. MCP leaves no codes to servers between -32000 and -32099.
const INVALID_REQUEST: i32 = -32600;
const INTERNAL_ERROR: i32 = -32603;

/// The refusal of a request whose id is not known.
pub(crate) fn json_error(status: StatusCode, why: &str) -> Response {
    let code = if status.is_server_error() { INTERNAL_ERROR } else { INVALID_REQUEST };
    json_error_to(&Value::Null, status, &json!({"code": code, "message": why}))
}

/// The refusal of the request with that id. `error` has a `code` and a `message`.
pub(crate) fn json_error_to(id: &Value, status: StatusCode, error: &impl Serialize) -> Response {
    let body = json!({"jsonrpc": "2.0", "id": id, "error": error});
    (status, [(CONTENT_TYPE, "application/json")], format!("{body}\n")).into_response()
}
