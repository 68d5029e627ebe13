//! What clients send that is not as the protocol wants it, and can be understood all the same; and rmcp's refusals, which
//! are texts, as errors of JSON-RPC that say what to send.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, Collected};
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use rmcp::model::{ClientJsonRpcMessage, ErrorCode, ErrorData, JsonRpcMessage, ProtocolVersion};
use serde_json::{Value, json};

use crate::http::json_error::json_error_to;
use crate::mcp::unread;

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

/// Texts of rmcp that have better words here.
const NO_SESSION_ID: &str = "Bad Request: Session ID is required";
const NO_SESSION: &str = "Not Found: Session not found";
const UNKNOWN_REVISION: &str = "Bad Request: Unsupported MCP-Protocol-Version: ";

/// The forms of an answer that a client takes, by its header Accept. Without one it takes any (RFC 9110, section 12.5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Accepted {
    pub(super) json: bool,
    pub(super) events: bool,
    /// Whether events are named, as the protocol wants it, and not meant by `*/*` alone. Who does not name them most likely
    /// cannot read them, and gets JSON wherever that can be.
    pub(super) names_events: bool,
}

impl Accepted {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut accepted = Self::default();
        let mut is_said = false;
        for range in headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(',')) {
            let (range, parameters) = range.split_once(';').unwrap_or((range, ""));
            is_said |= !range.trim().is_empty();
            if parameters.split(';').any(is_excluded) {
                continue;
            }
            match range.trim().to_ascii_lowercase().as_str() {
                JSON | "application/*" => accepted.json = true,
                EVENTS => (accepted.events, accepted.names_events) = (true, true),
                "text/*" => accepted.events = true,
                "*/*" => (accepted.json, accepted.events) = (true, true),
                _ => {}
            }
        }
        if is_said { accepted } else { Self { json: true, events: true, names_events: false } }
    }
}

/// Whether a parameter is the weight 0: "not acceptable".
fn is_excluded(parameter: &str) -> bool {
    let weight = parameter.trim().strip_prefix(['q', 'Q']).and_then(|rest| rest.trim_start().strip_prefix('='));
    weight.is_some_and(|weight| weight.trim().parse() == Ok(0.0_f32))
}

/// The media types that rmcp wants to see. That the client takes the answer, and has sent JSON, is looked at elsewhere.
pub(super) fn set_media_types(headers: &mut HeaderMap) {
    headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
}

/// The message in a body.
///
/// # Errors
/// The refusal, if there is none.
pub(super) fn read(body: &[u8]) -> Result<ClientJsonRpcMessage, Box<Response>> {
    serde_json::from_slice(body).map_err(|error| {
        let (id, error) = unread::fault(body, &error);
        let no_reading =
            || ErrorData::invalid_request("the message is no notification or response of the protocol", None);
        let id = serde_json::from_str(&id).unwrap_or_default();
        Box::new(json_error_to(&id, StatusCode::BAD_REQUEST, &error.unwrap_or_else(no_reading)))
    })
}

/// The id of a request, as JSON, and its method. Null and empty for another message.
pub(super) fn id_and_method(message: &ClientJsonRpcMessage) -> (Value, &str) {
    match message {
        JsonRpcMessage::Request(request) => {
            (serde_json::to_value(&request.id).unwrap_or_default(), request.request.method())
        }
        _ => (Value::Null, ""),
    }
}

/// The response of rmcp to the request with that id; a refusal that is a text as an error of JSON-RPC.
pub(super) async fn in_json(response: Response, id: &Value) -> Response {
    let status = response.status();
    let is_refusal = status.is_client_error() || status.is_server_error();
    if !is_refusal || has_type(&response, JSON) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let text = whole(body).await;
    let mut refusal = json_error_to(id, status, &error(status, &String::from_utf8_lossy(&text)));
    for name in [ALLOW, RETRY_AFTER] {
        if let Some(value) = parts.headers.get(&name) {
            refusal.headers_mut().insert(name, value.clone());
        }
    }
    refusal
}

fn error(status: StatusCode, text: &str) -> ErrorData {
    if let Some(revision) = text.strip_prefix(UNKNOWN_REVISION) {
        let known: Vec<&str> = ProtocolVersion::KNOWN_VERSIONS.iter().map(ProtocolVersion::as_str).collect();
        let why = format!("MCP-Protocol-Version {revision:?} is not known: this server speaks {}", known.join(", "));
        let data = json!({"requested": revision, "supported": known});
        return ErrorData::new(ErrorCode::UNSUPPORTED_PROTOCOL_VERSION, why, Some(data));
    }
    let why = match text.trim() {
        NO_SESSION_ID => {
            "a session is needed: send `initialize` first, and with each later request the Mcp-Session-Id of its answer"
        }
        NO_SESSION => {
            "session not found: it has ended, or the server has been started anew; send `initialize` again, without \
             Mcp-Session-Id"
        }
        "" => status.canonical_reason().unwrap_or("refused"),
        text => text,
    };
    match status.is_server_error() {
        true => ErrorData::internal_error(why.to_owned(), None),
        false => ErrorData::invalid_request(why.to_owned(), None),
    }
}

/// The answer that a stream of events ends with, alone; for a client that does not read streams.
pub(super) async fn without_events(response: Response) -> Response {
    if !has_type(&response, EVENTS) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let text = whole(body).await;
    let mut data = text.split(|&byte| byte == b'\n').filter_map(|line| line.strip_prefix(b"data:"));
    match data.rfind(|data| !data.trim_ascii().is_empty()) {
        Some(answer) => {
            parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
            Response::from_parts(parts, Body::from(text.slice_ref(answer.trim_ascii())))
        }
        // A request that another one has cancelled is not answered.
        None => StatusCode::ACCEPTED.into_response(),
    }
}

fn has_type(response: &Response, media_type: &str) -> bool {
    response.headers().get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(media_type.as_bytes()))
}

async fn whole(body: Body) -> Bytes {
    body.collect().await.map(Collected::to_bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_takes_is_what_its_header_says_and_anything_without_one() {
        let both = Accepted { json: true, events: true, names_events: true };
        let any = Accepted { names_events: false, ..both };
        let json = Accepted { json: true, ..Accepted::default() };
        let events = Accepted { json: false, ..both };
        let none = Accepted::default();
        for (values, expected) in [
            (&["application/json, text/event-stream"][..], both),
            (&["text/event-stream", "Application/JSON"], both),
            (&["application/json;charset=utf-8,text/event-stream;q=0.5"], both),
            (&["*/*, text/event-stream"], both),
            (&[], any),
            (&[""], any),
            (&["*/*"], any),
            (&["text/html, */*;q=0.1"], any),
            (&["application/*, text/*"], any),
            (&["application/json"], json),
            (&["application/json, text/event-stream; Q = 0.000"], json),
            (&["text/event-stream"], events),
            (&["text/html"], none),
            (&["*/*;q=0"], none),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(ACCEPT, value.parse().unwrap());
            }
            assert_eq!(Accepted::of(&headers), expected, "{values:?}");
        }
    }
}
