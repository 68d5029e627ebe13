//! Every revision on one path.

use serde_json::json;

use super::*;

/// A session of 2025-11-25, opened by that peer: the headers of what comes after.
pub async fn open_session(peer: &mut Peer) -> Vec<(&'static str, String)> {
    let client = json!({"name": "a test", "version": "1"});
    let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello});
    let answer = peer.ask((Vec::new(), hello)).await;
    assert_eq!(answer.message()["result"]["protocolVersion"], "2025-11-25");
    let session = answer.header("mcp-session-id").unwrap().to_owned();
    let headers = vec![("mcp-session-id", session), ("mcp-protocol-version", "2025-11-25".to_owned())];
    let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    assert_eq!(peer.ask((headers.clone(), ready)).await.status, 202);
    headers
}

/// Have a stream stand for that session, on that connection.
pub async fn stand(peer: &mut Peer, session: &[(&'static str, String)]) {
    let headers = session.iter().map(|(name, value)| (*name, value.as_str()));
    let headers: Vec<_> = headers.chain([("Accept", "text/event-stream")]).collect();
    peer.send("GET", "/mcp", &headers, b"").await;
    peer.head().await;
}

fn call(id: u64, sql: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
           "params": {"name": "async_query_execute", "arguments": {"query": sql}}})
}

