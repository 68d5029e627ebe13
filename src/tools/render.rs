//! How counts, durations and PostgreSQL's notices are written in answers.

use std::time::Duration;

use serde_json::{Value, json};

use crate::postgres::inbox::{Notice, Notices};
use crate::units;

/// `1 row`, `2 rows`, `3 queries`.
pub(super) fn counted(count: u64, noun: &str) -> String {
    match (count, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        (_, None) => format!("{count} {noun}s"),
    }
}

/// Milliseconds with three decimals, as a JSON number.
pub(super) fn milliseconds(duration: Duration) -> Value {
    json!(units::milliseconds(duration))
}

/// PostgreSQL's notices for programs: a list of objects without unknown members.
pub(super) fn notices(notices: &Notices) -> Value {
    let listed = |Notice { severity, sqlstate, message, detail, hint }: &Notice| {
        let mut members = json!({"severity": severity, "sqlstate": sqlstate, "message": message});
        for (name, text) in [("detail", detail), ("hint", hint)] {
            if let Some(text) = text {
                members[name] = json!(text);
            }
        }
        members
    };
    notices.shown.iter().map(listed).collect()
}
