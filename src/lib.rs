//! `mcp-server-postgres`: a PostgreSQL server for the Model Context Protocol, made of actors.
//!
//! The map, in the order of a request. `actors.md` has the picture, every message, and what always holds.
//!
//! - [`mcp`]: a line of stdin becomes a message to the session; an answer becomes a line of stdout.
//! - [`http`]: or a request of a client of the daemon is let in, by the [`actors::reception`].
//! - [`actors::session`]: one client, its calls in flight.
//! - [`messages`]: what they say to each other, and what has happened.
//! - [`tools`]: a tool a file; a tool is its arguments.
//! - [`actors::executor`]: one database, the pool and whatever runs on it.
//! - [`guard`]: what may run in read-only mode, and what only reads in the other, decided before it does.
//! - [`postgres`]: connections, transactions, parameters, and rows from their bytes to the answer.
//! - [`actors::metrics`]: what ran, how long it took, what became of it.
//!
//! Beside the request's way:
//!
//! - [`settings`]: what an operator can choose, loaded in layers and checked once.
//! - [`actors::config_watcher`]: files in, one checked change out.
//! - [`caller`]: who asks, and the most that they may.
//! - [`progress`]: how far a call has come, told to a client that asks.
//! - [`units`]: how moments and times are written.
//! - [`log`]: the root logger.
//! - [`app`]: wires it all and ends it.
//! - [`doctor`]: what is in the way of all that, and how to mend it.
//! - [`demo`]: a private PostgreSQL, and a host's side of a conversation.

pub mod actors;
pub mod app;
pub mod caller;
pub mod demo;
pub mod doctor;
pub mod guard;
pub mod http;
pub mod log;
pub mod mcp;
pub mod messages;
pub mod postgres;
pub mod progress;
pub mod settings;
pub mod tools;
pub mod units;
