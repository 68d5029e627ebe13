//! The daemon's side of HTTP, in the order of a request: a connection is accepted ([`listener`]), shown a certificate
//! ([`crate::tls::server`]) and served for as long as something happens on it (`connection`), its request let in or not ([`gate`]) on
//! behalf of a [`client`], and brought to where its path leads ([`routes`]). [`token`] makes what is shown at the gate.
//!
//! It knows no MCP: `/mcp` goes to [`crate::mcp::http`].

pub mod client;
mod connection;
pub mod gate;
pub mod healthcheck;
mod holding;
pub mod listener;
mod page;
mod process;
pub mod routes;
pub mod seen;
pub mod token;
