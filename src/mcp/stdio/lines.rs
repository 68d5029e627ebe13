//! The lines that come in.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::bytes::BytesMut;

/// The lines of a stream, each at most `bytes_max` long.
pub(super) struct Lines<R> {
    input: R,
    pub(super) bytes_max: usize,
    pub(super) buffer: BytesMut,
    /// How much of the buffer holds no end of a line.
    searched: usize,
    /// The rest of a line that was too long is still coming.
    skipping: bool,
}

pub(super) enum Line {
    Whole(BytesMut),
    TooLong,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(input: R, bytes_max: usize) -> Self {
        Self { input, bytes_max, buffer: BytesMut::with_capacity(8192), searched: 0, skipping: false }
    }

    /// The next line, or `None` at the end. May be dropped and called again: nothing read is lost.
    pub(super) async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            if let Some(at) = self.buffer[self.searched..].iter().position(|&byte| byte == b'\n') {
                let mut line = self.buffer.split_to(self.searched + at + 1);
                line.truncate(line.len() - 1);
                self.searched = 0;
                if std::mem::take(&mut self.skipping) {
                    continue;
                }
                return Ok(Some(if line.len() > self.bytes_max { Line::TooLong } else { Line::Whole(line) }));
            }
            self.searched = self.buffer.len();
            if self.skipping {
                self.buffer.clear();
                self.searched = 0;
            } else if self.buffer.len() > self.bytes_max {
                self.buffer.clear();
                self.searched = 0;
                self.skipping = true;
                return Ok(Some(Line::TooLong));
            }
            self.buffer.reserve(8192);
            if self.input.read_buf(&mut self.buffer).await? == 0 {
                // The last line need not have an end.
                let line = self.buffer.split();
                self.searched = 0;
                let lost = std::mem::take(&mut self.skipping) || line.is_empty();
                return Ok((!lost).then_some(Line::Whole(line)));
            }
        }
    }
}
