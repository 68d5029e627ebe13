//! The JSON Schemas that several tools have.

use serde_json::{Map, Value, json};

/// The schema of [`Parameters`](super::argument_types::Parameters). It is written by hand: a derived schema has
/// `items: true` for a list of any values, which strict hosts refuse.
pub(super) fn parameters() -> Value {
    // A list of types under one `type` is legal too, but some hosts pass schemas on to models that take one only.
    let types = ["string", "number", "boolean", "null", "array", "object"];
    let any = json!({"anyOf": types.map(|name| json!({"type": name}))});
    json!({
        "description": "Values of $1…$n: an array by position, or an object bound in the order written.",
        "anyOf": [{"type": "array", "items": any}, {"type": "object", "additionalProperties": any}],
    })
}

/// The properties that limit the answer of one call.
pub(super) fn limits() -> Map<String, Value> {
    let limit = |what: &str| json!({"type": "integer", "minimum": 1, "description": what});
    Map::from_iter([
        ("max_rows".to_owned(), limit("At most this many rows, within the server's limit.")),
        ("max_bytes".to_owned(), limit("At most this many bytes of rows, likewise.")),
        ("timeout_ms".to_owned(), limit("Cancel the call after this long, waiting included.")),
    ])
}

/// The same properties without their descriptions: only async_query_execute has them, because a list of tools is read in
/// every session and should be short.
pub(super) fn without_descriptions(mut properties: Map<String, Value>) -> Map<String, Value> {
    properties.values_mut().filter_map(Value::as_object_mut).for_each(|schema| drop(schema.remove("description")));
    properties
}

/// The schema of a value of that type, or null.
pub(super) fn nullable(name: &str) -> Value {
    json!({"anyOf": [{"type": name}, {"type": "null"}]})
}
