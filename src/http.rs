//! The HTTP side of the daemon, in the order of a request. [`listener`] accepts a connection, [`crate::tls::server`]
//! shows it a certificate, and `connection` serves it. [`auth`] decides whether a request is accepted and for which
//! [client](crate::actors::clients). [`paths`] sends it to [`admin`] or to a protocol; this module knows only the path
//! of that protocol, and how a refusal is written ([`json_error`]). [`token`] makes tokens.

pub mod admin;
pub mod auth;
mod connection;
pub mod healthcheck;
pub(crate) mod holding;
pub(crate) mod json_error;
pub mod listener;
mod names;
pub mod paths;
mod process;
pub mod token;

pub use names::Arrival;
