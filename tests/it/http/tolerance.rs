//! Clients that do not send what the protocol wants, and what they are answered.

use super::protocol::{open_session, stand};
use super::*;

const BOTH: (&str, &str) = ("Accept", "application/json, text/event-stream");
const JSON: (&str, &str) = ("Content-Type", "application/json");

fn hello(revision: &str) -> String {
    let client = json!({"name": "a test", "version": "1"});
    let params = json!({"protocolVersion": revision, "capabilities": {}, "clientInfo": client});
    json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}).to_string()
}

async fn post(peer: &mut Peer, headers: &[(&str, &str)], body: &str) -> Answer {
    peer.send("POST", "/mcp", headers, body.as_bytes()).await;
    peer.answer().await
}

#[actix_rt::test]
async fn who_does_not_ask_for_events_gets_json_in_every_revision() {
    let cluster = PrivateCluster::start().unwrap();
    let daemon = Daemon::on(&cluster, "").await;
    let mut peer = daemon.peer().await;
    for accept in [None, Some("*/*"), Some("application/json"), Some("application/*;q=0.9, text/html")] {
        let accept = accept.map(|value| ("Accept", value));
        let opened =
            post(&mut peer, &accept.iter().copied().chain([JSON]).collect::<Vec<_>>(), &hello("2025-06-18")).await;
        assert_eq!((opened.status, opened.header("content-type")), (200, Some("application/json")), "{accept:?}");
        assert_eq!(opened.message()["result"]["protocolVersion"], "2025-06-18");
        let session = opened.header("mcp-session-id").unwrap().to_owned();
        let of_session = [("Mcp-Session-Id", &*session), ("MCP-Protocol-Version", "2025-06-18"), JSON];
        let of_session: Vec<_> = accept.iter().copied().chain(of_session).collect();
        let params =
            json!({"name": "async_query_execute", "arguments": {"query": "select 7"}, "_meta": {"progressToken": 1}});
        for (method, params) in [("tools/call", params), ("tools/list", json!({})), ("ping", json!({}))] {
            let message = json!({"jsonrpc": "2.0", "id": 2, "method": method, "params": params}).to_string();
            let answer = post(&mut peer, &of_session, &message).await;
            assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{answer:?}");
            assert_eq!(answer.message()["id"], 2, "{answer:?}");
            assert!(answer.message()["result"].is_object(), "{answer:?}");
        }
        let (headers, message) = query(3, "select 8");
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, &**value)).chain(accept).collect();
        assert_eq!(first(&post(&mut peer, &headers, &message.to_string()).await), 8);
    }
    // A stream that cannot be an answer alone.
    let (headers, message) = request(4, "subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}));
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, &**value)).chain([JSON]).collect();
    let refused =
        post(&mut peer, &[&headers[..], &[("Accept", "application/json")]].concat(), &message.to_string()).await;
    assert_eq!((refused.status, &refused.message()["id"]), (406, &json!(4)), "{refused:?}");
    assert!(refused.why().ends_with("send Accept: application/json, text/event-stream"), "{refused:?}");
    for accept in ["text/event-stream", "text/html", "application/json;q=0, text/event-stream"] {
        let refused = post(&mut peer, &[("Accept", accept), JSON], &hello("2025-06-18")).await;
        assert_eq!((refused.status, &*refused.why()), (406, "Send Accept: application/json, text/event-stream."));
    }
    peer.send("POST", "/mcp", &[&headers[..], &[("Accept", "*/*")]].concat(), message.to_string().as_bytes()).await;
    peer.head().await;
    assert_eq!(peer.event().await["method"], "notifications/subscriptions/acknowledged");
}

