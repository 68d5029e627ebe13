//! PostgreSQL: connections, statements, values. No actor here: plain async functions and types that the executor uses.
//!
//! From the lowest layer up: [`statement`] and [`error`] are the types that all other modules use, [`params`] converts
//! JSON values to parameters, [`history`] and [`prepared`] remember what is known of a statement's text, [`inbox`]
//! keeps what PostgreSQL says besides, [`connection`] is one connection, [`cleanup`] is what must be undone on it after a call, [`catalog`] has this server's own catalog
//! queries, and [`rows`] turns rows into an answer. Above them, [`run`] runs a statement on a connection, and [`pool`]
//! owns the connections.

pub mod catalog;
pub mod cleanup;
pub mod connection;
pub mod error;
pub mod history;
pub mod inbox;
pub mod params;
pub mod pool;
pub mod prepared;
pub mod rows;
pub mod run;
pub mod statement;
