//! The JSON Schemas that several tools have.

use serde_json::{Map, Value, json};

/// The schema of [`Parameters`](super::argument_types::Parameters). It says less than they accept, because hosts convert
/// schemas for their models: a list of types under one `type`, an array without `items`, and a choice between an array and an
/// object are refused or misread by some of them. The description has the rest.
pub(super) fn parameters() -> Value {
    let types = ["string", "integer", "number", "boolean", "null"];
    json!({
        "type": "array",
        "description": "Values of $1…$n in order. Each may also be an array (for an array) or any JSON (for json), and an \
                        object by names is bound in the order written.",
        "items": {"anyOf": types.map(|name| json!({"type": name}))},
    })
}

/// Whether this is the schema of an array of any values, for which an object of values is accepted too.
pub(super) fn is_of_values(schema: &Value) -> bool {
    schema["items"]["anyOf"].is_array()
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
