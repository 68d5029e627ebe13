//! A changed setting rebuilds the pool, and no call sees it.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use mcp_server_postgres::messages::statements::OpenPool;

use super::*;

/// Calls in flight at any moment of the reload.
const IN_FLIGHT: usize = 200;

#[actix_rt::test]
async fn ten_reloads_under_two_hundred_calls_in_flight_fail_none_of_them() {
    let mut world = World::with(Options::new(), |settings| {
        settings.postgres.pool_size = 4;
        settings.postgres.pool_wait_timeout = seconds(60);
    })
    .await;
    let sql = "select pg_sleep(0.002), count(*) from pg_class";
    let mut in_flight: FuturesUnordered<_> = (0..IN_FLIGHT).map(|_| world.ask(sql, json!([]))).collect();
    let mut answered = [0_usize; 12];
    for reload in 1..=10 {
        world.change(|settings| settings.postgres.pool_size = 4 + reload % 3).await;
        while answered[reload + 1] == 0 {
            let answer = in_flight.next().await.unwrap().unwrap().unwrap_or_else(|error| panic!("{error}"));
            answered[answer.generation as usize] += 1;
            in_flight.push(world.ask(sql, json!([])));
            assert_eq!(in_flight.len(), IN_FLIGHT);
        }
    }
    while let Some(answer) = in_flight.next().await {
        answered[answer.unwrap().unwrap().generation as usize] += 1;
    }
    assert!(answered[1..].iter().all(|&calls| calls > 0), "{answered:?}");
    let pool_size = world.settings.postgres.pool_size as i64;
    until("the old pools' connections are gone", async || world.backends("%").await <= pool_size).await;
    assert_eq!(world.log.of("pool rebuilt").len(), 10);
    until("ten pools are closed", async || world.log.of("pool closed").len() == 10).await;
}

#[actix_rt::test]
async fn a_statement_under_way_finishes_on_the_old_pool() {
    let mut world = World::with(Options::new(), |settings| settings.postgres.pool_size = 1).await;
    let (held, holder) = (connect(&world.cluster.url()).await, "select pg_advisory_lock_shared(7)");
    held.batch_execute("select pg_advisory_lock(7)").await.unwrap();
    let slow = world.ask(holder, json!([]));
    let slow = actix_rt::spawn(slow);
    world.until_backends("active", 1).await;
    world.change(|settings| settings.postgres.pool_size = 2).await;
    until("the pool is new", async || world.status().await.generation == 2).await;
    assert_eq!(world.query("select 1").await.unwrap().generation, 2);
    held.batch_execute("select pg_advisory_unlock(7)").await.unwrap();
    assert_eq!(slow.await.unwrap().unwrap().unwrap().generation, 1);
}

#[actix_rt::test]
async fn a_wrong_password_keeps_the_old_pool_and_is_told_once() {
    let mut world = World::with(Options::new().password("right"), |settings| {
        settings.postgres.password = password("right");
        settings.postgres.pool_size = 2;
    })
    .await;
    world.change(|settings| settings.postgres.password = password("wrong")).await;
    until("the refusal is logged", async || !world.log.of("pool not rebuilt").is_empty()).await;
    let line = world.log.of("pool not rebuilt").concat();
    assert!(line.contains("28P01") && line.contains("password authentication failed"), "{line}");
    assert!(!line.contains("wrong"), "{line}");
    for _ in 0..5 {
        assert_eq!(world.query("select 1").await.unwrap().generation, 1);
    }
    assert_eq!(world.log.of("pool not rebuilt").len(), 1, "asking again could lock the account");

    world
        .change(|settings| {
            settings.postgres.password = password("right");
            settings.postgres.pool_size = 3;
        })
        .await;
    until("the pool is new", async || world.status().await.size_max == 3).await;
    assert_eq!(world.query("select 1").await.unwrap().generation, 2);
}

