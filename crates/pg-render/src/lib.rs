//! PostgreSQL values in binary form as text and as JSON, appended to a buffer.
//!
//! The text is exactly what psql shows under `DateStyle = ISO`, `IntervalStyle = postgres`,
//! `bytea_output = hex`, `extra_float_digits = 1`, `TimeZone = UTC` and `client_encoding = UTF8`.
//! The binary layout of a type is the one that its send function in PostgreSQL writes (`src/backend/utils/adt`;
//! the manual: "Formats and Format Codes" in the chapter "Frontend/Backend Protocol"). Each module describes the
//! layouts that it reads. All integers are big-endian.
//!
//! ```
//! use pg_render::Codec;
//! use postgres_types::Type;
//!
//! let codec = Codec::of(&Type::INT4_ARRAY);
//! // One dimension, no NULLs, elements of int4 (OID 23); one element, the lower bound 1; four bytes, the number 42.
//! let raw = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 23, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 42];
//! let (mut text, mut json) = (Vec::new(), Vec::new());
//! codec.write_text(&raw, &mut text)?;
//! codec.write_json(&raw, &mut json)?;
//! assert_eq!((&text[..], &json[..]), (&b"{42}"[..], &b"[42]"[..]));
//! # Ok::<(), pg_render::DecodeError>(())
//! ```
//!
//! # What it does not do
//!
//! - It sends nothing to a server and keeps no rows.
//! - It knows no NULL at the top: a NULL has no value, and the caller writes it.
//! - Some types have a text that only the server knows: the text of `regclass` is a name in a catalog, that of
//!   `money` depends on a locale, and an extension defines its own. For these [`Codec::is_native`] is false, and the
//!   caller selects `column::text` instead.
//!
//! One text differs from the server's: a `"char"` that is not ASCII is written in octal, as PostgreSQL 16 and later
//! do. Older versions send the byte itself, which is not UTF-8.

#![warn(missing_docs)]

mod anonymous;
mod datetime;
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
mod value_reader;

use std::fmt;

use postgres_types::Type;

pub use anonymous::Part;
pub use json::{push_json_escaped, write_json_string};
use rule::Rule;
pub use rule::delimiter;
pub use text::Text;

/// How many levels values and types may nest. (A query can nest anonymous records without any limit.)
const NESTING_MAX: usize = 64;

/// How many bytes a value may have after it was quoted inside another. Each level doubles the quotes and backslashes
/// of the level below: without this limit a value of a few bytes inside 30 records would fill the memory.
const QUOTED_BYTES_MAX: usize = 64 << 20;

/// Writes the values of one type as text and as JSON. Made once from a column's type, used for every value.
#[derive(Clone, Debug)]
pub struct Codec(Rule);

impl Codec {
    /// The codec of a type. A domain has the codec of its base type.
    ///
    /// A type that nests more than 64 levels, or that consists of more than 4,096 types, is not
    /// [native](Codec::is_native).
    pub fn of(type_: &Type) -> Codec {
        Codec(Rule::of(type_))
    }

    /// Whether this crate can decode the values. If not, every writer returns an error for every value, and only the
    /// server can write them.
    ///
    /// `record`, `record[]` and `anyarray` are native, although the types of their parts are not known from the column:
    /// each value names them. A value with a part that is not native, or whose type is not built into PostgreSQL, is
    /// an error; only [`Codec::write_text_with`] can write it.
    pub fn is_native(&self) -> bool {
        !matches!(self.0, Rule::ServerOnly)
    }

    /// Whether each value names the types of its parts itself: `record`, `record[]`, `anyarray`.
    /// Such a value can have parts that only the server can write.
    pub fn is_anonymous(&self) -> bool {
        anonymous::is_anonymous(&self.0)
    }

