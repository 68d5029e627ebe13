//! PostgreSQL: connections, statements, values. No actor here: plain async functions and types that the executor uses.
//!
//! In the order of a request: [`history`] (how much it gave before), [`pool`] (whose queue gives a lease on a
//! [`connection`]), [`params`] (JSON → PostgreSQL), [`run`] (the transaction around it), [`reader`] (its rows, a page at a
//! time), [`page`] and [`pg_render`] (PostgreSQL → answer), `foreign` (what only it can show), [`error`]. [`cleanup`] is
//! what has to be undone when the call is over. [`catalog`] has the questions of our own.

pub mod catalog;
pub mod cleanup;
pub mod connection;
pub mod error;
mod foreign;
pub mod history;
pub mod page;
pub mod params;
pub mod pool;
pub mod reader;
pub mod run;
