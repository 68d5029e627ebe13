//! `fetch_rows`: the next page of an answer that was cut.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{execute, notes};
use crate::messages::answer::Answer;
use crate::messages::call::CallContext;
use crate::messages::statements::Fetch;
use crate::tools::answer::server_ending;
use crate::tools::argument_types::{Count, FormatArgument, reject_zero, timeout};
use crate::tools::arguments::arguments;
use crate::tools::tool::work;
use crate::tools::{Defaults, Tool, ToolContext, schema};

pub(crate) const TOOL: Tool = Tool {
    name: "fetch_rows",
    title: "Read on",
    description: "Read on where an answer was cut: the next rows of the same query, its data as it was then. Give the \
                  `cursor` of the last answer.",
    may_write: true,
    names_database: false,
    input,
    output: execute::output,
    call: |context, defaults| work(call(context, defaults)),
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
    properties.extend(schema::without_descriptions(schema::limits()));
    let formats = json!({"type": "string", "enum": FormatArgument::NAMES, "description": "By default as before."});
    properties.insert("format".to_owned(), formats);
    json!({"type": "object", "properties": properties, "required": ["cursor"]})
}

async fn call(context: ToolContext, defaults: Defaults) -> Answer {
    let arguments: Arguments = match arguments(&TOOL, &context) {
        Ok(arguments) => arguments,
        Err(answer) => return answer,
    };
    if let Some(answer) = reject_zero(&[
        ("max_rows", arguments.max_rows),
        ("max_bytes", arguments.max_bytes),
        ("timeout_ms", arguments.timeout_ms),
    ]) {
        return answer;
    }
    let call = CallContext { timeout: timeout(arguments.timeout_ms), ..context.call.clone() };
    let fetch = Fetch {
        call,
        cursor: arguments.cursor,
        limits: defaults.limits(arguments.max_rows, arguments.max_bytes),
        format: arguments.format.map(Into::into),
    };
    match context.database.fetch.send(fetch).await {
        Ok(Ok(answered)) => execute::answer(answered, notes::READ_ON_ELSEWHERE),
        Ok(Err(error)) => Answer::failure(error.for_model(), &error),
        Err(error) => server_ending(&error),
    }
}
