//! The actors: who holds state, and what each of them hears. `actors.md` is their map.
//!
//! No actor waits. A handler decides at once and returns a future with its own handles on what it needs.

pub mod clients;
pub mod config_watcher;
pub mod databases;
pub mod executor;
pub mod metrics;
pub mod session;
pub mod wanted;
