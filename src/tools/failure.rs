//! What a program can know of a failure: the members of `_meta` in an answer with `isError`. `structuredContent` is not
//! used for it, because clients check that against the output schema of the tool.

use pg_guard::Rule;
use serde_json::{Map, Value, json};

use crate::messages::answer::Answer;
use crate::messages::in_flight::Busy;
use crate::postgres::error::{BUSY_RETRY, Phase, Position, QueryError};
use crate::tools::render;

/// What of an error the README's table of failures lists. What is unknown is absent.
fn facts(error: &QueryError) -> Value {
    let mut facts = Map::new();
    facts.insert("kind".to_owned(), json!(kind(error)));
    facts.insert("phase".to_owned(), json!(error.phase().as_str()));
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            facts.insert(name.to_owned(), value);
        }
    };
    match error {
        QueryError::Refused { rule, .. } => put("rule", json!(rule.map(Rule::as_str))),
        QueryError::Undecodable { .. } | QueryError::Cancelled { .. } => {}
        QueryError::Busy { waiting_max } => {
            busy("MCP_MAX_WAITING", *waiting_max).into_iter().for_each(|(name, value)| put(name, value));
        }
        QueryError::TimedOut { clock, after } => {
            put("clock", json!(clock.setting()));
            put("after_ms", json!(after.as_millis() as u64));
            if clock.phase() == Phase::Wait {
                put(RETRY_AFTER, retry_after());
            }
        }
        QueryError::Unavailable { outcome_unknown, .. } => put("outcome_unknown", json!(outcome_unknown)),
        QueryError::Rejected(rejection) => {
            put("sqlstate", json!(rejection.sqlstate));
            put("severity", json!(rejection.severity));
            put("message", json!(rejection.message));
            for (name, value) in [
                ("detail", &rejection.detail),
                ("hint", &rejection.hint),
                ("context", &rejection.context),
                ("schema", &rejection.schema),
                ("table", &rejection.table),
                ("column", &rejection.column),
                ("constraint", &rejection.constraint),
            ] {
                put(name, json!(value));
            }
            put("position", json!(rejection.position.as_ref().map(place)));
            put("internal_position", json!(rejection.internal_position.as_ref().map(place)));
            if !rejection.notices.shown.is_empty() {
                put("notices", render::notices(&rejection.notices));
            }
            if rejection.notices.omitted > 0 {
                put("notices_omitted", json!(rejection.notices.omitted));
            }
        }
    }
    put("retryable", json!(error.is_retryable()));
    Value::Object(facts)
}

fn kind(error: &QueryError) -> &'static str {
    match error {
        QueryError::Refused { .. } => "refused",
        QueryError::Undecodable { .. } => "undecodable",
        QueryError::Rejected(_) => "rejected",
        QueryError::Busy { .. } => "busy",
        QueryError::TimedOut { .. } => "timed_out",
        QueryError::Cancelled { .. } => "cancelled",
        QueryError::Unavailable { .. } => "unavailable",
    }
}

const RETRY_AFTER: &str = "retry_after_ms";

fn retry_after() -> Value {
    json!(BUSY_RETRY.as_millis() as u64)
}

/// The members of a limit that was reached: its setting, its value, and when to try again.
fn busy(limit: &str, value: usize) -> [(&'static str, Value); 3] {
    [("limit", json!(limit)), ("limit_value", json!(value)), (RETRY_AFTER, retry_after())]
}

/// `text` is the line of the statement, or a part of it; `caret` is the offset of the error in `text`, in characters from 0.
fn place(position: &Position) -> Value {
    let Position { character, line, column, text, caret } = position;
    json!({"character": character, "line": line, "column": column, "text": text, "caret": caret})
}

/// The kind of a failure that the arguments alone show.
pub(super) const INVALID_ARGUMENTS: &str = "invalid_arguments";

impl Answer {
    /// The answer to a call that has failed, with what a program can know of the error.
    pub(super) fn failure(text: impl Into<String>, error: &QueryError) -> Self {
        Self { failure: Some(Box::new(facts(error))), ..Self::error(text) }
    }

    /// The answer to arguments that do not fit.
    pub(crate) fn invalid_arguments(text: impl Into<String>) -> Self {
        let facts = json!({"kind": INVALID_ARGUMENTS, "phase": Phase::Check.as_str(), "retryable": false});
        Self { failure: Some(Box::new(facts)), ..Self::error(text) }
    }

    /// The same failure, of the statement of a batch with this number, from 1.
    pub(super) fn of_statement(mut self, number: usize) -> Self {
        self.failure.iter_mut().for_each(|facts| facts["statement"] = number.into());
        self
    }

    /// The answer to a client that has reached its limit of calls in flight.
    pub fn busy(refused: Busy) -> Self {
        let limit = "MCP_MAX_IN_FLIGHT";
        let mut facts = json!({"kind": "busy", "phase": Phase::Wait.as_str()});
        busy(limit, refused.in_flight_max).into_iter().for_each(|(name, value)| facts[name] = value);
        facts["retryable"] = json!(true);
        Self { failure: Some(Box::new(facts)), ..Self::error(refused.to_string()) }
    }
}