#[actix_rt::test]
async fn json_is_read_whatever_its_content_type_is_and_what_is_none_is_a_parse_error() {
    let cluster = PrivateCluster::start().unwrap();
    let daemon = Daemon::on(&cluster, "").await;
    let mut peer = daemon.peer().await;
    for content_type in
        [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/json-rpc"), Some("")]
    {
        let headers: Vec<_> = content_type.iter().map(|value| ("Content-Type", *value)).chain([BOTH]).collect();
        assert_eq!(post(&mut peer, &headers, &hello("2025-03-26")).await.status, 200, "{content_type:?}");
        let (own, message) = query(3, "select 8");
        let headers: Vec<_> = own.iter().map(|(name, value)| (*name, &**value)).chain(headers).collect();
        assert_eq!(first(&post(&mut peer, &headers, &message.to_string()).await), 8);
    }
    for (body, code, id, words) in [
        ("", -32700, json!(null), "the message is not JSON"),
        ("{", -32700, json!(null), "the message is not JSON"),
        ("query=select+1", -32700, json!(null), "the message is not JSON"),
        (r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":{"#, -32700, json!(7), "the message is not JSON"),
        ("[]", -32600, json!(null), "batches are not part of the protocol"),
        ("7", -32600, json!(null), "a message is a JSON object"),
        (r#"{"jsonrpc":"2.0"}"#, -32600, json!(null), "`method` must be a string"),
        (r#"{"id":7,"method":"ping"}"#, -32600, json!(7), "`jsonrpc` must be"),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, -32600, json!(null), "`id` must be"),
        (
            r#"{"jsonrpc":"2.0","method":"notifications/initialized","params":7}"#,
            -32600,
            json!(null),
            "no notification",
        ),
    ] {
        for headers in [&[BOTH, JSON][..], &[], &[("Content-Type", "text/plain")]] {
            let answer = post(&mut peer, headers, body).await;
            let (status, message) = (answer.status, answer.message());
            assert_eq!(
                (status, &message["error"]["code"], &message["id"]),
                (400, &json!(code), &id),
                "{body}: {answer:?}"
            );
            assert!(answer.why().contains(words), "{body}: {answer:?}");
        }
    }
}

#[actix_rt::test]
async fn a_client_whose_session_has_ended_is_told_to_initialise_again_and_can() {
    let cluster = PrivateCluster::start().unwrap();
    let daemon = Daemon::on(&cluster, "").await;
    let mut peer = daemon.peer().await;
    let old = ("Mcp-Session-Id", "7bca7c91-0000-4000-8000-000000000000");
    let call = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call",
                      "params": {"name": "async_query_execute", "arguments": {"query": "select 1"}}});
    let list = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/list"});
    for message in [call, list] {
        for accept in ["*/*", "application/json, text/event-stream"] {
            let refused = post(&mut peer, &[old, ("Accept", accept), JSON], &message.to_string()).await;
            assert_eq!((refused.status, &refused.message()["id"]), (404, &json!(7)), "{refused:?}");
            assert!(refused.why().starts_with("session not found: it has ended"), "{refused:?}");
            assert!(refused.why().contains("send `initialize` again, without Mcp-Session-Id"), "{refused:?}");
        }
    }
    let gone = peer.get("/mcp", &[old, ("Accept", "text/event-stream")]).await;
    assert_eq!((gone.status, gone.why().starts_with("session not found")), (404, true));
    let opened = post(&mut peer, &[old, BOTH, JSON], &hello("2025-11-25")).await;
    assert_eq!((opened.status, &opened.message()["result"]["protocolVersion"]), (200, &json!("2025-11-25")));
    let new = opened.header("mcp-session-id").unwrap().to_owned();
    assert_ne!(new, old.1);
    let ping = json!({"jsonrpc": "2.0", "id": 8, "method": "ping"}).to_string();
    assert_eq!(post(&mut peer, &[("Mcp-Session-Id", &new), BOTH, JSON], &ping).await.status, 200);
    let homeless = post(&mut peer, &[BOTH, JSON], &ping).await;
    assert_eq!((homeless.status, &homeless.message()["id"]), (400, &json!(8)));
    assert!(homeless.why().starts_with("a session is needed: send `initialize` first"), "{homeless:?}");
}

#[actix_rt::test]
async fn a_method_that_is_not_served_is_refused_with_those_that_are() {
    let cluster = PrivateCluster::start().unwrap();
    let daemon = Daemon::on(&cluster, "").await;
    let mut peer = daemon.peer().await;
    for (method, headers, allowed) in [
        ("GET", &[("Accept", "text/event-stream")][..], "POST"),
        ("GET", &[], "POST"),
        ("DELETE", &[], "POST"),
        (
            "GET",
            &[("Accept", "text/event-stream"), ("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Session-Id", "x")],
            "POST",
        ),
        ("PUT", &[], "GET, POST, DELETE"),
        ("OPTIONS", &[], "GET, POST, DELETE"),
    ] {
        peer.send(method, "/mcp", headers, b"").await;
        let refused = peer.answer().await;
        assert_eq!(
            (refused.status, refused.header("allow")),
            (405, Some(allowed)),
            "{method} {headers:?}: {refused:?}"
        );
        assert!(!refused.why().is_empty());
    }
    let session = open_session(&mut peer).await;
    let session: Vec<_> = session.iter().map(|(name, value)| (*name, &**value)).collect();
    let refused = peer.get("/mcp", &[&session[..], &[("Accept", "application/json")]].concat()).await;
    assert_eq!((refused.status, refused.why().ends_with("send Accept: text/event-stream.")), (406, true));
    let unknown = peer.get("/mcp", &[("Mcp-Session-Id", session[0].1), ("MCP-Protocol-Version", "1999-01-01")]).await;
    assert_eq!((unknown.status, &unknown.message()["error"]["code"]), (400, &json!(-32022)), "{unknown:?}");
    assert!(unknown.why().contains("this server speaks 2024-11-05, 2025-03-26"), "{unknown:?}");
    // Whatever a client takes, the stream is one of events.
    assert!(peer_stands(&mut peer, &session).await.contains("text/event-stream"));
}

/// Have a stream stand for a client that has not said what it takes, and give its head.
async fn peer_stands(peer: &mut Peer, session: &[(&str, &str)]) -> String {
    peer.send("GET", "/mcp", session, b"").await;
    peer.head().await
}

#[actix_rt::test]
async fn no_stream_begins_with_an_event_without_data() {
    let cluster = PrivateCluster::start().unwrap();
    let daemon = Daemon::on(&cluster, "MCP_ACCESS_MODE=read-only\n").await;
    for revision in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        let mut peer = daemon.peer().await;
        let opened = post(&mut peer, &[BOTH, JSON], &hello(revision)).await;
        assert_eq!(opened.header("content-type"), Some("text/event-stream"), "{opened:?}");
        let lines: Vec<&str> = opened.body.lines().filter(|line| !line.is_empty()).collect();
        assert!(matches!(lines[..], [data] if data.starts_with("data: {")), "{revision}: {opened:?}");
        let session = opened.header("mcp-session-id").unwrap().to_owned();
        let session = [("mcp-session-id", session), ("mcp-protocol-version", revision.to_owned())];
        stand(&mut peer, &session).await;
        let mut other = daemon.peer().await;
        let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"});
        let listed = other.ask((session.to_vec(), list)).await;
        assert!(!listed.body.lines().any(|line| line.trim_end() == "data:"), "{listed:?}");
        let mode = if revision == "2025-06-18" { ("read-write", "read-only") } else { ("read-only", "read-write") };
        daemon.change_env(|env| env.replace(mode.0, mode.1));
        let first = String::from_utf8(peer.chunk().await.unwrap()).unwrap();
        assert!(first.starts_with("data: {") && first.contains("list_changed"), "{revision}: {first}");
    }
}
