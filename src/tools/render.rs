//! How counts and durations are written in answers.

use std::time::Duration;

use serde_json::{Value, json};

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
