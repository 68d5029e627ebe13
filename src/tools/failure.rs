//! What a program can know of a failure: the members of `_meta` in an answer with `isError`. `structuredContent` is not
//! for it, because clients hold that against the tool's output schema.

use serde_json::{Map, Value, json};

use crate::postgres::error::{Clock, Phase, QueryError};

/// `kind` (`rejected`, `refused`, `undecodable`, `busy`, `cancelled`, `timed_out`, `unavailable`; or `ending` alone, with
/// no error of the database: the server is ending), `phase` (`wait`, `connect`, `begin`, `parse`,
/// `execute`, `fetch`, `encode`, `end`), `retryable` (whether the same call may succeed later), and of a rejection the fields of
/// PostgreSQL's error that it has. What is unknown is absent.
pub(super) fn facts(error: &QueryError) -> Value {
    let mut facts = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            facts.insert(name.to_owned(), value);
        }
    };
    match error {
        QueryError::Refused { .. } => put("kind", json!("refused")),
        QueryError::Undecodable { .. } => {
            put("kind", json!("undecodable"));
            put("phase", json!(Phase::Encode.as_str()));
        }
        QueryError::Busy { .. } => {
            put("kind", json!("busy"));
            put("phase", json!(Phase::Wait.as_str()));
        }
        QueryError::Cancelled => put("kind", json!("cancelled")),
        QueryError::TimedOut { clock, after } => {
            put("kind", json!("timed_out"));
            let phase = match clock {
                Clock::PoolWait => Some(Phase::Wait),
                Clock::Connect => Some(Phase::Connect),
                Clock::Command => Some(Phase::Execute),
                Clock::Call => None,
            };
            put("phase", json!(phase.map(Phase::as_str)));
            put("clock", json!(clock.setting()));
            put("after_ms", json!(after.as_millis() as u64));
        }
        QueryError::Unavailable { outcome_unknown, .. } => {
            put("kind", json!("unavailable"));
            put("outcome_unknown", json!(outcome_unknown));
        }
        QueryError::Rejected(rejection) => {
            put("kind", json!("rejected"));
            put("phase", json!(rejection.phase.as_str()));
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
            if let Some(position) = &rejection.position {
                let place = json!({"character": position.character, "line": position.line, "column": position.column});
                put("position", place);
            }
        }
    }
    put("retryable", json!(error.is_retryable()));
    Value::Object(facts)
}
