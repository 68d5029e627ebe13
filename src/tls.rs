//! TLS on both sides: [`client`] says which certificates of a server are taken, [`server`] what a client is shown.

pub mod client;
pub mod server;
