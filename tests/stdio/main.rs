//! The product: the real binary, over real pipes, on a real PostgreSQL.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not tests to clippy")]

#[path = "../common/mod.rs"]
mod common;

mod client;
mod faults;
mod life;
mod log;
mod protocol;
mod reload;
mod server;

use mcp_server_postgres::demo::cluster::PrivateCluster;
use mcp_server_postgres::tools::TOOLS;
use server::Server;
use tokio_postgres::{Client, NoTls};

use common::until;

/// A client of PostgreSQL itself, past the server.
async fn observer(cluster: &PrivateCluster) -> Client {
    let (client, connection) = tokio_postgres::connect(&cluster.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Wait until so many statements of the server run.
async fn until_active(observer: &Client, count: i64) {
    let sql =
        "select count(*) from pg_stat_activity where application_name = 'mcp-server-postgres' and state = 'active'";
    until(&format!("{count} statements run"), async || {
        observer.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == count
    })
    .await;
}
