//! The product: the real binary, over real pipes, on a real PostgreSQL.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not tests to clippy")]

#[path = "../common/mod.rs"]
mod common;

mod client;
mod faults;
mod life;
mod log;
mod protocol;
mod readme;
mod reload;
mod server;

use mcp_server_postgres::demo::cluster::PrivateCluster;
use mcp_server_postgres::tools::TOOLS;
use server::Server;

use common::postgres::{observer, until_active};
use common::until;
