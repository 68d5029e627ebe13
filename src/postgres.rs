//! PostgreSQL: connections, statements, values. No actor here: plain async functions and types that the executor uses.
//!
//! Lowest first: [`statement`] and [`error`] are what everybody speaks of, [`params`] makes JSON into parameters,
//! [`history`] and [`prepared`] are what is known of a text, [`connection`] is one connection, [`cleanup`] what has to be
//! undone on it, [`catalog`] what we ask the catalogs ourselves, [`rows`] the way from rows to an answer. On these stand
//! [`run`], which runs a statement on a connection, and [`pool`], which has the connections.

pub mod catalog;
pub mod cleanup;
pub mod connection;
pub mod error;
pub mod history;
pub mod params;
pub mod pool;
pub mod prepared;
pub mod rows;
pub mod run;
pub mod statement;
