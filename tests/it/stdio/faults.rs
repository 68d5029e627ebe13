//! Bad input: each has a clear answer, and the server goes on serving.

use serde_json::{Value, json};

use super::*;

#[tokio::test]
async fn a_line_that_is_no_request_has_its_answer_and_the_session_lives() {
    let cluster = PrivateCluster::start().unwrap();
    let mut server = Server::on(&cluster, "MCP_MAX_LINE_BYTES=100000").await;
    let too_long = format!(r#"{{"jsonrpc":"2.0","id":7,"method":"ping","params":{{"x":"{}"}}}}"#, "x".repeat(200_000));
    for (line, id, code, part) in [
        ("this is no JSON", json!(null), -32700, "JSON"),
        (r#"{"jsonrpc":"2.0","id":7,"method":"ping""#, json!(7), -32700, "JSON"),
        (r#"{"method":"ping","params":{"a":"\ud800"},"jsonrpc":"2.0","id":7}"#, json!(7), -32600, "surrogate pair"),
        ("42", json!(null), -32600, "object"),
        (r#"{"id":7,"method":"ping"}"#, json!(7), -32600, "jsonrpc"),
        (r#"[{"jsonrpc":"2.0","id":7,"method":"ping"}]"#, json!(null), -32600, "batch"),
        (r#"{"jsonrpc":"2.0","id":7,"method":"tools/explode"}"#, json!(7), -32601, "tools/explode"),
        (r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":7}}"#, json!(7), -32602, "tools/call"),
        (r#"{"jsonrpc":"2.0","id":7,"method":"tools/call"}"#, json!(7), -32602, "tools/call"),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"drop_everything","arguments":{}}}"#,
            json!(7),
            -32602,
            "there is no tool \"drop_everything\"; there are async_query_execute, ",
        ),
        (too_long.as_str(), json!(7), -32600, "100000"),
    ] {
        server.say(line).await;
        let answer = server.hear().await;
        let shown = line.chars().take(100).collect::<String>();
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&id, &json!(code)), "{shown}: {answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(part), "{shown}: {answer}");
        assert_eq!(server.rows("select 1").await, json!([[1]]), "after {shown}");
    }
    // Blank lines, notifications that nobody knows, and answers to what was never asked say nothing.
    for line in
        ["", "  ", r#"{"jsonrpc":"2.0","method":"notifications/whatever"}"#, r#"{"jsonrpc":"2.0","id":99,"result":{}}"#]
    {
        server.say(line).await;
        assert_eq!(server.rows("select 1").await, json!([[1]]), "after {line}");
    }
}

#[tokio::test]
async fn arguments_that_do_not_fit_are_answered_for_the_model_to_mend() {
    let cluster = PrivateCluster::start().unwrap();
    let mut server = Server::on(&cluster, "MCP_ACCESS_MODE=read-write").await;
    let query = "async_query_execute";
    for (tool, arguments, parts) in [
        (query, json!({}), &["`query`"][..]),
        (query, json!({"query": "select 1", "limit": 5}), &["`limit`", "`max_rows`"]),
        (query, json!({"query": 7}), &["`query`", "string"]),
        (query, json!({"query": "  "}), &["empty"]),
        (query, json!({"query": "-- nothing"}), &["only comments"]),
        (query, json!({"query": "selekt 1"}), &["42601", "LINE 1: selekt 1", "^"]),
        (query, json!({"query": "select nope"}), &["42703", "nope"]),
        (query, json!({"query": "select $1::int", "parameters": ["x"]}), &["22P02", "$1"]),
        (query, json!({"query": "select $1::int"}), &["1 parameter", "has 0"]),
        (query, json!({"query": "select 1", "parameters": [1]}), &["0 parameters", "has 1"]),
        (query, json!({"query": "select 1", "parameters": "x"}), &["`parameters`", "array"]),
        (query, json!({"query": "select 1; select 2"}), &["42601", "batch_query_execute"]),
        (query, json!({"query": "begin"}), &["BEGIN is not accepted", "batch_query_execute"]),
        (query, json!({"query": "copy pg_class to stdout"}), &["COPY is not accepted", "SELECT"]),
        (query, json!({"query": "set work_mem = '1MB'"}), &["SET is not accepted", "batch_query_execute"]),
        (query, json!({"query": "select 1", "max_rows": 0}), &["`max_rows`", "at least 1"]),
        ("batch_query_execute", json!({"queries": []}), &["`queries` is empty"]),
        ("batch_query_execute", json!({"queries": [{"query": ""}]}), &["Statement 1", "empty"]),
        ("batch_query_execute", json!({"queries": vec![json!({"query": "select 1"}); 101]}), &["101", "100"]),
        (
            "batch_query_execute",
            json!({"queries": [{"query": "create table t (n int)"}, {"query": "select nope from t"}]}),
            &["Statement 2 failed", "nothing was changed", "42703", "LINE 1"],
        ),
        ("slow_queries", json!({"limit": -1}), &["`limit`"]),
        ("performance_summary", json!({"x": 1}), &["`x`"]),
    ] {
        let result = server.call(tool, arguments.clone()).await;
        assert_eq!(result["isError"], true, "{tool} {arguments}: {result}");
        let text = result["content"][0]["text"].as_str().unwrap();
        for part in parts {
            assert!(text.contains(part), "{tool} {arguments}: {text}");
        }
        assert_eq!(result.get("structuredContent"), None::<&Value>, "{tool} {arguments}: {result}");
        let failure = &result["_meta"]["mcp-server-postgres/failure"];
        let by_database = text.contains("ERROR ");
        assert_eq!(failure["sqlstate"].is_string(), by_database, "{tool} {arguments}: {result}");
    }
    assert_eq!(server.rows("select to_regclass('t')").await, json!([[null]]));
}

#[tokio::test]
async fn settings_that_cannot_be_used_end_the_start_with_status_78_and_nothing_on_stdout() {
    let mut server = Server::start("POSTGRES_POOOL_SIZE=3\nPOSTGRES_PASSWORD=hunter2\nMCP_MAX_ROWS=many");
    assert_eq!(server.ended().await.code(), Some(78));
    assert!(server.hear_out().await.is_empty());
    let said = std::fs::read_to_string(server.folder().join("stderr")).unwrap();
    for part in ["POSTGRES_POOOL_SIZE", "POSTGRES_POOL_SIZE", "line 1", "MCP_MAX_ROWS", "line 3", "whole number"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
}
