//! Connections in memory, on paused time: when they become idle, and that no byte is lost by it.

use std::pin::pin;

use axum::routing::{get, post};
use futures_util::poll;
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::{Instant, advance, sleep};

use super::*;

mod streams;

/// Longer than it takes to become idle.
const LONG: Duration = Duration::from_secs(5);

/// The size of the answer of `/large`.
const LARGE_BYTES: usize = 1 << 20;

type Serving = JoinHandle<Result<(), String>>;

fn connect(pipe_bytes: usize, stopping: &CancellationToken) -> (DuplexStream, Serving) {
    let router = Router::new()
        .route("/", get(async || "quick"))
        .route("/echo", post(async |body: String| body))
        .route("/large", get(async || "x".repeat(LARGE_BYTES)))
        .route("/slow", get(async || sleep(LONG * 3).await));
    connect_to(router, pipe_bytes, stopping)
}

fn connect_to(router: Router, pipe_bytes: usize, stopping: &CancellationToken) -> (DuplexStream, Serving) {
    let (client, server) = duplex(pipe_bytes);
    (client, tokio::spawn(serve(server, router, Connection::new(crate::http::Arrival::Unix), stopping.clone())))
}

async fn ask(client: &mut DuplexStream, request: &str) -> String {
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // Each of these answers ends with this word, and nothing follows.
    while !answer.ends_with(b"quick") && !answer.ends_with(b"end") {
        assert!(client.read_buf(&mut answer).await.unwrap() > 0, "{}", String::from_utf8_lossy(&answer));
    }
    String::from_utf8(answer).unwrap()
}

const QUICK: &str = "GET / HTTP/1.1\r\nhost: h\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn a_connection_that_has_rested_goes_on_where_it_was() {
    let (mut client, serving) = connect(1 << 16, &CancellationToken::new());
    let long = "y".repeat(10_000);
    let echo = format!("POST /echo HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\n\r\n{long}end", long.len() + 3);
    for _ in 0..3 {
        let answer = ask(&mut client, QUICK).await;
        assert!(answer.contains("content-length: 5\r\n"), "{answer}");
        sleep(LONG).await;
        assert!(ask(&mut client, &echo).await.ends_with(&format!("{long}end")));
        sleep(LONG).await;
    }
    // Byte by byte, with pauses between the requests and none inside them.
    for byte in QUICK.bytes() {
        client.write_all(&[byte]).await.unwrap();
        sleep(LONG / 4).await;
    }
    assert!(ask(&mut client, "").await.ends_with("quick"));
    // The beginning of the next request has arrived with the one before.
    let (begun, rest) = QUICK.split_at(9);
    assert!(ask(&mut client, &format!("{QUICK}{begun}")).await.ends_with("quick"));
    sleep(LONG).await;
    assert!(ask(&mut client, rest).await.ends_with("quick"));
    drop(client);
    serving.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_ignored_is_not_lost() {
    let (mut client, _serving) = connect(1000, &CancellationToken::new());
    client.write_all(b"GET /large HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    let mut bytes = 0;
    let mut buffer = vec![0; 4096];
    while bytes < LARGE_BYTES {
        if bytes % 100_000 < 1000 {
            sleep(LONG).await;
        }
        bytes += client.read(&mut buffer).await.unwrap();
    }
    let mut rest = String::new();
    client.write_all(QUICK.as_bytes()).await.unwrap();
    while !rest.ends_with("quick") {
        let read = client.read(&mut buffer).await.unwrap();
        rest.push_str(str::from_utf8(&buffer[..read]).unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_request_ends_and_one_whose_answer_is_awaited_does_not() {
    for asks_first in [false, true] {
        let (mut client, serving) = connect(1 << 16, &CancellationToken::new());
        if asks_first {
            ask(&mut client, QUICK).await;
        }
        let began = Instant::now();
        serving.await.unwrap().unwrap();
        assert!((IDLE..IDLE + LONG).contains(&began.elapsed()), "{:?}", began.elapsed());
    }
    let (mut client, serving) = connect(1 << 16, &CancellationToken::new());
    client.write_all(b"GET /slow HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    let mut answer = [0; 15];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    // Half of a head.
    sleep(LONG).await;
    client.write_all(b"GET /").await.unwrap();
    let began = Instant::now();
    let _ = serving.await.unwrap();
    assert!(began.elapsed() < IDLE + LONG, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_resting_connection_ends_with_the_listener() {
    let stopping = CancellationToken::new();
    let (mut client, serving) = connect(1 << 16, &stopping);
    ask(&mut client, QUICK).await;
    sleep(LONG).await;
    stopping.cancel();
    let began = Instant::now();
    serving.await.unwrap().unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_connection_rests_a_while_after_all_is_answered_and_written() {
    let activity = Arc::<Activity>::default();
    let mut rests = pin!(activity.rests());
    let (first, second) = (activity.begin(), activity.begin());
    drop(first);
    advance(LONG).await;
    assert!(poll!(&mut rests).is_pending(), "one is in flight");
    drop(second);
    assert!(poll!(&mut rests).is_pending());
    advance(RESTS_AFTER / 2).await;
    drop(activity.begin());
    advance(RESTS_AFTER / 2).await;
    assert!(poll!(&mut rests).is_pending(), "half of that time ago something was asked");
    activity.state().is_stuck = true;
    advance(RESTS_AFTER).await;
    assert!(poll!(&mut rests).is_pending(), "not all is written");
    activity.state().is_stuck = false;
    advance(RESTS_AFTER).await;
    activity.state().quiet_since = None;
    assert!(poll!(&mut rests).is_pending(), "something has come");
    drop(activity.begin());
    assert!(poll!(&mut rests).is_pending());
    advance(RESTS_AFTER).await;
    assert!(poll!(&mut rests).is_ready());
}
