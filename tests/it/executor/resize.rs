//! A changed size or timeout keeps the connections of the pool.

use mcp_server_postgres::messages::statements::CloseCursorsOf;
use mcp_server_postgres::postgres::error::Clock;

use super::*;

#[actix_rt::test]
async fn a_changed_size_keeps_the_connections() {
    let mut world = World::with(Options::new(), |settings| settings.postgres.pool.size = 1).await;
    let pid = world.rows("select pg_backend_pid()").await;
    let sleeping = actix_rt::spawn(world.ask("select pg_sleep(60)", json!([])));
    world.until_asleep(1).await;
    let waiting = actix_rt::spawn(world.ask("select 2", json!([])));
    until("it waits", async || world.status().await.waiting == 1).await;
    // A larger pool: the waiting call gets a connection at once, and the running one continues.
    world.change(|settings| settings.postgres.pool.size = 3).await;
    waiting.await.unwrap().unwrap().unwrap();
    world
        .change(|settings| {
            settings.postgres.pool.min_size = 3;
        })
        .await;
    until("the minimum of connections is open", async || world.status().await.size == 3).await;
    // A smaller pool: the idle connections are closed, and the running call continues.
    world
        .change(|settings| {
            settings.postgres.pool.size = 1;
            settings.postgres.pool.min_size = 1;
        })
        .await;
    until("the idle connections are closed", async || world.backends("%").await == 1).await;
    let status = world.status().await;
    assert_eq!((status.generation, status.size_max, status.size), (1, 1, 1));
    world.until_asleep(1).await;
    sleeping.abort();
    assert_ne!(world.rows("select pg_backend_pid()").await, pid, "the cancelled one is not used again");
    assert_eq!(world.log.of("pool settings changed").len(), 3);
    assert!(world.log.of("pool rebuilt").is_empty());
}

#[actix_rt::test]
async fn a_changed_timeout_keeps_the_connections_and_applies_to_them() {
    for access in [AccessMode::ReadOnly, AccessMode::ReadWrite] {
        let mut world = World::with(Options::new(), |settings| {
            settings.access = access;
            settings.postgres.pool.size = 1;
            settings.postgres.clocks.command_timeout = seconds(3);
        })
        .await;
        let pid = world.rows("select pg_backend_pid()").await;
        assert_eq!(world.rows("show statement_timeout").await, r#"[["4s"]]"#);
        world
            .change(|settings| {
                settings.postgres.clocks.command_timeout = seconds(6);
                settings.postgres.clocks.cursor_lifetime = seconds(120);
                settings.postgres.clocks.connect_timeout = seconds(4);
            })
            .await;
        assert_eq!(world.rows("show statement_timeout").await, r#"[["7s"]]"#);
        assert_eq!(world.rows("show idle_in_transaction_session_timeout").await, r#"[["3min"]]"#);
        // After the cleanup of a call the connection has its timeouts again.
        world.query("select set_config('statement_timeout', '1ms', false)").await.unwrap();
        assert_eq!(world.rows("show statement_timeout").await, r#"[["7s"]]"#);
        assert_eq!(world.rows("select pg_backend_pid()").await, pid);
        world.change(|settings| settings.postgres.clocks.command_timeout = Duration::from_millis(200)).await;
        let error = world.query("select pg_sleep(60)").await.unwrap_err();
        assert_eq!(error, QueryError::TimedOut { clock: Clock::Command, after: Duration::from_millis(200) });
        assert_eq!(world.status().await.generation, 1);
    }
}

#[actix_rt::test]
async fn a_cursor_and_a_statement_keep_the_timeouts_that_they_began_with() {
    let mut world = World::new().await;
    let (_, cursor) = world.first("select n from generate_series(1, 100000) n", 10).await;
    world.change(|settings| settings.postgres.clocks.cursor_lifetime = Duration::from_millis(1)).await;
    let (_, cursor) = world.next(&cursor, 10).await;
    assert_eq!(cursor.unwrap().lifetime, seconds(60));
    world.executor.send(CloseCursorsOf { client: Caller::stdio().name }).await.unwrap();
    world.until_backends("idle in transaction", 0).await;
    let (_, cursor) = world.first("select n from generate_series(1, 100000) n", 10).await;
    assert_eq!(cursor.lifetime, Duration::from_millis(1));
}
