//! Arguments that do not fit the schema but can be understood: null for a missing argument, JSON in a string, and
//! additional arguments of a client.

use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::schema;
use crate::messages::RawArguments;

/// Arguments that n8n adds to each call. They mean nothing to a tool that has no argument of the name.
const OF_CLIENTS: [&str; 5] = ["toolCallId", "sessionId", "action", "chatInput", "tool"];

/// The arguments that a client means, for a tool with this schema.
pub(super) fn meant<'a>(schema: &Value, given: impl Iterator<Item = (&'a str, &'a RawValue)>) -> RawArguments {
    let properties = &schema["properties"];
    let is_required =
        |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|required| required == name));
    let is_meant = |(name, raw): &(&str, &RawValue)| {
        let is_of_client = OF_CLIENTS.contains(name) && properties.get(name).is_none();
        let is_not_given = raw.get() == "null" && !is_required(name);
        !is_of_client && !is_not_given
    };
    let members = given.filter(is_meant).map(|(name, raw)| (name.to_owned(), unquoted(&properties[name], raw)));
    RawArguments(members.collect())
}

/// The value that a client means, for this schema. A string that contains JSON of the wanted type stands for that JSON,
/// if the schema does not accept strings.
fn unquoted(schema: &Value, raw: &RawValue) -> Box<RawValue> {
    let value = written_in(raw).filter(|inner| is_wanted(schema, inner)).unwrap_or_else(|| raw.to_owned());
    inside(schema, &value).unwrap_or(value)
}

/// The JSON that is written in a string.
fn written_in(raw: &RawValue) -> Option<Box<RawValue>> {
    if !raw.get().starts_with('"') {
        return None;
    }
    let text: String = serde_json::from_str(raw.get()).ok()?;
    RawValue::from_string(text.trim().to_owned()).ok()
}

fn is_wanted(schema: &Value, raw: &RawValue) -> bool {
    let first = raw.get().as_bytes()[0];
    match schema["type"].as_str() {
        Some("integer" | "number") => first == b'-' || first.is_ascii_digit(),
        Some("boolean") => first == b't' || first == b'f',
        Some("array") => first == b'[' || first == b'{' && schema::is_of_values(schema),
        Some("object") => first == b'{',
        _ => false,
    }
}

/// The same for what is inside an object, or an array of objects.
fn inside(schema: &Value, raw: &RawValue) -> Option<Box<RawValue>> {
    match schema["type"].as_str()? {
        "array" if schema["items"]["type"] == "object" => {
            let items: Vec<Box<RawValue>> = serde_json::from_str(raw.get()).ok()?;
            to_raw_value(&items.iter().map(|item| unquoted(&schema["items"], item)).collect::<Vec<_>>()).ok()
        }
        "object" => {
            let mut members: RawArguments = serde_json::from_str(raw.get()).ok()?;
            members.0.iter_mut().for_each(|(name, raw)| *raw = unquoted(&schema["properties"][&*name], raw));
            to_raw_value(&members).ok()
        }
        _ => None,
    }
}
