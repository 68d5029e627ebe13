//! Messages on their way out, as lines. Small ones are put together; the large parts of an answer stay where they are
//! and are escaped while they are written, so that an answer is in memory once.

use std::io;

use pg_render::push_json_escaped;
use rmcp::ErrorData;
use rmcp::model::{ProtocolVersion, ServerJsonRpcMessage};
use serde::Serialize;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio_util::bytes::{Bytes, BytesMut};

use crate::mcp::{calls, methods};
use crate::messages::call::{Answer, Rows};

/// A part from this size on, in bytes, is not copied.
const PART_BYTES_MIN: usize = 16 << 10;

/// Room for the first small messages.
const TAIL_BYTES: usize = 1 << 10;

/// How much is escaped at a time.
const ESCAPED_BYTES: usize = 64 << 10;

/// What waits to be written.
#[derive(Default)]
pub(super) struct Outgoing {
    parts: Vec<Part>,
    /// What comes after them.
    tail: BytesMut,
    /// About how long the parts are.
    bytes: usize,
    /// What a small part is escaped in.
    escaped: Vec<u8>,
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
        let next = Self { escaped: std::mem::take(&mut self.escaped), ..Self::default() };
        std::mem::replace(self, next)
    }

    /// A message as a line.
    pub(super) fn message(&mut self, message: &ServerJsonRpcMessage) -> io::Result<()> {
        let before = self.tail.len();
        let written = self.json(message);
        match written {
            Ok(()) => self.plain("\n"),
            Err(_) => self.tail.truncate(before),
        }
        written
    }

    /// The line that says what is wrong with a request; `id` is JSON.
    pub(super) fn error(&mut self, id: &str, error: &ErrorData) {
        self.begin(id);
        self.plain(r#","error":"#);
        // It is made of texts and a number, so it can be written.
        let _ = self.json(error);
        self.plain("}\n");
    }

    /// The line that answers a call of a tool; `id` is JSON.
    pub(super) fn answer(&mut self, id: &str, answer: Answer, revision: &ProtocolVersion) {
        self.begin(id);
        self.plain(r#","result":{"content":[{"type":"text","text":""#);
        let (text, structured) = (Bytes::from(answer.text), answer.structured.map(Bytes::from));
        match (&structured, answer.rows) {
            (Some(structured), Some(Rows { in_text, in_structured })) => {
                self.part(Part::Quoted(text.slice(..in_text)));
                self.part(Part::Quoted(structured.slice(in_structured)));
                self.part(Part::Quoted(text.slice(in_text..)));
            }
            _ => self.part(Part::Quoted(text)),
        }
        self.plain(r#""}]"#);
        if let Some(structured) = structured {
            self.plain(r#","structuredContent":"#);
            self.part(Part::Plain(structured));
        }
        if methods::is_stateless(revision) {
            self.plain(r#","resultType":"complete""#);
        }
        self.plain(if answer.is_error { r#","isError":true,"_meta":"# } else { r#","isError":false,"_meta":"# });
        let (name, value) = calls::meta(answer.failure);
        self.plain("{");
        let _ = self.json(&name);
        self.plain(":");
        let _ = self.json(&value);
        self.plain("}}}\n");
    }

    /// What every answer begins with.
    fn begin(&mut self, id: &str) {
        if self.tail.capacity() == 0 {
            self.tail.reserve(TAIL_BYTES);
        }
        self.plain(r#"{"jsonrpc":"2.0","id":"#);
        self.plain(id);
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

    fn plain(&mut self, text: &str) {
        self.tail.extend_from_slice(text.as_bytes());
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
                self.escaped.clear();
                push_json_escaped(bytes, &mut self.escaped);
                self.tail.extend_from_slice(&self.escaped);
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
