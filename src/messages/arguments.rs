//! A call's arguments as the client wrote them.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use super::surrogates;

/// What a client gives a tool: members of an object, each as it was written. A tree of values keeps neither how a number
/// is spelled nor a key that comes twice.
#[derive(Debug, Clone, Default)]
pub struct RawArguments(pub(crate) Vec<(String, Box<RawValue>)>);

impl RawArguments {
    /// The member of that name.
    pub fn get(&self, name: &str) -> Option<&RawValue> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, raw)| &**raw)
    }

    /// The member of that name, if it is a text.
    pub fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.get(name)?.get()).ok()
    }

    /// A name that is there twice.
    pub(crate) fn repeated(&self) -> Option<&str> {
        let mut seen = HashSet::new();
        self.0.iter().map(|(name, _)| name.as_str()).find(|name| !seen.insert(*name))
    }

    /// What is wrong with a member that has half of a surrogate pair.
    pub(crate) fn with_half_a_pair(&self) -> Option<String> {
        let (name, _) = self.0.iter().find(|(_, raw)| !surrogates::unpaired(raw.get().as_bytes()).is_empty())?;
        Some(format!(
            "`{name}` has half of a surrogate pair (an escape from \\ud800 to \\udfff without its other half), which is no \
             character"
        ))
    }

    /// A text that two lists of arguments share if they are the same values by the same names, in whatever order and with
    /// whatever spaces they are written.
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

    /// As values; `None` if there is one that no value can hold.
    pub(crate) fn tree(&self) -> Option<Map<String, Value>> {
        self.0.iter().map(|(name, raw)| Some((name.clone(), serde_json::from_str(raw.get()).ok()?))).collect()
    }
}

impl From<Map<String, Value>> for RawArguments {
    fn from(members: Map<String, Value>) -> Self {
        // A value is always written: its keys are texts.
        Self(members.iter().filter_map(|(name, value)| Some((name.clone(), to_raw_value(value).ok()?))).collect())
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
