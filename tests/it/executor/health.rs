//! The health of a database: a failure and a return are noticed.

use mcp_server_postgres::postgres::pool::health::HealthState;
use mcp_server_postgres::settings::TargetSessionAttrs;

use super::*;

impl World {
    async fn until_state(&self, state: HealthState) -> DatabaseStatus {
        until(&format!("it is {state:?}"), async || self.health().await.state == state).await;
        self.health().await
    }
}

#[actix_rt::test]
async fn a_reachable_database_is_up_at_the_first_request() {
    for pool_min_size in [0, 2] {
        let world = World::with(Options::new(), |settings| settings.postgres.pool.min_size = pool_min_size).await;
        let status = world.health().await;
        assert_eq!((status.state, &status.why, status.next_try), (HealthState::Up, &None, None));
        assert_eq!((status.access, status.draining), (AccessMode::ReadOnly, 0));
        // One connection was opened, however often the status was requested.
        for _ in 0..20 {
            assert_eq!(world.health().await.since, status.since);
        }
        assert_eq!(world.log.of("connection opened").len(), pool_min_size.max(1));
    }
}

#[actix_rt::test]
async fn a_failure_and_a_return_are_noticed_without_calls() {
    let mut world = World::new().await;
    world.until_state(HealthState::Up).await;
    world.cluster.stop().unwrap();
    // There was no request since, so a call finds it out.
    let error = world.query("select 1").await.unwrap_err();
    assert!(matches!(error, QueryError::Unavailable { .. }), "{error}");
    let down = world.until_state(HealthState::Down).await;
    let why = down.why.unwrap();
    assert!(why.contains("could not connect to PostgreSQL") && !why.contains("127.0.0.1"), "{why}");
    until("the next try is known", async || world.health().await.next_try.is_some()).await;
    let line = world.log.of("database is not as it should be").pop().unwrap();
    assert!(line.contains(&format!("127.0.0.1:{}", world.cluster.port())), "the operator reads where: {line}");
    world.cluster.start_again().unwrap();
    // There is no request for the status and no call: the executor tries again by itself.
    world.log.next("database is not as it should be").await;
    world.log.next("database is up").await;
    let up = world.health().await;
    assert_eq!((up.state, up.why, up.next_try), (HealthState::Up, None, None));
    assert!(up.since > down.since);
}

#[actix_rt::test]
async fn a_call_to_a_lost_database_is_tried_at_once_and_its_outcome_counts() {
    let mut world = World::new().await;
    world.until_state(HealthState::Up).await;
    world.cluster.stop().unwrap();
    world.query("select 1").await.unwrap_err();
    world.until_state(HealthState::Down).await;
    world.cluster.start_again().unwrap();
    assert_eq!(world.rows("select 1").await, "[[1]]");
    assert_eq!(world.health().await.state, HealthState::Up);
}

#[actix_rt::test]
async fn after_a_lost_connection_the_next_status_checks_the_database() {
    let mut world = World::with(Options::new(), |settings| settings.postgres.pool.size = 1).await;
    let running = actix_rt::spawn(world.ask("select pg_sleep(60) from pg_class", json!([])));
    world.until_asleep(1).await;
    world.cluster.stop().unwrap();
    running.await.unwrap().unwrap().unwrap_err();
    assert_eq!(world.until_state(HealthState::Down).await.draining, 0);
}

#[actix_rt::test]
async fn a_database_is_degraded_while_only_its_open_connections_work() {
    let options = Options::new().setting("max_connections", "10").setting("superuser_reserved_connections", "0");
    let world = World::with(options, |settings| settings.postgres.pool.size = 3).await;
    until("one is in the pool", async || world.status().await.idle == 1).await;
    let sleeping = actix_rt::spawn(world.ask("select pg_sleep(60)", json!([])));
    world.until_asleep(1).await;
    // All connections that the server allows, except for the observer.
    let mut others = Vec::new();
    while let Ok((other, connection)) = tokio_postgres::connect(&world.cluster.url(), NoTls).await {
        actix_rt::spawn(connection);
        others.push(other);
    }
    let text = world.refusal("select 1").await;
    assert!(text.contains("53300"), "{text}");
    sleeping.abort();
    let status = world.until_state(HealthState::Degraded).await;
    let why = status.why.unwrap();
    // How many it takes is told as long as one of them is open.
    assert!(why.starts_with("it takes no more connections") && why.contains("53300"), "{why}");
    world.query("select 1").await.ok();
    drop(others);
    world.until_state(HealthState::Up).await;
    assert!(world.backends("%").await <= 3);
}

