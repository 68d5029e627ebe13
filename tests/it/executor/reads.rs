//! Reads in read-write mode. They are recognised, run READ ONLY, are sent again when their connection is lost, and need
//! no cleanup. Also statements that only seem to read.

use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc;
use tokio_postgres::AsyncMessage;

use super::*;

/// A table, and functions that are declared not to write. Some of them write nevertheless.
async fn world() -> World {
    let world = World::with(Options::new(), |settings| {
        settings.access = AccessMode::ReadWrite;
        settings.postgres.pool.min_size = 0;
    })
    .await;
    world
        .prepare(
            "create table t (n int); insert into t values (1), (2);
             create function adds() returns int volatile language sql as 'insert into t values (9) returning n';
             create function tells() returns void stable language plpgsql as 'begin perform pg_notify(''news'', ''x''); end'",
        )
        .await;
    world
}

/// The last statement of the backend.
async fn last_asked(world: &World) -> String {
    world.until_backends("idle", 1).await;
    world.observed("select query from pg_stat_activity where application_name = 'test'").await
}

#[actix_rt::test]
async fn only_a_read_runs_in_a_read_only_transaction() {
    let world = world().await;
    let mode = "current_setting('transaction_read_only')";
    for (sql, is_read_only) in [
        (format!("select {mode}"), "on"),
        (format!("select {mode} from t limit 1"), "on"),
        (format!("with w as (select * from t) select {mode} from w limit 1"), "on"),
        (format!("values ({mode})"), "on"),
        ("show transaction_read_only".to_owned(), "on"),
        (format!("select {mode} from t limit 1 for update"), "off"),
        (format!("insert into t values (3) returning {mode}"), "off"),
        (format!("with w as (insert into t values (4) returning n) select {mode} from w"), "off"),
        (format!("select {mode} from adds()"), "off"),
        (format!("select {mode} from nextval(pg_get_serial_sequence('nothing', 'n'))"), "off"),
        (format!("select {mode} from (select pg_sleep(0)) s"), "off"),
    ] {
        // The first run is not judged yet, the second is, and the third is prepared.
        for time in 0..4 {
            match world.query(&sql).await {
                Ok(answered) => {
                    assert_eq!(answered.answer.page.json, format!("[\"{is_read_only}\"]"), "{sql}, {time}");
                }
                Err(error) => assert!(sql.contains("'nothing'") && error.sqlstate() == Some("42P01"), "{error}"),
            }
        }
    }
}

#[actix_rt::test]
async fn after_a_read_that_leaves_no_state_nothing_is_cleaned() {
    let world = world().await;
    for sql in ["select n from t order by n", "select 1", "select upper('a'), now() is not null"] {
        for time in 0..4 {
            world.query(sql).await.unwrap();
            let last = last_asked(&world).await;
            assert!(last == "COMMIT; " || last == "COMMIT", "{sql}, {time}: {last}");
        }
    }
    world.query("insert into t values (3)").await.unwrap();
    until("it is cleaned", async || last_asked(&world).await.contains("pg_advisory_unlock_all")).await;
    assert_eq!(world.log.of("notice from PostgreSQL; severity=WARNING").len(), 0, "no COMMIT without a transaction");
}

#[actix_rt::test]
async fn a_read_is_sent_once_more_after_a_lost_connection_and_a_write_is_not() {
    let mut world = world().await;
    let holder = connect(&world.cluster.url()).await;
    let kill = "select pg_terminate_backend(pid, 5000) from pg_stat_activity \
                where wait_event_type = 'Lock' and application_name = 'test'";
    for (sql, is_read) in [
        ("select n from t order by n", true),
        ("select n from t order by n", true),
        ("select count(n) from t where n < 3 group by n > 0", true),
        ("select n from t order by n for update", false),
        ("update t set n = n", false),
    ] {
        holder.batch_execute("begin; lock table t").await.unwrap();
        let asked = actix_rt::spawn(world.ask(sql, json!([])));
        until("it waits", async || world.observer.query_opt(kill, &[]).await.unwrap().is_some()).await;
        holder.batch_execute("commit").await.unwrap();
        let result = asked.await.unwrap().unwrap();
        let finished = world.finished.next().await.message;
        if is_read {
            assert!(result.is_ok(), "{sql}: {result:?}");
            assert_eq!(finished.retries, 1, "{sql}");
        } else {
            assert_eq!(result.unwrap_err().sqlstate(), Some("57P01"), "{sql}");
            assert_eq!(finished.retries, 0, "{sql}");
        }
    }
}

#[actix_rt::test]
async fn a_supposed_read_that_writes_is_run_again_as_a_write() {
    let mut world = world().await;
    world.prepare("create view v as select n from t where n > 8").await;
    let sql = "select n from v";
    for _ in 0..3 {
        assert_eq!(world.rows(sql).await, "[]");
        world.finished.next().await;
    }
    // It is still cached as a read.
    world.prepare("create or replace view v as select adds() as n").await;
    for count in 1..4_i64 {
        assert_eq!(world.rows(sql).await, "[[9]]");
        assert!(matches!(
            world.finished.next().await.message.outcome,
            mcp_server_postgres::messages::events::StatementOutcome::Done
        ));
        assert_eq!(world.observed::<i64>("select count(*) from t where n = 9").await, count, "once each time");
    }
    assert_eq!(world.log.of("run again as what may write").len(), 1, "it is known then");
}

#[actix_rt::test]
async fn the_effects_of_a_function_that_is_declared_to_read_are_committed() {
    // With all rows read, and with some rows left.
    let world = world().await;
    let mut news = News::of(&world).await;
    for _ in 0..4 {
        world.query("select tells()").await.unwrap();
        assert_eq!(news.next().await, "x");
    }
    let (rows, cursor) = world.first("select tells()::text, n from generate_series(1, 3) n", 1).await;
    assert_eq!(rows, r#"[["",1]]"#);
    assert_eq!(world.next(&cursor, 100).await.0, r#"[["",2],["",3]]"#);
    assert_eq!(news.next().await, "x");
    // If the answer cannot be shown, nothing is committed.
    world.prepare("create function tells(what text) returns void stable language plpgsql as 'begin perform pg_notify(''news'', what); end'").await;
    let too_deep = format!("select tells('lost')::text, {}1{}", "row(".repeat(70), ")".repeat(70));
    let error = world.query(&too_deep).await.unwrap_err();
    assert!(matches!(error, QueryError::Undecodable { .. }), "{error}");
    world.query("select tells('told')").await.unwrap();
    assert_eq!(news.next().await, "told");
}

/// The notifications on the channel `news`.
struct News {
    _listener: Client,
    heard: mpsc::UnboundedReceiver<String>,
}

impl News {
    async fn of(world: &World) -> Self {
        let (listener, mut connection) = tokio_postgres::connect(&world.cluster.url(), NoTls).await.unwrap();
        let (hears, heard) = mpsc::unbounded_channel();
        actix_rt::spawn(async move {
            let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
            while let Some(Ok(message)) = messages.next().await {
                if let AsyncMessage::Notification(notification) = message {
                    hears.send(notification.payload().to_owned()).unwrap();
                }
            }
        });
        listener.batch_execute("listen news").await.unwrap();
        Self { _listener: listener, heard }
    }

    async fn next(&mut self) -> String {
        self.heard.recv().await.unwrap()
    }
}
