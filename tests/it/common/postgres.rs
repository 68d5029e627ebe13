//! PostgreSQL itself, without the server under test.

use pg_private::{Options, PrivateCluster};
use tokio_postgres::{Client, NoTls};

use super::until;

/// A direct connection to PostgreSQL.
pub async fn observer(cluster: &PrivateCluster) -> Client {
    let (client, connection) = tokio_postgres::connect(&cluster.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// The options for a PostgreSQL with English messages, for tests of messages that a document quotes.
pub fn in_english() -> Options {
    Options::new().setting("lc_messages", "C")
}

/// Finds the long statements of the tests. The catalog queries of the server are active too, but not for long.
const LONG: &str = r"pg_sleep|generate_series\(1, 1000000\)|pg_advisory_lock_shared";

/// Finds statements that really run, and are not only parsed: they sleep, wait for a lock, or have written rows of
/// `generate_series` to a temporary file, whose name begins with the process id.
const RUNS: &str = "(wait_event = 'PgSleep' or wait_event_type = 'Lock' \
                    or exists (select from pg_ls_tmpdir() where name like 'pgsql_tmp' || pid || '.%'))";

/// Waits until the server runs this number of long statements. For 0, none may be parsed either.
pub async fn until_active(observer: &Client, count: i64) {
    let runs = if count == 0 { "true" } else { RUNS };
    let sql = format!(
        "select count(*) from pg_stat_activity \
         where application_name = 'mcp-server-postgres' and state = 'active' and query ~ $1 and {runs}"
    );
    until(&format!("{count} statements run"), async || {
        observer.query_one(&sql, &[&LONG]).await.unwrap().get::<_, i64>(0) == count
    })
    .await;
}
