//! The messages of the server to the driver, without the answers to messages that the driver has not sent.

use tokio_util::bytes::{Bytes, BytesMut};

use super::expected::Expected;

/// Passes on messages from pieces of any size.
#[derive(Debug, Default)]
pub struct Responses {
    out: BytesMut,
    /// The beginning of an incomplete header: the type and the length.
    header: Vec<u8>,
    /// How many bytes of the current message are still to come.
    left: usize,
}

const HEADER_BYTES: usize = 5;

impl Responses {
    /// The bytes for the driver.
    pub fn out(&mut self) -> &mut BytesMut {
        &mut self.out
    }

    /// Accepts bytes from the server. Returns the statements whose Parse has failed.
    pub fn push(&mut self, mut bytes: &[u8], expected: &mut Expected) -> Vec<Bytes> {
        let mut failed = Vec::new();
        while !bytes.is_empty() {
            if self.left > 0 {
                let (body, rest) = bytes.split_at(self.left.min(bytes.len()));
                self.out.extend_from_slice(body);
                self.left -= body.len();
                bytes = rest;
                continue;
            }
            let (header, rest) = bytes.split_at((HEADER_BYTES - self.header.len()).min(bytes.len()));
            self.header.extend_from_slice(header);
            bytes = rest;
            let &[kind, ref length @ ..] = self.header.as_slice() else { break };
            let Some(length) = length.first_chunk::<4>() else { break };
            self.left = (u32::from_be_bytes(*length) as usize).saturating_sub(length.len());
            let passes = match kind {
                b'1' => expected.parse_completed(),
                b'Z' => {
                    failed.append(&mut expected.is_ready());
                    true
                }
                _ => true,
            };
            if passes {
                self.out.extend_from_slice(&self.header);
            }
            self.header.clear();
        }
        failed
    }
}