#[actix_rt::test]
async fn a_change_taken_back_before_its_probe_ended_leaves_the_pool_as_it_was() {
    let mut world = World::with(Options::new(), |settings| settings.postgres.connect_timeout = seconds(2)).await;
    world.query("select 1").await.unwrap();
    // Nobody listens on this port.
    world.change(|settings| settings.postgres.ports = vec![1]).await;
    until("the failure is logged", async || !world.log.of("pool not rebuilt").is_empty()).await;
    let port = world.cluster.port();
    world.change(|settings| settings.postgres.ports = vec![port]).await;
    assert_eq!(world.query("select 1").await.unwrap().generation, 1);
}

#[actix_rt::test]
async fn a_change_of_what_is_none_of_the_pools_keeps_the_pool() {
    let mut world = World::with(Options::new(), |settings| settings.postgres.pool_size = 1).await;
    let backend = world.rows("select pg_backend_pid()").await;
    world
        .change(|settings| {
            settings.log.level = slog::Level::Debug;
            settings.limits.rows_max = 1;
            settings.metrics.history_max = 1;
        })
        .await;
    assert_eq!(world.rows("select pg_backend_pid()").await, backend);
    assert_eq!(world.status().await.generation, 1);
}

#[actix_rt::test]
async fn only_the_newest_of_several_changes_is_built() {
    let mut world = World::new().await;
    world.query("select 1").await.unwrap();
    for size in 3..=9 {
        world.change(|settings| settings.postgres.pool_size = size).await;
    }
    until("the newest is there", async || world.status().await.size_max == 9).await;
    until("no backend is left over", async || world.backends("%").await <= 2).await;
    assert_eq!(world.log.of("pool rebuilt").len(), 1);
}

#[actix_rt::test]
async fn what_became_of_a_pool_that_a_reload_wants_is_told_to_the_metrics() {
    let mut world = World::new().await;
    world.change(|settings| settings.postgres.pool_size += 1).await;
    let told = world.rebuilt.next().await.message;
    assert_eq!((&*told.database, told.result), ("main", Ok(2)));
    world.change(|settings| settings.postgres.database = "nowhere".to_owned()).await;
    let told = world.rebuilt.next().await.message;
    assert!(told.result.as_ref().unwrap_err().contains("nowhere"), "{told:?}");
}

#[actix_rt::test]
async fn an_added_database_is_reached_when_its_executor_is_told_to_and_says_why_it_cannot_be() {
    let mut cluster = Options::new().start().unwrap();
    let added = |settings: &Settings| {
        let (log, lines) = heard();
        let parser = parser(&log);
        let executor = Executor::new(MAIN_DATABASE, settings, parser, Events::default(), TaskTracker::new(), &log);
        (executor.unwrap().awaited().start(), lines)
    };
    let (executor, lines) = added(&settings_of(&cluster, |settings| settings.postgres.pool_min_size = 2));
    assert_eq!(executor.send(OpenPool).await.unwrap(), Ok(()));
    assert_eq!(executor.send(Status).await.unwrap().pool.size, 2);
    assert_eq!(lines.of("connection opened").len(), 2, "none was opened before");

    let nowhere = settings_of(&cluster, |settings| settings.postgres.database = "nowhere".to_owned());
    let (executor, lines) = added(&nowhere);
    let refused = executor.send(OpenPool).await.unwrap().unwrap_err();
    assert_eq!((refused.why.as_str(), refused.is_retryable), ("there is no such database (SQLSTATE 3D000)", false));
    assert!(lines.of("the added database cannot be served yet").concat().contains("nowhere"));

    let (executor, _) = added(&settings_of(&cluster, |_| {}));
    cluster.stop().unwrap();
    let unreachable = executor.send(OpenPool).await.unwrap().unwrap_err();
    assert!(unreachable.is_retryable && !unreachable.why.contains("127.0.0.1"), "{}", unreachable.why);
    cluster.start_again().unwrap();
    assert_eq!(executor.send(OpenPool).await.unwrap(), Ok(()));
}
