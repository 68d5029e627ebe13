//! One connection: served by hyper while something comes or goes, and no more than its socket while nothing does.
//!
//! hyper has two buffers of 8 KiB for as long as it serves a connection. Of a thousand agents most do nothing at any
//! moment: a connection on which nothing happens between two requests is taken from hyper after a while, and given to it
//! again with its next bytes. While an answer is under way, be it a stream that stands, hyper keeps the connection.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio_util::bytes::Bytes;
use tokio_util::sync::CancellationToken;
use tower_service::Service as _;

use super::auth::Connection;
use activity::{Activity, Answer, Watched};

mod activity;

/// How long a connection may be without a request, and a request's head may take.
const IDLE: Duration = Duration::from_secs(75);

/// The head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 32 << 10;

/// How long nothing may happen on a connection before its buffers are let go: an agent's next request comes after seconds,
/// and making them anew takes microseconds.
const RESTS_AFTER: Duration = Duration::from_millis(100);

/// How much of what comes on a resting connection is read before hyper has it, in bytes.
const FIRST_BYTES: usize = 64;

/// Serve a connection until it ends, or until `stopping` is cancelled and what has been asked is answered.
///
/// # Errors
/// Why it ended before its end.
pub(super) async fn serve<S>(
    stream: S,
    router: Router,
    connection: Connection,
    stopping: CancellationToken,
) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = Arc::new(connection);
    let activity = Arc::<Activity>::default();
    let mut stream = Watched::new(stream, activity.clone());
    loop {
        if stream.first.is_empty() {
            let mut first = [0; FIRST_BYTES];
            let read = tokio::select! {
                read = tokio::time::timeout(IDLE, stream.read(&mut first)) => read,
                () = stopping.cancelled() => return Ok(()),
            };
            match read {
                Ok(Ok(bytes @ 1..)) => stream.first = Bytes::copy_from_slice(&first[..bytes]),
                Ok(Ok(0)) | Err(_) => return Ok(()),
                Ok(Err(error)) => return Err(error.to_string()),
            }
        }
        let (router, connection, begun) = (router.clone(), connection.clone(), activity.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let in_flight = begun.begin();
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(connection.clone());
            let response = router.clone().call(request);
            async move { response.await.map(|response| response.map(|body| Answer::new(body, in_flight))) }
        });
        // On the heap, so that a resting connection has no room for it.
        let mut serving = Box::pin(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(IDLE)
                .max_buf_size(HEAD_BYTES_MAX)
                .serve_connection(TokioIo::new(stream), service),
        );
        tokio::select! {
            biased;
            ended = serving.as_mut() => return ended.map_err(|error| error.to_string()),
            () = stopping.cancelled() => {
                serving.as_mut().graceful_shutdown();
                return serving.await.map_err(|error| error.to_string());
            }
            () = activity.rests() => {}
        }
        stream = taken_from(serving);
    }
}

/// The stream of a connection that rests. Nothing of hyper's is left when this returns.
fn taken_from<S, T>(serving: Pin<Box<http1::Connection<TokioIo<Watched<S>>, T>>>) -> Watched<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: HttpService<Incoming, ResBody = Answer>,
    T::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let parts = Pin::into_inner(serving).into_parts();
    let mut stream = parts.io.into_inner();
    // Nothing, or the beginning of a request that came with the one before it. A copy: any piece of the buffer, be it
    // empty, holds all of it.
    stream.first = Bytes::copy_from_slice(&parts.read_buf);
    stream
}

#[cfg(test)]
mod tests;
