//! Dates and times in the proleptic Gregorian calendar, in ISO style and UTC.
//!
//! There is no year 0: the year before 1 is 1 BC ("0044-03-15 BC"). The largest and the smallest integer are `infinity`
//! and `-infinity`.

use super::DecodeError;
use super::scalar::integer;
use super::value_reader::{ValueReader, fixed};

const SECOND_US: i64 = 1_000_000;
pub(super) const HOUR_US: i64 = 3_600 * SECOND_US;
const DAY_US: i64 = 24 * HOUR_US;

/// From 0000-03-01 to 2000-01-01, which is PostgreSQL's day 0.
const MARCH_OF_YEAR_0_TO_2000_DAYS: i64 = 730_425;

/// Layout: days since 2000-01-01 (int32).
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

/// Layout: microseconds since midnight (int64). 24:00:00 is valid.
pub(super) fn time(raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let mut reader = ValueReader::new("time", raw);
    time_of_day(&mut reader, out)?;
    reader.finish()
}

/// Layout: a time, then the seconds (int32) from it to UTC. East of Greenwich they are negative.
pub(super) fn timetz(raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let mut reader = ValueReader::new("timetz", raw);
    time_of_day(&mut reader, out)?;
    let west = reader.i32()?;
    if west.unsigned_abs() >= 24 * 3600 {
        return Err(reader.error("its time zone is further than a day away"));
    }
    reader.finish()?;
    out.push(if west > 0 { b'-' } else { b'+' });
    let offset = west.unsigned_abs();
    two_digits(offset / 3600, out);
    let (minutes, seconds) = (offset / 60 % 60, offset % 60);
    if minutes > 0 || seconds > 0 {
        out.push(b':');
        two_digits(minutes, out);
    }
    if seconds > 0 {
        out.push(b':');
        two_digits(seconds, out);
    }
    Ok(())
}

/// Layout: microseconds since 2000-01-01 (int64). `zone` is written between the time and the era.
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

/// Writes hh:mm:ss and up to six decimals, without zeros at the end. An interval can have more than two digits of hours.
pub(super) fn write_clock(micros: u64, out: &mut Vec<u8>) {
    const SECOND: u64 = SECOND_US.unsigned_abs();
    let seconds = micros / SECOND;
    let hours = seconds / 3600;
    if hours < 100 {
        two_digits(hours as u32, out);
    } else {
        out.extend_from_slice(itoa::Buffer::new().format(hours).as_bytes());
    }
    out.push(b':');
    two_digits((seconds / 60 % 60) as u32, out);
    out.push(b':');
    two_digits((seconds % 60) as u32, out);
    let mut fraction = (micros % SECOND) as u32;
    if fraction > 0 {
        let mut digits = *b".000000";
        for digit in digits[1..].iter_mut().rev() {
            *digit += (fraction % 10) as u8;
            fraction /= 10;
        }
        let end = digits.iter().rposition(|&digit| digit != b'0').unwrap_or(0);
        out.extend_from_slice(&digits[..=end]);
    }
}

fn time_of_day(reader: &mut ValueReader<'_>, out: &mut Vec<u8>) -> Result<(), DecodeError> {
    match reader.i64()? {
        micros @ 0..=DAY_US => write_clock(micros.unsigned_abs(), out),
        _ => return Err(reader.error("it is not within a day")),
    }
    Ok(())
}

fn write_date(year: i64, month: u32, day: u32, out: &mut Vec<u8>) {
    // Year 0 of the calculation is 1 BC.
    let year = if year > 0 { year } else { 1 - year };
    if year < 10_000 {
        two_digits((year / 100) as u32, out);
        two_digits((year % 100) as u32, out);
    } else {
        let _ = integer(year, out);
    }
    out.push(b'-');
    two_digits(month, out);
    out.push(b'-');
    two_digits(day, out);
}

fn write_era(year: i64, out: &mut Vec<u8>) {
    if year <= 0 {
        out.extend_from_slice(b" BC");
    }
}

/// The date of a day, counted from 2000-01-01. The calculation begins each year in March, so that the leap day is the
/// last day of a year. Five months then always have 153 days, and 400 years have 146,097.
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

/// Writes two digits of a number below 100.
fn two_digits(value: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'0' + (value / 10) as u8, b'0' + (value % 10) as u8]);
}
