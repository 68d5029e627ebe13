//! All paths of the server, and the answer for unknown paths.

use axum::Router;
use axum::response::Response;
use hyper::{Method, StatusCode, Uri};

use super::json_error::json_error;

/// The path of the protocol.
pub const MCP: &str = "/mcp";

/// How many characters of an unknown path are repeated in the answer.
const PATH_CHARS_MAX: usize = 200;

/// After a 401, some clients (Claude Code, mcp-remote) assume OAuth and try to register here. They show their user the
/// message from this path, and not the one of the 401.
const REGISTRATION: &str = "/register";

/// The paths of the protocol and of the server itself. Unknown paths have the same answer for everybody and need no
/// token: a client that looks for an authorization server (`/.well-known/…`) must learn that there is none.
pub fn all(protocol: Router, admin: Router) -> Router {
    protocol.merge(admin).fallback(nothing_here)
}

/// The answer 404, which names the path of the protocol.
pub(super) async fn nothing_here(method: Method, uri: Uri) -> Response {
    let path: String = uri.path().chars().take(PATH_CHARS_MAX).collect();
    let why = if path == REGISTRATION {
        "There is no OAuth here. A token is needed: the operator makes it, and the client sends Authorization: Bearer TOKEN."
            .to_owned()
    } else {
        format!("Nothing answers {method} {path}: MCP (Streamable HTTP) is at {MCP}.")
    };
    json_error(StatusCode::NOT_FOUND, &why)
}
