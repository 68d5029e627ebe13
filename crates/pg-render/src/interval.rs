//! `interval` in the style "postgres": "1 year 2 mons -3 days +04:05:06.5".

use super::DecodeError;
use super::civil::write_clock;
use super::scalar::integer;
use super::wire::Reader;

/// Microseconds (int64), days and months (int32 each), every one with a sign of its own.
pub(super) fn interval(raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let mut reader = Reader::new("interval", raw);
    let (micros, days, months) = (reader.i64()?, reader.i32()?, reader.i32()?);
    reader.finish()?;
    // Since PostgreSQL 17. Before, these were intervals like any other, but not ones that anybody computes.
    match (months, days, micros) {
        (i32::MAX, i32::MAX, i64::MAX) => out.extend_from_slice(b"infinity"),
        (i32::MIN, i32::MIN, i64::MIN) => out.extend_from_slice(b"-infinity"),
        _ => {
            let start = out.len();
            let mut after_negative = false;
            for (value, unit) in [(months / 12, " year"), (months % 12, " mon"), (days, " day")] {
                if value != 0 {
                    separate(start, out);
                    // A plus is written only where the part before was negative.
                    if after_negative && value > 0 {
                        out.push(b'+');
                    }
                    integer(value, out)?;
                    out.extend_from_slice(unit.as_bytes());
                    if value != 1 {
                        out.push(b's'); // "-1 days" too
                    }
                    after_negative = value < 0;
                }
            }
            if micros != 0 || out.len() == start {
                separate(start, out);
                if micros < 0 {
                    out.push(b'-');
                } else if after_negative {
                    out.push(b'+');
                }
                write_clock(micros.unsigned_abs(), out);
            }
        }
    }
    Ok(())
}

fn separate(start: usize, out: &mut Vec<u8>) {
    if out.len() > start {
        out.push(b' ');
    }
}
