//! The session and the tools behind it, by messages alone: the test is the executor and the metrics.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not tests to clippy")]

mod answers;
mod arguments;
mod calls;
#[path = "../common/mod.rs"]
mod common;
mod databases;
mod failures;
mod older_revisions;
mod refusals;
mod schema;
mod settings;
mod world;
