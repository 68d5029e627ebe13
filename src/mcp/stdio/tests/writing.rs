//! Answers on their way out, clients that do not take them or go, and a whole session of rmcp over it.

use std::task::Poll;

use rmcp::{ServerHandler, ServiceExt};

use super::traffic::UNREAD_BYTES_MAX;
use super::*;
use crate::messages::answer::Pieces;
use tokio_util::bytes::Bytes;

/// An answer as tools make it.
fn answer(text: impl Into<Pieces>, structured: impl Into<Pieces>) -> Answer {
    Answer { text: text.into(), structured: Some(structured.into()), is_error: false, failure: None }
}

#[actix_rt::test]
async fn an_answer_goes_out_as_it_is_and_is_one_line() {
    for (revision, result_type) in [("2025-11-25", None), ("2026-07-28", Some("complete"))] {
        let mut client = Client::new();
        client.initializes(revision).await;
        // Digits that a double would lose, and keys in the order written.
        let structured = r#"{"rows":[[12345678901234567890.10,"a\nb"]],"columns":[]}"#;
        client.calls(json!(1)).await.answer(answer("two\nlines".to_owned(), structured.to_owned()));
        let mut line = String::new();
        client.from.read_line(&mut line).await.unwrap();
        assert!(line.contains(&format!("\"structuredContent\":{structured}")), "{line}");
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["id"], 1);
        assert_eq!(answer["result"]["content"], json!([{"type": "text", "text": "two\nlines"}]));
        assert_eq!(answer["result"]["isError"], false);
        assert_eq!(answer["result"]["_meta"], json!({"mcp-server-postgres/content": "data"}));
        assert_eq!(answer["result"].get("resultType").and_then(Value::as_str), result_type);

        client.calls(json!("a\"b")).await.answer(Answer::error("no"));
        let answer = client.answer().await;
        assert_eq!((&answer["id"], &answer["result"]["isError"]), (&json!("a\"b"), &json!(true)));
        assert_eq!(answer["result"]["content"], json!([{"type": "text", "text": "no"}]));
        assert!(answer["result"].get("structuredContent").is_none());
    }
}

