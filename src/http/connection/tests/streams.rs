//! Streams that stay silent for longer than a connection needs to become idle: connections in memory, on paused time.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::routing::any;
use futures_util::stream::unfold;
use hyper::header::CONTENT_TYPE;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::*;

const PIPE_BYTES: usize = 1000;

/// How many pieces hyper collects to write them together (`max_buf_list_buffers` of hyper 1).
const MADE_AHEAD_MAX: usize = 16;

const STREAM: &str = "GET /stream HTTP/1.1\r\nhost: h\r\n\r\n";

const PIECES: usize = 40;

const EVENT: &[u8] = b"data: 123\n";

/// A client that has requested a stream and has received its head; the sender of the events; the connection.
async fn stand(request: &str, stopping: &CancellationToken) -> (DuplexStream, UnboundedSender<Bytes>, Serving) {
    let (events, receiver) = unbounded_channel::<Bytes>();
    let receiver = Arc::new(std::sync::Mutex::new(Some(receiver)));
    let stream = move || {
        let receiver = receiver.lock().unwrap().take().unwrap();
        let events =
            unfold(receiver, async |mut receiver| Some((Ok::<_, Infallible>(receiver.recv().await?), receiver)));
        async { ([(CONTENT_TYPE, "text/event-stream")], Body::from_stream(events)) }
    };
    let router = Router::new().route("/stream", any(stream)).route("/", get(async || "quick"));
    let (mut client, serving) = connect_to(router, PIPE_BYTES, stopping);
    client.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    (client, events, serving)
}

async fn expect(client: &mut DuplexStream, bytes: &str) {
    let mut read = vec![0; bytes.len()];
    client.read_exact(&mut read).await.unwrap();
    assert_eq!(String::from_utf8(read).unwrap(), bytes);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_silent_goes_on_to_its_end_and_the_next_request_is_answered() {
    for is_sent_meanwhile in [false, true] {
        let (mut client, events, _serving) = stand(STREAM, &CancellationToken::new()).await;
        events.send(EVENT.into()).unwrap();
        expect(&mut client, "A\r\ndata: 123\n\r\n").await;
        sleep(LONG).await;
        for at in 0..3 {
            events.send(EVENT.into()).unwrap();
            events.send(Bytes::new()).unwrap();
            events.send(EVENT.into()).unwrap();
            expect(&mut client, "A\r\ndata: 123\n\r\nA\r\ndata: 123\n\r\n").await;
            if at == 1 && is_sent_meanwhile {
                let long = format!("GET / HTTP/1.1\r\nhost: h\r\nx-long: {}\r\n\r\n", "x".repeat(500));
                client.write_all(long.as_bytes()).await.unwrap();
            }
            sleep(LONG).await;
        }
        drop(events);
        expect(&mut client, "0\r\n\r\n").await;
        if !is_sent_meanwhile {
            sleep(LONG).await;
            client.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
        }
        expect(&mut client, "HTTP/1.1 200 OK\r\n").await;
        let mut answer = Vec::new();
        while !answer.ends_with(b"quick") {
            answer.push(client.read_u8().await.unwrap());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_came_with_the_streams_own_is_answered_after_it() {
    let with_the_next = format!("{STREAM}GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    let (mut client, events, _serving) = stand(&with_the_next, &CancellationToken::new()).await;
    sleep(LONG).await;
    events.send(EVENT.into()).unwrap();
    drop(events);
    expect(&mut client, "A\r\ndata: 123\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n").await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_client_goes_ends() {
    for was_silent in [false, true] {
        let (client, events, serving) = stand(STREAM, &CancellationToken::new()).await;
        if was_silent {
            sleep(LONG).await;
        }
        drop(client);
        let began = Instant::now();
        events.closed().await;
        assert!(serving.await.unwrap().is_err());
        assert!(began.elapsed() < RESTS_AFTER, "{:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_stream_no_more_is_made_than_its_client_takes() {
    let made = Arc::new(AtomicUsize::new(0));
    let counted = made.clone();
    let piece = Bytes::from(vec![b'x'; PIPE_BYTES]);
    let given = piece.clone();
    let stream = move || {
        let (made, piece) = (counted.clone(), given.clone());
        let pieces = unfold((), move |()| {
            let at = made.fetch_add(1, Ordering::Relaxed);
            let piece = piece.clone();
            async move {
                if at == 0 {
                    sleep(LONG).await;
                }
                (at < PIECES).then_some((Ok::<_, Infallible>(piece), ()))
            }
        });
        async { ([(CONTENT_TYPE, "text/event-stream")], Body::from_stream(pieces)) }
    };
    let router = Router::new().route("/stream", any(stream));
    let (mut client, _serving) = connect_to(router, PIPE_BYTES, &CancellationToken::new());
    client.write_all(STREAM.as_bytes()).await.unwrap();
    sleep(LONG * 3).await;
    let made_unread = made.load(Ordering::Relaxed);
    assert!((1..=MADE_AHEAD_MAX).contains(&made_unread), "{made_unread}");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    let chunk = format!("3E8\r\n{}\r\n", str::from_utf8(&piece).unwrap());
    for taken in 1..=PIECES {
        expect(&mut client, &chunk).await;
        sleep(LONG).await;
        assert!(made.load(Ordering::Relaxed) <= taken + MADE_AHEAD_MAX);
    }
    expect(&mut client, "0\r\n\r\n").await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_stands_may_end_when_the_listener_does_and_its_connection_ends_then() {
    for was_silent in [false, true] {
        let stopping = CancellationToken::new();
        let (mut client, events, serving) = stand(STREAM, &stopping).await;
        if was_silent {
            sleep(LONG).await;
        }
        stopping.cancel();
        sleep(LONG).await;
        assert!(!serving.is_finished(), "its last words may be on their way");
        events.send(EVENT.into()).unwrap();
        drop(events);
        let mut rest = String::new();
        client.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "A\r\ndata: 123\n\r\n0\r\n\r\n");
        serving.await.unwrap().unwrap();
    }
}
