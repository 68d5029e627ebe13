//! `batch_query_execute`: several statements in one transaction, all or nothing.

use serde::Deserialize;
use serde_json::{Value, json};

use super::arguments::{Given, Parameters, Whole, arguments};
use super::{Answer, Defaults, Reach, Tool};
use crate::actors::executor::{Answered, Batch, BatchError};
use crate::postgres::page::Format;
use crate::postgres::run::{Outcome, Reading, Statement};

/// The most statements that a batch may have.
const STATEMENTS_MAX: usize = 100;

pub(super) const TOOL: Tool = Tool {
    name: "batch_query_execute",
    title: "Run a batch in one transaction",
    description: "Run up to 100 SQL statements in order in one transaction: all take effect, or none. An error names \
                  the statement that failed and nothing is changed. Do not write BEGIN or COMMIT.",
    may_write: true,
    names_database: true,
    input,
    output,
    call: |reach, defaults, arguments| Box::pin(call(reach, defaults, arguments)),
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    queries: Vec<Item>,
    timeout_ms: Option<Whole>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    query: String,
    #[serde(default)]
    parameters: Parameters,
}

fn input() -> Value {
    json!({
        "type": "object",
        "properties": {
            "queries": {
                "type": "array",
                "minItems": 1,
                "maxItems": STATEMENTS_MAX,
                "items": {
                    "type": "object",
                    "properties": {
                        "query": {"type": "string", "description": "One SQL statement."},
                        "parameters": super::parameters_schema(),
                    },
                    "required": ["query"],
                    "additionalProperties": false,
                },
            },
            "timeout_ms": super::timeout_schema(),
        },
        "required": ["queries"],
        "additionalProperties": false,
    })
}

fn output() -> Value {
    let properties = super::page_properties();
    json!({
        "type": "object",
        "properties": {
            "results": {
                "type": "array",
                "description": "One a statement, in their order.",
                "items": {"type": "object", "required": super::required(&properties), "properties": properties},
            },
            "duration_ms": {"type": "number"},
            "generation": {"type": "integer"},
        },
        "required": ["results", "duration_ms", "generation"],
    })
}

async fn call(reach: Reach, defaults: Defaults, given: Given) -> Answer {
    let Arguments { queries, timeout_ms } = match arguments(&TOOL, given) {
        Ok(arguments) => arguments,
        Err(answer) => return answer,
    };
    if let Some(answer) = super::zero(&[("timeout_ms", timeout_ms)]) {
        return answer;
    }
    if queries.is_empty() {
        return Answer::error("`queries` is empty: give at least one statement.");
    }
    if queries.len() > STATEMENTS_MAX {
        return Answer::error(format!(
            "`queries` has {} statements; a batch takes at most {STATEMENTS_MAX}.",
            queries.len()
        ));
    }
    let wrong = queries.iter().enumerate().find_map(|(at, item)| Some((at + 1, super::unfit(&item.query)?)));
    if let Some((number, error)) = wrong {
        return Answer::failure(format!("Statement {number}: {} Nothing was run.", error.for_model()), &error);
    }
    let statements =
        queries.into_iter().map(|item| Statement { sql: item.query.into(), parameters: item.parameters.0 }).collect();
    let reading = Reading { limits: defaults.limits, format: Format::Table, cell_offset: 0 };
    let batch = Batch {
        tool: TOOL.name,
        caller: reach.caller.clone(),
        statements,
        reading,
        progress: reach.progress.clone(),
        timeout: super::timeout(timeout_ms),
    };
    match reach.database().batch.send(batch).await {
        Ok(Ok(answered)) => answer(answered),
        Ok(Err(BatchError { statement: Some(number), error })) => {
            let text = format!(
                "Statement {number} failed, and the whole batch was rolled back: nothing was changed.\n{}",
                error.for_model()
            );
            let mut answer = Answer::failure(text, &error);
            answer.failure.iter_mut().for_each(|facts| facts["statement"] = number.into());
            answer
        }
        Ok(Err(BatchError { statement: None, error })) => Answer::failure(error.for_model(), &error),
        Err(error) => super::gone(&error),
    }
}

fn answer(answered: Answered<Vec<Outcome>>) -> Answer {
    let outcomes = answered.answer;
    let mut text = format!("{} in one transaction\n", super::counted(outcomes.len() as u64, "statement"));
    let mut results = Vec::with_capacity(outcomes.len());
    for (at, outcome) in outcomes.into_iter().enumerate() {
        text.push_str(&format!("\n{}: {}\n", at + 1, super::headline(&outcome)));
        let Outcome { page, rows_affected } = outcome;
        if !page.columns.is_empty() {
            text.push_str(&page.text);
        }
        text.push_str(&super::cut_cells_note(&page, super::READ_ON_ELSEWHERE));
        if let Some(cut) = page.cut {
            text.push_str(&super::cut_note_of_batch(cut));
            text.push('\n');
        }
        let (mut members, _) = super::page_members(page, rows_affected);
        members.push('}');
        results.push(members);
    }
    let structured = format!(
        r#"{{"results":[{}],"duration_ms":{},"generation":{}}}"#,
        results.join(","),
        super::milliseconds(answered.took),
        answered.generation,
    );
    Answer::success(text, structured)
}
