//! Texts that cannot be read as a message (lines over stdio, bodies over HTTP): the id to answer to, and what is wrong.
//!
//! A client waits for the answer to its request until its own time limit, so an error goes to the id of the request if that is
//! certain. If it is not, it goes to no id, because an error for another request would be worse.

use std::fmt;

use rmcp::model::{ErrorCode, ErrorData};
use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::messages::surrogates;

/// What is wrong with a text that is not a message: the id to answer to, as JSON, and the answer. What looks like a
/// notification or a response gets no answer.
pub(super) fn fault(text: &[u8], error: &serde_json::Error) -> (String, Option<ErrorData>) {
    let null = "null".to_owned();
    let refuse = |why: &str| Some(ErrorData::new(ErrorCode::INVALID_REQUEST, why.to_owned(), None));
    let Ok(value) = serde_json::from_slice::<Value>(text) else {
        let head = Head::of(text);
        let id = head.request().unwrap_or(null);
        let answer = if serde_json::from_slice::<Value>(&with_surrogates_replaced(text)).is_ok() {
            refuse(&format!(
                "a string has half of a surrogate pair (an escape from \\ud800 to \\udfff without its other half), \
                 which is no character and cannot be sent to PostgreSQL: {error}"
            ))
        } else if head.is_whole && std::str::from_utf8(text).is_ok() {
            refuse(&format!("the message cannot be read: {error}"))
        } else {
            Some(ErrorData::new(ErrorCode::PARSE_ERROR, format!("the message is not JSON: {error}"), None))
        };
        return (id, answer);
    };
    let Value::Object(message) = value else {
        let why = match value {
            Value::Array(_) => {
                "batches are not part of the protocol since revision 2025-06-18: send one message at a time"
            }
            _ => "a message is a JSON object",
        };
        return (null, refuse(why));
    };
    let id = match message.get("id").map(id_of) {
        Some(Some(id)) => id,
        Some(None) => return (null, refuse("`id` must be a string or an integer")),
        None if message.contains_key("method") && message.get("jsonrpc").is_some_and(|version| version == "2.0") => {
            return (null, None);
        }
        None => null,
    };
    let why = if message.get("jsonrpc").is_none_or(|version| version != "2.0") {
        "`jsonrpc` must be \"2.0\""
    } else if !message.contains_key("method") && (message.contains_key("result") || message.contains_key("error")) {
        return (id, None);
    } else if !message.get("method").is_some_and(Value::is_string) {
        "`method` must be a string"
    } else if message.get("params").is_some_and(|params| !params.is_object()) {
        // JSON-RPC has parameters by position; MCP has not.
        return (id, Some(ErrorData::invalid_params("`params` must be an object", None)));
    } else {
        "the message is no JSON-RPC request that this server can read"
    };
    (id, refuse(why))
}

/// The id, as JSON, of a request of which only the beginning and the end are known.
pub(super) fn id_of_parts(head: &[u8], tail: &[u8]) -> Option<String> {
    let head = Head::of(head);
    match (&head.id, id_at_end(tail)) {
        (Id::Missing, Some(id)) => head.has_method.then_some(id),
        (Id::Is(id), Some(other)) if *id != other => None,
        _ => head.request(),
    }
}

/// The members of a message, as far as they can be read from its beginning.
#[derive(Default)]
struct Head {
    id: Id,
    has_method: bool,
    /// Whether it was read to its end.
    is_whole: bool,
}

#[derive(Default)]
enum Id {
    #[default]
    Missing,
    Is(String),
    /// It is not an id, or there are two.
    Wrong,
}

impl Head {
    fn of(text: &[u8]) -> Self {
        let mut head = Self::default();
        let mut reader = serde_json::Deserializer::from_slice(text);
        let read = reader.deserialize_map(Members(&mut head));
        head.is_whole = read.and_then(|()| reader.end()).is_ok();
        head
    }

    /// The id, if the message is a request. The id of a response is one that this server has given.
    fn request(&self) -> Option<String> {
        match &self.id {
            Id::Is(id) if self.has_method => Some(id.clone()),
            _ => None,
        }
    }
}

/// Reads members into a head, which keeps them if an error follows.
struct Members<'a>(&'a mut Head);

impl<'de> Visitor<'de> for Members<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let head = self.0;
        let mut name = members.next_key::<String>()?;
        while let Some(member) = name {
            match member.as_str() {
                "id" => {
                    let id = members.next_value::<&RawValue>()?;
                    // A number has ended only if something follows it.
                    name = members.next_key()?;
                    head.id = match (&head.id, id_of(&serde_json::from_str(id.get()).unwrap_or_default())) {
                        (Id::Missing, Some(id)) => Id::Is(id),
                        _ => Id::Wrong,
                    };
                }
                other => {
                    head.has_method |= other == "method";
                    members.next_value::<IgnoredAny>()?;
                    name = members.next_key()?;
                }
            }
        }
        Ok(())
    }
}

/// An id as JSON, if the value may be one.
fn id_of(value: &Value) -> Option<String> {
    match value {
        Value::String(_) => Some(value.to_string()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}

/// The id of a text that ends like `"id":7}`. The last brace closes the message, so the member before it is a member of the
/// message. It is not part of a string: a string would end with a quote, and would have a backslash before each quote in it.
fn id_at_end(tail: &[u8]) -> Option<String> {
    let text = tail.trim_ascii_end().strip_suffix(b"}")?.trim_ascii_end();
    let begin = match text.strip_suffix(b"\"") {
        // Only plain ids: an id with a quote or a backslash in it could begin elsewhere.
        Some(inner) => inner.iter().rposition(|&byte| byte == b'"' || byte == b'\\').filter(|&at| inner[at] == b'"')?,
        None => text.iter().rposition(|byte| !byte.is_ascii_digit() && *byte != b'-')? + 1,
    };
    let (before, id) = text.split_at(begin);
    let before = before.trim_ascii_end().strip_suffix(b":")?.trim_ascii_end().strip_suffix(b"\"id\"")?.trim_ascii_end();
    if !before.ends_with(b",") {
        return None;
    }
    id_of(&serde_json::from_slice(id).ok()?)
}

/// `text` with U+FFFD instead of each escape that is one half of a surrogate pair without its other half.
fn with_surrogates_replaced(text: &[u8]) -> Vec<u8> {
    let mut replaced = text.to_vec();
    for at in surrogates::unpaired(text) {
        replaced[at..at + 6].copy_from_slice(b"\\ufffd");
    }
    replaced
}
