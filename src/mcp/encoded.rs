//! How an answer's encoded JSON travels through rmcp, whose results are trees of values: as one string instead of a
//! node a cell. The handler packs it under a key that no other object has; the transport unpacks it and writes it as
//! it is. The rows of an answer whose text shows them as JSON are not copied into that text: it is told where they go.

use std::fmt;
use std::ops::Range;

use rmcp::model::CallToolResult;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};
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

/// The value that rmcp's own encoder writes as that JSON object, member by member as it is.
///
/// A tree of values takes several times the memory and the time. A number that keeps its digits (serde_json's
/// `arbitrary_precision`) is written as the text that it holds, and so a member of any kind can travel as one.
pub fn members(structured: &str) -> Value {
    let members: serde_json::Result<IndexedMembers<'_>> = serde_json::from_str(structured);
    let number = |raw: &RawValue| Value::Number(Number::from_string_unchecked(raw.get().to_owned()));
    match members {
        Ok(IndexedMembers(members)) => members.into_iter().map(|(name, raw)| (name, number(raw))).collect(),
        // Tools make objects; anything else is for rmcp to write.
        Err(_) => serde_json::from_str(structured).unwrap_or_default(),
    }
}

/// The members of an object in their order, none of them looked into.
struct IndexedMembers<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for IndexedMembers<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = IndexedMembers<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(IndexedMembers(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_travels_as_members_that_are_written_as_they_are() {
        let structured = r#"{"columns":[{"name":"n"}],"rows":[[1.10,"é\"\u0000",{"b":1,"a":1e400,"a":2}],[null]],"cursor":null,"n":12}"#;
        let value = members(structured);
        assert!(value.is_object());
        assert_eq!(serde_json::to_string(&value).unwrap(), structured);
        assert_eq!(members("{}"), Value::Object(Map::new()));
    }
}
