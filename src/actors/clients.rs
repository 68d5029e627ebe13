//! The clients of the daemon: who they are, what they may do, and when they end.

pub mod access;
pub mod client;
pub mod registry;
