//! PostgreSQL as it is seen past the server under test.

use pg_private::{Options, PrivateCluster};
use tokio_postgres::{Client, NoTls};

use super::until;

/// A client of PostgreSQL itself, past the server.
pub async fn observer(cluster: &PrivateCluster) -> Client {
    let (client, connection) = tokio_postgres::connect(&cluster.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A PostgreSQL whose messages are English whatever the other clusters speak, for a test of what a document quotes.
pub fn in_english() -> Options {
    Options::new().setting("lc_messages", "C")
}

/// What makes a test's statement long. Whatever else the server asks (of its role, of functions) is active too, and over
/// before anybody could count on it.
const LONG: &str = r"pg_sleep|generate_series\(1, 1000000\)|pg_advisory_lock_shared";

/// What a long statement is seen by that runs, and is not only parsed: it sleeps, waits for its lock, or has written the
/// rows of `generate_series` to a temporary file, whose name begins with the process.
const RUNS: &str = "(wait_event = 'PgSleep' or wait_event_type = 'Lock' \
                    or exists (select from pg_ls_tmpdir() where name like 'pgsql_tmp' || pid || '.%'))";

/// Wait until so many long statements of the server run. None at all is none that is parsed, either.
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
