//! The answer that is under way: while hyper has it, and when it is taken from hyper because it has nothing to say.
//!
//! That is for streams of events over HTTP/1.1 on connections that stay open: hyper has announced them in chunks (RFC
//! 9112, section 7.1), and what is left of one is written here. All others stay with hyper.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::response::Response;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use hyper::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, TRANSFER_ENCODING};
use hyper::{Method, Request, StatusCode, Version};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_util::bytes::{Buf, Bytes};

use super::FIRST_BYTES;
use super::activity::{InFlight, Watched};

/// An answer's body, as hyper has it.
pub(super) struct Answer {
    body: Body,
    in_flight: InFlight,
    /// It may be taken from hyper in its middle.
    is_chunked: bool,
}

/// Whether more may follow on the connection when a request is answered in chunks.
pub(super) fn stays_open<B>(request: &Request<B>) -> bool {
    let has_body = [Method::GET, Method::POST].contains(request.method());
    has_body && request.version() == Version::HTTP_11 && !closes(request.headers())
}

fn closes(headers: &HeaderMap) -> bool {
    let says_so = |value: &str| value.split(',').any(|option| option.trim().eq_ignore_ascii_case("close"));
    headers.get_all(CONNECTION).iter().any(|value| value.to_str().map_or(true, says_so))
}

impl Answer {
    /// A response, on a connection that `stays_open` after it.
    pub(super) fn of(response: Response, stays_open: bool, in_flight: InFlight) -> hyper::Response<Self> {
        let headers = response.headers();
        let is_stream = response.status() == StatusCode::OK
            && headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
            && [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING].iter().all(|name| !headers.contains_key(name));
        response.map(|body| {
            let is_chunked = stays_open && is_stream && body.size_hint().exact().is_none();
            Self { body, in_flight, is_chunked }
        })
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        match frame.is_ready() {
            true => self.in_flight.says(),
            // hyper writes what it has, and the head first of all, before it waits for more.
            false if self.is_chunked => self.in_flight.is_silent(),
            false => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.in_flight.leave(&mut self.body);
    }
}

/// Write what is left of an answer. Of what the client sends meanwhile no more is read than shows that it is there.
///
/// # Errors
/// Why the connection is of no use any more.
pub(super) async fn write<S>(stream: &mut Watched<S>, mut body: Body) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // One piece at a time: what the client does not take is not made.
    let nothing = || in_chunk(Bytes::new(), Bytes::new(), b"");
    let mut piece = nothing();
    let mut is_last = false;
    poll_fn(|context| {
        notice_end(stream, context)?;
        loop {
            while piece.has_remaining() {
                if ready!(pin!(stream.write_buf(&mut piece)).poll(context))? == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
            }
            ready!(Pin::new(&mut *stream).poll_flush(context))?;
            // What is written of it would hold all of its memory until the next comes.
            piece = nothing();
            if is_last {
                return Poll::Ready(Ok(()));
            }
            piece = match ready!(Pin::new(&mut body).poll_frame(context)).transpose().map_err(io::Error::other)? {
                // Nothing but data is in streams of events; and an empty chunk would be the last one.
                Some(frame) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => in_chunk(format!("{:x}\r\n", data.len()).into(), data, b"\r\n"),
                    _ => continue,
                },
                None => {
                    is_last = true;
                    in_chunk(Bytes::new(), Bytes::new(), b"0\r\n\r\n")
                }
            };
        }
    })
    .await
}

fn in_chunk(size: Bytes, data: Bytes, end: &'static [u8]) -> impl Buf {
    size.chain(data).chain(end)
}

/// An error if the client has gone. Once something has come from it, that waits for hyper, and nothing more is read.
fn notice_end<S>(stream: &mut Watched<S>, context: &mut Context<'_>) -> io::Result<()>
where
    S: AsyncRead + Unpin,
{
    if !stream.first.is_empty() {
        return Ok(());
    }
    let mut bytes = [0; FIRST_BYTES];
    let mut read = ReadBuf::new(&mut bytes);
    match Pin::new(&mut *stream).poll_read(context, &mut read) {
        Poll::Pending => Ok(()),
        Poll::Ready(Err(error)) => Err(error),
        Poll::Ready(Ok(())) if read.filled().is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
        Poll::Ready(Ok(())) => {
            stream.first = Bytes::copy_from_slice(read.filled());
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
