//! A stream under the driver that removes the names of prepared statements.
//!
//! The driver gives every prepared statement a name (`s0`, `s1`, …). Other processes use the same names, and behind a
//! pooler they share the backends, so Bind could run a statement of another client. This stream removes the name from
//! Parse, Bind, Describe and Close, so they refer to the unnamed statement, which belongs to this client until the end
//! of the transaction. The text of each Parse is kept. If another statement has become the unnamed statement since,
//! this stream sends a Parse of the text again before a Bind, and removes the ParseComplete from the answer (manual,
//! sections 55.2.3 and 55.7).
//!
//! So no prepared statement stays on a backend after its use, and each can be used on any backend.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsStream};
use tokio_util::bytes::Buf as _;
use tokio_util::either::Either;

mod expected;
mod requests;
mod responses;

use expected::Expected;
use requests::Requests;
use responses::Responses;

/// How many bytes may wait before no more are accepted.
const UNWRITTEN_MAX: usize = 64 << 10;

/// How many bytes are read at a time.
const READ_BYTES: usize = 16 << 10;

/// A stream on which prepared statements have no name.
pub struct Unnamed<S> {
    stream: S,
    requests: Requests,
    responses: Responses,
    expected: Expected,
    read: Box<[u8]>,
}

impl<S> Unnamed<S> {
    pub fn new(stream: S) -> Self {
        let (requests, responses, expected) = Default::default();
        Self { stream, requests, responses, expected, read: vec![0; READ_BYTES].into() }
    }
}

impl<S: AsyncWrite + Unpin> Unnamed<S> {
    fn poll_write_out(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let out = self.requests.out();
        while !out.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, out))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            out.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Unnamed<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.requests.out().len() >= UNWRITTEN_MAX {
            ready!(this.poll_write_out(context))?;
        }
        this.requests.push(bytes, &mut this.expected);
        // Bytes that cannot be written now are written with the next write, or with the flush that follows.
        if let Poll::Ready(Err(error)) = this.poll_write_out(context) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write_out(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write_out(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Unnamed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.responses.out().is_empty() {
            let mut read = ReadBuf::new(&mut this.read);
            ready!(Pin::new(&mut this.stream).poll_read(context, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            let failed = this.responses.push(read.filled(), &mut this.expected);
            failed.iter().for_each(|name| this.requests.forget(name));
        }
        let out = this.responses.out();
        let bytes = out.len().min(buffer.remaining());
        buffer.put_slice(&out[..bytes]);
        out.advance(bytes);
        Poll::Ready(Ok(()))
    }
}

impl<S, T> TlsStream for Unnamed<Either<S, T>>
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: TlsStream + Unpin,
{
    fn channel_binding(&self) -> ChannelBinding {
        match &self.stream {
            Either::Left(_) => ChannelBinding::none(),
            Either::Right(tls) => tls.channel_binding(),
        }
    }
}

#[cfg(test)]
mod tests;
