//! The answers in docs/safety.md to statements that read-only mode refuses are exact.

use std::fs;
use std::path::Path;

use crate::common::postgres::in_english;
use crate::guard::served::Served;

/// The statements of the table with the answers that the page shows.
fn table() -> Vec<(String, String)> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/safety.md")).unwrap();
    let (_, table) = page.split_once("\n| statement | answer |\n|---|---|\n").unwrap();
    let rows = table.lines().take_while(|line| line.starts_with("| "));
    rows.map(|row| row.trim_matches(['|', ' ']).split_once(" | ").unwrap())
        .map(|(statement, answer)| (statement.trim().to_owned(), answer.trim().to_owned()))
        .collect()
}

/// The statement that a cell shows or describes.
fn statement(cell: &str) -> String {
    match cell {
        "5 MB of SQL" => format!("select '{}'", "x".repeat(5 << 20)),
        "10,000 nested parentheses" => format!("select {}1{}", "(".repeat(10_000), ")".repeat(10_000)),
        cell => cell.trim_matches('`').to_owned(),
    }
}

#[actix_rt::test]
async fn the_answers_of_the_safety_page_are_exact() {
    let cluster = in_english().start().unwrap();
    let served = Served::start(cluster.port(), "postgres");
    let table = table();
    assert!(table.len() >= 6, "the search finds nothing any more: {table:?}");
    for (cell, wanted) in table {
        let answer = served.answer(&statement(&cell), &[]).await;
        assert!(answer.is_error, "{cell}: {}", answer.whole_text());
        // For errors of PostgreSQL the page has only the first line. After it come the line of the statement and a
        // caret.
        let whole = answer.whole_text();
        let (text, wanted) = match wanted.strip_prefix("PostgreSQL's: ") {
            Some(wanted) => (whole.lines().next().unwrap_or_default(), wanted),
            None => (whole.as_str(), wanted.as_str()),
        };
        assert!(wanted.starts_with('`'), "{wanted}");
        assert_eq!(text, wanted.split('`').nth(1).unwrap(), "{cell}");
        assert_eq!(served.rows("select 1").await.as_deref(), Ok("[[1]]"));
    }
}
