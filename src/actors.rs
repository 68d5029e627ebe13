//! The actors: each owns some state and handles messages. `actors.md` is the overview.
//!
//! No handler waits. It decides at once and returns a future with its own handles on what it needs.

pub mod clients;
pub mod config_watcher;
pub mod databases;
pub mod executor;
pub mod metrics;
pub mod session;
pub mod wanted;
