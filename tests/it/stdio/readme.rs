//! The answers that the README and docs/errors.md show, given again.

use serde_json::{Value, json};

use super::*;
use crate::common::postgres::in_english;

/// The calls of the README in their order: the tool, its arguments, the answer's text.
fn calls() -> Vec<(String, String, String)> {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, section) = readme.split_once("\n## The tools\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let blocks = section.split("```\n").skip(1).step_by(2);
    let parts = |block: &str| {
        let (call, answer) = block.split_once('\n').unwrap();
        let (tool, arguments) = call.split_once(' ').unwrap();
        (tool.to_owned(), arguments.to_owned(), answer.trim_end().to_owned())
    };
    blocks.map(parts).collect()
}

/// The text without what differs from run to run: every number that a clock gives is `0`.
fn without_times(text: &str) -> String {
    let mut known = String::new();
    for c in text.chars() {
        let is_digit = c.is_ascii_digit();
        if !is_digit {
            known.push(c);
        } else if !known.ends_with('0') {
            known.push('0');
        }
    }
    known
}

#[tokio::test]
async fn every_answer_of_the_readme_is_given_again() {
    let cluster = in_english().start().unwrap();
    let shop = observer(&cluster).await;
    shop.batch_execute(include_str!("../../../src/cli/demo/data.sql")).await.unwrap();
    let mut server = Server::on(&cluster, "").await;
    let calls = calls();
    assert_eq!(calls.len(), TOOLS.len(), "{calls:?}");
    // As the README has it, and as it is in this run.
    let mut cursors: Option<(String, String)> = None;
    for (tool, arguments, wanted) in calls {
        let mut arguments: Value = serde_json::from_str(&arguments).unwrap();
        if let (Some((of_readme, of_run)), Some(cursor)) = (&cursors, arguments.get_mut("cursor")) {
            assert_eq!(cursor, of_readme);
            *cursor = json!(of_run);
        }
        let result = server.call(&tool, arguments).await;
        let text = result["content"][0]["text"].as_str().unwrap().replace("\r\n", "\n");
        let (mut text, mut wanted) = (text.trim_end().to_owned(), wanted);
        if let Some(cursor) = result["structuredContent"]["cursor"].as_str() {
            let (_, of_readme) = wanted.split_once("cursor \"").expect("the README shows the cursor");
            let of_readme = of_readme.split('"').next().unwrap().to_owned();
            text = text.replace(cursor, &of_readme);
            cursors = Some((of_readme, cursor.to_owned()));
        }
        match tool.as_str() {
            "performance_summary" => (text, wanted) = (without_times(&text), without_times(&wanted)),
            // Which one was the slowest is not known before.
            "slow_queries" => {
                let (shown, known) =
                    wanted.rsplit_once('\n').map(|(head, row)| (head.to_owned(), row.to_owned())).unwrap();
                text = text.rsplit_once('\n').unwrap().0.to_owned();
                wanted = shown;
                assert_eq!(known.matches(" | ").count(), 3, "{known}");
            }
            _ => {}
        }
        assert_eq!(text, wanted, "{tool}");
    }
}

#[tokio::test]
async fn the_example_of_the_page_of_errors_is_given_again() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/errors.md")).unwrap();
    let (_, example) = page.split_once("the text of `").unwrap();
    let (sql, example) = example.split_once("`:\n\n```\n").unwrap();
    let (wanted, example) = example.split_once("\n```\n").unwrap();
    let (_, json) = example.split_once("```json\n").unwrap();
    let failure: Value = serde_json::from_str(json.split_once("\n```").unwrap().0).unwrap();
    let cluster = in_english().start().unwrap();
    observer(&cluster).await.batch_execute(include_str!("../../../src/cli/demo/data.sql")).await.unwrap();
    let mut server = Server::on(&cluster, "").await;
    let result = server.query(sql).await;
    assert_eq!(result["content"][0]["text"], wanted);
    assert_eq!(result["_meta"]["mcp-server-postgres/failure"], failure);
}
