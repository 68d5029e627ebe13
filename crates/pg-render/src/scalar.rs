//! Types without inner structure: booleans, integers, identifiers, bits and bytes.

use std::io::Write;

use super::DecodeError;
use super::value_reader::{ValueReader, fixed};

/// The largest integer that a double can still distinguish from the next one: 2^53 − 1.
const EXACT_IN_A_DOUBLE_MAX: u64 = (1 << 53) - 1;

pub(super) fn bool(raw: &[u8]) -> Result<bool, DecodeError> {
    Ok(fixed::<1>("bool", raw)? != [0])
}

pub(super) fn bool_text(raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    out.push(if bool(raw)? { b't' } else { b'f' });
    Ok(())
}

/// `"char"`. Layout: one byte. NUL is the empty text. A byte that is not ASCII is written in octal, as PostgreSQL 16 and
/// later do; older versions send the byte itself, which is not UTF-8.
pub(super) fn char(raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    match fixed("\"char\"", raw)? {
        [0] => {}
        [byte] if byte.is_ascii() => out.push(byte),
        [byte] => out.extend_from_slice(&[b'\\', b'0' + (byte >> 6), b'0' + (byte >> 3 & 7), b'0' + (byte & 7)]),
    }
    Ok(())
}

pub(super) fn integer(value: impl itoa::Integer, out: &mut Vec<u8>) -> Result<(), DecodeError> {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    Ok(())
}

pub(super) fn int8_json(raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let value = i64::from_be_bytes(fixed("int8", raw)?);
    if value.unsigned_abs() <= EXACT_IN_A_DOUBLE_MAX {
        return integer(value, out);
    }
    out.push(b'"');
    integer(value, out)?;
    out.push(b'"');
    Ok(())
}

/// Layout: the block (uint32), the number of the row in it (uint16).
pub(super) fn tid(raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let mut reader = ValueReader::new("tid", raw);
    let (block, offset) = (reader.u32()?, reader.u16()?);
    reader.finish()?;
    out.push(b'(');
    integer(block, out)?;
    out.push(b',');
    integer(offset, out)?;
    out.push(b')');
    Ok(())
}

pub(super) fn lsn(raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let position = u64::from_be_bytes(fixed("pg_lsn", raw)?);
    let _ = write!(out, "{:X}/{:X}", position >> 32, position & 0xffff_ffff); // writing to a Vec never fails
    Ok(())
}

/// Layout: the number of running transactions (int32), the oldest, the next (int64 each), the running ones (int64 each).
pub(super) fn snapshot(raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let mut reader = ValueReader::new("pg_snapshot", raw);
    let running = reader.count(8)?;
    integer(reader.i64()?, out)?;
    out.push(b':');
    integer(reader.i64()?, out)?;
    out.push(b':');
    for n in 0..running {
        if n > 0 {
            out.push(b',');
        }
        integer(reader.i64()?, out)?;
    }
    reader.finish()
}

pub(super) fn uuid(raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let uuid = fixed::<16>("uuid", raw)?;
    hex(&uuid[..4], out);
    for group in [4..6, 6..8, 8..10, 10..16] {
        out.push(b'-');
        hex(&uuid[group], out);
    }
    Ok(())
}

/// Layout: the number of bits (int32), then the bits; the first is the highest bit of the first byte.
pub(super) fn bits(raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let mut reader = ValueReader::new("bit", raw);
    let count = usize::try_from(reader.i32()?).map_err(|_| reader.error("a count is negative"))?;
    let bytes = reader.bytes(count.div_ceil(8))?;
    reader.finish()?;
    out.reserve(count);
    out.extend((0..count).map(|n| b'0' + (bytes[n / 8] >> (7 - n % 8) & 1)));
    Ok(())
}

pub(super) fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(2 * bytes.len());
    out.extend(bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]));
}
