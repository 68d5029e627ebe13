//! The quotes that arrays, records and ranges put around a member's text when it could be mistaken.
//!
//! The member has been written already, at the end of the output: it is quoted where it stands, without a copy.

use super::{DecodeError, QUOTED_BYTES_MAX};

/// Whose member it is.
#[derive(Clone, Copy)]
pub(super) enum Quoting {
    /// Between this delimiter. Quotes and backslashes are escaped by a backslash.
    Array(u8),
    /// Quotes and backslashes are doubled.
    Record,
    /// As a record's, and the brackets are special too.
    Range,
}

impl Quoting {
    fn is_special(self, byte: u8) -> bool {
        // A vertical tab is white space in C, but not in Rust.
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

/// Quotes `out[start..]` if it needs to be.
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

    // From the end, so that nothing is overwritten before it has been moved.
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

/// Appends the text, with the byte that `escape` answers in front of each byte that it answers one for.
pub(super) fn push_escaped(text: &[u8], escape: impl Fn(u8) -> Option<u8>, out: &mut Vec<u8>) {
    out.reserve(text.len());
    for &byte in text {
        out.extend(escape(byte));
        out.push(byte);
    }
}
