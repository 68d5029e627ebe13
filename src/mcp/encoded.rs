//! How an answer's encoded JSON travels through rmcp, whose results are trees of values: member by member, and not a node
//! a cell. On stdio it does not travel through rmcp at all (`stdio::tool_call`).

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Number, Value};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_travels_as_members_that_are_written_as_they_are() {
        let structured = r#"{"columns":[{"name":"n"}],"rows":[[1.10,"é\"\u0000",{"b":1,"a":1e400,"a":2}],[null]],"cursor":null,"n":12}"#;
        let value = members(structured);
        assert!(value.is_object());
        assert_eq!(serde_json::to_string(&value).unwrap(), structured);
        assert_eq!(members("{}"), Value::Object(serde_json::Map::new()));
    }
}
