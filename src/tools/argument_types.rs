//! The types of arguments that several tools have.

use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error};
use serde_json::value::RawValue;
use serde_json::{Number, Value};

use crate::messages::RawArguments;
use crate::messages::answer::Answer;
use crate::postgres::params::{self, Whole};
use crate::postgres::statement::Format;

/// The values of `$1 … $n` as a client gives them: a list, or an object whose values are taken in the order written.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Parameters(pub Vec<Value>);

impl<'de> Deserialize<'de> for Parameters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        match raw.get().as_bytes().first() {
            Some(b'[') => {
                let values: Vec<Box<RawValue>> = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
                Ok(Self(values.iter().map(|raw| params::written(raw)).collect()))
            }
            Some(b'{') => {
                let values: RawArguments = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
                if let Some(name) = values.repeated() {
                    let why = format!("`parameters` has {name:?} twice; each value must have a name of its own");
                    return Err(D::Error::custom(why));
                }
                Ok(Self(values.0.iter().map(|(_, raw)| params::written(raw)).collect()))
            }
            Some(b'n') => Ok(Self::default()),
            _ => Err(D::Error::custom("`parameters` must be an array or an object")),
        }
    }
}

/// A whole number in any spelling: some clients have only floating-point numbers and write 5.0, and to JSON Schema that is
/// an integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count(pub usize);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = Number::deserialize(deserializer)?;
        match Whole::of(number.as_str()) {
            Whole::Digits(digits) if digits.starts_with('-') => {
                Err(D::Error::custom(format!("{number} is less than 0")))
            }
            // A number that is too large for the type becomes the largest of the type.
            Whole::Digits(digits) => Ok(Self(digits.parse().unwrap_or(usize::MAX))),
            Whole::TooLarge if !number.as_str().starts_with('-') => Ok(Self(usize::MAX)),
            Whole::TooLarge => Err(D::Error::custom(format!("{number} is less than 0"))),
            Whole::No => Err(D::Error::custom(format!("{number} is no whole number"))),
        }
    }
}

/// The answer to a call if one of these counts is 0.
pub(super) fn reject_zero(counts: &[(&str, Option<Count>)]) -> Option<Answer> {
    let (name, _) = counts.iter().find(|(_, count)| *count == Some(Count(0)))?;
    Some(Answer::invalid_arguments(format!("`{name}` is 0; it must be at least 1.")))
}

/// The time limit of a call that gives one.
pub(super) fn timeout(timeout_ms: Option<Count>) -> Option<Duration> {
    timeout_ms.map(|Count(ms)| Duration::from_millis(ms as u64))
}

/// How a client names a [`Format`].
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum FormatArgument {
    #[default]
    Table,
    Json,
    Csv,
    Markdown,
}

impl FormatArgument {
    pub(super) const NAMES: [&str; 4] = ["table", "json", "csv", "markdown"];
}

impl From<FormatArgument> for Format {
    fn from(format: FormatArgument) -> Self {
        match format {
            FormatArgument::Table => Self::Table,
            FormatArgument::Json => Self::Json,
            FormatArgument::Csv => Self::Csv,
            FormatArgument::Markdown => Self::Markdown,
        }
    }
}
