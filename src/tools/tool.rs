//! What a tool is: its name, its descriptions and schemas for clients, and the function that does its work.

use std::pin::Pin;

use futures_util::FutureExt as _;
use serde_json::{Map, Value, json};

use super::{Defaults, ToolContext};
use crate::messages::answer::{Answer, Reply};
use crate::settings::AccessMode;

pub struct Tool {
    /// The name by which a client calls it.
    pub name: &'static str,
    /// Its title for people.
    pub title: &'static str,
    /// The description from which a model chooses it.
    pub description: &'static str,
    /// Whether it writes when the server is in read-write mode.
    pub may_write: bool,
    /// Whether a call of it names the database if there are several.
    pub names_database: bool,
    /// Whether its answer has rows, so it may be long.
    pub gives_rows: bool,
    /// Whether a model needs this tool before all others.
    pub is_first: bool,
    /// The JSON Schema of its arguments.
    pub input: fn() -> Value,
    /// The JSON Schema of [`Answer::structured`].
    pub output: fn() -> Value,
    /// Does the work. It always returns an answer; a failure is an answer with `is_error`.
    pub call: fn(ToolContext, Defaults) -> Work,
}

/// The largest number of characters of an answer that a server may request from Claude Code. Without this, an answer of
/// more than 50,000 characters is written to a file, and the model sees 2 KB of it.
const RESULT_CHARS_MAX: usize = 500_000;

/// A call under way; dropping it cancels the call.
pub type Work = Pin<Box<dyn Future<Output = Reply>>>;

impl Tool {
    /// The JSON Schema of its arguments, for a client that may use these databases.
    pub fn input_of(&self, databases: &[&str]) -> Value {
        let mut schema = (self.input)();
        if self.names_database && databases.len() > 1 {
            schema["properties"]["database"] = json!({
                "type": "string",
                "enum": databases,
                "default": databases[0],
                "description": "Which database is asked.",
            });
        }
        schema
    }

    /// The `_meta` of its entry in the list of tools. Claude Code reads it.
    pub fn meta(&self) -> Option<Value> {
        let mut meta = Map::new();
        if self.gives_rows {
            meta.insert("anthropic/maxResultSizeChars".to_owned(), RESULT_CHARS_MAX.into());
        }
        if self.is_first {
            meta.insert("anthropic/alwaysLoad".to_owned(), true.into());
        }
        (!meta.is_empty()).then_some(Value::Object(meta))
    }

    /// Whether it changes nothing in this mode.
    pub fn is_read_only(&self, access: AccessMode) -> bool {
        !self.may_write || access == AccessMode::ReadOnly
    }
}

/// The work of a tool that does not ask its client.
pub(super) fn work(answer: impl Future<Output = Answer> + 'static) -> Work {
    Box::pin(answer.map(Reply::Answer))
}
