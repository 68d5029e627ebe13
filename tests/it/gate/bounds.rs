//! How much a client may ask, how often, and how slowly.

use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::StatusCode;
use tower_service::Service as _;

use crate::gate::World;

#[actix_rt::test]
async fn a_client_that_asks_too_often_is_told_when_to_come_again_and_others_are_not_held_up() {
    tokio::time::pause();
    let mut world = World::new(|settings| settings.http.rate = 2);
    // Twice the rate at once.
    for _ in 0..4 {
        assert_eq!(world.ask(&[]).await.status, StatusCode::OK);
    }
    let refused = world.ask(&[]).await;
    assert_eq!((refused.status, refused.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, Some("1")));
    assert_eq!(refused.why(), "This client has made more than 2 requests a second (MCP_CLIENT_RATE).");
    world.connect();
    assert_eq!(world.ask(&[]).await.status, StatusCode::OK);
    world.change(|settings| settings.http.rate = 0).await;
    for _ in 0..100 {
        assert_eq!(world.ask(&[]).await.status, StatusCode::OK);
    }
}

#[actix_rt::test]
async fn a_client_that_has_waited_may_ask_again() {
    tokio::time::pause();
    let world = World::new(|settings| settings.http.rate = 2);
    while world.ask(&[]).await.status == StatusCode::OK {}
    tokio::time::advance(Duration::from_millis(499)).await;
    assert_eq!(world.ask(&[]).await.status, StatusCode::TOO_MANY_REQUESTS);
    tokio::time::advance(Duration::from_millis(2)).await;
    assert_eq!(world.ask(&[]).await.status, StatusCode::OK);
    assert_eq!(world.ask(&[]).await.status, StatusCode::TOO_MANY_REQUESTS);
}

#[actix_rt::test]
async fn past_its_requests_in_flight_a_client_is_refused_until_one_is_answered() {
    let world = World::new(|settings| settings.limits.in_flight_max = 2);
    let ask = || world.request("POST", "/mcp", &[("host", "localhost")], "{}");
    let (mut one, mut other) = (world.router.clone(), world.router.clone());
    // Answers that nobody has read yet.
    let (one, other) = (one.call(ask()).await.unwrap(), other.call(ask()).await.unwrap());
    assert_eq!((one.status(), other.status()), (StatusCode::OK, StatusCode::OK));
    let refused = world.ask(&[]).await;
    assert_eq!((refused.status, refused.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, Some("1")));
    assert_eq!(
        refused.why(),
        "Busy: 2 requests of this client are in flight already (MCP_MAX_IN_FLIGHT). Try again in 1s, or when one of them \
         is answered."
    );
    // What stands for as long as its client is not in flight.
    assert_eq!(world.ask(&[("mcp-method", "subscriptions/listen")]).await.status, StatusCode::OK);
    drop(one);
    assert_eq!(world.ask(&[]).await.status, StatusCode::OK);
    drop(other);
}

#[actix_rt::test]
async fn a_body_that_is_too_long_is_read_no_further_than_its_bound() {
    let world = World::new(|settings| settings.limits.line_bytes_max = 10_000);
    for (bytes, status) in [(10_000, StatusCode::OK), (10_001, StatusCode::PAYLOAD_TOO_LARGE)] {
        let answer = world.answer(world.request("POST", "/mcp", &[("host", "localhost")], vec![b'x'; bytes])).await;
        assert_eq!(answer.status, status, "{bytes}");
    }
    // A length that is only claimed, or not said at all.
    let endless = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 1000])));
    let answer =
        world.answer(world.request("POST", "/mcp", &[("host", "localhost")], Body::from_stream(endless))).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer.why(), "A request has at most 10000 bytes (MCP_MAX_LINE_BYTES).");
}

#[actix_rt::test]
async fn a_body_that_does_not_come_is_waited_for_only_so_long() {
    tokio::time::pause();
    let world = World::new(|_| {});
    let never = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
    let answer = world.answer(world.request("POST", "/mcp", &[("host", "localhost")], never)).await;
    assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(answer.why(), "The request did not come whole within 30s (MCP_CLIENT_TIMEOUT).");
}

#[actix_rt::test]
async fn there_are_no_more_sessions_than_the_operator_wants() {
    let world = World::new(|settings| settings.http.sessions_max = 0);
    let refused = world.ask(&[]).await;
    assert_eq!((refused.status, refused.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, Some("1")));
    assert_eq!(refused.why(), "Busy: there are 0 sessions already (MCP_MAX_SESSIONS).");
    // One that has ended is none.
    let old = world.ask(&[("mcp-session-id", "ended")]).await;
    assert_eq!(old.status, StatusCode::SERVICE_UNAVAILABLE, "{old:?}");
    // Who needs none is let in.
    assert_eq!(world.ask(&[("mcp-method", "tools/list")]).await.status, StatusCode::OK);
}
