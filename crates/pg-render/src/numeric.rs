//! `numeric`: exact, with the scale it was stored with. Never by way of a double.

use super::DecodeError;
use super::scalar::integer;
use super::wire::Reader;

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xc000;
const INFINITY: u16 = 0xd000;
const NEGATIVE_INFINITY: u16 = 0xf000;

/// The largest scale that a numeric can have.
const SCALE_MAX: u16 = 0x3fff;

/// The number of digits in base 10,000, the power of the first, the sign, how many decimals are shown (16 bits
/// each), then the digits. Zeros at either end of the number are not sent.
pub(super) fn numeric(raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let mut reader = Reader::new("numeric", raw);
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
        _ => return Err(reader.bad("its sign is unknown")),
    }
    if sign & NAN == NAN {
        return reader.finish();
    }
    if scale > SCALE_MAX {
        return Err(reader.bad("its scale is too large"));
    }
    let (digits, _) = digits.as_chunks::<2>();
    if digits.iter().any(|digit| u16::from_be_bytes(*digit) > 9999) {
        return Err(reader.bad("a digit is too large"));
    }
    reader.finish()?;

    // The digit of 10,000^power; those that were not sent are zero.
    let digit = |power: i32| {
        let place = usize::try_from(weight - power).ok();
        place.and_then(|place| digits.get(place)).map_or(0, |digit| u16::from_be_bytes(*digit))
    };
    integer(digit(weight.max(0)), out)?;
    for power in (0..weight).rev() {
        out.extend_from_slice(&four(digit(power)));
    }
    if scale > 0 {
        out.push(b'.');
        let end = out.len() + usize::from(scale);
        for power in 1..=i32::from(scale.div_ceil(4)) {
            out.extend_from_slice(&four(digit(-power)));
        }
        out.truncate(end);
    }
    Ok(())
}

fn four(digit: u16) -> [u8; 4] {
    [digit / 1000, digit / 100 % 10, digit / 10 % 10, digit % 10].map(|one| b'0' + one as u8)
}
