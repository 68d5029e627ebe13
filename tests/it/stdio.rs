//! The product: the real binary, over real pipes, on a real PostgreSQL.

mod client;
mod databases;
mod faults;
mod life;
mod log;
mod pooler;
mod protocol;
mod readme;
mod reload;
mod server;

use mcp_server_postgres::tools::TOOLS;
use pg_private::PrivateCluster;
use server::Server;

use crate::common::postgres::{observer, until_active};
use crate::common::until;
