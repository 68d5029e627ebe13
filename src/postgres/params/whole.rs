//! Whole numbers in JSON. `5.0`, `50e-1` and `0.5E1` are the whole number 5; many clients write one of these, because their
//! language or protocol has only floating-point numbers.

/// A whole number longer than this is [`Whole::TooLarge`]. PostgreSQL's largest integer type has 19 digits.
const DIGITS_MAX: usize = 40;

/// What a JSON number is as a whole number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whole {
    /// Its digits, after a minus sign if it is negative. They are exact, whatever the number's size.
    Digits(String),
    /// It is whole, and no integer type can hold it.
    TooLarge,
    /// It has a fraction.
    No,
}

impl Whole {
    /// The whole number that is written as `number`, which has the syntax of a number in JSON (RFC 8259, section 6).
    pub fn of(number: &str) -> Self {
        if !number.contains(['.', 'e', 'E']) {
            return Self::Digits(number.to_owned());
        }
        let (sign, unsigned) = number.strip_prefix('-').map_or(("", number), |unsigned| ("-", unsigned));
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (integral, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{integral}{fraction}");
        let significant = all.trim_end_matches('0');
        let digits = significant.trim_start_matches('0');
        if digits.is_empty() {
            return Self::Digits("0".to_owned());
        }
        // An exponent beyond 64 bits is as good as the largest.
        let largest = if exponent.starts_with('-') { i64::MIN } else { i64::MAX };
        let exponent = exponent.parse().unwrap_or(largest);
        // The number is `digits` followed by so many zeros.
        let zeros = exponent.saturating_add(all.len() as i64 - significant.len() as i64 - fraction.len() as i64);
        match usize::try_from(zeros) {
            Err(_) => Self::No,
            Ok(zeros) if zeros.saturating_add(digits.len()) > DIGITS_MAX => Self::TooLarge,
            Ok(zeros) => Self::Digits(format!("{sign}{digits}{}", "0".repeat(zeros))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_is_recognised_in_every_spelling_and_kept_exactly() {
        for (number, digits) in [
            ("5", "5"),
            ("-0", "-0"),
            ("5.0", "5"),
            ("-5.000", "-5"),
            ("0.0", "0"),
            ("-0e7", "0"),
            ("1e6", "1000000"),
            ("1E+6", "1000000"),
            ("1.5e1", "15"),
            ("0.5E1", "5"),
            ("50e-1", "5"),
            ("1200e-2", "12"),
            ("0.00012e5", "12"),
            ("9007199254740993.0", "9007199254740993"),
            ("9.223372036854775807e18", "9223372036854775807"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("0e999999999999999999999", "0"),
        ] {
            assert_eq!(Whole::of(number), Whole::Digits(digits.to_owned()), "{number}");
        }
    }

    #[test]
    fn what_has_a_fraction_or_more_digits_than_any_type_is_no_integer() {
        for number in ["5.5", "-0.1", "1e-1", "15e-1", "1.05e1", "1e-400", "1e-999999999999999999999"] {
            assert_eq!(Whole::of(number), Whole::No, "{number}");
        }
        for number in ["1e400", "-1e+400", "1e40", "1.0e999999999999999999999"] {
            assert_eq!(Whole::of(number), Whole::TooLarge, "{number}");
        }
    }
}
