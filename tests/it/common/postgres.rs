//! PostgreSQL as it is seen past the server under test.

use pg_private::PrivateCluster;
use tokio_postgres::{Client, NoTls};

use super::until;

/// A client of PostgreSQL itself, past the server.
pub async fn observer(cluster: &PrivateCluster) -> Client {
    let (client, connection) = tokio_postgres::connect(&cluster.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// What makes a test's statement long. Whatever else the server asks (of its role, of functions) is active too, and over
/// before anybody could count on it.
const LONG: &str = r"pg_sleep|generate_series\(1, 1000000\)|pg_advisory_lock_shared";

/// How long a statement has to be there to run: before that it is parsed, and its names are looked up, one after another.
const SETTLED: &str = "20 ms";

/// Wait until so many long statements of the server run.
pub async fn until_active(observer: &Client, count: i64) {
    let sql = "select count(*) from pg_stat_activity \
               where application_name = 'mcp-server-postgres' and state = 'active' and query ~ $1 \
               and clock_timestamp() - query_start > $2::text::interval";
    let settled = if count == 0 { "0" } else { SETTLED };
    until(&format!("{count} statements run"), async || {
        observer.query_one(sql, &[&LONG, &settled]).await.unwrap().get::<_, i64>(0) == count
    })
    .await;
}
