//! Serves one connection. While nothing happens on it, it keeps only its socket.
//!
//! hyper keeps two buffers of 8 KiB for each connection that it serves, but most of a thousand agents do nothing at any
//! moment. So a connection that is idle between two requests is taken back from hyper after a while, and given to hyper
//! again when the next bytes arrive. While an answer is being sent, also a stream that stays open, hyper keeps the
//! connection.

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

/// How long a connection may wait for its first request, and how long the head of a request may take.
const IDLE: Duration = Duration::from_secs(75);

/// The longest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 32 << 10;

/// How long a connection must be idle before its buffers are freed. The next request of an agent comes after seconds,
/// and new buffers take microseconds.
const RESTS_AFTER: Duration = Duration::from_millis(100);

/// How many bytes are read from an idle connection before hyper gets it.
const FIRST_BYTES: usize = 64;

/// Serves a connection until it ends, or until `stopping` is cancelled and all requests are answered.
///
/// # Errors
/// Why it ended early.
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
        // Boxed, so that an idle connection does not reserve memory for it.
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

/// The stream of an idle connection. All memory of hyper is freed when this returns.
fn taken_from<S, T>(serving: Pin<Box<http1::Connection<TokioIo<Watched<S>>, T>>>) -> Watched<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: HttpService<Incoming, ResBody = Answer>,
    T::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let parts = Pin::into_inner(serving).into_parts();
    let mut stream = parts.io.into_inner();
    // The beginning of a next request, if it arrived with the one before. It is copied, because even an empty slice
    // would keep the whole buffer.
    stream.first = Bytes::copy_from_slice(&parts.read_buf);
    stream
}

#[cfg(test)]
mod tests;
