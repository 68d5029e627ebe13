//! The arguments of a call, as the client wrote them.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use super::surrogates;

/// The members of an object, each as it was written. A tree of values would lose how a number is written, and a key that comes
/// twice.
#[derive(Debug, Clone, Default)]
pub struct RawArguments(pub(crate) Vec<(String, Box<RawValue>)>);

impl RawArguments {
    /// The member of that name.
    pub fn get(&self, name: &str) -> Option<&RawValue> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, raw)| &**raw)
    }

    /// The member of that name, if it is a string.
    pub fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.get(name)?.get()).ok()
    }

    /// A name that two members have.
    pub(crate) fn repeated(&self) -> Option<&str> {
        let mut seen = HashSet::new();
        self.0.iter().map(|(name, _)| name.as_str()).find(|name| !seen.insert(*name))
    }

    /// The sentence about a member with half of a surrogate pair, if there is one.
    pub(crate) fn with_half_a_pair(&self) -> Option<String> {
        let (name, _) = self.0.iter().find(|(_, raw)| !surrogates::unpaired(raw.get().as_bytes()).is_empty())?;
        Some(format!(
            "`{name}` has half of a surrogate pair (an escape from \\ud800 to \\udfff without its other half), which is no \
             character"
        ))
    }

    /// A text that is equal for two lists of arguments if they have the same values by the same names. Their order and the
    /// spaces between them do not count.
    pub fn canonical(&self) -> String {
        match self.tree() {
            Some(members) => {
                let mut all = Value::Object(members);
                all.sort_all_objects();
                all.to_string()
            }
            None => self.0.iter().map(|(name, raw)| format!("{name:?}:{raw}\n")).collect(),
        }
    }

    /// The members as values. `None` if one cannot be a value.
    pub(crate) fn tree(&self) -> Option<Map<String, Value>> {
        self.0.iter().map(|(name, raw)| Some((name.clone(), serde_json::from_str(raw.get()).ok()?))).collect()
    }
}

impl From<Map<String, Value>> for RawArguments {
    fn from(members: Map<String, Value>) -> Self {
        // Writing a value cannot fail: its keys are strings.
        Self(members.iter().filter_map(|(name, value)| Some((name.clone(), to_raw_value(value).ok()?))).collect())
    }
}

impl Serialize for RawArguments {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, raw)| (name, raw)))
    }
}

impl<'de> Deserialize<'de> for RawArguments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = RawArguments;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawArguments, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(RawArguments(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}
