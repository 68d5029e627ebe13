//! The status page at `/`. It is one file. Its Content Security Policy (level 3) allows only the style and the script
//! that are inside it.

use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Uri};
use sha2::{Digest, Sha256};

use crate::http::paths::nothing_here;

/// The page. It contains one style and one script.
const PAGE: &str = include_str!("../status.html");

/// `GET /`. A request for events comes from an MCP client that uses the wrong path, so it is told the right one.
pub async fn page(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let mut accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    if accepted.any(|value| value.contains("text/event-stream")) {
        return nothing_here(method, uri).await;
    }
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(between("<style>", "</style>")),
        hash(between("<script>", "</script>")),
    );
    let headers = [
        // Base64 contains only characters that a header may contain.
        (
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'")),
        ),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, Html(PAGE)).into_response()
}

fn between(start: &str, end: &str) -> &'static str {
    let rest = PAGE.split_once(start).map_or("", |(_, rest)| rest);
    rest.split_once(end).map_or("", |(inside, _)| inside)
}

fn hash(text: &str) -> String {
    STANDARD.encode(Sha256::digest(text))
}
