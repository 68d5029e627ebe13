//! The session and the tools behind it, by messages alone: the test is the executor and the metrics.

mod answers;
mod arguments;
mod asking;
mod calls;
mod databases;
mod failures;
mod listed;
mod monitoring;
mod older_revisions;
mod one_encoder;
mod refusals;
mod schema;
mod settings;
mod world;
