//! The protocol's good days: every revision, order, cancellation, and what a tool answers.

use serde_json::{Value, json};

use super::*;

#[tokio::test]
async fn a_session_of_each_older_revision_is_answered_in_that_revision() {
    let cluster = PrivateCluster::start().unwrap();
    for revision in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let mut server = Server::start(&format!("DATABASE_URL={}", cluster.url()));
        let answer = server.initialize(revision).await;
        assert_eq!(answer["result"]["protocolVersion"], revision);
        assert_eq!(answer["result"]["serverInfo"]["name"], "mcp-server-postgres");
        assert_eq!(answer["result"]["capabilities"], json!({"tools": {"listChanged": true}}));
        assert_eq!(server.ask("tools/list", json!({})).await["result"]["tools"].as_array().unwrap().len(), TOOLS.len());
        assert_eq!(server.rows("select 1").await, json!([[1]]));
        assert_eq!(server.ask("ping", json!({})).await["result"], json!({}));
    }
    let mut server = Server::start(&format!("DATABASE_URL={}", cluster.url()));
    let answer = server.initialize("1999-01-01").await;
    assert_eq!(answer["result"]["protocolVersion"], "2025-11-25", "the newest that begins with `initialize`");
}

#[tokio::test]
async fn requests_of_2026_07_28_need_no_handshake() {
    let cluster = PrivateCluster::start().unwrap();
    let mut server = Server::start(&format!("DATABASE_URL={}", cluster.url()));
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "a test", "version": "1"},
    });
    let answer = server.ask("server/discover", json!({"_meta": meta})).await;
    let versions = answer["result"]["supportedVersions"].as_array().unwrap();
    assert!(versions.contains(&json!("2026-07-28")) && versions.contains(&json!("2025-11-25")), "{answer}");
    let listed = server.ask("tools/list", json!({"_meta": meta})).await;
    assert_eq!(listed["result"]["tools"].as_array().unwrap().len(), TOOLS.len(), "{listed}");
    let call = json!({"name": "async_query_execute", "arguments": {"query": "select 1"}, "_meta": meta});
    let answer = server.ask("tools/call", call).await;
    assert_eq!(answer["result"]["structuredContent"]["rows"], json!([[1]]), "{answer}");
    assert_eq!(answer["result"]["resultType"], "complete", "{answer}");
}

#[tokio::test]
async fn a_call_is_answered_while_a_slower_one_runs() {
    let cluster = PrivateCluster::start().unwrap();
    let mut server = Server::on(&cluster, "").await;
    let observer = observer(&cluster).await;
    observer.batch_execute("select pg_advisory_lock(7)").await.unwrap();
    let slow = server.send_call("async_query_execute", json!({"query": "select pg_advisory_lock_shared(7)"})).await;
    until_active(&observer, 1).await;
    for _ in 0..3 {
        // Each refuses any answer but its own.
        server.ask("ping", json!({})).await;
        assert_eq!(server.rows("select 1").await, json!([[1]]));
    }
    observer.batch_execute("select pg_advisory_unlock(7)").await.unwrap();
    assert_eq!(server.hear().await["id"], slow);
}

#[tokio::test]
async fn a_cancelled_call_stops_in_postgresql_and_is_never_answered() {
    let cluster = PrivateCluster::start().unwrap();
    // Nothing else of the server is to be active.
    let mut server = Server::on(&cluster, "MCP_ROLE_CHECK=off\nPOSTGRES_POOL_MIN_SIZE=0\n").await;
    let observer = observer(&cluster).await;
    for (tool, arguments) in [
        ("async_query_execute", json!({"query": "select pg_sleep(60)"})),
        ("batch_query_execute", json!({"queries": [{"query": "select 1"}, {"query": "select pg_sleep(60)"}]})),
    ] {
        let id = server.send_call(tool, arguments).await;
        until_active(&observer, 1).await;
        let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
        server.say(&cancel.to_string()).await;
        until_active(&observer, 0).await;
        // `rows` refuses any answer but its own.
        assert_eq!(server.rows("select 1").await, json!([[1]]));
    }
    let cancelled = server.logged("query cancelled").await;
    assert_eq!(cancelled["context"]["tool"], "async_query_execute");
}