#[actix_rt::test]
async fn both_kinds_of_client_are_served_on_one_path_with_their_values_as_they_are() {
    let cluster = PrivateCluster::start().unwrap();
    let daemon = Daemon::on(&cluster, "").await;
    let sql = "select 1.10::numeric as n, '{\"b\":1.50, \"a\":[1e2], \"a\":2}'::json as j, 9007199254740993 as big, E'é\\n\"' as t";
    let rows = json!([["1.10", {"b": 1.50, "a": [1e2]}, "9007199254740993", "é\n\""]]);
    let mut modern = daemon.peer().await;
    let mut older = daemon.peer().await;
    let session = open_session(&mut older).await;
    for answer in [modern.ask(query(1, sql)).await, older.ask((session.clone(), call(1, sql))).await] {
        assert_eq!(answer.status, 200);
        // Digits, the keys' order and the second of two with one name are there.
        assert!(
            answer.body.contains(r#""rows":[["1.10",{"b":1.50, "a":[1e2], "a":2},"9007199254740993","é\n\""]]"#),
            "{}",
            answer.body
        );
        let result = &answer.message()["result"];
        assert_eq!(result["structuredContent"]["rows"][0][0], rows[0][0]);
        assert_eq!(result["_meta"]["mcp-server-postgres/content"], "data");
        assert!(result["content"][0]["text"].as_str().unwrap().starts_with("1 row\n"));
    }
    for method in ["server/discover", "tools/list"] {
        let answer = modern.ask(request(2, method, json!({}))).await;
        assert!(answer.message()["result"].is_object(), "{method}: {}", answer.body);
    }
}

#[actix_rt::test]
async fn a_parameter_for_json_arrives_as_it_was_written() {
    let cluster = PrivateCluster::start().unwrap();
    let daemon = Daemon::on(&cluster, "").await;
    let doc = r#"{"z":1.00, "a":12345678901234567890123,"a":1e5,"d":{"k":1,"k":2}}"#;
    let mut modern = daemon.peer().await;
    let mut older = daemon.peer().await;
    let session = open_session(&mut older).await;
    let sql = "select $1::json::text, $2::numeric";
    for (peer, (mut headers, message)) in [(&mut modern, query(1, sql)), (&mut older, (session.clone(), call(1, sql)))]
    {
        let body = message
            .to_string()
            .replace(&format!(r#""query":"{sql}""#), &format!(r#""query":"{sql}","parameters":[{doc},1e5]"#));
        headers.push(("content-type", "application/json".to_owned()));
        headers.push(("accept", "application/json, text/event-stream".to_owned()));
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        peer.send("POST", "/mcp", &headers, body.as_bytes()).await;
        let answer = peer.answer().await;
        let rows = &answer.message()["result"]["structuredContent"]["rows"];
        assert_eq!(*rows, json!([[doc, "100000"]]), "{}", answer.body);
    }
}

#[actix_rt::test]
async fn a_closed_connection_cancels_its_call_in_postgres_with_a_session_and_without() {
    let cluster = PrivateCluster::start().unwrap();
    let observer = observer(&cluster).await;
    let daemon = Daemon::on(&cluster, "POSTGRES_POOL_SIZE=1\n").await;
    let mut opener = daemon.peer().await;
    let session = open_session(&mut opener).await;
    for is_older in [false, true] {
        let mut running = daemon.peer().await;
        let endless = if is_older { (session.clone(), call(7, ENDLESS)) } else { query(7, ENDLESS) };
        running.say(endless).await;
        until_active(&observer, 1).await;
        // One that waits for the connection ends too.
        let mut waiting = daemon.peer().await;
        waiting.say(query(8, "select 'waited for nothing'")).await;
        daemon.until_logged("connection opened", 1).await;
        drop(waiting);
        drop(running);
        until_active(&observer, 0).await;
        let mut next = daemon.peer().await;
        assert_eq!(first(&next.ask(query(9, "select 1")).await), 1);
    }
    daemon.until_logged("query cancelled", 2).await;
    assert!(
        !daemon.log_of("query executed").iter().any(|line| line["context"]["sql"] == "select 'waited for nothing'")
    );
}

#[actix_rt::test]
async fn a_session_answers_each_id_once_and_ends_with_all_that_it_has_in_flight() {
    let cluster = PrivateCluster::start().unwrap();
    let observer = observer(&cluster).await;
    let daemon = Daemon::on(&cluster, "").await;
    let (mut running, mut other) = (daemon.peer().await, daemon.peer().await);
    let session = open_session(&mut running).await;
    running.say((session.clone(), call(7, ENDLESS))).await;
    until_active(&observer, 1).await;
    let twice = other.ask((session.clone(), call(7, "select 1"))).await.message();
    assert_eq!((&twice["id"], &twice["error"]["code"]), (&json!(7), &json!(-32600)), "{twice}");
    assert_eq!(first(&other.ask((session.clone(), call(8, "select 1"))).await), 1);
    // A notification cancels it as well.
    let cancelled = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}});
    assert_eq!(other.ask((session.clone(), cancelled)).await.status, 202);
    until_active(&observer, 0).await;
    let mut again = daemon.peer().await;
    again.say((session.clone(), call(9, ENDLESS))).await;
    until_active(&observer, 1).await;
    let headers: Vec<_> = session.iter().map(|(name, value)| (*name, value.as_str())).collect();
    other.send("DELETE", "/mcp", &headers, b"").await;
    assert_eq!(other.answer().await.status, 204);
    until_active(&observer, 0).await;
    assert_eq!(other.ask((session, call(10, "select 1"))).await.status, 404);
}

#[actix_rt::test]
async fn a_cancellation_that_overtakes_its_request_holds_all_the_same() {
    let cluster = PrivateCluster::start().unwrap();
    let daemon = Daemon::on(&cluster, "").await;
    let mut peer = daemon.peer().await;
    let session = open_session(&mut peer).await;
    let cancelled = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}});
    assert_eq!(peer.ask((session.clone(), cancelled)).await.status, 202);
    let answer = peer.ask((session.clone(), call(7, ENDLESS))).await;
    assert!(!answer.body.contains("result") && !answer.body.contains("error"), "{answer:?}");
    assert_eq!(first(&peer.ask((session, call(8, "select 1"))).await), 1);
}

