//! `mcp-server-postgres`: a PostgreSQL server for the Model Context Protocol, made of actors.
//!
//! The modules are listed in the order in which a call passes through them. `docs/architecture.md` is the longer map, `actors.md` has
//! the actors, their messages and what always holds.
//!
//! - [`mcp`]: the protocol. A line of stdin or a body over HTTP becomes a message to the session; an answer becomes a line
//!   or a body.
//! - [`http`]: the daemon's connections, and whether a request is let in, on behalf of the [`actors::clients`].
//! - [`actors::session`]: one client and its calls in flight.
//! - [`messages`]: the messages between the actors, and the events.
//! - [`tools`]: the tools, one file each. A tool is its arguments and a function of them.
//! - [`actors::databases`]: which databases there are; a reload adds and removes them.
//! - [`actors::executor`]: one database, its pool, and every statement that runs on it.
//! - [`pg_guard`], a crate of this workspace: decides, before a statement runs, whether it is accepted in read-only mode and
//!   whether it only reads.
//! - [`postgres`]: connections, transactions, parameters, and rows from PostgreSQL's bytes to the answer.
//! - [`actors::metrics`]: what has run, how long it took and how it ended.
//!
//! Other modules:
//!
//! - [`settings`]: what an operator can choose; loaded from its sources and checked once.
//! - [`actors::config_watcher`]: watches the settings' files and sends each checked change to all who need it.
//! - [`caller`]: who makes a call, and with which access mode.
//! - [`progress`]: the progress of a call, for clients that ask for it.
//! - [`tls`]: TLS as a client (of PostgreSQL, of the daemon's health check) and as a server.
//! - [`units`]: how points in time and durations are written.
//! - `random`: random words that cannot be guessed.
//! - [`log`]: the root logger.
//! - [`app`]: starts all parts, joins them and ends them.
//! - [`cli`]: the command line, one file for each subcommand.

pub mod actors;
pub mod app;
pub mod caller;
pub mod cli;
pub mod http;
pub mod log;
pub mod mcp;
pub mod messages;
pub mod postgres;
pub mod progress;
mod random;
pub mod settings;
pub mod tls;
pub mod tools;
pub mod units;
