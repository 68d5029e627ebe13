//! `async_query_execute`: one statement.

use std::fmt::Write as _;

use pg_guard::Transaction;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::arguments::{Count, Parameters, arguments};
use super::{Defaults, FormatArgument, Tool, ToolContext};
use crate::messages::RawArguments;
use crate::messages::call::{Answer, CallContext, Rows};
use crate::messages::statements::{Answered, Query};
use crate::postgres::statement::{Outcome, Reading};

pub(super) const TOOL: Tool = Tool {
    name: "async_query_execute",
    title: "Run a query",
    description: "Run one SQL statement on PostgreSQL and get its rows. Put values in `parameters` and $1, $2 … in \
                  the query: never into its text. A long answer is cut, says so and can be read on by fetch_rows. Look into \
                  information_schema or pg_catalog to learn tables and columns.",
    may_write: true,
    names_database: true,
    input,
    output,
    call: |context, defaults, arguments| Box::pin(call(context, defaults, arguments)),
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    query: String,
    #[serde(default)]
    parameters: Parameters,
    max_rows: Option<Count>,
    max_bytes: Option<Count>,
    timeout_ms: Option<Count>,
    #[serde(default)]
    format: FormatArgument,
    cell_offset: Option<Count>,
}

fn input() -> Value {
    let mut properties = Map::new();
    properties.insert("query".to_owned(), json!({"type": "string", "description": "One SQL statement."}));
    properties.insert("parameters".to_owned(), super::parameters_schema());
    properties.extend(super::limits_properties());
    let formats = json!({
        "type": "string",
        "enum": FormatArgument::NAMES,
        "default": "table",
        "description": "How the text is laid out.",
    });
    properties.insert("format".to_owned(), formats);
    let offset = json!({
        "type": "integer",
        "minimum": 0,
        "description": "Read on in a cut cell: show each that is longer from this byte of its text on.",
    });
    properties.insert("cell_offset".to_owned(), offset);
    json!({"type": "object", "properties": properties, "required": ["query"], "additionalProperties": false})
}

fn output() -> Value {
    let mut properties = super::page_properties();
    let cursor = json!({"anyOf": [{"type": "string"}, {"type": "null"}], "description": "For fetch_rows."});
    properties.insert("cursor".to_owned(), cursor);
    properties.insert("duration_ms".to_owned(), json!({"type": "number"}));
    properties.insert(
        "generation".to_owned(),
        json!({"type": "integer", "description": "Which connection pool ran it; counts up with each reload."}),
    );
    json!({"type": "object", "required": super::required(&properties), "properties": properties})
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
    let statement = super::statement(arguments.query, arguments.parameters.0, context.access(), Transaction::Own);
    let statement = match statement {
        Ok(statement) => statement,
        Err(error) => return Answer::failure(error.for_model(), &error),
    };
    let limits = defaults.limits(arguments.max_rows, arguments.max_bytes);
    let cell_offset = arguments.cell_offset.map_or(0, |Count(offset)| offset);
    let call = CallContext { timeout: super::timeout(arguments.timeout_ms), ..context.call.clone() };
    let query = Query { call, statement, reading: Reading { limits, format: arguments.format.into(), cell_offset } };
    match context.database.query.send(query).await {
        Ok(Ok(answered)) => answer(answered, "Read on with cell_offset"),
        Ok(Err(error)) => Answer::failure(error.for_model(), &error),
        Err(error) => super::server_ending(&error),
    }
}

/// The answer that a page is; `read_on` is how the next piece of a cut cell is asked for, up to its offset.
pub(super) fn answer(answered: Answered<Outcome>, read_on: &str) -> Answer {
    let headline = format!("{}\n", super::headline(&answered.answer));
    let Outcome { mut page, rows_affected } = answered.answer;
    let in_text = page.rows_in_text.map(|at| headline.len() + at);
    let mut text = std::mem::take(&mut page.text);
    if page.columns.is_empty() {
        text.clear();
    }
    text.insert_str(0, &headline);
    text.push_str(&super::cut_cells_note(&page, read_on));
    if let Some(cut) = page.cut {
        text.push_str(&super::cut_note(cut, answered.cursor.as_ref()));
        text.push('\n');
    }
    let has_columns = !page.columns.is_empty();
    let (mut structured, in_structured) = super::page_members(page, rows_affected);
    // Nothing that is written into a text fails.
    let _ = write!(
        structured,
        r#","cursor":{},"duration_ms":{},"generation":{}}}"#,
        json!(answered.cursor.as_ref().map(|cursor| &cursor.handle)),
        super::milliseconds(answered.took),
        answered.generation,
    );
    let rows = in_text.filter(|_| has_columns).map(|in_text| Rows { in_text, in_structured });
    Answer { rows, ..Answer::success(text, structured) }
}
