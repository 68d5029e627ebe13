//! What a DBA has limited stays limited.

use mcp_server_postgres::postgres::pool::health::HealthState;

use super::*;

/// A role that is no superuser, and an executor that connects by it. `set` is what a DBA has done before.
async fn limited(set: &[&str], change: impl FnOnce(&mut Settings)) -> World {
    let mut world = World::with(crate::common::postgres::in_english(), |_| {}).await;
    world.prepare("create role clerk login; grant all on schema public to clerk").await;
    for sql in set {
        world.prepare(sql).await;
    }
    let settings = settings_of(&world.cluster, |settings| {
        settings.access = AccessMode::ReadWrite;
        settings.postgres.target.user = "clerk".to_owned();
        settings.postgres.pool.min_size = 0;
        change(settings);
    });
    let (executor, (finished, rebuilt), log) = start(&settings);
    (world.executor, world.finished, world.rebuilt, world.log) = (executor, finished, rebuilt, log);
    world.settings = Arc::new(settings);
    world
}

#[actix_rt::test]
async fn the_stricter_time_limit_holds_and_an_error_says_whose_it_was() {
    for (set, words) in [
        ("alter role clerk set statement_timeout = '400ms'", "for this role (ALTER ROLE … SET)"),
        ("alter database postgres set statement_timeout = '400ms'", "for this database (ALTER DATABASE … SET)"),
        (
            "alter role clerk in database postgres set statement_timeout = '400ms'",
            "for this role in this database (ALTER ROLE … IN DATABASE … SET)",
        ),
        ("select 1", "by POSTGRES_OPTIONS"),
    ] {
        let world = limited(&[set], |settings| {
            if words.contains("OPTIONS") {
                settings.postgres.target.options = Some("-c statement_timeout=400ms".to_owned());
            }
        })
        .await;
        // It holds on a connection that is new, and on one that was cleaned.
        for _ in 0..2 {
            assert_eq!(world.rows("show statement_timeout").await, r#"[["400ms"]]"#, "{set}");
            let text = world.refusal("select pg_sleep(60)").await;
            assert!(text.contains("57014") && text.contains("statement_timeout of 400ms"), "{text}");
            assert!(text.contains(words), "{text}");
        }
        let text = world.batch(&[("select pg_sleep(60)", json!([]))]).await.unwrap_err().error.for_model();
        assert!(text.contains(words), "{text}");
    }
}

#[actix_rt::test]
async fn a_limit_that_is_wider_than_ours_is_replaced_by_ours_and_the_others_are_left() {
    let set = [
        "alter role clerk set statement_timeout = '1h'",
        "alter role clerk set idle_in_transaction_session_timeout = '7s'",
        "alter role clerk set lock_timeout = '300ms'",
    ];
    let mut world = limited(&set, |settings| settings.postgres.clocks.command_timeout = seconds(9)).await;
    world.prepare("create table t as select 1 as n; grant all on t to clerk").await;
    for command_timeout in [9, 20, 3] {
        world.change(|settings| settings.postgres.clocks.command_timeout = seconds(command_timeout)).await;
        for _ in 0..2 {
            let ours = format!(r#"[["{}s"]]"#, command_timeout + 1);
            assert_eq!(world.rows("show statement_timeout").await, ours);
            assert_eq!(world.rows("show idle_in_transaction_session_timeout").await, r#"[["7s"]]"#);
            assert_eq!(world.rows("show lock_timeout").await, r#"[["300ms"]]"#);
        }
    }
    let holder = connect(&world.cluster.url()).await;
    holder.batch_execute("begin; update t set n = 2").await.unwrap();
    let error = world.query("update t set n = 3").await.unwrap_err();
    let text = error.for_model();
    assert!(text.contains("55P03") && text.contains("lock_timeout of 300ms, set for this role"), "{text}");
    assert!(error.is_retryable());
    let text = world.refusal("select n from t for update nowait").await;
    assert!(text.contains("55P03") && !text.contains("lock_timeout"), "{text}");
}

#[actix_rt::test]
async fn a_cursor_that_a_limit_of_the_server_ends_says_so() {
    let world = limited(&["alter role clerk set idle_in_transaction_session_timeout = '100ms'"], |settings| {
        settings.limits.cursors_max = 1;
    })
    .await;
    let (_, cursor) = world.first("select n from generate_series(1, 1000) n", 1).await;
    until("its end is noticed", async || !world.log.of("connection lost").is_empty()).await;
    let error = world.fetch(&cursor, 10).await.unwrap().unwrap_err();
    let text = error.for_model();
    assert!(text.contains("25P03") && text.contains("limit of the database server"), "{text}");
    assert!(text.contains("run the query again") && !error.is_retryable(), "{text}");
}

#[actix_rt::test]
async fn calls_wait_for_the_connections_that_a_role_may_have() {
    for set in ["alter role clerk connection limit 2", "alter database postgres connection limit 2"] {
        let world = limited(&[set], |settings| settings.postgres.pool.size = 5).await;
        let calls: Vec<_> =
            (0..20).map(|n| actix_rt::spawn(world.ask("select pg_sleep(0.02), $1::int", json!([n])))).collect();
        for call in calls {
            call.await.unwrap().unwrap().unwrap();
        }
        let health = world.health().await;
        assert!(health.pool.size <= 2 && health.pool.size_max <= 2, "{:?}", health.pool);
        assert_eq!(health.state, HealthState::Degraded);
        let why = health.why.unwrap();
        assert!(why.contains("53300") && why.contains("POSTGRES_POOL_SIZE is 5"), "{why}");
    }
}

#[actix_rt::test]
async fn a_call_waits_for_a_connection_that_others_have_until_its_pool_s_clock() {
    let world = limited(&["alter role clerk connection limit 1"], |settings| {
        settings.postgres.clocks.pool_wait_timeout = Duration::from_millis(300);
    })
    .await;
    let url = world.cluster.url().replace("postgres@", "clerk@");
    let other = connect(&url).await;
    let error = world.query("select 1").await.unwrap_err();
    assert!(error.for_model().contains("53300") && error.is_retryable(), "{error}");
    let mut world = world;
    world.change(|settings| settings.postgres.clocks.pool_wait_timeout = PATIENCE).await;
    let call = actix_rt::spawn(world.ask("select 42", json!([])));
    tokio::task::yield_now().await;
    drop(other);
    assert_eq!(call.await.unwrap().unwrap().unwrap().answer.page.json, "[42]");
}
