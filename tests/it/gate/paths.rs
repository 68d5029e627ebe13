//! Paths: what is there, and what is not.

use std::collections::BTreeMap;

use hyper::StatusCode;

use crate::gate::{World, authorization, token};

#[actix_rt::test]
async fn what_is_not_there_is_not_found_by_anybody_and_the_path_of_the_protocol_is_said() {
    let (alices, alice) = token("alice");
    let open = World::new(|_| {});
    let closed = World::new(|settings| settings.http.tokens = Some(BTreeMap::from([("alice".to_owned(), alice)])));
    let (right, wrong) = (authorization(&alices), authorization("guess"));
    for (method, path) in [
        ("GET", "/.well-known/oauth-protected-resource"),
        ("GET", "/.well-known/oauth-protected-resource/mcp"),
        ("GET", "/.well-known/oauth-authorization-server"),
        ("GET", "/.well-known/openid-configuration"),
        ("POST", "/register"),
        ("GET", "/sse"),
        ("POST", "/messages/?session_id=1"),
        ("POST", "/mcp/"),
        ("POST", "/mcp/x"),
        ("POST", "/MCP"),
        ("POST", "/"),
        ("DELETE", "/"),
        ("GET", "/favicon.ico"),
        ("GET", "/calls/1"),
    ] {
        let without_query = path.split('?').next().unwrap();
        for (world, headers) in [
            (&open, &[("host", "localhost")][..]),
            (&closed, &[("host", "localhost")]),
            (&closed, &[("host", "localhost"), ("authorization", &right)]),
            (&closed, &[("host", "localhost"), ("authorization", &wrong)]),
        ] {
            let answer = world.answer(world.request(method, path, headers, "{}")).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path} {headers:?}: {answer:?}");
            let why = format!("Nothing answers {method} {without_query}: MCP (Streamable HTTP) is at /mcp.");
            assert_eq!(answer.why(), why);
        }
    }
    // By whatever name, and however long it is.
    let long = format!("/{}", "x".repeat(10_000));
    let answer = open.answer(open.request("GET", &long, &[("host", "evil.example")], "")).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert!(answer.body.len() < 500, "{answer:?}");
}

#[actix_rt::test]
async fn a_client_of_the_old_transport_that_asks_for_events_at_the_root_is_told_the_path() {
    let world = World::new(|_| {});
    let ask =
        async |accept| world.answer(world.request("GET", "/", &[("host", "localhost"), ("accept", accept)], "")).await;
    let client = ask("text/event-stream").await;
    assert_eq!((client.status, client.why().ends_with("is at /mcp.")), (StatusCode::NOT_FOUND, true));
    let browser = ask("text/html,application/xhtml+xml,*/*;q=0.8").await;
    assert_eq!((browser.status, browser.header("content-type")), (StatusCode::OK, Some("text/html; charset=utf-8")));
}
