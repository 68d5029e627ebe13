//! All paths together, and the answer where there is none.

use axum::Router;
use axum::response::Response;
use hyper::{Method, StatusCode, Uri};

use super::json_error::json_error;

/// Where the protocol is spoken.
pub const MCP: &str = "/mcp";

/// How much of a path is repeated in an answer, in characters.
const PATH_CHARS_MAX: usize = 200;

/// The paths of the protocol and those of the server itself. Every other path has one answer for everybody: what is not
/// there needs no token, and a client that looks for an authorization server (`/.well-known/…`) has to hear that there is
/// none.
pub fn all(protocol: Router, admin: Router) -> Router {
    protocol.merge(admin).fallback(nothing_here)
}

/// 404, and where the protocol is spoken.
pub(super) async fn nothing_here(method: Method, uri: Uri) -> Response {
    let path: String = uri.path().chars().take(PATH_CHARS_MAX).collect();
    let why = format!("Nothing answers {method} {path}: MCP (Streamable HTTP) is at {MCP}.");
    json_error(StatusCode::NOT_FOUND, &why)
}
