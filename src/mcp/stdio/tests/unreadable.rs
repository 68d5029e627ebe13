//! Lines that are no messages, or too long, and to whom that is told.

use super::*;

#[actix_rt::test]
async fn a_line_that_is_no_json_is_a_parse_error_to_its_id_if_that_is_certain() {
    let deep = "[".repeat(150);
    for (what, line, id) in [
        ("words", &b"hello"[..], json!(null)),
        ("an id that may go on", b"{\"jsonrpc\":\"2.0\",\"method\":\"ping\",\"id\":7", json!(null)),
        ("half a request", b"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{\"na", json!(7)),
        ("half a response", b"{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"na", json!(null)),
        ("an id of another object", b"{\"method\":\"ping\",\"params\":{\"id\":7,\"na", json!(null)),
        ("two ids", b"{\"jsonrpc\":\"2.0\",\"id\":7,\"id\":8,\"method\":\"ping\",", json!(null)),
        ("an id that is none", b"{\"jsonrpc\":\"2.0\",\"id\":[7],\"method\":\"ping\",", json!(null)),
        ("two messages", b"{} {}", json!(null)),
        ("a NUL", b"\0", json!(null)),
        ("a byte order mark", b"\xef\xbb\xbf{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\"}", json!(null)),
        ("deeper than anything is", deep.as_bytes(), json!(null)),
    ] {
        check(what, line, &Refused(id, -32700, "the message is not JSON: ")).await;
    }
}

#[actix_rt::test]
async fn a_request_with_half_of_a_surrogate_pair_is_told_so_by_its_id() {
    let call = |query: &str, id: &str| {
        let params = format!(r#"{{"name":"async_query_execute","arguments":{{"query":"{query}"}}}}"#);
        format!(r#"{{"method":"tools/call","params":{params},"jsonrpc":"2.0","id":{id}}}"#)
    };
    let words = "a string has half of a surrogate pair (an escape from \\ud800 to \\udfff";
    for (line, id) in [
        (call(r"select '\ud800'", "7"), json!(7)),
        (call(r"select '\uDFFFx \ud83d\ude00'", r#""a""#), json!("a")),
        (call(r"\ud800\ud800\udc00\\ud800", "7"), json!(7)),
        (r#"{"jsonrpc":"2.0","id":7,"method":"\udc00"}"#.to_owned(), json!(7)),
        // It cannot be given back.
        (r#"{"jsonrpc":"2.0","id":"\ud800","method":"ping"}"#.to_owned(), json!(null)),
        // No request.
        (r#"{"jsonrpc":"2.0","id":7,"result":"\ud800"}"#.to_owned(), json!(null)),
    ] {
        check(&line, line.as_bytes(), &Refused(id, -32600, words)).await;
    }
    // A whole pair is a character, and an escaped backslash no escape.
    for query in [r"select '\ud83d\ude00'", r"select '\\ud800'"] {
        let mut client = Client::new();
        client.initializes("2025-11-25").await;
        client.send(call(query, "7") + "\n").await;
        assert!(client.receives_nothing().await);
        assert_eq!(client.calls.recv().await.unwrap().call.tool, "async_query_execute", "{query}");
    }
}

#[actix_rt::test]
async fn what_else_cannot_be_read_is_refused_to_its_id() {
    let line = b"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"p\xffng\"}";
    check("no UTF-8", line, &Refused(json!(7), -32700, "the message is not JSON: ")).await;
    let nested = format!("{}1{}", "[".repeat(150), "]".repeat(150));
    let line = format!(r#"{{"jsonrpc":"2.0","id":7,"method":"ping","params":{{"a":{nested}}}}}"#);
    let error = serde_json::from_str::<Value>(&line).expect_err("deeper than anything is");
    let (id, answer) = fault(line.as_bytes(), &error);
    assert_eq!((&*id, answer.unwrap().code.0), ("7", -32600));
}

#[actix_rt::test]
async fn json_that_is_no_message_is_an_invalid_request_to_its_id() {
    for (line, id, words) in [
        ("7", json!(null), "a message is a JSON object"),
        ("\"ping\"", json!(null), "a message is a JSON object"),
        ("null", json!(null), "a message is a JSON object"),
        ("{}", json!(null), "`jsonrpc` must be \"2.0\""),
        (r#"{"id":7,"method":"ping"}"#, json!(7), "`jsonrpc` must be \"2.0\""),
        (r#"{"jsonrpc":"1.0","id":"a","method":"ping"}"#, json!("a"), "`jsonrpc` must be \"2.0\""),
        (r#"{"jsonrpc":2.0,"id":7,"method":"ping"}"#, json!(7), "`jsonrpc` must be \"2.0\""),
        (r#"{"jsonrpc":"2.0"}"#, json!(null), "`method` must be a string"),
        (r#"{"jsonrpc":"2.0","id":7}"#, json!(7), "`method` must be a string"),
        (r#"{"jsonrpc":"2.0","id":-7,"method":["ping"]}"#, json!(-7), "`method` must be a string"),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, json!(null), "`id` must be a string or an integer"),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, json!(null), "`id` must be a string or an integer"),
        (r#"{"jsonrpc":"2.0","id":[7],"method":"ping"}"#, json!(null), "`id` must be a string or an integer"),
        // Nobody but we can answer these: rmcp has no such ids and no such messages.
        (r#"{"jsonrpc":"2.0","id":18446744073709551615,"method":"ping"}"#, json!(u64::MAX), "no JSON-RPC request"),
        (r#"{"jsonrpc":"2.0","id":7,"method":"ping","result":{}}"#, json!(7), "no JSON-RPC request"),
        // An id comes back as it was, whatever has to be escaped in it.
        (r#"{"jsonrpc":"2.0","id":"a\"\\\nb"}"#, json!("a\"\\\nb"), "`method` must be a string"),
    ] {
        check(line, line.as_bytes(), &Refused(id, -32600, words)).await;
    }
}

#[actix_rt::test]
async fn a_batch_is_refused_as_a_whole() {
    for line in ["[]", "[1,2]", r#"[{"jsonrpc":"2.0","id":7,"method":"ping"}]"#] {
        let words = "batches are not part of the protocol since revision 2025-06-18";
        check(line, line.as_bytes(), &Refused(Value::Null, -32600, words)).await;
    }
}

#[actix_rt::test]
async fn a_line_that_is_too_long_is_refused_and_the_next_one_is_read() {
    let long = |bytes: usize| {
        let rest = ping(&json!("")).len() - 1;
        ping(&json!("x".repeat(bytes - rest))).trim_end().to_owned()
    };
    let words = "a line is at most 200 bytes (MCP_MAX_LINE_BYTES)";
    let long_id: Value = serde_json::from_str::<Value>(&long(LINE_BYTES_MAX + 1)).unwrap()["id"].clone();
    for (what, line, becomes) in [
        ("as long as may be", long(LINE_BYTES_MAX), Received),
        ("one byte longer", long(LINE_BYTES_MAX + 1), Refused(long_id, -32600, words)),
        ("longer than what is read at once", long(100_000), Refused(Value::Null, -32600, words)),
        ("no JSON either", "x".repeat(100_000), Refused(Value::Null, -32600, words)),
        ("blank", " ".repeat(100_000), Refused(Value::Null, -32600, words)),
    ] {
        check(what, line.as_bytes(), &becomes).await;
    }
}

#[actix_rt::test]
async fn a_request_that_is_too_long_is_answered_to_its_id_if_that_is_certain() {
    for (line, id) in [
        // As most clients write it: first, or last.
        (r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"query":"LONG"}}"#, json!(7)),
        (r#"{"jsonrpc":"2.0","method":"tools/call","id":"a\"b","params":{"query":"LONG"}}"#, json!("a\"b")),
        (r#"{"method":"tools/call","params":{"query":"LONG"},"jsonrpc":"2.0","id":-7}"#, json!(-7)),
        (r#"{"method":"tools/call","params":{"query":"LONG"},"jsonrpc":"2.0","id":"a-b"}"#, json!("a-b")),
        (r#"{ "method" : "tools/call", "params" : {"query":"LONG"} , "id" : 7 } "#, json!(7)),
        (r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"query":"LONG"},"id":7}"#, json!(7)),
        // Two.
        (r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"query":"LONG"},"id":8}"#, json!(null)),
        // In the middle.
        (r#"{"method":"tools/call","params":{"query":"LONG"},"id":7,"a":"LONG"}"#, json!(null)),
        // Of a response, or of nobody knows what.
        (r#"{"jsonrpc":"2.0","id":7,"result":{"query":"LONG"}}"#, json!(null)),
        (r#"{"params":{"query":"LONG"},"method":"tools/call","jsonrpc":"2.0","id":7}"#, json!(null)),
        // None of the message's.
        (r#"{"method":"tools/call","params":{"query":"LONG","id":7}}"#, json!(null)),
        (r#"{"method":"tools/call","params":{"query":"LONG,\"id\":7}"}}"#, json!(null)),
        (r#"{"method":"tools/call","params":{"query":"LONG"},"a\",\"id":7}"#, json!(null)),
        (r#"{"method":"tools/call","params":{"query":"LONG"},"a":"b\",\"id\":\"c"}"#, json!(null)),
        (r#"{"method":"tools/call","params":{"query":"LONG"},"id":7.5}"#, json!(null)),
        (r#"{"method":"tools/call","params":{"query":"LONG"},"id":null}"#, json!(null)),
        (r#"{"method":"tools/call","params":{"query":"LONG"},"id":"a\"b"}"#, json!(null)),
        (r#"{"jsonrpc":"2.0","method":"notifications/a","params":{"query":"LONG"}}"#, json!(null)),
    ] {
        for bytes in [300, 100_000] {
            let whole = line.replace("LONG", &"x".repeat(bytes));
            check(line, whole.as_bytes(), &Refused(id.clone(), -32600, "MCP_MAX_LINE_BYTES")).await;
        }
    }
}

#[actix_rt::test]
async fn a_line_that_is_too_long_is_thrown_away_as_it_comes_and_refused_once() {
    let mut client = Client::new();
    client.send(r#"{"method":"tools/call","params":{"query":""#).await;
    for _ in 0..10 {
        client.send("x".repeat(100_000)).await;
        assert!(client.receives_nothing().await);
        assert!(client.transport.lines.buffer.len() <= LINE_BYTES_MAX + lines::END_BYTES);
    }
    // Its end may come in any pieces.
    for byte in br#""},"jsonrpc":"2.0","id":7}"# {
        client.send([*byte]).await;
        assert!(client.receives_nothing().await);
    }
    client.send(format!("\n{}", ping(&json!(1)))).await;
    assert_eq!(client.received().await.unwrap()["id"], 1);
    let refused = client.answer().await;
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(7), &json!(-32600)));
    assert_eq!(client.ended().await, (vec![], vec![]));
}
