//! What a failure is said to come from.

use mcp_server_postgres::messages::call::CallContext;
use mcp_server_postgres::postgres::error::Clock;

use super::*;

#[actix_rt::test]
async fn a_write_that_a_standby_refuses_is_told_so() {
    let options = crate::common::postgres::in_english().file("standby.signal", "");
    let world = World::with(options, |settings| settings.access = AccessMode::ReadWrite).await;
    for sql in ["create table t (n int)", "select pg_notify('x', 'y')"] {
        let text = world.refusal(sql).await;
        assert!(text.contains("25006") && text.contains("standby") && text.contains("POSTGRES_HOST"), "{text}");
        assert!(!text.contains("MCP_ACCESS_MODE"), "{text}");
    }
    let text = world.batch(&[("create table t (n int)", json!([]))]).await.unwrap_err().error.for_model();
    assert!(text.contains("standby"), "{text}");
}

#[actix_rt::test]
async fn a_write_that_the_role_s_or_the_database_s_default_refuses_is_told_whose_it_is() {
    let world = World::with(Options::new(), |_| {}).await;
    world.prepare("create role reader login superuser; create table t (n int)").await;
    for (set, words) in [
        ("alter role reader set default_transaction_read_only = on", "ALTER ROLE … SET"),
        ("alter database postgres set default_transaction_read_only = on", "ALTER DATABASE … SET"),
    ] {
        world.prepare(&format!("set default_transaction_read_only = off; {set}")).await;
        let settings = settings_of(&world.cluster, |settings| {
            settings.access = AccessMode::ReadWrite;
            settings.postgres.target.user = "reader".to_owned();
        });
        let (executor, ..) = start(&settings);
        let call = CallContext::new("a test", Caller::stdio());
        let query = Query { call, statement: statement("insert into t values (1)", json!([])), reading: world.reading };
        let text = executor.send(query).await.unwrap().unwrap_err().for_model();
        assert!(text.contains("default_transaction_read_only is on") && text.contains(words), "{text}");
        world.prepare("alter role reader reset default_transaction_read_only").await;
    }
}

#[actix_rt::test]
async fn a_clock_that_runs_out_at_a_lock_names_who_holds_it() {
    let mut world = World::with(Options::new(), |settings| {
        settings.access = AccessMode::ReadWrite;
        settings.postgres.clocks.command_timeout = Duration::from_millis(300);
    })
    .await;
    world.prepare("create table t as select 1 as n").await;
    let holder = connect(&world.cluster.url()).await;
    holder.batch_execute("begin; update t set n = 2").await.unwrap();
    let pid: i32 = holder.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    let error = world.query("update t set n = 3").await.unwrap_err();
    let text = error.for_model();
    assert!(text.contains("waiting for a lock"), "{text}");
    assert!(text.contains(&format!("pid {pid} (idle in transaction")), "{text}");
    assert!(text.contains("POSTGRES_COMMAND_TIMEOUT") && error.is_retryable(), "{text}");
    world.until_backends("active", 0).await;
    // The call's own clock says as much; and so in a batch.
    let call = CallContext { timeout: Some(Duration::from_millis(200)), ..CallContext::new("a test", Caller::stdio()) };
    let query = Query { call, statement: statement("update t set n = 3", json!([])), reading: world.reading };
    let error = world.executor.send(query).await.unwrap().unwrap_err();
    assert!(
        matches!(&error, QueryError::Blocked { clock: Clock::Call { .. }, by, .. } if by[0].pid == pid),
        "{error:?}"
    );
    let error = world.batch(&[("select 1", json!([])), ("update t set n = 3", json!([]))]).await.unwrap_err().error;
    assert!(matches!(&error, QueryError::Blocked { clock: Clock::Command, .. }), "{error:?}");
    holder.batch_execute("rollback").await.unwrap();
    // What waits for nobody is told as before.
    let error = world.query("select pg_sleep(60)").await.unwrap_err();
    assert!(matches!(error, QueryError::TimedOut { clock: Clock::Command, .. }), "{error:?}");
    // Whoever is not to wait is told that it may succeed later.
    holder.batch_execute("begin; update t set n = 2").await.unwrap();
    world.change(|settings| settings.postgres.clocks.command_timeout = seconds(30)).await;
    let error = world.query("select n from t for update nowait").await.unwrap_err();
    assert!(error.for_model().contains("55P03") && error.is_retryable(), "{error}");
}

#[actix_rt::test]
async fn a_cursor_says_what_has_ended_it_and_that_the_query_has_to_run_again() {
    let world = World::with(crate::common::postgres::in_english(), |settings| settings.limits.cursors_max = 1).await;
    world.prepare("create role bystander").await;
    let ends: [(&str, &[&str]); 2] = [
        ("select pg_terminate_backend({pid})", &["57P01", "administrator"]),
        ("do $$begin perform pg_terminate_backend({pid}); end$$", &["57P01", "administrator"]),
    ];
    for (end, words) in ends {
        let (row, cursor) = world.first("select pg_backend_pid() from generate_series(1, 1000)", 1).await;
        world.prepare(&end.replace("{pid}", row.trim_matches(['[', ']']))).await;
        until("its end is noticed", async || !world.log.of("connection lost").is_empty()).await;
        let error = world.fetch(&cursor, 10).await.unwrap().unwrap_err();
        let text = error.for_model();
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
        assert!(text.contains("run the query again") && !text.contains("can be tried again"), "{text}");
        assert!(!error.is_retryable(), "{error:?}");
    }
}

#[actix_rt::test]
async fn an_idle_connection_that_an_administrator_ends_costs_no_call() {
    let world = World::with(Options::new(), |settings| settings.postgres.pool.size = 1).await;
    for _ in 0..3 {
        assert_eq!(world.rows("select 1").await, "[[1]]");
        world
            .prepare("select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = 'test'")
            .await;
    }
}
