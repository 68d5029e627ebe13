//! The quotes that arrays, records and ranges put around the text of a member if it needs them.
//!
//! The text is already at the end of the output. It is quoted in place, without a copy.

use super::{DecodeError, QUOTED_BYTES_MAX};

/// What contains the member.
#[derive(Clone, Copy)]
pub(super) enum Quoting {
    /// An array with this delimiter. A backslash is put before quotes and backslashes.
    Array(u8),
    /// A record. Quotes and backslashes are doubled.
    Record,
    /// A range. As in a record, and square brackets need quotes too.
    Range,
}

impl Quoting {
    fn is_special(self, byte: u8) -> bool {
        // PostgreSQL's white space, which is C's: with the vertical tab, which Rust does not count.
        if matches!(byte, b'"' | b'\\' | b' ' | b'\t'..=b'\r') {
            return true;
        }
        match self {
            Quoting::Array(delimiter) => byte == delimiter || matches!(byte, b'{' | b'}'),
            Quoting::Record => matches!(byte, b'(' | b')' | b','),
            Quoting::Range => matches!(byte, b'(' | b')' | b'[' | b']' | b','),
        }
    }
}

/// Quotes `out[start..]` if it needs quotes.
pub(super) fn quote_tail(out: &mut Vec<u8>, start: usize, quoting: Quoting) -> Result<(), DecodeError> {
    let text = &out[start..];
    let is_null_word = matches!(quoting, Quoting::Array(_)) && text.eq_ignore_ascii_case(b"null");
    if !text.is_empty() && !is_null_word && !text.iter().any(|&byte| quoting.is_special(byte)) {
        return Ok(());
    }
    let escapes = text.iter().filter(|&&byte| matches!(byte, b'"' | b'\\')).count();
    let length = text.len();
    let quoted_length = length + escapes + 2;
    if quoted_length > QUOTED_BYTES_MAX.max(2 * length / 3 * 2) && escapes > 0 {
        return Err(DecodeError { type_name: "nested", problem: "its text is too long once quoted" });
    }

    // From the end, so that each byte is moved before it is overwritten.
    out.resize(start + quoted_length, b'"');
    let mut to = start + quoted_length - 1;
    for from in (start..start + length).rev() {
        let byte = out[from];
        to -= 1;
        out[to] = byte;
        if matches!(byte, b'"' | b'\\') {
            to -= 1;
            out[to] = if matches!(quoting, Quoting::Array(_)) { b'\\' } else { byte };
        }
    }
    out[start] = b'"';
    Ok(())
}

/// Appends the text. Before each byte for which `escape` returns a byte, it appends that byte.
pub(super) fn push_escaped(text: &[u8], escape: impl Fn(u8) -> Option<u8>, out: &mut Vec<u8>) {
    out.reserve(text.len());
    for &byte in text {
        out.extend(escape(byte));
        out.push(byte);
    }
}
