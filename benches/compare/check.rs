//! Whether an answer is right, cell by cell, against what PostgreSQL itself shows of the same rows.

use serde_json::Value;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::cases::Case;
use crate::common::Host;

/// The rows of a case as PostgreSQL shows them; `None` is NULL.
pub type Shown = Vec<Vec<Option<String>>>;

pub async fn shown(client: &Client, case: &Case, key: i32) -> Shown {
    let sql = case.sql.replace("$1", &key.to_string());
    let messages = client.simple_query(&sql).await.unwrap();
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect()),
        _ => None,
    });
    rows.collect()
}

/// Ask a case once and look at all of the answer; its bytes.
pub fn answer(host: &mut Host, case: &Case, shown: &Shown, has_structured: bool) -> usize {
    let mut request = Vec::new();
    host.requests += 1;
    case.request(host.requests, &mut request);
    std::io::Write::write_all(&mut host.input, &request).unwrap();
    host.read_line();
    let mut answer: Value = serde_json::from_slice(&host.line).unwrap();
    assert_eq!(answer["id"], host.requests);
    let result = &mut answer["result"];
    let text = result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {result}"));
    // Ours has a line above it that says how many rows there are.
    let json: Value = serde_json::from_str(&text[text.find('{').unwrap()..]).unwrap();
    same_rows(&json["rows"], shown);
    drop(json);
    if has_structured {
        let structured = &result["structuredContent"];
        assert_eq!(structured["truncated"], false);
        assert_eq!(result["isError"], false);
        same_rows(&structured["rows"], shown);
    }
    host.line.len()
}

fn same_rows(rows: &Value, shown: &Shown) {
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), shown.len());
    for (row, shown) in rows.iter().zip(shown) {
        let row = row.as_array().unwrap();
        assert_eq!(row.len(), shown.len());
        for (value, shown) in row.iter().zip(shown) {
            assert!(is_same(value, shown.as_deref()), "{value} instead of {shown:?}");
        }
    }
}

fn is_same(value: &Value, shown: Option<&str>) -> bool {
    match (value, shown) {
        (Value::Null, None) => true,
        (Value::Bool(value), Some(shown)) => shown == if *value { "t" } else { "f" },
        (Value::Number(value), Some(shown)) => {
            value.to_string() == shown || value.to_string().parse::<f64>() == shown.parse()
        }
        (Value::String(value), Some(shown)) => value == shown,
        (Value::Array(_) | Value::Object(_), Some(shown)) => {
            serde_json::from_str::<Value>(shown).is_ok_and(|shown| shown == *value)
        }
        _ => false,
    }
}
