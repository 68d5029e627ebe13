//! The messages of the driver to the server, without the names of statements.

use std::collections::HashMap;

use tokio_util::bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::expected::Expected;

/// A message begins with one byte for its type and four for its length, which includes the length itself.
const HEADER_BYTES: usize = 5;

/// Rewrites messages from pieces of any size.
#[derive(Debug, Default)]
pub struct Requests {
    /// The beginning of an incomplete message.
    partial: BytesMut,
    /// The rewritten messages that must be written.
    out: BytesMut,
    /// Whether the first message has passed. Only the first message has no type byte.
    has_started: bool,
    /// The text and the types in the Parse of each statement.
    statements: HashMap<Bytes, Bytes>,
    /// The statement that is the unnamed statement on the server, if that is known.
    current: Option<Bytes>,
}

impl Requests {
    /// The bytes that must be written.
    pub fn out(&mut self) -> &mut BytesMut {
        &mut self.out
    }

    /// The Parse of this statement has failed, so the server does not know it.
    pub fn forget(&mut self, name: &Bytes) {
        self.statements.remove(name);
        self.current = None;
    }

    /// Accepts bytes from the driver.
    pub fn push(&mut self, bytes: &[u8], expected: &mut Expected) {
        self.partial.extend_from_slice(bytes);
        while let Some(message) = self.next_message() {
            if self.has_started {
                self.rewrite(message, expected);
            } else {
                self.has_started = true;
                self.out.extend_from_slice(&message);
            }
        }
    }

    fn next_message(&mut self) -> Option<Bytes> {
        let kind_bytes = usize::from(self.has_started);
        let length = self.partial.get(kind_bytes..)?.first_chunk::<4>()?;
        let bytes = kind_bytes + usize::try_from(u32::from_be_bytes(*length)).ok()?;
        (self.partial.len() >= bytes).then(|| self.partial.split_to(bytes).freeze())
    }

    fn rewrite(&mut self, message: Bytes, expected: &mut Expected) {
        let kind = message[0];
        let mut body = message.slice(HEADER_BYTES..);
        match kind {
            b'P' => {
                let name = text(&mut body);
                if name.is_empty() {
                    expected.parse_complete(name, false);
                    self.current = None;
                    self.out.extend_from_slice(&message);
                } else {
                    self.statements.insert(name.clone(), body);
                    self.parse(name, false, expected);
                }
            }
            b'B' => {
                let (portal, name) = (text(&mut body), text(&mut body));
                if self.is_current(&name, expected) {
                    self.put(b'B', &[&portal, b"\0\0", &body]);
                } else {
                    self.out.extend_from_slice(&message);
                }
            }
            b'D' if body.first() == Some(&b'S') => {
                body.advance(1);
                let name = text(&mut body);
                if self.is_current(&name, expected) {
                    self.put(b'D', &[b"S\0"]);
                } else {
                    self.out.extend_from_slice(&message);
                }
            }
            b'C' if body.first() == Some(&b'S') => {
                body.advance(1);
                self.statements.remove(&text(&mut body));
                self.current = None;
                self.put(b'C', &[b"S\0"]);
            }
            kind => {
                // A simple query destroys the unnamed statement, and the end of a transaction is sent as a simple
                // query.
                if kind == b'Q' {
                    self.current = None;
                }
                if matches!(kind, b'Q' | b'S') {
                    expected.ready();
                }
                self.out.extend_from_slice(&message);
            }
        }
    }

    /// Makes this statement the unnamed statement. Returns false for the driver's own unnamed statement, and for an
    /// unknown name; PostgreSQL must answer those.
    fn is_current(&mut self, name: &Bytes, expected: &mut Expected) -> bool {
        if name.is_empty() || !self.statements.contains_key(name) {
            return false;
        }
        if self.current.as_ref() != Some(name) {
            self.parse(name.clone(), true, expected);
        }
        true
    }

    fn parse(&mut self, name: Bytes, is_put_in: bool, expected: &mut Expected) {
        let Some(text_and_types) = self.statements.get(&name).cloned() else { return };
        self.put(b'P', &[b"\0", &text_and_types]);
        expected.parse_complete(name.clone(), is_put_in);
        self.current = Some(name);
    }

    fn put(&mut self, kind: u8, parts: &[&[u8]]) {
        let bytes = 4 + parts.iter().map(|part| part.len()).sum::<usize>();
        self.out.put_u8(kind);
        // Without its header it is not longer than the message of the driver, whose length has 32 bits.
        self.out.put_u32(u32::try_from(bytes).unwrap_or(u32::MAX));
        parts.iter().for_each(|part| self.out.extend_from_slice(part));
    }
}

/// Takes a text from the beginning of `body`, with the zero that ends it.
fn text(body: &mut Bytes) -> Bytes {
    let end = body.iter().position(|byte| *byte == 0).unwrap_or(body.len());
    let text = body.split_to(end);
    body.advance(body.len().min(1));
    text
}
