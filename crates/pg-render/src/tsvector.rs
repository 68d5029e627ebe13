//! `tsvector`: lexemes with their positions and weights. Also the quoting that `tsquery` shares.

use super::DecodeError;
use super::quote::push_escaped;
use super::scalar::integer;
use super::wire::Reader;

/// The number of lexemes (int32), then each: its text and a NUL, the number of positions (uint16), the
/// positions, whose upper two bits are the weight (uint16 each).
pub(super) fn tsvector(raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let mut reader = Reader::new("tsvector", raw);
    for n in 0..reader.count(3)? {
        if n > 0 {
            out.push(b' ');
        }
        write_lexeme(reader.c_string()?, out);
        for place in 0..reader.u16()? {
            out.push(if place == 0 { b':' } else { b',' });
            let position = reader.u16()?;
            integer(position & 0x3fff, out)?;
            match position >> 14 {
                3 => out.push(b'A'),
                2 => out.push(b'B'),
                1 => out.push(b'C'),
                _ => {} // D is the weight that need not be said
            }
        }
    }
    reader.finish()
}

pub(super) fn write_lexeme(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'\'');
    push_escaped(text, |byte| matches!(byte, b'\'' | b'\\').then_some(byte), out);
    out.push(b'\'');
}
