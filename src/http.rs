//! The daemon's side of HTTP, in the order of a request: a connection is accepted ([`listener`]), shown a certificate
//! ([`crate::tls::server`]) and served for as long as something happens on it (`connection`), its request let in or not
//! ([`auth`]) on behalf of a [client](crate::actors::clients), and brought to where its path leads: to [`admin`], or to a
//! protocol, of which this knows no more than its path and how a refusal is written ([`json_error`]). [`paths`] puts the
//! paths together. [`token`] makes tokens.

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
