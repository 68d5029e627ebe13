//! `slow_queries`: the statements of this server that took longest.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::messages::answer::Answer;
use crate::messages::metrics::{SlowList, SlowQueries};
use crate::tools::answer::server_ending;
use crate::tools::argument_types::Count;
use crate::tools::arguments::arguments;
use crate::tools::render::{counted, milliseconds};
use crate::tools::tool::work;
use crate::tools::{Defaults, Tool, ToolContext};
use crate::units::rfc3339;

/// How many statements are listed by default, and at most.
const LIMIT: (usize, usize) = (10, 100);

pub(crate) const TOOL: Tool = Tool {
    name: "slow_queries",
    title: "Slow queries",
    description: "The slowest recent statements run through this server, slowest first, literals taken out.",
    may_write: false,
    names_database: false,
    gives_rows: false,
    is_first: false,
    input,
    output,
    call: |context, _: Defaults| work(call(context)),
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    threshold_ms: Option<f64>,
    limit: Option<Count>,
}

fn input() -> Value {
    json!({
        "type": "object",
        "properties": {
            "threshold_ms": {
                "type": "number",
                "minimum": 0,
                "description": "Statements that ran at least this long; by default the server's slow-query threshold.",
            },
            "limit": {"type": "integer", "minimum": 1, "maximum": LIMIT.1, "default": LIMIT.0},
        },
    })
}

fn output() -> Value {
    json!({
        "type": "object",
        "properties": {
            "threshold_ms": {"type": "number"},
            "looked_at": {"type": "integer", "description": "Statements in the history."},
            "over_threshold": {"type": "integer"},
            "queries": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "query": {"type": "string"},
                        "database": {"type": "string"},
                        "operation": {"type": "string"},
                        "execution_ms": {"type": "number"},
                        "wait_ms": {"type": "number"},
                        "rows": {"type": "integer"},
                        "outcome": {"type": "string", "enum": ["successful", "failed", "cancelled"]},
                        "started": {"type": "string"},
                    },
                    "required": ["query", "database", "operation", "execution_ms", "wait_ms", "rows", "outcome", "started"],
                },
            },
        },
        "required": ["threshold_ms", "looked_at", "over_threshold", "queries"],
    })
}

async fn call(context: ToolContext) -> Answer {
    let arguments: Arguments = match arguments(&TOOL, &context) {
        Ok(arguments) => arguments,
        Err(answer) => return answer,
    };
    let threshold = match arguments.threshold_ms.map(|ms| Duration::try_from_secs_f64(ms / 1000.0)) {
        None => None,
        Some(Ok(threshold)) => Some(threshold),
        Some(Err(_)) => {
            return Answer::invalid_arguments("`threshold_ms` must be a number of milliseconds, 0 or more.");
        }
    };
    let limit = arguments.limit.map_or(LIMIT.0, |Count(limit)| limit);
    if !(1..=LIMIT.1).contains(&limit) {
        return Answer::invalid_arguments(format!("`limit` is {limit}; it must be from 1 to {}.", LIMIT.1));
    }
    match context.metrics.slow_queries.send(SlowQueries { threshold, limit, databases: context.names() }).await {
        Ok(list) => answer(&list),
        Err(error) => server_ending(&error),
    }
}

fn answer(list: &SlowList) -> Answer {
    let threshold = milliseconds(list.threshold);
    let mut text = if list.looked_at == 0 {
        "No queries recorded.\n".to_owned()
    } else if list.queries.is_empty() {
        format!("None of the last {} took {threshold} ms or more.\n", counted(list.looked_at as u64, "statement"))
    } else {
        format!(
            "{} of the last {} took {threshold} ms or more; the slowest {}:\nexecution ms | rows | outcome | query\n",
            list.over,
            counted(list.looked_at as u64, "statement"),
            list.queries.len(),
        )
    };
    let mut queries = Vec::with_capacity(list.queries.len());
    for query in &list.queries {
        let execution = milliseconds(query.executed);
        text.push_str(&format!("{execution} | {} | {} | {}\n", query.rows, query.outcome, query.sql));
        queries.push(json!({
            "query": query.sql,
            "database": query.database,
            "operation": query.operation.as_str(),
            "execution_ms": execution,
            "wait_ms": milliseconds(query.waited),
            "rows": query.rows,
            "outcome": query.outcome,
            "started": rfc3339(query.began),
        }));
    }
    let structured = json!({
        "threshold_ms": threshold,
        "looked_at": list.looked_at,
        "over_threshold": list.over,
        "queries": queries,
    });
    Answer::success(text, structured.to_string())
}
