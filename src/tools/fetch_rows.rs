//! `fetch_rows`: the next page of an answer that was cut.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::arguments::{Count, arguments};
use super::{Defaults, FormatArgument, Tool, ToolContext, async_query_execute};
use crate::messages::RawArguments;
use crate::messages::answer::Answer;
use crate::messages::call::CallContext;
use crate::messages::statements::Fetch;

pub(super) const TOOL: Tool = Tool {
    name: "fetch_rows",
    title: "Read on",
    description: "Read on where an answer was cut: the next rows of the same query, its data as it was then. Give the \
                  `cursor` of the last answer.",
    may_write: true,
    names_database: false,
    input,
    output,
    call: |context, defaults, arguments| super::work(call(context, defaults, arguments)),
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    cursor: String,
    max_rows: Option<Count>,
    max_bytes: Option<Count>,
    timeout_ms: Option<Count>,
    format: Option<FormatArgument>,
}

fn input() -> Value {
    let mut properties = Map::new();
    properties.insert("cursor".to_owned(), json!({"type": "string"}));
    properties.extend(super::told_elsewhere(super::limits_properties()));
    let formats = json!({"type": "string", "enum": FormatArgument::NAMES, "description": "By default as before."});
    properties.insert("format".to_owned(), formats);
    json!({"type": "object", "properties": properties, "required": ["cursor"], "additionalProperties": false})
}

/// The members of async_query_execute's, whose whole schema is not told twice: it is read in every session.
fn output() -> Value {
    let mut schema = (async_query_execute::TOOL.output)();
    if let Some(properties) = schema["properties"].as_object_mut() {
        properties.values_mut().for_each(|member| *member = json!({}));
    }
    if let Some(schema) = schema.as_object_mut() {
        schema.remove("required");
    }
    schema["description"] = json!("As of async_query_execute.");
    schema
}

async fn call(context: ToolContext, defaults: Defaults, given: RawArguments) -> Answer {
    let arguments: Arguments = match arguments(&TOOL, given) {
        Ok(arguments) => arguments,
        Err(answer) => return answer,
    };
    if let Some(answer) = super::reject_zero(&[
        ("max_rows", arguments.max_rows),
        ("max_bytes", arguments.max_bytes),
        ("timeout_ms", arguments.timeout_ms),
    ]) {
        return answer;
    }
    let call = CallContext { timeout: super::timeout(arguments.timeout_ms), ..context.call.clone() };
    let fetch = Fetch {
        call,
        cursor: arguments.cursor,
        limits: defaults.limits(arguments.max_rows, arguments.max_bytes),
        format: arguments.format.map(Into::into),
    };
    match context.database.fetch.send(fetch).await {
        Ok(Ok(answered)) => async_query_execute::answer(answered, super::READ_ON_ELSEWHERE),
        Ok(Err(error)) => Answer::failure(error.for_model(), &error),
        Err(error) => super::server_ending(&error),
    }
}
