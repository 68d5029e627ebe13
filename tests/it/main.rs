//! The integration tests: one program, with a module for each part of the product. `scripts/test.sh -- PART::` runs one
//! part.
//!
//! They run as threads of one process. A test that needs something which a process has only once, such as the root
//! logger, runs in a process of its own: [`in_own_process`](common::own_process). No test changes the environment or
//! the current folder.

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
