//! PostgreSQL's parser: it turns a text into a parse tree.
//!
//! The parser is libpg_query: the source of PostgreSQL 18 as a library. This crate has its C sources and fixed
//! bindings, so a build needs only a C compiler. The tree arrives as a protocol buffer. Its types are in [`protobuf`]
//! and derive `Serialize` of serde.
//!
//! The parser limits its own depth by the size of its stack. It is C that reads any text, so a program that parses text
//! from others should run it in a separate process.
//! strangers write calls it in a process of its own.

use std::ffi::{CStr, CString, NulError, c_char, c_int};
use std::fmt;

use prost::Message;

#[allow(missing_docs, clippy::all)]
#[rustfmt::skip]
pub mod protobuf;

/// Why a text could not be parsed.
#[derive(Debug)]
pub enum Error {
    /// It has the character U+0000.
    Nul(NulError),
    /// The error message of the parser.
    Syntax(String),
    /// The tree could not be decoded.
    Decode(prost::DecodeError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nul(error) => write!(f, "Invalid statement format: {error}"),
            Self::Syntax(message) => write!(f, "Invalid statement: {message}"),
            Self::Decode(error) => write!(f, "Error decoding result: {error}"),
        }
    }
}

impl std::error::Error for Error {}

/// The parts of `pg_query.h` that are used here.
#[repr(C)]
struct ParseError {
    message: *mut c_char,
    funcname: *mut c_char,
    filename: *mut c_char,
    lineno: c_int,
    cursorpos: c_int,
    context: *mut c_char,
}

#[repr(C)]
struct ProtobufText {
    len: usize,
    data: *mut c_char,
}

#[repr(C)]
struct ParseResult {
    parse_tree: ProtobufText,
    stderr_buffer: *mut c_char,
    error: *mut ParseError,
}

unsafe extern "C" {
    fn pg_query_parse_protobuf(input: *const c_char) -> ParseResult;
    fn pg_query_free_protobuf_parse_result(result: ParseResult);
}

/// Parses `sql`.
///
/// # Errors
/// The text cannot be parsed.
pub fn parse(sql: &str) -> Result<protobuf::ParseResult, Error> {
    let sql = CString::new(sql).map_err(Error::Nul)?;
    // SAFETY: the function reads the text up to its NUL and keeps no pointer to it.
    let result = unsafe { pg_query_parse_protobuf(sql.as_ptr()) };
    let parsed = if result.error.is_null() {
        // SAFETY: without an error, `data` has `len` bytes.
        let tree = unsafe { std::slice::from_raw_parts(result.parse_tree.data.cast::<u8>(), result.parse_tree.len) };
        protobuf::ParseResult::decode(tree).map_err(Error::Decode)
    } else {
        // SAFETY: an error has a message that ends with NUL.
        let message = unsafe { CStr::from_ptr((*result.error).message) };
        Err(Error::Syntax(message.to_string_lossy().into_owned()))
    };
    // SAFETY: the result is not used after this.
    unsafe { pg_query_free_protobuf_parse_result(result) };
    parsed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_parsed_into_a_tree() {
        let parsed = parse("select 1; select 2").unwrap();
        assert_eq!((parsed.stmts.len(), parsed.version / 10_000), (2, 18));
        assert!(parse("").unwrap().stmts.is_empty());
    }

    #[test]
    fn a_syntax_error_has_the_message_of_the_parser() {
        let message = parse("select from where").unwrap_err().to_string();
        assert_eq!(message, "Invalid statement: syntax error at or near \"where\"");
        assert!(matches!(parse("select '\0'"), Err(Error::Nul(_))));
    }

    #[test]
    fn a_deep_tree_is_parsed_and_one_that_is_too_deep_is_refused_without_a_crash() {
        let nested = |depth| format!("select {}1{}", "(".repeat(depth), ")".repeat(depth));
        let with_stack = std::thread::Builder::new().stack_size(64 << 20);
        let done = with_stack.spawn(move || {
            assert!(parse(&nested(1000)).is_ok());
            assert!(parse(&nested(1_000_000)).is_err());
        });
        done.unwrap().join().unwrap();
    }
}
