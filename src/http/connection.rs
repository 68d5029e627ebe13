//! One connection: served by hyper while something comes, and no more than its socket while nothing does.
//!
//! hyper has two buffers of 8 KiB for as long as it serves a connection. Of a thousand agents most do nothing at any
//! moment: a connection on which all is answered and nothing comes is taken from hyper after a while, and given to it
//! again with its next bytes.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::bytes::Bytes;
use tokio_util::sync::CancellationToken;
use tower_service::Service as _;

use super::gate::Connection;
use super::holding::Holding;

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
    let mut stream = Watched { stream, first: Bytes::new(), activity: activity.clone() };
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
            async move { response.await.map(|response| response.map(|body| Holding::body(body, in_flight))) }
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
        let parts = Pin::into_inner(serving).into_parts();
        stream = parts.io.into_inner();
        // Nothing, or the beginning of a request that came with the one before it. Nothing would hold the whole buffer too.
        if !parts.read_buf.is_empty() {
            stream.first = parts.read_buf;
        }
    }
}

/// What happens on a connection.
#[derive(Default)]
struct Activity {
    state: Mutex<ActivityState>,
    /// All is answered.
    quiet: Notify,
}

#[derive(Default)]
struct ActivityState {
    /// Requests whose answer is not written.
    in_flight: usize,
    /// All is answered since then, and nothing has come.
    quiet_since: Option<Instant>,
    /// There is more to write than the socket takes.
    is_stuck: bool,
}

impl Activity {
    fn state(&self) -> MutexGuard<'_, ActivityState> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request has come. It is in flight until what this gives is dropped.
    fn begin(self: &Arc<Self>) -> InFlight {
        let mut state = self.state();
        state.in_flight += 1;
        state.quiet_since = None;
        InFlight(self.clone())
    }

    /// Wait until nothing has happened for a while.
    async fn rests(&self) {
        loop {
            let since = self.state().quiet_since;
            let Some(since) = since else {
                self.quiet.notified().await;
                continue;
            };
            tokio::time::sleep_until(since + RESTS_AFTER).await;
            let mut state = self.state();
            if state.quiet_since == Some(since) {
                if !state.is_stuck {
                    return;
                }
                // An answer is not taken; look again later.
                state.quiet_since = Some(Instant::now());
            }
        }
    }
}

struct InFlight(Arc<Activity>);

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.in_flight -= 1;
        if state.in_flight == 0 {
            state.quiet_since = Some(Instant::now());
            self.0.quiet.notify_one();
        }
    }
}

/// A stream whose `first` bytes have been read already, and that tells what happens on it.
struct Watched<S> {
    stream: S,
    first: Bytes,
    activity: Arc<Activity>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.first.is_empty() {
            self.activity.state().quiet_since = None;
            let bytes = self.first.len().min(into.remaining());
            into.put_slice(&self.first.split_to(bytes));
            if self.first.is_empty() {
                self.first = Bytes::new();
            }
            return Poll::Ready(Ok(()));
        }
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, into))?;
        if into.filled().len() > before {
            self.activity.state().quiet_since = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Unpin> Watched<S> {
    fn told<T>(&self, written: Poll<T>) -> Poll<T> {
        self.activity.state().is_stuck = written.is_pending();
        written
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.told(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.told(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = Pin::new(&mut self.stream).poll_flush(context);
        self.told(written)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
