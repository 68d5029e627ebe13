//! The trace of a call, if its client names one.

use std::sync::Arc;

/// The id of a trace (W3C Trace Context): 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceId(Arc<str>);

impl TraceId {
    /// The id in a `traceparent`; `None` if it is not valid.
    pub fn of(traceparent: &str) -> Option<Self> {
        let mut fields = traceparent.split('-');
        let (version, id, parent, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let is_hex = |field: &str, length: usize| {
            field.len() == length && field.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let is_set = |field: &str| field.bytes().any(|byte| byte != b'0');
        let fits = is_hex(version, 2) && is_hex(id, 32) && is_hex(parent, 16) && is_hex(flags, 2);
        // Version 00 has no more fields; version ff does not exist.
        let ends = version != "00" || fields.next().is_none();
        (fits && ends && version != "ff" && is_set(id) && is_set(parent)).then(|| Self(id.into()))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_has_four_fields_of_digits_and_neither_id_is_zero() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        for (traceparent, fits) in [
            (format!("00-{id}-00f067aa0ba902b7-01"), true),
            (format!("01-{id}-00f067aa0ba902b7-01-what-is-to-come"), true),
            (format!("00-{id}-00f067aa0ba902b7-01-more"), false),
            (format!("ff-{id}-00f067aa0ba902b7-01"), false),
            (format!("00-{}-00f067aa0ba902b7-01", id.to_uppercase()), false),
            (format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)), false),
            (format!("00-{id}-0000000000000000-01"), false),
            (format!("00-{id}-00f067aa0ba902b7"), false),
            (id.to_owned(), false),
            (String::new(), false),
        ] {
            let found = TraceId::of(&traceparent);
            assert_eq!(found.as_ref().map(TraceId::as_str), fits.then_some(id), "{traceparent}");
        }
    }
}
