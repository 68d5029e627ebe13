//! The integration tests: one program, a module for each part of the product. `scripts/test.sh -- PART::` runs one.
//!
//! They run as threads of one process. A test of what a process has one of (its logger) runs in a process of its own:
//! [`in_own_process`](common::own_process). None changes the environment or the current folder.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not tests to clippy")]

mod common;
mod config_watcher;
mod databases;
mod demo;
mod doctor;
mod encode;
mod executor;
mod gate;
mod guard;
mod http;
mod layers;
mod listener;
mod log;
mod metrics;
mod session;
mod settings;
mod stdio;
mod tidy;
