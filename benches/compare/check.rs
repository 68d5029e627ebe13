//! Compares an answer cell by cell with the text that PostgreSQL itself sends for the same rows.

use serde_json::Value;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::cases::Case;
use crate::common::Host;

/// The rows of a case as texts from PostgreSQL; `None` is NULL.
pub type ExpectedRows = Vec<Vec<Option<String>>>;

pub async fn expected_rows(client: &Client, case: &Case, key: i32) -> ExpectedRows {
    let sql = case.sql.replace("$1", &key.to_string());
    let messages = client.simple_query(&sql).await.unwrap();
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect()),
        _ => None,
    });
    rows.collect()
}

/// Makes one call and checks the whole answer. Returns its length in bytes.
pub fn answer(host: &mut Host, case: &Case, expected: &ExpectedRows, has_structured: bool) -> usize {
    let mut request = Vec::new();
    host.requests += 1;
    case.request(host.requests, &mut request);
    std::io::Write::write_all(&mut host.input, &request).unwrap();
    host.read_line();
    let mut answer: Value = serde_json::from_slice(&host.line).unwrap();
    assert_eq!(answer["id"], host.requests);
    let result = &mut answer["result"];
    let text = result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {result}"));
    // In our answers a line before the JSON says how many rows there are.
    let json: Value = serde_json::from_str(&text[text.find('{').unwrap()..]).unwrap();
    assert_same_rows(&json["rows"], expected);
    drop(json);
    if has_structured {
        let structured = &result["structuredContent"];
        assert_eq!(structured["truncated"], false);
        assert_eq!(result["isError"], false);
        assert_same_rows(&structured["rows"], expected);
    }
    host.line.len()
}

fn assert_same_rows(rows: &Value, expected: &ExpectedRows) {
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), expected.len());
    for (row, expected) in rows.iter().zip(expected) {
        let row = row.as_array().unwrap();
        assert_eq!(row.len(), expected.len());
        for (value, expected) in row.iter().zip(expected) {
            assert!(is_same(value, expected.as_deref()), "{value} instead of {expected:?}");
        }
    }
}

fn is_same(value: &Value, expected: Option<&str>) -> bool {
    match (value, expected) {
        (Value::Null, None) => true,
        (Value::Bool(value), Some(expected)) => expected == if *value { "t" } else { "f" },
        (Value::Number(value), Some(expected)) => {
            value.to_string() == expected || value.to_string().parse::<f64>() == expected.parse()
        }
        (Value::String(value), Some(expected)) => value == expected,
        (Value::Array(_) | Value::Object(_), Some(expected)) => {
            serde_json::from_str::<Value>(expected).is_ok_and(|expected| expected == *value)
        }
        _ => false,
    }
}
