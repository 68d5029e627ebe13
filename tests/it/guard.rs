//! Read-only mode against attackers and for honest users. Tables have statements that it must refuse, each with a proof
//! that it does harm on a server without a guard, and statements that it must answer, each with its exact rows.
//!
//! Each table of attacks has two tests that can run alone: one shows what PostgreSQL does with its rows, and one shows
//! what the server under test does.

#![allow(clippy::print_stdout, reason = "a fuzzer tells its seed and its count; it speaks no protocol")]
mod allowed;
mod attack;
mod canary;
mod fuzz;
mod lab;
mod lists;
mod page;
mod refused;
mod served;
mod wires;
