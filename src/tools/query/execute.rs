//! `async_query_execute`: one statement.

use pg_guard::Transaction;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio_util::bytes::Bytes;

use super::notes::{self, News};
use super::{page, statement};
use crate::messages::answer::{Answer, Pieces};
use crate::messages::call::CallContext;
use crate::messages::statements::{Answered, Query};
use crate::postgres::statement::{Outcome, Reading};
use crate::tools::answer::server_ending;
use crate::tools::argument_types::{Count, FormatArgument, Parameters, reject_zero, timeout};
use crate::tools::arguments::arguments;
use crate::tools::render::milliseconds;
use crate::tools::tool::work;
use crate::tools::{Defaults, Tool, ToolContext, schema};

pub(crate) const TOOL: Tool = Tool {
    name: "async_query_execute",
    title: "Run a query",
    description: "Run one SQL statement on PostgreSQL and get its rows. Put values in `parameters` and $1, $2 … in \
                  the query: never into its text. A long answer is cut, says so and can be read on by fetch_rows. Look into \
                  information_schema or pg_catalog to learn tables and columns.",
    may_write: true,
    names_database: true,
    gives_rows: true,
    is_first: true,
    input,
    output,
    call: |context, defaults| work(call(context, defaults)),
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
    properties.insert("parameters".to_owned(), schema::parameters());
    properties.extend(schema::limits());
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
    json!({"type": "object", "properties": properties, "required": ["query"]})
}

pub(super) fn output() -> Value {
    let mut properties = page::properties();
    let cursor = json!({"anyOf": [{"type": "string"}, {"type": "null"}], "description": "For fetch_rows."});
    properties.insert("cursor".to_owned(), cursor);
    properties.insert("duration_ms".to_owned(), json!({"type": "number"}));
    properties.insert(
        "generation".to_owned(),
        json!({"type": "integer", "description": "Which connection pool ran it; counts up with each reload."}),
    );
    json!({"type": "object", "required": page::required(&properties), "properties": properties})
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
    let statement = statement(arguments.query, arguments.parameters.0, context.access(), Transaction::Own);
    let statement = match statement {
        Ok(statement) => statement,
        Err(error) => return Answer::failure(error.for_model(), &error),
    };
    let limits = defaults.limits(arguments.max_rows, arguments.max_bytes);
    let cell_offset = arguments.cell_offset.map_or(0, |Count(offset)| offset);
    let call = CallContext { timeout: timeout(arguments.timeout_ms), ..context.call.clone() };
    let query = Query { call, statement, reading: Reading { limits, format: arguments.format.into(), cell_offset } };
    match context.database.query.send(query).await {
        Ok(Ok(answered)) => answer(answered, "Read on with cell_offset"),
        Ok(Err(error)) => Answer::failure(error.for_model(), &error),
        Err(error) => server_ending(&error),
    }
}

/// The answer with one page. `read_on` says how to request the next piece of a cut cell; the offset is added after it.
pub(super) fn answer(answered: Answered<Outcome>, read_on: &str) -> Answer {
    let headline = notes::headline(&answered.answer);
    let Outcome { mut page, rows_affected, notices } = answered.answer;
    let cursor = answered.cursor.as_ref();
    let news = News::new(&page, page.cut.map(|cut| notes::cut(cut, cursor)), read_on);
    let rows = Bytes::from(std::mem::take(&mut page.json));
    let mut text = Pieces::from(format!("{}{notices}", news.lines(&headline)));
    text.append(page::text(&mut page, &rows));
    let mut structured = page::members(&page, rows, rows_affected, Some(cursor), &news, &notices);
    structured.push(format!(
        r#","duration_ms":{},"generation":{}}}"#,
        milliseconds(answered.took),
        answered.generation,
    ));
    Answer::success(text, structured)
}
