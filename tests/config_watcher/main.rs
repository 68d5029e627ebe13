//! The config watcher: by messages and paused time, and with the real file system.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not tests to clippy")]

#[path = "../common/mod.rs"]
mod common;
mod files;
mod messages;
