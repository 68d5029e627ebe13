//! Dates and times of day in the proleptic Gregorian calendar, in ISO style and UTC.
//!
//! Years before 1 are counted as historians do ("0044-03-15 BC"), the end of the numbers is `infinity`.

use super::DecodeError;
use super::scalar::integer;
use super::wire::{Reader, fixed};

const SECOND_US: i64 = 1_000_000;
pub(super) const HOUR_US: i64 = 3_600 * SECOND_US;
const DAY_US: i64 = 24 * HOUR_US;

/// From 0000-03-01 to 2000-01-01, the day that PostgreSQL counts from.
const MARCH_OF_YEAR_0_TO_2000_DAYS: i64 = 730_425;

/// Days since 2000-01-01 (int32).
pub(super) fn date(raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    match i32::from_be_bytes(fixed("date", raw)?) {
        i32::MAX => out.extend_from_slice(b"infinity"),
        i32::MIN => out.extend_from_slice(b"-infinity"),
        days => {
            let (year, month, day) = year_month_day(days.into());
            write_date(year, month, day, out);
            write_era(year, out);
        }
    }
    Ok(())
}

/// Microseconds since midnight (int64). The day's end, 24:00:00, is a time too.
pub(super) fn time(raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let mut reader = Reader::new("time", raw);
    time_of_day(&mut reader, out)?;
    reader.finish()
}

/// A time, then the seconds (int32) to be added to it for UTC: east of Greenwich they are negative.
pub(super) fn timetz(raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let mut reader = Reader::new("timetz", raw);
    time_of_day(&mut reader, out)?;
    let west = reader.i32()?;
    if west.unsigned_abs() >= 24 * 3600 {
        return Err(reader.bad("its time zone is further than a day away"));
    }
    reader.finish()?;
    out.push(if west > 0 { b'-' } else { b'+' });
    let offset = west.unsigned_abs();
    two(offset / 3600, out);
    let (minutes, seconds) = (offset / 60 % 60, offset % 60);
    if minutes > 0 || seconds > 0 {
        out.push(b':');
        two(minutes, out);
    }
    if seconds > 0 {
        out.push(b':');
        two(seconds, out);
    }
    Ok(())
}

/// Microseconds since 2000-01-01 (int64). `zone` is what stands between the time and the era.
pub(super) fn timestamp(raw: &[u8], out: &mut Vec<u8>, zone: &[u8]) -> Result<(), DecodeError> {
    match i64::from_be_bytes(fixed("timestamp", raw)?) {
        i64::MAX => out.extend_from_slice(b"infinity"),
        i64::MIN => out.extend_from_slice(b"-infinity"),
        micros => {
            let (year, month, day) = year_month_day(micros.div_euclid(DAY_US));
            write_date(year, month, day, out);
            out.push(b' ');
            write_clock(micros.rem_euclid(DAY_US).unsigned_abs(), out);
            out.extend_from_slice(zone);
            write_era(year, out);
        }
    }
    Ok(())
}

/// hh:mm:ss with as many decimals as needed, six at most. The hours may be more than two digits (an interval's).
pub(super) fn write_clock(micros: u64, out: &mut Vec<u8>) {
    const SECOND: u64 = SECOND_US.unsigned_abs();
    let seconds = micros / SECOND;
    let hours = seconds / 3600;
    if hours < 100 {
        two(hours as u32, out);
    } else {
        out.extend_from_slice(itoa::Buffer::new().format(hours).as_bytes());
    }
    out.push(b':');
    two((seconds / 60 % 60) as u32, out);
    out.push(b':');
    two((seconds % 60) as u32, out);
    let mut fraction = (micros % SECOND) as u32;
    if fraction > 0 {
        let mut digits = *b".000000";
        for place in digits[1..].iter_mut().rev() {
            *place += (fraction % 10) as u8;
            fraction /= 10;
        }
        let end = digits.iter().rposition(|&digit| digit != b'0').unwrap_or(0);
        out.extend_from_slice(&digits[..=end]);
    }
}

fn time_of_day(reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), DecodeError> {
    match reader.i64()? {
        micros @ 0..=DAY_US => write_clock(micros.unsigned_abs(), out),
        _ => return Err(reader.bad("it is not within a day")),
    }
    Ok(())
}

fn write_date(year: i64, month: u32, day: u32, out: &mut Vec<u8>) {
    // There is no year 0 in a calendar: astronomers' year 0 is 1 BC.
    let year = if year > 0 { year } else { 1 - year };
    if year < 10_000 {
        two((year / 100) as u32, out);
        two((year % 100) as u32, out);
    } else {
        let _ = integer(year, out);
    }
    out.push(b'-');
    two(month, out);
    out.push(b'-');
    two(day, out);
}

fn write_era(year: i64, out: &mut Vec<u8>) {
    if year <= 0 {
        out.extend_from_slice(b" BC");
    }
}

/// The date of a day since 2000-01-01. Years are thought to begin in March, so that the leap day ends them: then
/// the months' lengths follow one line (153 days each five months), and 400 years are always 146,097 days.
fn year_month_day(days: i64) -> (i64, u32, u32) {
    let days = days + MARCH_OF_YEAR_0_TO_2000_DAYS;
    let (cycle, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (400 * cycle + year + next, month as u32, day as u32)
}

/// Two digits of a number below 100.
fn two(value: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'0' + (value / 10) as u8, b'0' + (value % 10) as u8]);
}