#[tokio::test]
async fn each_tool_answers_as_text_and_as_what_its_output_schema_says() {
    let cluster = PrivateCluster::start().unwrap();
    let mut server = Server::on(&cluster, "MCP_ACCESS_MODE=read-write").await;
    let text = |result: &Value| result["content"][0]["text"].as_str().unwrap().to_owned();

    let none = server.call("performance_summary", json!({})).await;
    assert!(text(&none).starts_with("No queries recorded since "), "{none}");
    let none = server.call("slow_queries", json!({})).await;
    assert!(text(&none).starts_with("No queries recorded"), "{none}");

    let result = server
        .call(
            "async_query_execute",
            json!({"query": "select n, n * $1::numeric as m from generate_series(1, 2) n", "parameters": {"factor": 1.5}}),
        )
        .await;
    assert_eq!(text(&result), "2 rows\nn | m\n-----\n1 | 1.5\n2 | 3.0\n");
    let structured = &result["structuredContent"];
    assert_eq!(structured["columns"], json!([{"name": "n", "type": "integer"}, {"name": "m", "type": "numeric"}]));
    assert_eq!(
        (&structured["row_count"], &structured["rows_affected"], &structured["truncated"], &structured["generation"]),
        (&json!(2), &json!(null), &json!(false), &json!(1))
    );
    assert!(structured["duration_ms"].as_f64().unwrap() > 0.0);

    for (format, expected) in [
        ("json", "1 row\n{\"columns\":[\"a\"],\"rows\":[[\"x\"]]}\n"),
        ("csv", "1 row\na\r\nx\r\n"),
        ("markdown", "1 row\n| a |\n|---|\n| x |\n"),
    ] {
        let arguments = json!({"query": "select 'x'::text as a", "format": format});
        assert_eq!(text(&server.call("async_query_execute", arguments).await), expected);
    }
    let cut = server.call("async_query_execute", json!({"query": "select generate_series(1, 9)", "max_rows": 2})).await;
    let (first, _) = text(&cut).split_once('\n').map(|(first, rest)| (first.to_owned(), rest.to_owned())).unwrap();
    let cursor = cut["structuredContent"]["cursor"].as_str().unwrap();
    assert_eq!(first, format!("2 rows, cut at 2 rows; more: fetch_rows cursor \"{cursor}\" within 60 s"));
    assert_eq!(cut["structuredContent"]["truncated"], true);

    let batch = json!({"queries": [
        {"query": "create table t (n int)"},
        {"query": "insert into t select generate_series(1, $1)", "parameters": [3]},
        {"query": "table t"},
    ]});
    let result = server.call("batch_query_execute", batch).await;
    assert!(text(&result).starts_with("3 statements in one transaction\n"), "{result}");
    assert_eq!(result["structuredContent"]["results"][1]["rows_affected"], 3);
    assert_eq!(result["structuredContent"]["results"][2]["rows"], json!([[1], [2], [3]]));

    let summary = server.call("performance_summary", json!({})).await;
    assert_eq!(summary["structuredContent"]["total"], 8, "{summary}");
    assert_eq!(summary["structuredContent"]["success_rate"], 1.0, "{summary}");
    let slow = server.call("slow_queries", json!({"threshold_ms": 0, "limit": 3})).await;
    assert_eq!(slow["structuredContent"]["queries"].as_array().unwrap().len(), 3, "{slow}");
    assert!(!text(&slow).contains("'x'"), "{slow}");
}

#[tokio::test]
async fn more_rows_than_a_pipe_holds_come_whole() {
    let cluster = PrivateCluster::start().unwrap();
    let mut server = Server::on(&cluster, "MCP_MAX_ROWS=100000\nMCP_MAX_BYTES=50000000").await;
    let rows = server.rows("select n, repeat('é', 40) from generate_series(1, 50000) n").await;
    assert_eq!(rows.as_array().unwrap().len(), 50_000);
    assert_eq!(rows[49_999][0], 50_000);
}