#[actix_rt::test]
async fn the_large_parts_of_an_answer_are_written_as_the_small_ones_are() {
    let mut client = Client::with_pipe(1 << 16);
    client.initializes("2025-11-25").await;
    for (id, size) in [1, 100, 16 << 10, 100_000, 1 << 20].into_iter().enumerate() {
        // Quotes, controls and characters of several bytes, wherever a piece may end.
        let values: Vec<String> = (0..size / 10).map(|n| format!("{n}\"\n\u{1}é💡")).collect();
        let rows = serde_json::to_string(&values).unwrap();
        let shared = Bytes::from(rows.clone());
        let (mut text, mut structured) =
            (Pieces::from("before ".to_owned()), Pieces::from(r#"{"before":1,"rows":"#.to_owned()));
        text.push_rows(shared.clone());
        text.push("\"after\"");
        structured.push_rows(shared);
        structured.push(r#","after":2}"#);
        let wanted: Value = serde_json::from_str(&structured.to_string()).unwrap();
        client.calls(json!(id)).await.answer(answer(text, structured));
        let answer = client.answer().await;
        let text = answer["result"]["content"][0]["text"].as_str().unwrap();
        assert_eq!(text, format!("before {rows}\"after\""), "{size}");
        assert_eq!(answer["result"]["structuredContent"], wanted, "{size}");
    }
}

#[actix_rt::test]
async fn a_client_that_does_not_read_its_answers_is_not_read_either() {
    let mut client = Client::with_pipe(1 << 16);
    client.initializes("2025-11-25").await;
    let call = client.calls(json!(1)).await;
    call.answer(answer(String::new(), format!("\"{}\"", "x".repeat(UNREAD_BYTES_MAX))));
    let traffic = client.transport.traffic();
    traffic.answered().await;

    // Neither requests nor lines that would be refused: each of those makes an answer too.
    client.send("hello\n".repeat(1000)).await;
    client.send(ping(&json!(2))).await;
    assert!(client.receives_nothing().await);
    assert_eq!(client.transport.lines.buffer.len(), 0, "nothing more was read");
    assert!(!traffic.quiet().now_or_never().is_some_and(|()| true), "there is more to write");

    let mut from = client.from;
    let reading = tokio::spawn(async move {
        let mut lines = 0;
        let mut line = Vec::new();
        while lines < 1001 {
            line.clear();
            from.read_until(b'\n', &mut line).await.unwrap();
            lines += 1;
        }
        from
    });
    let received = client.transport.receive().await.unwrap();
    assert_eq!(serde_json::to_value(received).unwrap()["id"], 2);
    // Held to the end: a reader that goes is a client that has gone.
    let _from = reading.await.unwrap();
    assert!(!client.gone.is_cancelled());
}

#[actix_rt::test]
async fn a_client_is_gone_when_its_input_ends_or_its_output_is_closed() {
    let mut client = Client::new();
    assert!(!client.gone.is_cancelled());
    client.asks(json!(1)).await;
    client.to.shutdown().await.unwrap();
    assert_eq!(client.received().await, None);
    assert!(client.gone.is_cancelled());
    // What is still to be answered is.
    client.transport.send(empty_answer(1)).await.unwrap();
    assert_eq!(client.answer().await["id"], 1);

    let Client { mut transport, mut to, from, gone, .. } = Client::new();
    to.write_all(ping(&json!(1)).as_bytes()).await.unwrap();
    transport.receive().await.unwrap();
    drop(from);
    transport.send(empty_answer(1)).await.unwrap();
    gone.cancelled().await;
    let error = transport.send(empty_answer(1)).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    // Whoever waits for a client that has gone waits for nothing.
    transport.traffic().quiet().await;
    transport.close().await.unwrap();
}

#[actix_rt::test]
async fn an_answer_to_a_cancelled_request_is_not_sent() {
    let mut client = Client::new();
    client.asks(json!(1)).await;
    client.send("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":1}}\n").await;
    client.received().await.unwrap();
    client.asks(json!(2)).await;
    client.transport.send(empty_answer(1)).await.unwrap();
    client.transport.send(empty_answer(2)).await.unwrap();
    assert_eq!(client.answer().await["id"], 2);
}

#[actix_rt::test]
async fn the_traffic_is_quiet_when_every_request_is_answered_and_written() {
    let mut client = Client::with_pipe(8);
    let traffic = client.transport.traffic();
    traffic.quiet().await;
    client.send(ping(&json!(1))).await;
    client.received().await.unwrap();
    let mut quiet = pin!(traffic.quiet());
    assert_eq!(poll!(&mut quiet), Poll::Pending, "in flight");
    client.transport.send(empty_answer(1)).await.unwrap();
    tokio::task::yield_now().await;
    assert_eq!(poll!(&mut quiet), Poll::Pending, "not yet written");
    assert_eq!(client.answer().await["id"], 1);
    quiet.await;
}

#[actix_rt::test]
async fn a_session_of_rmcp_lives_on_after_whatever_a_client_sends() {
    struct Anything;
    impl ServerHandler for Anything {}

    let Client { transport, mut to, mut from, gone, .. } = Client::new();
    let serving = tokio::spawn(async move { Anything.serve(transport).await.unwrap().waiting().await.unwrap() });
    let opening = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}})
    .to_string();
    let lines: &[(&[u8], Value)] = &[
        (b"hello", json!(-32700)),
        (opening.as_bytes(), json!(null)),
        (b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n\xff\xfe", json!(-32700)),
        (b"[]", json!(-32600)),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":7}", json!(-32602)),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"no/such\"}", json!(-32601)),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}", json!(null)),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}", json!(null)),
        (&[b'x'; LINE_BYTES_MAX + 1], json!(-32600)),
        (b"{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"method\":\"ping\"}", json!(null)),
    ];
    for (sent, code) in lines {
        to.write_all(sent).await.unwrap();
        to.write_all(b"\n").await.unwrap();
        let mut line = String::new();
        from.read_line(&mut line).await.unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["error"]["code"], *code, "{}: {answer}", String::from_utf8_lossy(sent));
    }
    drop(to);
    serving.await.unwrap();
    assert!(gone.is_cancelled());
}
