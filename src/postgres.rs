//! PostgreSQL: connections, statements, values. No actor here: plain async functions and types that the executor uses.
//!
//! In the order of a request: [`history`] (how much it gave before), [`pool`] (whose queue gives a [`lease`] on a
//! [`connection`], which `dial` opens), [`params`] (JSON → PostgreSQL), [`run`] (the transaction around it), [`reader`]
//! (its rows, a page at a time), [`page`] and [`pg_render`] (PostgreSQL → answer), `foreign` (what only it can show),
//! [`error`]. [`catalog`] has the questions of our own. Beside it, [`health`] knows whether the database can be reached.

pub mod catalog;
pub mod connection;
mod dial;
pub mod error;
mod foreign;
pub mod health;
pub mod history;
pub mod lease;
pub mod page;
pub mod params;
pub mod pool;
pub mod reader;
pub mod run;
