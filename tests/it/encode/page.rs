//! Compares the tables of docs/values.md with real answers.

use std::fs;
use std::path::Path;

use crate::encode::{Server, report};

/// The objects that the examples use.
const SETUP: &str = "create type pair as (n int, label text); create type mood as enum ('sad', 'very happy'); \
                     create domain age as int check (value >= 0); create extension hstore; create extension citext; \
                     create extension ltree; create extension cube";

/// The SQL names of the built-in base types, ranges and multiranges. Arrays are tested by their elements.
const TYPES: &str = "select format_type(oid, null) from pg_type where oid < 10000 and typtype in ('b', 'r', 'm') \
                     and (typcategory <> 'A' or typarray <> 0) order by oid";

/// The cells of each row: the types, the JSON, the examples.
fn table() -> Vec<[String; 3]> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/values.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| PostgreSQL |"));
    rows.map(|row| {
        let cells: Vec<String> = row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
        cells.try_into().unwrap_or_else(|cells| panic!("not three cells: {cells:?}"))
    })
    .collect()
}

/// The texts in backticks.
fn code(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[tokio::test]
async fn the_examples_of_the_values_page_are_exact() {
    let server = Server::start().await;
    server.run(SETUP).await;
    let (mut failures, mut examples) = (Vec::new(), 0);
    for [types, _, cell] in table() {
        let codes = code(&cell);
        let written: Vec<String> = codes.chunks(2).map(|pair| format!("`{}`", pair.join("` → `"))).collect();
        if codes.is_empty() || written.join(", ") != cell {
            failures.push(format!("{types}: not examples of the form `expression` → `JSON`: {cell}"));
            continue;
        }
        for pair in codes.chunks(2) {
            examples += 1;
            let actual = server.answer(&format!("select {}", pair[0]), Vec::new()).await;
            let actual = actual.map_or_else(|error| error.for_model(), |outcome| outcome.page.json);
            let expected = format!("[{}]", pair[1]);
            if actual != expected {
                failures.push(format!("{}\n    actual {actual}\n  expected {expected}", pair[0]));
            }
        }
    }
    assert!(examples >= 60, "too few examples were found: {examples}");
    report(failures, examples);
}

#[tokio::test]
async fn the_values_page_names_every_type_of_postgresql() {
    let server = Server::start().await;
    let table = table();
    let named: Vec<&str> = table.iter().flat_map(|[types, ..]| code(types)).collect();
    let is_named = |type_: &str| {
        named.iter().any(|name| match name.strip_suffix('*') {
            Some(start) => type_.starts_with(start),
            None => *name == type_,
        })
    };
    let all: Vec<String> = server.texts(TYPES).await.into_iter().flatten().collect();
    assert!(all.len() >= 80, "only {} types", all.len());
    let missing = all.iter().filter(|type_| !is_named(type_)).map(|type_| format!("no row of {type_}"));
    report(missing.collect(), all.len());
}
