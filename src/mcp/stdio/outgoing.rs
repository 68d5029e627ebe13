//! Messages on their way out, as lines. Small ones are put together; the large parts of an answer stay where they are
//! and are escaped while they are written, so that an answer is in memory once.

use std::io;

use rmcp::model::{CallToolResult, ContentBlock, JsonRpcMessage, ServerJsonRpcMessage, ServerResult};
use serde::Serialize;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio_util::bytes::{Bytes, BytesMut};

use crate::mcp::encoded::{self, Encoded};
use crate::postgres::encode::push_json_escaped;
use crate::tools::Rows;

/// A part from this size on, in bytes, is not copied.
const PART_BYTES_MIN: usize = 16 << 10;

/// How much is escaped at a time.
const ESCAPED_BYTES: usize = 64 << 10;

/// What waits to be written.
#[derive(Default)]
pub(super) struct Outgoing {
    parts: Vec<Part>,
    /// What comes after them.
    tail: BytesMut,
    bytes: usize,
}

enum Part {
    /// As it is.
    Plain(Bytes),
    /// As the inside of a JSON string.
    Quoted(Bytes),
}

impl Outgoing {
    /// About how many bytes it is.
    pub(super) fn len(&self) -> usize {
        self.bytes + self.tail.len()
    }

    /// All of it, which is then none.
    pub(super) fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// A line that is encoded already, with its newline.
    pub(super) fn line(&mut self, line: &str) {
        self.tail.extend_from_slice(line.as_bytes());
    }

    /// A message as a line.
    pub(super) fn message(&mut self, mut message: ServerJsonRpcMessage) -> io::Result<()> {
        if let JsonRpcMessage::Response(response) = &mut message
            && let ServerResult::CallToolResult(result) = &mut response.result
            && let Some(encoded) = encoded::unpack(result)
        {
            self.plain(br#"{"jsonrpc":"2.0","id":"#);
            self.json(&response.id)?;
            self.plain(br#","result":{"content":"#);
            self.content(result, &encoded)?;
            self.plain(br#","structuredContent":"#);
            self.part(Part::Plain(encoded.structured));
            self.member("resultType", result.result_type.as_ref())?;
            self.member("isError", result.is_error.as_ref())?;
            self.member("_meta", result.meta.as_ref())?;
            self.plain(b"}}\n");
            return Ok(());
        }
        let before = self.tail.len();
        let written = self.json(&message);
        if written.is_err() {
            self.tail.truncate(before);
            return written;
        }
        self.plain(b"\n");
        Ok(())
    }

    /// A result's content, which is one text wherever a tool has made it.
    fn content(&mut self, result: &mut CallToolResult, encoded: &Encoded) -> io::Result<()> {
        let [ContentBlock::Text(text)] = &mut *result.content else { return self.json(&result.content) };
        let text = Bytes::from(std::mem::take(&mut text.text));
        self.plain(br#"[{"type":"text","text":""#);
        match &encoded.rows {
            Some(Rows { in_text, in_structured }) => {
                self.part(Part::Quoted(text.slice(..*in_text)));
                self.part(Part::Quoted(encoded.structured.slice(in_structured.clone())));
                self.part(Part::Quoted(text.slice(*in_text..)));
            }
            None => self.part(Part::Quoted(text)),
        }
        self.plain(br#""}]"#);
        Ok(())
    }

    fn member(&mut self, name: &str, value: Option<&impl Serialize>) -> io::Result<()> {
        let Some(value) = value else { return Ok(()) };
        self.plain(format!(",\"{name}\":").as_bytes());
        self.json(value)
    }

    fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        struct Extend<'a>(&'a mut BytesMut);
        impl io::Write for Extend<'_> {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        Ok(serde_json::to_writer(Extend(&mut self.tail), value)?)
    }

    fn plain(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
    }

    fn part(&mut self, part: Part) {
        let (Part::Plain(bytes) | Part::Quoted(bytes)) = &part;
        if bytes.len() >= PART_BYTES_MIN {
            let before = self.tail.split().freeze();
            self.bytes += before.len() + bytes.len();
            self.parts.extend([Part::Plain(before), part]);
            return;
        }
        match &part {
            Part::Plain(bytes) => self.tail.extend_from_slice(bytes),
            Part::Quoted(bytes) => {
                let mut escaped = Vec::with_capacity(bytes.len() + bytes.len() / 8);
                push_json_escaped(bytes, &mut escaped);
                self.tail.extend_from_slice(&escaped);
            }
        }
    }

    /// Write it all. Each part is let go when it is written.
    pub(super) async fn write_to(self, output: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let mut escaped = Vec::new();
        for part in self.parts {
            match part {
                Part::Plain(bytes) => output.write_all(&bytes).await?,
                Part::Quoted(bytes) => {
                    for piece in bytes.chunks(ESCAPED_BYTES) {
                        escaped.clear();
                        push_json_escaped(piece, &mut escaped);
                        output.write_all(&escaped).await?;
                    }
                }
            }
        }
        output.write_all(&self.tail).await?;
        output.flush().await
    }
}
