//! `tsvector`: lexemes with their positions and weights. Also the quotes of a lexeme, for `tsquery` too.

use super::DecodeError;
use super::quote::push_escaped;
use super::scalar::integer;
use super::value_reader::ValueReader;

/// Layout: the number of lexemes (int32), then for each its text, a NUL, the number of positions (uint16) and the positions
/// (uint16 each), of which the upper two bits are the weight.
pub(super) fn tsvector(raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let mut reader = ValueReader::new("tsvector", raw);
    for n in 0..reader.count(3)? {
        if n > 0 {
            out.push(b' ');
        }
        write_lexeme(reader.c_string()?, out);
        for nth in 0..reader.u16()? {
            out.push(if nth == 0 { b':' } else { b',' });
            let position = reader.u16()?;
            integer(position & 0x3fff, out)?;
            match position >> 14 {
                3 => out.push(b'A'),
                2 => out.push(b'B'),
                1 => out.push(b'C'),
                _ => {} // weight D is the default and is not written
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
