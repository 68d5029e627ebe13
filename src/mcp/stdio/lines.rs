//! Reading lines.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::bytes::{Buf as _, BytesMut};

/// The lines of a stream, each at most `bytes_max` long.
pub(super) struct Lines<R> {
    input: R,
    pub(super) bytes_max: usize,
    pub(super) buffer: BytesMut,
    /// How many bytes of the buffer are known to have no end of a line.
    searched: usize,
    /// The beginning of a line that is too long and has not ended yet.
    too_long: Option<BytesMut>,
}

pub(super) enum Line {
    Whole(BytesMut),
    /// The beginning and the end of the line; the rest is not kept.
    TooLong {
        head: BytesMut,
        tail: BytesMut,
    },
}

/// How many bytes of each end of a line that is too long are kept. Clients write an id first or last.
pub(super) const END_BYTES: usize = 256;

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(input: R, bytes_max: usize) -> Self {
        Self { input, bytes_max, buffer: BytesMut::with_capacity(8192), searched: 0, too_long: None }
    }

    /// The next line, or `None` at the end. May be dropped and called again: nothing read is lost.
    pub(super) async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            if let Some(at) = self.buffer[self.searched..].iter().position(|&byte| byte == b'\n') {
                let mut line = self.buffer.split_to(self.searched + at + 1);
                line.truncate(line.len() - 1);
                self.searched = 0;
                return Ok(Some(self.ended(line)));
            }
            if self.too_long.is_none() && self.buffer.len() > self.bytes_max {
                self.too_long = Some(head(&self.buffer));
            }
            if self.too_long.is_some() {
                self.buffer.advance(self.buffer.len().saturating_sub(END_BYTES));
            }
            self.searched = self.buffer.len();
            self.buffer.reserve(8192);
            if self.input.read_buf(&mut self.buffer).await? == 0 {
                // The last line may have no end of line.
                let line = self.buffer.split();
                self.searched = 0;
                let is_none = self.too_long.is_none() && line.is_empty();
                return Ok((!is_none).then(|| self.ended(line)));
            }
        }
    }

    /// The line that ends with this part.
    fn ended(&mut self, line: BytesMut) -> Line {
        let head = match self.too_long.take() {
            Some(head) => head,
            None if line.len() > self.bytes_max => head(&line),
            None => return Line::Whole(line),
        };
        Line::TooLong { head, tail: line[line.len().saturating_sub(END_BYTES)..].into() }
    }
}

fn head(line: &[u8]) -> BytesMut {
    line[..line.len().min(END_BYTES)].into()
}
