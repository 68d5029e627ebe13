//! PostgreSQL: connections, statements, values. There is no actor here: the executor uses these async functions and
//! types.
//!
//! From the lowest layer up: [`statement`] and [`error`] are the types that all other modules use. [`params`] converts
//! JSON values to parameters. [`history`] and [`prepared`] remember what is known about a statement's text. [`inbox`]
//! keeps PostgreSQL's notices. [`needs`] lists the settings that this server needs in PostgreSQL. [`pooler`] connects
//! through a pooler, [`cancel`] sends cancel requests, `tcp` detects lost connections, and [`login`] opens a connection. [`connection`] is one
//! connection, and [`cleanup`] is what must be undone on it after a call. [`catalog`] has this server's own catalog
//! queries, and [`rows`] turns rows into an answer. Above them, [`run`] runs a statement on a connection, and [`pool`]
//! owns the connections.

pub mod cancel;
pub mod catalog;
pub mod cleanup;
pub mod connection;
pub mod error;
pub mod history;
pub mod inbox;
pub mod login;
pub mod needs;
pub mod params;
pub mod pool;
pub mod pooler;
pub mod prepared;
pub mod rows;
pub mod run;
pub mod statement;
mod tcp;
