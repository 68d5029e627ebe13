//! `interval` in the style "postgres": "1 year 2 mons -3 days +04:05:06.5".

use super::DecodeError;
use super::datetime::write_clock;
use super::scalar::integer;
use super::value_reader::ValueReader;

/// Layout: microseconds (int64), days, months (int32 each). Each has its own sign.
pub(super) fn interval(raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let mut reader = ValueReader::new("interval", raw);
    let (micros, days, months) = (reader.i64()?, reader.i32()?, reader.i32()?);
    reader.finish()?;
    // Since PostgreSQL 17. Before, these were ordinary intervals, which no calculation of practical use gives.
    match (months, days, micros) {
        (i32::MAX, i32::MAX, i64::MAX) => out.extend_from_slice(b"infinity"),
        (i32::MIN, i32::MIN, i64::MIN) => out.extend_from_slice(b"-infinity"),
        _ => {
            let start = out.len();
            let mut after_negative = false;
            for (value, unit) in [(months / 12, " year"), (months % 12, " mon"), (days, " day")] {
                if value != 0 {
                    separate(start, out);
                    // A plus is written only after a negative part.
                    if after_negative && value > 0 {
                        out.push(b'+');
                    }
                    integer(value, out)?;
                    out.extend_from_slice(unit.as_bytes());
                    if value != 1 {
                        out.push(b's'); // also in "-1 days"
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