#[actix_rt::test]
async fn what_does_not_fit_is_told_with_the_codes_of_the_protocol() {
    let cluster = PrivateCluster::start().unwrap();
    let daemon = Daemon::on(&cluster, "").await;
    let mut peer = daemon.peer().await;
    let (mut headers, message) = query(1, "select 1");
    headers[1].1 = "tools/list".to_owned();
    let mismatch = peer.ask((headers, message)).await;
    assert_eq!((mismatch.status, &mismatch.message()["error"]["code"]), (400, &json!(-32020)), "{mismatch:?}");
    // Those that went with the sessions are unknown whatever their parameters are.
    for method in ["no/such", "initialize", "logging/setLevel", "resources/subscribe"] {
        let unknown = peer.ask(request(2, method, json!({}))).await;
        assert_eq!((unknown.status, &unknown.message()["error"]["code"]), (404, &json!(-32601)), "{unknown:?}");
    }
    let misfit = peer.ask(request(3, "tools/call", json!({"name": "async_query_execute", "arguments": 5}))).await;
    assert_eq!(misfit.message()["error"]["code"], -32602, "{misfit:?}");
    let (mut headers, message) = query(4, "select 1");
    headers[0].1 = "1999-01-01".to_owned();
    assert_eq!(peer.ask((headers, message)).await.status, 400);
    assert_eq!(first(&peer.ask(query(5, "select 1")).await), 1);
}

#[actix_rt::test]
async fn who_listens_hears_of_a_changed_mode_until_the_end() {
    let cluster = PrivateCluster::start().unwrap();
    let mut daemon = Daemon::on(&cluster, "MCP_ACCESS_MODE=read-only\n").await;
    let mut listener = daemon.peer().await;
    listener.say(request(1, "subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}))).await;
    listener.head().await;
    let accepted = listener.event().await;
    assert_eq!(accepted["method"], "notifications/subscriptions/acknowledged", "{accepted}");
    let mut older = daemon.peer().await;
    let session = open_session(&mut older).await;
    stand(&mut older, &session).await;
    daemon.change_env(|env| env.replace("read-only", "read-write"));
    for peer in [&mut listener, &mut older] {
        assert_eq!(peer.event().await["method"], "notifications/tools/list_changed");
    }
    // Both end when the daemon does, and it waits for neither.
    daemon.signal("TERM");
    listener.closed().await;
    older.closed().await;
    assert!(daemon.ended().await.success());
}

#[actix_rt::test]
async fn a_stream_that_has_been_silent_for_long_goes_on_and_ends_with_its_client_and_with_its_session() {
    let cluster = PrivateCluster::start().unwrap();
    let mut daemon = Daemon::on(&cluster, "MCP_ACCESS_MODE=read-only\nMCP_SESSION_TIMEOUT=1\n").await;
    let (mut listener, mut goes, mut stays) = (daemon.peer().await, daemon.peer().await, daemon.peer().await);
    listener.say(request(1, "subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}))).await;
    listener.head().await;
    let sessions = [open_session(&mut goes).await, open_session(&mut stays).await];
    stand(&mut goes, &sessions[0]).await;
    stand(&mut stays, &sessions[1]).await;
    for peer in [&mut listener, &mut goes, &mut stays] {
        peer.keep_alive().await;
    }
    daemon.change_env(|env| env.replace("read-only", "read-write"));
    for peer in [&mut listener, &mut goes, &mut stays] {
        assert_eq!(peer.event().await["method"], "notifications/tools/list_changed");
    }
    // What stands keeps a session alive, and does no more when its client has gone.
    let mut other = daemon.peer().await;
    let mut sessions_left = async || {
        let status: Value = serde_json::from_str(&other.get("/status.json", &[]).await.body).unwrap();
        status["server"]["sessions"].as_u64().unwrap()
    };
    assert_eq!(sessions_left().await, 2);
    drop(goes);
    until("the session has ended", async || sessions_left().await == 1).await;
    let headers: Vec<_> = sessions[1].iter().map(|(name, value)| (*name, value.as_str())).collect();
    other.send("DELETE", "/mcp", &headers, b"").await;
    assert_eq!(other.answer().await.status, 204);
    assert_eq!(stays.chunk().await, None);
    assert_eq!(first(&stays.ask(query(2, "select 1")).await), 1);
    daemon.signal("TERM");
    listener.closed().await;
    assert!(daemon.ended().await.success());
}