#[actix_rt::test]
async fn a_refused_login_is_not_tried_again_soon() {
    let world = World::with(Options::new().password("right"), |settings| {
        settings.postgres.target.password = password("wrong");
    })
    .await;
    let status = world.until_state(HealthState::Down).await;
    until("the next try is known", async || world.health().await.next_try.is_some()).await;
    assert_eq!(status.why.unwrap(), "the login was refused (SQLSTATE 28P01)");
    assert!(world.health().await.next_try.unwrap() > seconds(60));
}

#[actix_rt::test]
async fn a_failed_reload_is_reported_while_the_old_pool_serves() {
    let mut world = World::new().await;
    world.until_state(HealthState::Up).await;
    let port = world.cluster.port();
    // No server listens on this port.
    world.change(|settings| settings.postgres.target.ports = vec![1]).await;
    let status = world.until_state(HealthState::Degraded).await;
    let why = status.why.unwrap();
    assert!(why.starts_with("a pool of the changed settings cannot be made") && why.contains("refused"), "{why}");
    assert_eq!((status.pool.generation, world.rows("select 1").await), (1, "[[1]]".to_owned()));
    world.change(|settings| settings.postgres.target.ports = vec![port]).await;
    assert_eq!(world.health().await.state, HealthState::Up);
}

#[actix_rt::test]
async fn old_pools_are_counted_while_a_statement_runs_on_them() {
    let mut world = World::with(Options::new(), |settings| settings.postgres.pool.size = 1).await;
    let mut running = Vec::new();
    for size in 2..4 {
        running.push(actix_rt::spawn(world.ask("select pg_sleep(60)", json!([]))));
        world.until_asleep(size - 1).await;
        world.change(|settings| settings.postgres.target.options = Some(format!("-c work_mem={size}MB"))).await;
        until("the pool is new", async || world.status().await.generation == size as u64).await;
        assert_eq!(world.health().await.draining, size as usize - 1);
    }
    running.iter().for_each(|call| call.abort());
    until("they are closed", async || world.health().await.draining == 0).await;
}

#[actix_rt::test]
async fn connections_to_a_former_primary_are_not_used_any_more() {
    let world = World::with(Options::new(), |settings| {
        settings.access = AccessMode::ReadWrite;
        settings.postgres.target.target_session_attrs = TargetSessionAttrs::ReadWrite;
        settings.postgres.pool.size = 3;
        settings.postgres.pool.min_size = 3;
    })
    .await;
    world.prepare("create table t (n int)").await;
    until("all are in the pool", async || world.status().await.idle == 3).await;
    // This is what a standby does: it refuses each write, on every open connection.
    world.prepare("alter database postgres set default_transaction_read_only = on").await;
    let refuse = "select set_config('transaction_read_only', 'on', true)";
    let error = world.batch(&[(refuse, json!([])), ("insert into t values (1)", json!([]))]).await.unwrap_err().error;
    assert_eq!(error.sqlstate(), Some("25006"), "{error}");
    until("they are gone", async || world.backends("%").await == 0).await;
    let told = &world.log.of("idle connections thrown away")[0];
    assert!(told.contains("idle=2") && told.contains("no primary any more"), "{told}");
    world.prepare("alter database postgres reset default_transaction_read_only").await;
    world.query("insert into t values (1)").await.unwrap();
}

#[actix_rt::test]
async fn a_database_whose_connection_does_not_answer_is_degraded_then_down_and_then_up_again() {
    let mut world = World::with(Options::new(), |settings| {
        settings.access = AccessMode::ReadWrite;
        settings.postgres.pool.min_size = 2;
    })
    .await;
    until("both are in the pool", async || world.status().await.idle == 2).await;
    let running = actix_rt::spawn(world.ask("select pg_sleep(60)", json!([])));
    world.until_asleep(1).await;
    let idle = "select pid from pg_stat_activity where application_name = 'test' and state = 'idle'";
    let silent = world.observed::<i32>(idle).await;
    signal("-STOP", silent);
    // The other connection is lost, so the condition must be checked.
    let kill = "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'PgSleep'";
    world.prepare(kill).await;
    running.await.unwrap().unwrap().unwrap_err();
    let status = world.health().await;
    let why = status.why.unwrap();
    assert_eq!((status.state, why.ends_with("does not answer at once")), (HealthState::Degraded, true), "{why}");
    let told = world.log.next("database is not as it should be").await.text;
    assert!(told.contains("why=it did not answer within 3s") && told.contains("state=down"), "{told}");
    world.log.next("database is up").await;
    assert_eq!(world.rows("select 1").await, "[[1]]");
    signal("-CONT", silent);
}

fn signal(signal: &str, pid: i32) {
    assert!(std::process::Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}
