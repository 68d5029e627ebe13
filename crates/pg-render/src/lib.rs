//! From PostgreSQL's binary values to text and JSON, straight into the answer's bytes.
//!
//! The text is exactly what psql shows under `DateStyle = ISO`, `IntervalStyle = postgres`,
//! `bytea_output = hex`, `extra_float_digits = 1`, `TimeZone = UTC` and `client_encoding = UTF8`. The layout of
//! each type's binary value is that of its send function in PostgreSQL; a comment gives it where it is read.
//!
//! What this does not do: it asks the server nothing, holds no rows, and knows no NULL (the caller writes it).
//! Types whose text only the server knows (`regclass` is a name, `money` a locale, an extension's type a
//! secret of that extension) have no codec here: [`Codec::is_native`] is false, and the caller selects `::text`.
//! What a PostgreSQL before version 16 would send of a `"char"` that is no ASCII is no UTF-8: it is shown as later
//! versions do, in octal.

mod anonymous;
mod civil;
mod float;
mod geometry;
mod hstore;
mod interval;
mod json;
mod nested;
mod network;
mod numeric;
mod quote;
mod rule;
mod scalar;
mod text;
mod tsquery;
mod tsvector;
mod wire;

use std::fmt;

use postgres_types::Type;

pub use anonymous::Part;
pub use json::{push_json_escaped, write_json_string};
use rule::Rule;
pub use rule::delimiter;
pub use text::Text;

/// How deep values and types may nest. An anonymous record nests as deep as its query was written.
const NESTING_MAX: usize = 64;

/// How long a value may become by being quoted inside others. Each level doubles the quotes and backslashes of
/// the one below, so that a value of a few bytes, 30 records deep, would fill the memory.
const QUOTED_BYTES_MAX: usize = 64 << 20;

/// The way of one column's values into text and JSON: decided once from the column's type, used for every value.
#[derive(Clone, Debug)]
pub struct Codec(Rule);

impl Codec {
    /// The codec of a type. Domains have the codec of their base type.
    pub fn of(type_: &Type) -> Codec {
        Codec(Rule::of(type_))
    }

    /// Whether the values can be decoded here. Where false, both writers refuse every value, and only the
    /// server can show them.
    ///
    /// An anonymous `record` names the types of its fields in each value, not in the column: it is native, and
    /// a value with a field that is not (or not built into PostgreSQL) is an error when it is written, but for
    /// [`Codec::write_text_with`].
    pub fn is_native(&self) -> bool {
        !matches!(self.0, Rule::Foreign)
    }

    /// Whether each value names the types of its parts, and may have foreign ones: `record`, `record[]`, `anyarray`.
    pub fn is_anonymous(&self) -> bool {
        anonymous::is_anonymous(&self.0)
    }

    /// The parts of such a value that are not native, or not built into PostgreSQL.
    pub fn foreign_parts<'a>(&self, raw: &'a [u8]) -> Result<Vec<Part<'a>>, DecodeError> {
        let mut found = Vec::new();
        anonymous::foreign_parts(&self.0, raw, NESTING_MAX, &mut found)?;
        Ok(found)
    }

    /// Appends the text of such a value; `foreign` appends those of these parts, in their order.
    pub fn write_text_with(
        &self,
        raw: &[u8],
        out: &mut Vec<u8>,
        mut foreign: impl FnMut(u32, &[u8], &mut Vec<u8>) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        undo_on_error(out, |out| anonymous::text(&self.0, raw, out, NESTING_MAX, &mut foreign))
    }

    /// What reads an `anyarray` value whose elements are of this type; `None` where they are not native, or where it is
    /// no `anyarray`.
    pub fn of_elements(&self, element: &Type) -> Option<Codec> {
        matches!(self.0, Rule::AnyArray).then(|| Codec(Rule::of_array(element))).filter(Codec::is_native)
    }

    /// Appends the text that psql would show. Bytes that are not UTF-8 stay as they came (`SQL_ASCII`).
    /// After an error `out` is as it was.
    pub fn write_text(&self, raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
        undo_on_error(out, |out| self.0.text(raw, out, NESTING_MAX))
    }

    /// The same text, to take pieces of; not written where the value itself holds it.
    pub fn text<'a>(&self, raw: &'a [u8]) -> Result<Text<'a>, DecodeError> {
        if let Some(text) = self.text_at_hand(raw)? {
            return Ok(text);
        }
        let mut text = Vec::new();
        self.write_text(raw, &mut text)?;
        Ok(Text::written(text))
    }

    /// That text where the value itself holds it. Its JSON is never shorter then.
    pub fn text_at_hand<'a>(&self, raw: &'a [u8]) -> Result<Option<Text<'a>>, DecodeError> {
        self.0.text_at_hand(raw)
    }

    /// Appends one JSON value, without raw newlines. After an error `out` is as it was.
    ///
    /// `bool` becomes true or false; `int2`, `int4`, `oid`, `xid`, `cid`, finite floats, and `int8` within
    /// ±(2^53−1) numbers; `json` and `jsonb` themselves, digits and keys untouched; arrays nested arrays, unless
    /// a lower bound is not 1 or an element would not be itself. Anything else is a string of the text: `numeric`, larger `int8` and
    /// not-a-number among them, because a reader's double would change or refuse them; composites and ranges;
    /// and JSON that would cost some reader the whole answer, with more than 100 levels, half of a surrogate
    /// pair (`"\ud800"`), or a number beyond every double (`1e999`).
    pub fn write_json(&self, raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
        undo_on_error(out, |out| self.0.json(raw, out, NESTING_MAX))
    }

    /// Whether that says which value it is. JSON's own null does not, beside NULL; nor does JSON as a string of its text,
    /// beside JSON's strings.
    pub fn is_itself(&self, raw: &[u8], written: &[u8]) -> bool {
        self.0.is_itself(raw, written)
    }
}

fn undo_on_error(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let start = out.len();
    let written = write(out);
    if written.is_err() {
        out.truncate(start);
    }
    written
}

/// Bytes that are not a value of their type. The innermost type is named, not the array around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// PostgreSQL's name of the type, or of its kind ("enum", "array", "record", "range").
    pub type_name: &'static str,
    /// What was wrong.
    pub problem: &'static str,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot decode a binary {} value: {}", self.type_name, self.problem)
    }
}

impl std::error::Error for DecodeError {}

/// The README's example runs as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
mod tests;