#[tokio::test]
async fn a_call_that_asks_is_told_of_its_progress_until_its_answer_and_no_longer() {
    let cluster = PrivateCluster::start().unwrap();
    let mut server = Server::on(&cluster, "").await;
    let call = |token: Value, tool: &str, arguments: Value| {
        let meta = if token.is_null() { json!({}) } else { json!({"progressToken": token}) };
        json!({"name": tool, "arguments": arguments, "_meta": meta})
    };
    // Nobody has asked to be told of this one.
    let silent = json!({"query": "select pg_sleep(1.2)"});
    let silent = server.send("tools/call", call(Value::Null, "async_query_execute", silent)).await;
    let rows = json!({"query": "select n, case when n = 300 then pg_sleep(2.3) end from generate_series(1, 300) n"});
    let told = server.send("tools/call", call(json!("a"), "async_query_execute", rows)).await;
    let batch = json!({"queries": [{"query": "select 1"}, {"query": "select pg_sleep(2.3)"}]});
    let batch = server.send("tools/call", call(json!(7), "batch_query_execute", batch)).await;
    let (mut progress, mut answered) = (Vec::<(Value, f64, String)>::new(), Vec::new());
    while answered.len() < 3 {
        let heard = server.hear().await;
        let params = &heard["params"];
        if heard["method"] == "notifications/progress" {
            let message = params["message"].as_str().unwrap().to_owned();
            progress.push((params["progressToken"].clone(), params["progress"].as_f64().unwrap(), message));
        } else {
            assert_eq!(heard["result"]["isError"], false, "{heard}");
            answered.push(heard["id"].as_u64().unwrap());
        }
    }
    assert_eq!(answered[0], silent);
    assert!(answered.contains(&told) && answered.contains(&batch));
    // PostgreSQL sends what is less than a buffer when a fetch ends: the first one of 128 rows.
    for (token, wanted) in [(json!("a"), "128 rows, "), (json!(7), "statement 2 of 2, 1 row, ")] {
        let of_it: Vec<_> = progress.iter().filter(|(of, ..)| *of == token).collect();
        assert!(of_it.len() >= 2, "{progress:?}");
        assert!(of_it.windows(2).all(|pair| pair[0].1 < pair[1].1), "it must increase: {progress:?}");
        assert!(of_it.iter().all(|(_, seconds, text)| text.starts_with(wanted) && *seconds >= 1.0), "{progress:?}");
    }
    assert_eq!(progress.iter().filter(|(token, ..)| *token != "a" && *token != 7).count(), 0);

    // Cancelled, it is told of no longer: what comes next is the answer to the next request.
    let cancelled = call(json!("b"), "async_query_execute", json!({"query": "select pg_sleep(60)"}));
    let cancelled = server.send("tools/call", cancelled).await;
    assert_eq!(server.hear().await["params"]["progressToken"], "b");
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": cancelled}});
    server.say(&cancel.to_string()).await;
    assert_eq!(server.rows("select 'next' from pg_sleep(1.2)").await, json!([["next"]]));
}

#[tokio::test]
async fn a_parameter_for_json_arrives_as_it_was_written() {
    let cluster = PrivateCluster::start().unwrap();
    let mut server = Server::on(&cluster, "MCP_LOG_PARAMETERS=true").await;
    let doc = r#"{"z":1.00, "a":12345678901234567890123,"a":1e5,"d":{"k":1,"k":2}}"#;
    let call = |id: u32, tool: &str, arguments: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#
        )
    };
    let query = format!(r#"{{"query":"select $1::json::text, $2::numeric","parameters":[{doc},1e5]}}"#);
    server.say(&call(901, "async_query_execute", &query)).await;
    let answer = server.hear().await;
    assert_eq!(answer["result"]["structuredContent"]["rows"], json!([[doc, "100000"]]), "{answer}");
    let logged = server.logged("query executed").await;
    assert_eq!(logged["context"]["parameters"][0]["d"], json!({"k": 2}), "{logged}");

    server.say(&call(902, "batch_query_execute", &format!(r#"{{"queries":[{query}]}}"#))).await;
    let answer = server.hear().await;
    assert_eq!(answer["result"]["structuredContent"]["results"][0]["rows"], json!([[doc, "100000"]]), "{answer}");
}

#[tokio::test]
async fn a_text_of_a_megabyte_is_read_to_its_end_piece_by_piece() {
    let cluster = PrivateCluster::start().unwrap();
    let mut server = Server::on(&cluster, "").await;
    let whole = "é\"\n\u{1f511}x".repeat(111_111);
    let sql = "select repeat(E'é\"\\n\u{1f511}x', 111111) as doc";
    let mut read = String::new();
    let mut calls = 0;
    loop {
        let arguments = json!({"query": sql, "cell_offset": read.len()});
        let result = server.call("async_query_execute", arguments).await;
        let structured = &result["structuredContent"];
        let cut = json!({
            "row": 0,
            "column": "doc",
            "column_index": 0,
            "offset": read.len(),
            "bytes": structured["rows"][0][0].as_str().unwrap().len(),
            "length": whole.len(),
        });
        assert_eq!(structured["cut_cells"], json!([cut]));
        read.push_str(structured["rows"][0][0].as_str().unwrap());
        calls += 1;
        // What is said of the cell stands before it.
        let news = result["content"][0]["text"].as_str().unwrap().lines().nth(1).unwrap();
        if structured["truncated"] == false {
            assert!(news.ends_with(&format!("to its end at {}.", whole.len())), "{news}");
            break;
        }
        let next = format!("of {}. Read on with cell_offset {} (best with", whole.len(), read.len());
        assert!(news.contains(&next), "call {calls}: {news}");
    }
    assert!(read == whole, "{} bytes of {}", read.len(), whole.len());
    // By 40,000 bytes each: what JSON escapes takes two bytes there.
    assert_eq!(calls, 31);
}
