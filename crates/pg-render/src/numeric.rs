//! `numeric`: exact, with the scale of the stored value. No double is involved.

use super::DecodeError;
use super::scalar::integer;
use super::value_reader::ValueReader;

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xc000;
const INFINITY: u16 = 0xd000;
const NEGATIVE_INFINITY: u16 = 0xf000;

/// The largest scale that a numeric can have.
const SCALE_MAX: u16 = 0x3fff;

/// Layout: the number of digits in base 10,000, the power of the first digit, the sign, the number of decimals to write
/// (16 bits each), then the digits (16 bits each). Digits that are zero at either end are not sent.
pub(super) fn numeric(raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let mut reader = ValueReader::new("numeric", raw);
    let count = usize::from(reader.u16()?);
    let weight = i32::from(reader.i16()?);
    let sign = reader.u16()?;
    let scale = reader.u16()?;
    let digits = reader.bytes(2 * count)?;
    match sign {
        0 => {}
        NEGATIVE => out.push(b'-'),
        NAN => out.extend_from_slice(b"NaN"),
        INFINITY => out.extend_from_slice(b"Infinity"),
        NEGATIVE_INFINITY => out.extend_from_slice(b"-Infinity"),
        _ => return Err(reader.error("its sign is unknown")),
    }
    if sign & NAN == NAN {
        return reader.finish();
    }
    if scale > SCALE_MAX {
        return Err(reader.error("its scale is too large"));
    }
    let (digits, _) = digits.as_chunks::<2>();
    if digits.iter().any(|digit| u16::from_be_bytes(*digit) > 9999) {
        return Err(reader.error("a digit is too large"));
    }
    reader.finish()?;

    // The digit of 10,000^power. A digit that was not sent is zero.
    let digit = |power: i32| {
        let index = usize::try_from(weight - power).ok();
        index.and_then(|index| digits.get(index)).map_or(0, |digit| u16::from_be_bytes(*digit))
    };
    integer(digit(weight.max(0)), out)?;
    for power in (0..weight).rev() {
        out.extend_from_slice(&four_digits(digit(power)));
    }
    if scale > 0 {
        out.push(b'.');
        let end = out.len() + usize::from(scale);
        for power in 1..=i32::from(scale.div_ceil(4)) {
            out.extend_from_slice(&four_digits(digit(-power)));
        }
        out.truncate(end);
    }
    Ok(())
}

fn four_digits(digit: u16) -> [u8; 4] {
    [digit / 1000, digit / 100 % 10, digit / 10 % 10, digit % 10].map(|one| b'0' + one as u8)
}
