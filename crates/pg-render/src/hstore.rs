//! `hstore`: keys and values, from the extension of that name.

use super::DecodeError;
use super::quote::push_escaped;
use super::value_reader::ValueReader;

/// Layout: the number of pairs (int32), then each key and each value as a length (int32, −1 for a NULL value) and bytes.
pub(super) fn hstore(raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let mut reader = ValueReader::new("hstore", raw);
    for n in 0..reader.count(8)? {
        if n > 0 {
            out.extend_from_slice(b", ");
        }
        let key = reader.value()?.ok_or_else(|| reader.error("a key is null"))?;
        quoted(key, out);
        out.extend_from_slice(b"=>");
        match reader.value()? {
            Some(value) => quoted(value, out),
            None => out.extend_from_slice(b"NULL"),
        }
    }
    reader.finish()
}

fn quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    push_escaped(text, |byte| matches!(byte, b'"' | b'\\').then_some(b'\\'), out);
    out.push(b'"');
}
