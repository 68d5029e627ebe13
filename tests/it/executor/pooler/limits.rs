//! What a DBA has limited, and what a PgBouncer limits by itself.

use super::*;

/// An executor behind a PgBouncer with these further settings, which connects as `clerk`. `set` is what a DBA has done
/// before.
async fn limited(
    mode: &str,
    further: &str,
    set: &str,
    change: impl FnOnce(&mut Settings),
) -> Option<(World, PgBouncer)> {
    let (world, bouncer) = behind_with(mode, &[], further, |settings| {
        settings.postgres.target.user = "clerk".to_owned();
        settings.postgres.pool.min_size = 0;
        change(settings);
    })
    .await?;
    world.prepare("create role clerk login").await;
    world.prepare(set).await;
    Some((world, bouncer))
}

/// Runs this number of short statements at once. Each must be answered.
async fn all_are_answered(world: &World, calls: usize) {
    let calls: Vec<_> =
        (0..calls).map(|n| actix_rt::spawn(world.ask("select pg_sleep(0.02), $1::int", json!([n])))).collect();
    for call in calls {
        call.await.unwrap().unwrap().unwrap();
    }
}

/// Another client of that PgBouncer.
async fn neighbour(bouncer: &PgBouncer) -> Client {
    connect(&bouncer.url().replace("postgres@", "clerk@")).await
}

#[actix_rt::test]
async fn the_stricter_time_limit_of_a_role_holds_and_is_named() {
    let set = "alter role clerk set statement_timeout = '400ms'; \
               alter role clerk set idle_in_transaction_session_timeout = '1h'";
    for mode in ["transaction", "session"] {
        let Some((world, bouncer)) = limited(mode, "", set, |_| {}).await else { return };
        // What others have set does not count.
        for sql in ["set statement_timeout = '1h'", "set statement_timeout = '7ms'"] {
            if mode == "transaction" {
                neighbour(&bouncer).await.batch_execute(sql).await.unwrap();
            }
            assert_eq!(world.rows("show statement_timeout").await, r#"[["400ms"]]"#, "{mode}");
            assert_eq!(world.rows("show idle_in_transaction_session_timeout").await, r#"[["2min"]]"#, "{mode}");
            let text = world.refusal("select pg_sleep(60)").await;
            assert!(text.contains("57014") && text.contains("statement_timeout of 400ms"), "{mode}: {text}");
            assert!(text.contains("for this role (ALTER ROLE … SET)"), "{mode}: {text}");
        }
    }
}

#[actix_rt::test]
async fn calls_wait_for_the_backends_that_a_pooler_may_lend() {
    // PgBouncer lends two backends, as many as the role may have.
    let set = "alter role clerk connection limit 2";
    let change = |settings: &mut Settings| settings.postgres.pool.size = 5;
    let Some((world, _bouncer)) = limited("transaction", "", set, change).await else { return };
    all_are_answered(&world, 20).await;
}

#[actix_rt::test]
async fn calls_wait_for_the_connections_that_a_pooler_takes() {
    let change = |settings: &mut Settings| settings.postgres.pool.size = 5;
    let Some((world, bouncer)) = limited("transaction", "max_client_conn = 2", "select 1", change).await else {
        return;
    };
    assert_eq!(world.rows("select 1").await, "[[1]]");
    let _neighbour = neighbour(&bouncer).await;
    all_are_answered(&world, 20).await;
    let status = world.status().await;
    assert_eq!((status.size, status.size_max), (1, 1), "{status:?}");
}

/// The error names the pooler, and has the SQLSTATE of all errors of PgBouncer itself.
fn is_told(error: &QueryError) {
    let text = error.for_model();
    assert!(text.contains("08P01") && text.contains("A pooler in front of PostgreSQL"), "{text}");
    assert!(text.contains("query_wait_timeout") && error.is_retryable(), "{text}");
}

#[actix_rt::test]
async fn a_pooler_without_a_free_backend_is_told_as_such() {
    for mode in ["transaction", "session"] {
        for is_connected in [true, false] {
            let further = "default_pool_size = 1\nquery_wait_timeout = 1";
            let Some((world, bouncer)) = limited(mode, further, "select 1", |_| {}).await else { return };
            if is_connected && mode == "transaction" {
                assert_eq!(world.rows("select 1").await, "[[1]]");
            }
            let neighbour = neighbour(&bouncer).await;
            neighbour.batch_execute("begin").await.unwrap();
            is_told(&world.query("select 1").await.map(|answered| answered.answer).unwrap_err());
            drop(neighbour);
            until("a backend is free", async || world.query("select 1").await.is_ok()).await;
        }
    }
}

#[actix_rt::test]
async fn a_pooler_that_takes_no_client_at_all_is_told_as_such() {
    let further = "max_client_conn = 1";
    let Some((world, bouncer)) = limited("transaction", further, "select 1", |_| {}).await else { return };
    let _neighbour = neighbour(&bouncer).await;
    is_told(&world.query("select 1").await.map(|answered| answered.answer).unwrap_err());
    let why = world.health().await.why.unwrap();
    assert!(why.contains("a pooler has refused the connection"), "{why}");
}
