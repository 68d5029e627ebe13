//! The tools. A tool is its arguments and a function of them, one file for each; its line in [`TOOLS`] lists it, dispatches
//! to it and documents it.
//!
//! - `query`: run statements and read on in their answers.
//! - `monitoring`: how the statements of this server have gone.
//!
//! What they share:
//!
//! - `tool`: what a tool is.
//! - `context`: what a call gives its tool: the databases, the caller, the limits.
//! - `arguments`: a tool's arguments from the JSON of the client, and why they do not fit.
//! - `habits`: what clients write that no schema asks for, and what they mean by it.
//! - `argument_types`: the types of arguments that several tools have.
//! - `schema`: the JSON Schemas that several tools have.
//! - `answer`, `failure`, `render`: successes, failures, and how counts and durations are written.
//! - [`boundary`]: the two lines around an answer that mark what comes from a database.

mod answer;
mod argument_types;
mod arguments;
pub(crate) mod boundary;
mod context;
mod failure;
mod habits;
mod monitoring;
mod query;
mod render;
mod schema;
mod tool;

pub use context::{Defaults, ToolContext};
pub use tool::{Tool, Work};

/// Every tool, in the order of `tools/list`.
pub const TOOLS: &[Tool] = &[
    query::execute::TOOL,
    query::fetch::TOOL,
    query::batch::TOOL,
    monitoring::performance_summary::TOOL,
    monitoring::slow_queries::TOOL,
];

pub fn names() -> Vec<&'static str> {
    TOOLS.iter().map(|tool| tool.name).collect()
}

/// The tool with this name.
pub fn find(name: &str) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.name == name)
}
