//! PostgreSQL as it is seen past the server under test.

use mcp_server_postgres::demo::cluster::PrivateCluster;
use tokio_postgres::{Client, NoTls};

use super::until;

/// A client of PostgreSQL itself, past the server.
pub async fn observer(cluster: &PrivateCluster) -> Client {
    let (client, connection) = tokio_postgres::connect(&cluster.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Wait until so many statements of the server run.
pub async fn until_active(observer: &Client, count: i64) {
    let sql =
        "select count(*) from pg_stat_activity where application_name = 'mcp-server-postgres' and state = 'active'";
    until(&format!("{count} statements run"), async || {
        observer.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == count
    })
    .await;
}
