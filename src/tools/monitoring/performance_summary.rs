//! `performance_summary`: counts and times of the statements of this server.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::messages::answer::Answer;
use crate::messages::metrics::{PerformanceSummary, Summary};
use crate::tools::answer::server_ending;
use crate::tools::arguments::arguments;
use crate::tools::render::{counted, milliseconds};
use crate::tools::schema::nullable;
use crate::tools::tool::work;
use crate::tools::{Defaults, Tool, ToolContext};
use crate::units::rfc3339;

pub(crate) const TOOL: Tool = Tool {
    name: "performance_summary",
    title: "Performance summary",
    description: "How the statements run through this server have gone since it started: counts, success rate, \
                  execution times (average, median, p95, max, min) and queries per minute.",
    may_write: false,
    names_database: false,
    gives_rows: false,
    is_first: false,
    input: || json!({"type": "object", "properties": {}}),
    output,
    call: |context, _: Defaults| work(call(context)),
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {}

fn output() -> Value {
    let number = nullable("number");
    let count = json!({"type": "integer"});
    json!({
        "type": "object",
        "properties": {
            "since": {"type": "string", "description": "RFC 3339, UTC."},
            "total": count, "successful": count, "failed": count, "cancelled": count,
            "success_rate": {"description": "Successful of all, 0 to 1.", "anyOf": number["anyOf"]},
            "average_ms": number, "median_ms": number, "p95_ms": number, "max_ms": number, "min_ms": number,
            "average_rows": number,
            "queries_per_minute": count,
            "history": {"type": "integer", "description": "Statements that the times are taken from, at most."},
        },
        "required": ["since", "total", "successful", "failed", "cancelled", "success_rate", "queries_per_minute"],
    })
}

async fn call(context: ToolContext) -> Answer {
    if let Err(answer) = arguments::<Arguments>(&TOOL, &context) {
        return answer;
    }
    match context.metrics.summary.send(Summary { databases: context.names() }).await {
        Ok(summary) => answer(&summary),
        Err(error) => server_ending(&error),
    }
}

fn answer(summary: &PerformanceSummary) -> Answer {
    let since = rfc3339(summary.since);
    let times = summary.times.as_ref();
    let ms = |duration: Option<std::time::Duration>| duration.map_or(Value::Null, milliseconds);
    let structured = json!({
        "since": since,
        "total": summary.total,
        "successful": summary.successful,
        "failed": summary.failed,
        "cancelled": summary.cancelled,
        "success_rate": summary.success_rate(),
        "average_ms": ms(times.map(|times| times.average)),
        "median_ms": ms(times.map(|times| times.median)),
        "p95_ms": ms(times.map(|times| times.p95)),
        "max_ms": ms(times.map(|times| times.max)),
        "min_ms": ms(times.map(|times| times.min)),
        "average_rows": times.map(|times| times.average_rows),
        "queries_per_minute": summary.queries_per_minute,
        "history": summary.history,
    });
    let text = match summary.success_rate() {
        None => format!("No queries recorded since {since}.\n"),
        Some(rate) => {
            let mut text = format!(
                "{} since {since}: {} successful, {} failed, {} cancelled; success rate {:.1} %; {} in the last minute\n",
                counted(summary.total, "query"),
                summary.successful,
                summary.failed,
                summary.cancelled,
                rate * 100.0,
                summary.queries_per_minute,
            );
            match times {
                None => text.push_str("No successful query in the history.\n"),
                Some(times) => text.push_str(&format!(
                    "Execution time (ms): average {}, median {}, p95 {}, max {}, min {}; {:.1} rows a query\n",
                    ms(Some(times.average)),
                    ms(Some(times.median)),
                    ms(Some(times.p95)),
                    ms(Some(times.max)),
                    ms(Some(times.min)),
                    times.average_rows,
                )),
            }
            text
        }
    };
    Answer::success(text, structured.to_string())
}