    /// The parts of a value that only the server can write: their types are not native, or not built into PostgreSQL.
    /// Empty for a type that is not [anonymous](Codec::is_anonymous).
    pub fn server_only_parts<'a>(&self, raw: &'a [u8]) -> Result<Vec<Part<'a>>, DecodeError> {
        let mut found = Vec::new();
        anonymous::server_only_parts(&self.0, raw, NESTING_MAX, &mut found)?;
        Ok(found)
    }

    /// Appends the text of a value. For each part that [`Codec::server_only_parts`] returns, in the same order,
    /// `write_part` appends the part's text. After an error `out` is as it was before.
    pub fn write_text_with(
        &self,
        raw: &[u8],
        out: &mut Vec<u8>,
        mut write_part: impl FnMut(Part<'_>, &mut Vec<u8>) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        undo_on_error(out, |out| anonymous::text(&self.0, raw, out, NESTING_MAX, &mut write_part))
    }

    /// The codec of an `anyarray` value whose elements are of this type. `None` if this type is not native, or if
    /// `self` is not the codec of `anyarray`.
    pub fn of_elements(&self, element: &Type) -> Option<Codec> {
        matches!(self.0, Rule::AnyArray).then(|| Codec(Rule::of_array(element))).filter(Codec::is_native)
    }

    /// Appends the text that psql would show. Bytes that are not UTF-8 (a database in `SQL_ASCII`) are copied.
    /// After an error `out` is as it was before.
    pub fn write_text(&self, raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
        undo_on_error(out, |out| self.0.text(raw, out, NESTING_MAX))
    }

    /// The same text as a value of which pieces can be taken. If the bytes of the value are its text, or a `bytea`, it
    /// borrows them; otherwise it is written to a new buffer.
    pub fn text<'a>(&self, raw: &'a [u8]) -> Result<Text<'a>, DecodeError> {
        if let Some(text) = self.borrowed_text(raw)? {
            return Ok(text);
        }
        let mut text = Vec::new();
        self.write_text(raw, &mut text)?;
        Ok(Text::written(text))
    }

    /// The text if it can borrow the bytes of the value, else `None`. The JSON of such a value is never shorter than
    /// its text.
    pub fn borrowed_text<'a>(&self, raw: &'a [u8]) -> Result<Option<Text<'a>>, DecodeError> {
        self.0.borrowed_text(raw)
    }

    /// Appends one JSON value on one line. After an error `out` is as it was before.
    ///
    /// | type | JSON |
    /// |---|---|
    /// | `bool` | `true`, `false` |
    /// | `int2`, `int4`, `oid`, `xid`, `cid`, finite `float4` and `float8` | a number |
    /// | `int8` | a number within ±(2^53−1), else a string: a reader that uses doubles would change it |
    /// | `json`, `jsonb` | itself; its digits, keys and their order do not change |
    /// | arrays | nested arrays, see below |
    /// | anything else | a string of the text: `numeric`, NaN, infinity, composites, ranges, … |
    ///
    /// `json` that some readers refuse is a string of its text: more than 100 levels, half of a surrogate pair
    /// (`"\ud800"`), or a number too large for a double (`1e999`). Otherwise such a reader would refuse the whole answer.
    ///
    /// An array is a string of its text if a lower bound is not 1, or if the JSON of an element would be
    /// [ambiguous](Codec::is_self_describing).
    pub fn write_json(&self, raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
        undo_on_error(out, |out| self.0.json(raw, out, NESTING_MAX))
    }

    /// Whether `written`, the JSON of the value `raw`, can be mistaken for no other value. Two values of `json` and
    /// `jsonb` can: a JSON null looks like a NULL, and JSON that was written as a string of its text looks like a JSON
    /// string.
    pub fn is_self_describing(&self, raw: &[u8], written: &[u8]) -> bool {
        self.0.is_self_describing(raw, written)
    }
}

/// Calls `write`; after an error removes what it appended.
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

/// The bytes are not a value of the type, a limit was reached, or only the server can write the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// PostgreSQL's name of the innermost type, not of the array around it; or the kind of type ("array", "record",
    /// "range").
    pub type_name: &'static str,
    /// What is wrong, in words that follow a colon.
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
