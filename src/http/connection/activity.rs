//! Records the activity on a connection: its stream and its answers report to it. So it is known when the connection is
//! idle.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::bytes::Bytes;

use super::RESTS_AFTER;

/// The activity on a connection.
#[derive(Default)]
pub(super) struct Activity {
    state: Mutex<State>,
    /// Notified when the connection may have become idle.
    quiet: Notify,
}

#[derive(Default)]
pub(super) struct State {
    /// The number of requests whose answer is not completely written.
    in_flight: usize,
    /// Since when all requests are answered and nothing has arrived.
    pub(super) quiet_since: Option<Instant>,
    /// The socket does not accept more bytes at the moment, and there is more to write.
    pub(super) is_stuck: bool,
}

impl Activity {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it has the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request has arrived. It is in flight until the result of this call is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> InFlight {
        let mut state = self.state();
        state.in_flight += 1;
        state.quiet_since = None;
        InFlight(self.clone())
    }

    /// Waits until the connection has been idle for a while.
    pub(super) async fn rests(&self) {
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
                // The client does not read its answer; check again later.
                state.quiet_since = Some(Instant::now());
            }
        }
    }
}

/// A request in flight.
pub(super) struct InFlight(Arc<Activity>);

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

/// The body of an answer. Its request is in flight until hyper drops the body.
pub(super) struct Answer {
    body: Body,
    _in_flight: InFlight,
}

impl Answer {
    pub(super) fn new(body: Body, in_flight: InFlight) -> Self {
        Self { body, _in_flight: in_flight }
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that reports its activity. Its `first` bytes were read already.
pub(super) struct Watched<S> {
    stream: S,
    pub(super) first: Bytes,
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

impl<S> Watched<S> {
    pub(super) fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self { stream, first: Bytes::new(), activity }
    }

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
