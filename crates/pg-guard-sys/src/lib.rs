//! PostgreSQL's parser: a text in, its parse tree out.
//!
//! The parser is libpg_query, PostgreSQL 18's own source made a library, whose C is in this crate with bindings written down
//! once. So a build needs a C compiler alone. It gives the tree as a protocol buffer, whose types are [`protobuf`]; they
//! derive serde's `Serialize`.
//!
//! It bounds its own depth by the stack it was given, and it is C that reads whatever it is given: whoever reads what
//! strangers write calls it in a process of its own.

use std::ffi::{CStr, CString, NulError, c_char, c_int};
use std::fmt;

use prost::Message;

#[allow(missing_docs, clippy::all)]
#[rustfmt::skip]
pub mod protobuf;

/// Why a text has no tree.
#[derive(Debug)]
pub enum Error {
    /// It holds the character U+0000.
    Nul(NulError),
    /// The parser's words.
    Syntax(String),
    /// The tree is not what was agreed on.
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

/// What `pg_query.h` has of what is used here.
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

/// The tree of `sql`.
///
/// # Errors
/// It cannot be parsed.
pub fn parse(sql: &str) -> Result<protobuf::ParseResult, Error> {
    let sql = CString::new(sql).map_err(Error::Nul)?;
    // SAFETY: it reads the text up to its NUL and keeps nothing of it.
    let result = unsafe { pg_query_parse_protobuf(sql.as_ptr()) };
    let parsed = if result.error.is_null() {
        // SAFETY: without an error there are so many bytes of a tree.
        let tree = unsafe { std::slice::from_raw_parts(result.parse_tree.data.cast::<u8>(), result.parse_tree.len) };
        protobuf::ParseResult::decode(tree).map_err(Error::Decode)
    } else {
        // SAFETY: an error has a message, which ends in a NUL.
        let message = unsafe { CStr::from_ptr((*result.error).message) };
        Err(Error::Syntax(message.to_string_lossy().into_owned()))
    };
    // SAFETY: nothing of it is used any more.
    unsafe { pg_query_free_protobuf_parse_result(result) };
    parsed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_becomes_its_tree() {
        let parsed = parse("select 1; select 2").unwrap();
        assert_eq!((parsed.stmts.len(), parsed.version / 10_000), (2, 18));
        assert!(parse("").unwrap().stmts.is_empty());
    }

    #[test]
    fn what_is_no_sql_is_told_in_the_parsers_words() {
        let told = parse("select from where").unwrap_err().to_string();
        assert_eq!(told, "Invalid statement: syntax error at or near \"where\"");
        assert!(matches!(parse("select '\0'"), Err(Error::Nul(_))));
    }

    #[test]
    fn a_tree_may_be_deep_and_one_that_is_too_deep_is_refused_without_a_crash() {
        let nested = |depth| format!("select {}1{}", "(".repeat(depth), ")".repeat(depth));
        let with_stack = std::thread::Builder::new().stack_size(64 << 20);
        let done = with_stack.spawn(move || {
            assert!(parse(&nested(1000)).is_ok());
            assert!(parse(&nested(1_000_000)).is_err());
        });
        done.unwrap().join().unwrap();
    }
}
