//! How an answer's encoded JSON travels through rmcp, whose results are trees of values: as one string instead of a
//! node a cell. The handler packs it under a key that no other object has; the transport unpacks it and writes it as
//! it is. The rows of an answer whose text shows them as JSON are not copied into that text: it is told where they go.

use std::ops::Range;

use rmcp::model::CallToolResult;
use serde_json::{Map, Value};
use tokio_util::bytes::Bytes;

use crate::tools::Rows;

const ENCODED: &str = "\u{1}encoded";
const ROWS: &str = "\u{1}rows";

/// An answer's structured part as it is to be written.
#[derive(Debug, PartialEq)]
pub struct Encoded {
    /// Its JSON, on one line.
    pub structured: Bytes,
    /// The part of it that stands in the text too.
    pub rows: Option<Rows>,
}

/// The value that carries it.
pub fn pack(structured: String, rows: Option<Rows>) -> Value {
    let mut members = Map::from_iter([(ENCODED.to_owned(), Value::String(structured))]);
    if let Some(Rows { in_text, in_structured }) = rows {
        let places = [in_text, in_structured.start, in_structured.end];
        members.insert(ROWS.to_owned(), places.into_iter().collect());
    }
    Value::Object(members)
}

/// What a result carries; it is taken out.
pub fn unpack(result: &mut CallToolResult) -> Option<Encoded> {
    let members = result.structured_content.as_mut()?.as_object_mut()?;
    let Value::String(structured) = members.get_mut(ENCODED)?.take() else { return None };
    let place = |at: usize| usize::try_from(members.get(ROWS)?.get(at)?.as_u64()?).ok();
    let rows = place(0).zip(place(1)).zip(place(2));
    let rows = rows.map(|((in_text, start), end)| Rows { in_text, in_structured: Range { start, end } });
    Some(Encoded { structured: structured.into(), rows })
}
