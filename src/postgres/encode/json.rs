//! JSON's strings, and JSON from PostgreSQL inside the answer's.
//!
//! What is written is UTF-8 on one line, whatever came: the protocol's frames end at a newline.

use super::DecodeError;

/// Appends a JSON string. What is not UTF-8 (a database in `SQL_ASCII`) becomes U+FFFD.
pub fn write_json_string(text: impl AsRef<[u8]>, out: &mut Vec<u8>) {
    let text = text.as_ref();
    out.reserve(text.len() + 2);
    out.push(b'"');
    push_escaped_utf8(text, out);
    out.push(b'"');
}

/// Escapes `out[start..]` where it stands: what is between the quotes of a JSON string.
pub(super) fn escape_tail(out: &mut Vec<u8>, start: usize) {
    let tail = &out[start..];
    if tail.iter().any(|&byte| ESCAPES[usize::from(byte)] != 0) || std::str::from_utf8(tail).is_err() {
        let tail = out.split_off(start);
        push_escaped_utf8(&tail, out);
    }
}

/// Appends a value that PostgreSQL has checked to be JSON: digits, keys and their order stay as they are. No
/// string of JSON contains a raw newline, so each one is white space.
pub(super) fn embed(type_name: &'static str, raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    if raw.iter().all(u8::is_ascii_whitespace) {
        return Err(DecodeError { type_name, problem: "it is empty" });
    }
    let start = out.len();
    push_utf8(raw, out);
    for byte in &mut out[start..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    Ok(())
}

fn push_utf8(text: &[u8], out: &mut Vec<u8>) {
    for chunk in text.utf8_chunks() {
        out.extend_from_slice(chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

fn push_escaped_utf8(text: &[u8], out: &mut Vec<u8>) {
    match std::str::from_utf8(text) {
        Ok(text) => push_escaped(text.as_bytes(), out),
        Err(_) => {
            for chunk in text.utf8_chunks() {
                push_escaped(chunk.valid().as_bytes(), out);
                if !chunk.invalid().is_empty() {
                    out.extend_from_slice("\u{fffd}".as_bytes());
                }
            }
        }
    }
}

/// Runs of bytes that stand for themselves are copied at once.
fn push_escaped(mut text: &[u8], out: &mut Vec<u8>) {
    while let Some(at) = text.iter().position(|&byte| ESCAPES[usize::from(byte)] != 0) {
        let byte = text[at];
        out.extend_from_slice(&text[..at]);
        match ESCAPES[usize::from(byte)] {
            b'u' => {
                out.extend_from_slice(b"\\u00");
                super::scalar::hex(&[byte], out);
            }
            letter => out.extend_from_slice(&[b'\\', letter]),
        }
        text = &text[at + 1..];
    }
    out.extend_from_slice(text);
}

/// The letter behind the backslash, `u` for one without a letter of its own, 0 for a byte that needs none.
const ESCAPES: [u8; 256] = {
    let mut escapes = [0; 256];
    let mut control = 0;
    while control < 0x20 {
        escapes[control] = b'u';
        control += 1;
    }
    escapes[0x08] = b'b';
    escapes[b'\t' as usize] = b't';
    escapes[b'\n' as usize] = b'n';
    escapes[0x0c] = b'f';
    escapes[b'\r' as usize] = b'r';
    escapes[b'"' as usize] = b'"';
    escapes[b'\\' as usize] = b'\\';
    escapes
};
