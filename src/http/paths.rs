//! All paths together, and the answer where there is none.

use axum::Router;
use axum::response::Response;
use hyper::{Method, StatusCode, Uri};

use super::json_error::json_error;

/// Where the protocol is spoken.
pub const MCP: &str = "/mcp";

/// How much of a path is repeated in an answer, in characters.
const PATH_CHARS_MAX: usize = 200;

/// Where a client registers that has been answered 401 and takes the server for one with OAuth. Some, such as Claude Code and
/// mcp-remote, show their user what they read there, and not the words of the 401.
const REGISTRATION: &str = "/register";

/// The paths of the protocol and those of the server itself. Every other path has one answer for everybody: what is not
/// there needs no token, and a client that looks for an authorization server (`/.well-known/…`) has to hear that there is
/// none.
pub fn all(protocol: Router, admin: Router) -> Router {
    protocol.merge(admin).fallback(nothing_here)
}

/// 404, and where the protocol is spoken.
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
