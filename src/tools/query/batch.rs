//! `batch_query_execute`: several statements in one transaction, all or nothing.

use pg_guard::Transaction;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio_util::bytes::Bytes;

use super::{notes, page, statement};
use crate::messages::answer::{Answer, Pieces};
use crate::messages::call::CallContext;
use crate::messages::statements::{Answered, Batch, BatchError};
use crate::postgres::statement::{Outcome, Reading};
use crate::tools::answer::server_ending;
use crate::tools::argument_types::{Count, FormatArgument, Parameters, reject_zero, timeout};
use crate::tools::arguments::arguments;
use crate::tools::render::{counted, milliseconds};
use crate::tools::tool::work;
use crate::tools::{Defaults, Tool, ToolContext, schema};

/// The most statements that a batch may have.
const STATEMENTS_MAX: usize = 100;

pub(crate) const TOOL: Tool = Tool {
    name: "batch_query_execute",
    title: "Run a batch in one transaction",
    description: "Run up to 100 SQL statements in order in one transaction: all take effect, or none. An error names \
                  the statement that failed and nothing is changed. Do not write BEGIN or COMMIT.",
    may_write: true,
    names_database: true,
    input,
    output,
    call: |context, defaults| work(call(context, defaults)),
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    queries: Vec<BatchStatement>,
    max_rows: Option<Count>,
    max_bytes: Option<Count>,
    timeout_ms: Option<Count>,
    #[serde(default)]
    format: FormatArgument,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchStatement {
    query: String,
    #[serde(default)]
    parameters: Parameters,
}

fn input() -> Value {
    let queries = json!({
        "type": "array",
        "minItems": 1,
        "maxItems": STATEMENTS_MAX,
        "items": {
            "type": "object",
            "properties": {
                "query": {"type": "string", "description": "One SQL statement."},
                "parameters": schema::parameters(),
            },
            "required": ["query"],
        },
    });
    let mut properties = Map::from_iter([("queries".to_owned(), queries)]);
    properties.extend(schema::without_descriptions(schema::limits()));
    for limit in ["max_rows", "max_bytes"] {
        properties[limit]["description"] = json!("For all together.");
    }
    properties
        .insert("format".to_owned(), json!({"type": "string", "enum": FormatArgument::NAMES, "default": "table"}));
    json!({"type": "object", "properties": properties, "required": ["queries"]})
}

fn output() -> Value {
    let properties = schema::without_descriptions(page::properties());
    json!({
        "type": "object",
        "properties": {
            "results": {
                "type": "array",
                "items": {"type": "object", "required": page::required(&properties), "properties": properties},
            },
            "duration_ms": {"type": "number"},
            "generation": {"type": "integer"},
        },
        "required": ["results", "duration_ms", "generation"],
    })
}

async fn call(context: ToolContext, defaults: Defaults) -> Answer {
    let Arguments { queries, max_rows, max_bytes, timeout_ms, format } = match arguments(&TOOL, &context) {
        Ok(arguments) => arguments,
        Err(answer) => return answer,
    };
    if let Some(answer) = reject_zero(&[("max_rows", max_rows), ("max_bytes", max_bytes), ("timeout_ms", timeout_ms)]) {
        return answer;
    }
    if queries.is_empty() {
        return Answer::invalid_arguments("`queries` is empty: give at least one statement.");
    }
    if queries.len() > STATEMENTS_MAX {
        return Answer::invalid_arguments(format!(
            "`queries` has {} statements; a batch takes at most {STATEMENTS_MAX}.",
            queries.len()
        ));
    }
    let mut statements = Vec::with_capacity(queries.len());
    for (at, item) in queries.into_iter().enumerate() {
        match statement(item.query, item.parameters.0, context.access(), Transaction::Shared) {
            Ok(statement) => statements.push(statement),
            Err(error) => {
                let text = format!("Statement {}: {} Nothing was run.", at + 1, error.for_model());
                return Answer::failure(text, &error).of_statement(at + 1);
            }
        }
    }
    let reading = Reading { limits: defaults.limits(max_rows, max_bytes), format: format.into(), cell_offset: 0 };
    let call = CallContext { timeout: timeout(timeout_ms), ..context.call.clone() };
    let batch = Batch { call, statements, reading };
    match context.database.batch.send(batch).await {
        Ok(Ok(answered)) => answer(answered),
        Ok(Err(BatchError { statement: Some(number), error })) => {
            let text = format!(
                "Statement {number} failed, and the whole batch was rolled back: nothing was changed.\n{}",
                error.for_model()
            );
            Answer::failure(text, &error).of_statement(number)
        }
        Ok(Err(BatchError { statement: None, error })) => Answer::failure(error.for_model(), &error),
        Err(error) => server_ending(&error),
    }
}

fn answer(answered: Answered<Vec<Outcome>>) -> Answer {
    let outcomes = answered.answer;
    let mut text = Pieces::from(format!("{} in one transaction\n", counted(outcomes.len() as u64, "statement")));
    let mut structured = Pieces::from(r#"{"results":["#.to_owned());
    for (at, outcome) in outcomes.into_iter().enumerate() {
        text.push(format!("\n{}: {}\n", at + 1, notes::headline(&outcome)));
        let Outcome { mut page, rows_affected, notices } = outcome;
        text.push(notices.to_string());
        let rows = Bytes::from(std::mem::take(&mut page.json));
        text.append(page::text(&mut page, &rows));
        text.push(notes::cut_cells(&page, notes::READ_ON_ELSEWHERE));
        if let Some(cut) = page.cut {
            text.push(format!("{}\n", notes::cut_in_batch(cut)));
        }
        structured.push(if at == 0 { "" } else { "," });
        structured.append(page::members(&page, rows, rows_affected));
        structured.push(page::notices(&notices));
        structured.push("}");
    }
    structured.push(format!(
        r#"],"duration_ms":{},"generation":{}}}"#,
        milliseconds(answered.took),
        answered.generation,
    ));
    Answer::success(text, structured)
}
