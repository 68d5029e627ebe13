//! Read-only mode as an attacker and as an honest analyst meet it: tables of statements that it must refuse, each proven
//! to do harm where nobody refuses it, and of statements that it must answer, each with its exact rows.
//!
//! Every table has two tests, so that each can be run by itself: what PostgreSQL does with its rows, and what our
//! server does with them.

#![allow(clippy::print_stdout, reason = "a fuzzer tells its seed and its count; it speaks no protocol")]
mod allowed;
mod attack;
mod fuzz;
mod lab;
mod page;
mod refused;
mod served;
