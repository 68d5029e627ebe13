//! A tool's arguments from the JSON of the client. If they do not fit, the answer says so in the words of the tool's schema:
//! what was given, in which argument, and what would be right.

use serde::de::DeserializeOwned;
use serde::de::value::MapDeserializer;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Tool, ToolContext, habits, schema};
use crate::messages::answer::Answer;
use crate::postgres::params::Whole;

/// A string that does not fit is repeated in the answer if it has no more characters than this.
const REPEATED_CHARS_MAX: usize = 40;

/// The arguments of `tool` for this call, without the name of the database, which the session has already read.
///
/// # Errors
/// An answer that names the argument and says what would be right.
pub(super) fn arguments<T: DeserializeOwned>(tool: &Tool, context: &ToolContext) -> Result<T, Answer> {
    let given = &context.call.arguments.0;
    let database = given.iter().position(|(name, _)| name == "database").filter(|_| context.may_name_database);
    let given = given.iter().enumerate().filter(|(at, _)| Some(*at) != database);
    let given = given.map(|(_, (name, raw))| (name.as_str(), &**raw));
    // Most clients send what the schema says. For the others the schema is needed to understand what they mean.
    if let Ok(arguments) = read(given.clone()) {
        return Ok(arguments);
    }
    let schema = (tool.input)();
    let meant = habits::meant(&schema, given);
    read(meant.0.iter().map(|(name, raw)| (name.as_str(), &**raw))).map_err(|error| {
        // The client knows the schema, so the answer uses its words first. The Rust type may be stricter than the
        // schema.
        let misfit = match meant.tree() {
            Some(tree) => in_object(&schema, &tree, ""),
            None => meant.with_half_a_pair(),
        };
        let why = misfit.unwrap_or_else(|| {
            // The lines and columns of serde count from the beginning of a part of the message.
            let (why, place) = (error.to_string(), format!(" at line {} column {}", error.line(), error.column()));
            why.strip_suffix(&place).unwrap_or(&why).to_owned()
        });
        Answer::invalid_arguments(format!("The arguments of {} do not fit: {why}.", tool.name))
    })
}

fn read<'a, T: DeserializeOwned>(
    members: impl Iterator<Item = (&'a str, &'a RawValue)>,
) -> Result<T, serde_json::Error> {
    T::deserialize(MapDeserializer::new(members))
}

/// The part of `value` that does not fit the schema, as a sentence. `place` is the path to the value.
fn misfit(schema: &Value, value: &Value, place: &str) -> Option<String> {
    match (schema["type"].as_str(), value) {
        (Some("object"), Value::Object(members)) => in_object(schema, members, &format!("{place}.")),
        (Some("array"), Value::Array(items)) if !schema::is_of_values(schema) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(at, item)| misfit(&schema["items"], item, &format!("{place}[{at}]")))
        }
        _ if fits(schema, value) => None,
        _ => Some(format!("`{place}` is {}; it must be {}", described(value), right(schema))),
    }
}

/// The same for the members of an object. `before` is the path to the object.
fn in_object(schema: &Value, members: &Map<String, Value>, before: &str) -> Option<String> {
    let properties = schema["properties"].as_object()?;
    if let Some(unknown) = members.keys().find(|name| !properties.contains_key(*name)) {
        let known = match names(properties.keys()) {
            none if none.is_empty() => "this tool takes no arguments".to_owned(),
            names => format!("known are {names}"),
        };
        return Some(format!("`{before}{unknown}` is unknown: {known}"));
    }
    let mut required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    if let Some(name) = required.find(|name| !members.contains_key(*name)) {
        return Some(format!("`{before}{name}` is missing; it must be {}", right(&properties[name])));
    }
    members.iter().find_map(|(name, value)| misfit(&properties[name], value, &format!("{before}{name}")))
}

/// Whether a value that is neither an object nor an array with a schema for its items fits the schema.
fn fits(schema: &Value, value: &Value) -> bool {
    let number = value.as_f64();
    let bound = |name: &str| schema[name].as_f64();
    let is_type = match schema["type"].as_str() {
        Some("string") => value.is_string(),
        Some("number") => value.is_number(),
        Some("integer") => value.as_number().is_some_and(|number| Whole::of(number.as_str()) != Whole::No),
        Some("array") => value.is_array() || value.is_object() && schema::is_of_values(schema),
        Some("object") => value.is_object(),
        _ => true,
    };
    is_type
        && schema["enum"].as_array().is_none_or(|choices| choices.contains(value))
        && number.zip(bound("minimum")).is_none_or(|(number, min)| number >= min)
        && number.zip(bound("maximum")).is_none_or(|(number, max)| number <= max)
}

/// The type that the schema wants, in words.
fn right(schema: &Value) -> String {
    if let Some(choices) = schema["enum"].as_array() {
        return format!("one of {}", choices.iter().map(Value::to_string).collect::<Vec<_>>().join(", "));
    }
    let bounds = match (schema["minimum"].as_u64(), schema["maximum"].as_u64()) {
        (Some(min), Some(max)) => format!(" from {min} to {max}"),
        (Some(min), None) => format!(", {min} or more"),
        _ => String::new(),
    };
    match schema["type"].as_str() {
        Some("string") => "a string".to_owned(),
        Some("integer") => format!("a whole number{bounds}"),
        Some("number") => format!("a number{bounds}"),
        Some("array") if schema::is_of_values(schema) => "an array or an object".to_owned(),
        Some("array") => match schema["items"]["type"].as_str() {
            Some("object") => format!("an array, each item of it {}", right(&schema["items"])),
            _ => "an array".to_owned(),
        },
        Some("object") => match schema["properties"].as_object() {
            Some(properties) => format!("an object with {}", names(properties.keys())),
            None => "an object".to_owned(),
        },
        _ => "something else".to_owned(),
    }
}

/// How a value that does not fit is named in the answer.
fn described(value: &Value) -> String {
    match value {
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::String(text) if text.chars().nth(REPEATED_CHARS_MAX).is_some() => "a string".to_owned(),
        scalar => scalar.to_string(),
    }
}

/// `` `a`, `b` ``.
fn names<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
