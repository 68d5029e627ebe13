//! Calls of tools: which of them are ours to answer, and how they end.

use super::*;
use crate::messages::in_flight::Busy;

const STATELESS: &str =
    r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

/// A transport that takes longer lines.
fn client() -> Client {
    let mut client = Client::new();
    client.transport.lines.bytes_max = 10_000;
    client
}

fn line(params: &str) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{params}}}\n")
}

#[actix_rt::test]
async fn a_call_is_ours_if_it_belongs_to_a_session_or_says_all_about_itself_and_rmcps_if_not() {
    let with = |meta: &str| format!(r#"{{"name":"a_tool","_meta":{meta}}}"#);
    let plain = r#"{"name":"a_tool","arguments":{}}"#.to_owned();
    let older = with(r#"{"io.modelcontextprotocol/protocolVersion":"2025-06-18"}"#);
    let incomplete = with(r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#);
    let unknown = with(&STATELESS.replace("2026-07-28", "2031-01-01"));
    let malformed = with(r#"{"io.modelcontextprotocol/protocolVersion":7}"#);
    for (params, without_a_session, in_one) in [
        (&plain, false, true),
        (&with("{}"), false, true),
        (&with(r#"{"progressToken":1,"anything":[1]}"#), false, true),
        (&with(STATELESS), true, true),
        (&older, false, true),
        (&incomplete, false, false),
        (&unknown, false, false),
        // No version is none.
        (&malformed, false, true),
        // Whatever is wrong with it is told elsewhere.
        (&r#"{"name":7}"#.to_owned(), false, false),
        (&r#"["a_tool"]"#.to_owned(), false, false),
    ] {
        for (has_session, is_ours) in [(false, without_a_session), (true, in_one)] {
            let mut client = client();
            if has_session {
                client.initializes("2025-11-25").await;
            }
            client.send(line(params)).await;
            let reaches_rmcp = !client.receives_nothing().await;
            assert_eq!(client.calls.try_recv().is_ok(), is_ours, "{params}, in a session: {has_session}");
            assert!(!(reaches_rmcp && is_ours), "{params}, in a session: {has_session}");
        }
    }
}

#[actix_rt::test]
async fn the_session_hears_the_name_and_the_arguments_and_a_client_that_sends_none_has_sent_none() {
    let mut client = client();
    client.initializes("2025-11-25").await;
    let asked = client.calls(json!(1)).await;
    assert_eq!((&*asked.call.tool, asked.call.arguments.tree().map(Value::Object)), ("a_tool", Some(json!({"a": 1}))));
    for params in [r#"{"name":"b"}"#, r#"{"name":"b","arguments":null,"task":{}}"#] {
        let mut client = self::client();
        client.initializes("2025-11-25").await;
        client.send(line(params)).await;
        assert!(client.receives_nothing().await);
        let asked = client.calls.recv().await.unwrap();
        assert_eq!(
            (&*asked.call.tool, asked.call.arguments.tree().map(Value::Object)),
            ("b", Some(json!({}))),
            "{params}"
        );
    }
}

#[actix_rt::test]
async fn a_call_that_cannot_be_made_is_an_error_of_the_protocol_and_a_busy_session_an_answer() {
    let mut client = client();
    client.initializes("2025-11-25").await;
    let asked = client.calls(json!(1)).await;
    asked.reply.send(Err(CallError::UnknownTool { name: "a_tool".to_owned() })).unwrap();
    let error = &client.answer().await["error"];
    assert_eq!(error["code"], -32602);
    assert!(error["message"].as_str().unwrap().starts_with("there is no tool \"a_tool\"; there are async_query"));
    let asked = client.calls(json!(1)).await;
    asked.reply.send(Err(CallError::Busy(Busy { in_flight_max: 3 }))).unwrap();
    let result = &client.answer().await["result"];
    assert_eq!(result["isError"], true);
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("MCP_MAX_IN_FLIGHT") && text.contains("Try again in 1s"), "{text}");
    assert_eq!(
        result["_meta"]["mcp-server-postgres/failure"],
        json!({
            "kind": "busy", "phase": "wait", "limit": "MCP_MAX_IN_FLIGHT", "limit_value": 3, "retry_after_ms": 1000,
            "retryable": true,
        })
    );
    // The session is lost to a bug.
    drop(client.calls(json!(1)).await);
    assert_eq!(client.answer().await["error"]["message"], "the server is ending");
}

#[actix_rt::test]
async fn a_cancelled_call_is_dropped_and_not_answered_and_its_id_is_free() {
    let mut client = client();
    client.initializes("2025-11-25").await;
    let mut first = client.calls(json!(1)).await;
    client.send(call(&json!(1))).await;
    assert!(client.receives_nothing().await);
    assert_eq!(client.answer().await["error"]["message"], "a request with this id is still in flight");
    client.send("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":1}}\n").await;
    client.received().await.unwrap();
    first.reply.closed().await;
    client.calls(json!(1)).await.answer(Answer::error("the second"));
    assert_eq!(client.answer().await["result"]["content"][0]["text"], "the second");
}

#[actix_rt::test]
async fn at_the_end_of_the_process_what_runs_is_dropped_and_told_so() {
    let mut client = client();
    client.initializes("2025-11-25").await;
    client.asks(json!("of rmcp")).await;
    let mut call = client.calls(json!(1)).await;
    let traffic = client.transport.traffic();
    traffic.end(tokio::time::Instant::now());
    call.reply.closed().await;
    let error = client.answer().await;
    assert_eq!((&error["id"], &error["error"]["message"]), (&json!(1), &json!("the server is ending")));
    let answer = ServerJsonRpcMessage::response(ServerResult::empty(()), RequestId::String("of rmcp".into()));
    client.transport.send(answer).await.unwrap();
    assert_eq!(client.answer().await["id"], "of rmcp");
    traffic.quiet().await;
}

#[actix_rt::test]
async fn a_client_that_gave_a_token_is_told_of_progress_until_the_answer() {
    tokio::time::pause();
    let mut client = client();
    client.initializes("2025-11-25").await;
    client.send(line(r#"{"name":"a_tool","_meta":{"progressToken":"t"}}"#)).await;
    assert!(client.receives_nothing().await);
    let asked = client.calls.recv().await.unwrap();
    asked.call.progress.rows(7, 70);
    for seconds in 1..=2 {
        // Time goes on by itself when nothing else happens.
        let told = client.answer().await;
        assert_eq!(told["method"], "notifications/progress");
        assert_eq!(told["params"]["progressToken"], "t");
        let message = told["params"]["message"].as_str().unwrap();
        assert!(message.starts_with("7 rows, 70 bytes, "), "{message}");
        assert!(told["params"]["progress"].as_f64().unwrap() >= f64::from(seconds), "{told}");
    }
    asked.answer(Answer::error("done"));
    assert_eq!(client.answer().await["result"]["content"][0]["text"], "done");
}
