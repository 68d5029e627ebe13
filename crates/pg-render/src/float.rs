//! `float4` and `float8`: the shortest digits that read back as the same number, formatted as PostgreSQL does.
//!
//! The digits come from the crate zmij. PostgreSQL differs from it (and from Rust) in one case: digits exactly half way
//! between two floats read back only because ties are rounded to the even float. PostgreSQL writes more digits there.

use std::io::Write;

/// The form with an exponent begins at this power of ten: `FLT_DIG` and `DBL_DIG` of C.
const PLAIN_DIGITS_F32: i32 = 6;
const PLAIN_DIGITS_F64: i32 = 15;

pub(super) fn write_f32(value: f32, out: &mut Vec<u8>) {
    if !value.is_finite() {
        return out.extend_from_slice(special(value.is_nan(), value.is_sign_negative()));
    }
    let mut decimal = Decimal::parse(zmij::Buffer::new().format_finite(value));
    // Only in this range can a number of at most 9 digits be half way between two floats (of 24 bits).
    if value.to_bits() & 1 == 0 && (2e6..1e21).contains(&value.abs()) {
        let magnitude = value.abs();
        decimal = decimal.moved_inside(|text| text.parse() == Ok(magnitude), |digits| format!("{magnitude:.digits$e}"));
    }
    decimal.write(value.is_sign_negative(), PLAIN_DIGITS_F32, out);
}

pub(super) fn write_f64(value: f64, out: &mut Vec<u8>) {
    if !value.is_finite() {
        return out.extend_from_slice(special(value.is_nan(), value.is_sign_negative()));
    }
    let mut decimal = Decimal::parse(zmij::Buffer::new().format_finite(value));
    // The same for 17 digits and doubles (of 53 bits): 2^53 to 2^133.
    if value.to_bits() & 1 == 0 && (9e15..1e41).contains(&value.abs()) {
        let magnitude = value.abs();
        decimal = decimal.moved_inside(|text| text.parse() == Ok(magnitude), |digits| format!("{magnitude:.digits$e}"));
    }
    decimal.write(value.is_sign_negative(), PLAIN_DIGITS_F64, out);
}

/// NaN and the infinities are strings: JSON has no number for them.
pub(super) fn write_f32_json(value: f32, out: &mut Vec<u8>) {
    json_by(value.into(), out, |out| write_f32(value, out));
}

/// NaN and the infinities are strings: JSON has no number for them.
pub(super) fn write_f64_json(value: f64, out: &mut Vec<u8>) {
    json_by(value, out, |out| write_f64(value, out));
}

fn json_by(value: f64, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    quoted_if(!value.is_finite(), out, write);
    if value == 0.0 && value.is_sign_negative() {
        // A reader that has integers, as Python's, would read -0 as the integer 0.
        out.extend_from_slice(b".0");
    }
}

fn quoted_if(quoted: bool, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let quote: &[u8] = if quoted { b"\"" } else { b"" };
    out.extend_from_slice(quote);
    write(out);
    out.extend_from_slice(quote);
}

fn special(nan: bool, negative: bool) -> &'static [u8] {
    match (nan, negative) {
        (true, _) => b"NaN",
        (false, false) => b"Infinity",
        (false, true) => b"-Infinity",
    }
}

/// The number digits × 10^(exponent − (count − 1)): one digit is before the point.
struct Decimal {
    digits: [u8; DIGITS_MAX],
    count: usize,
    exponent: i32,
}

/// The shortest digits of a double are at most 17, but zmij also writes the zeros of a whole number.
const DIGITS_MAX: usize = 24;

impl Decimal {
    /// Reads what zmij and `{:e}` write: an optional sign, digits, an optional point, an optional exponent.
    fn parse(text: &str) -> Decimal {
        let mut decimal = Decimal { digits: [b'0'; DIGITS_MAX], count: 0, exponent: -1 };
        let mut point = false;
        for (at, byte) in text.bytes().enumerate() {
            match byte {
                b'0'..=b'9' => {
                    let leading = decimal.count == 0 && byte == b'0';
                    // Before the point every digit except a leading zero counts up; after it every leading zero down.
                    decimal.exponent += i32::from(!point && !leading) - i32::from(point && leading);
                    if !leading && decimal.count < DIGITS_MAX {
                        decimal.digits[decimal.count] = byte;
                        decimal.count += 1;
                    }
                }
                b'.' => point = true,
                b'e' => {
                    decimal.exponent += text[at + 1..].parse().unwrap_or(0);
                    break;
                }
                _ => {}
            }
        }
        while decimal.count > 0 && decimal.digits[decimal.count - 1] == b'0' {
            decimal.count -= 1;
        }
        if decimal.count == 0 {
            return Decimal { digits: decimal.digits, count: 1, exponent: 0 };
        }
        decimal
    }

    /// These digits if they are strictly inside the interval of numbers that read back as the float; else the fewest
    /// digits that are.
    fn moved_inside(self, reads_back: impl Fn(&str) -> bool, closest: impl Fn(usize) -> String) -> Decimal {
        if self.is_strictly_inside(&reads_back) {
            return self;
        }
        let longer = (self.count..17).map(|after_the_point| Decimal::parse(&closest(after_the_point)));
        longer.into_iter().find(|decimal| decimal.is_strictly_inside(&reads_back)).unwrap_or(self)
    }

    /// Whether the number still reads back as the float after a step of 10^−40 of its last digit up and down. This
    /// step is small enough: the half-way points in question are multiples of 1/4.
    fn is_strictly_inside(&self, reads_back: impl Fn(&str) -> bool) -> bool {
        let digits = self.digits[..self.count].iter().fold(0, |sum, digit| 10 * sum + u64::from(digit - b'0'));
        let exponent = self.exponent - (self.count as i32 - 1) - 40;
        [(digits, "0000000000000000000000000000000000000001"), (digits - 1, "9999999999999999999999999999999999999999")]
            .into_iter()
            .all(|(digits, step)| {
                let mut text = [0u8; 80];
                let mut rest = &mut text[..];
                let _ = write!(rest, "{digits}{step}e{exponent}"); // at most 20 + 40 + 5 bytes
                let unused = rest.len();
                std::str::from_utf8(&text[..80 - unused]).is_ok_and(&reads_back)
            })
    }

    fn write(&self, negative: bool, plain_digits: i32, out: &mut Vec<u8>) {
        let digits = &self.digits[..self.count];
        if negative {
            out.push(b'-');
        }
        if self.exponent < -4 || self.exponent >= plain_digits {
            out.push(digits[0]);
            if digits.len() > 1 {
                out.push(b'.');
                out.extend_from_slice(&digits[1..]);
            }
            out.extend_from_slice(if self.exponent < 0 { b"e-" } else { b"e+" });
            let exponent = self.exponent.unsigned_abs();
            if exponent < 10 {
                out.push(b'0');
            }
            out.extend_from_slice(itoa::Buffer::new().format(exponent).as_bytes());
        } else if self.exponent < 0 {
            out.extend_from_slice(&b"0.000"[..1 + self.exponent.unsigned_abs() as usize]);
            out.extend_from_slice(digits);
        } else {
            let whole = self.exponent as usize + 1;
            if digits.len() <= whole {
                out.extend_from_slice(digits);
                out.resize(out.len() + whole - digits.len(), b'0');
            } else {
                out.extend_from_slice(&digits[..whole]);
                out.push(b'.');
                out.extend_from_slice(&digits[whole..]);
            }
        }
    }
}
