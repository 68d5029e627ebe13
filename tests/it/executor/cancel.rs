//! Statements that nobody waits for are cancelled, and statements that take too long are ended by a timeout, which the
//! error names.

use futures_util::future::join_all;
use mcp_server_postgres::caller::Caller;
use mcp_server_postgres::messages::call::CallContext;
use mcp_server_postgres::messages::events::StatementOutcome;
use mcp_server_postgres::postgres::error::{Clock, Phase};

use super::*;

#[actix_rt::test]
async fn a_dropped_call_stops_in_postgresql_and_frees_its_slot_in_the_pool() {
    let mut world = World::with(Options::new(), |settings| settings.postgres.pool.size = 1).await;
    world.prepare("create function mischief() returns int language plpgsql as 'begin loop null; end loop; end'").await;
    for sql in [
        "select pg_sleep(60)",
        "select count(*) from pg_class a, pg_class b, pg_class c, pg_class d",
        "select mischief()",
    ] {
        let call = actix_rt::spawn(world.ask(sql, json!([])));
        world.until_backends("active", 1).await;
        call.abort();
        world.until_backends("active", 0).await;
        assert_eq!(world.finished.next().await.message.outcome, StatementOutcome::Cancelled, "{sql}");
        assert_eq!(world.rows("select 1").await, "[[1]]");
        assert_eq!(world.finished.next().await.message.outcome, StatementOutcome::Done);
        assert!(world.backends("%").await <= 1, "the slot of the pool was freed only once");
    }
}

#[actix_rt::test]
async fn a_statement_that_ignores_its_cancellation_ends_with_its_connection() {
    let world = World::with(Options::new(), |settings| settings.postgres.pool.size = 1).await;
    let deaf = "begin loop begin perform pg_sleep(60); exception when query_canceled then null; end; end loop; end";
    world.prepare(&format!("create function mischief() returns int language plpgsql as '{deaf}'")).await;
    let call = actix_rt::spawn(world.ask("select mischief()", json!([])));
    world.until_asleep(1).await;
    call.abort();
    assert_eq!(world.rows("select 1").await, "[[1]]");
    until("its backend is gone", async || world.backends("active").await == 0).await;
}

#[actix_rt::test]
async fn a_dropped_batch_stops_and_changes_nothing() {
    let mut world = World::read_write().await;
    world.prepare("create table t (n int)").await;
    let [insert, sleep] = ["insert into t values (1)", "select pg_sleep(60)"].map(|sql| (sql, json!([])));
    let batch = actix_rt::spawn(world.ask_batch(&[insert.clone(), sleep, insert]));
    world.until_asleep(1).await;
    batch.abort();
    world.until_backends("active", 0).await;
    // The third statement never began and is not counted.
    for (sql, outcome) in
        [("insert into t values (1)", StatementOutcome::Done), ("select pg_sleep(60)", StatementOutcome::Cancelled)]
    {
        let event = world.finished.next().await.message;
        assert_eq!((&*event.sql, event.outcome), (sql, outcome));
    }
    world.query("select 1").await.unwrap();
    assert_eq!(&*world.finished.next().await.message.sql, "select 1");
    assert_eq!(world.observed::<i64>("select count(*) from t").await, 0);
}

#[actix_rt::test]
async fn a_call_dropped_while_it_waits_for_a_connection_never_runs() {
    let mut world = World::with(Options::new(), |settings| settings.postgres.pool.size = 1).await;
    let first = actix_rt::spawn(world.ask("select pg_sleep(60)", json!([])));
    world.until_asleep(1).await;
    let second = actix_rt::spawn(world.ask("select 2", json!([])));
    until("the second waits", async || world.status().await.waiting == 1).await;
    second.abort();
    let event = world.finished.next().await.message;
    assert_eq!((&*event.sql, event.outcome, event.executed), ("select 2", StatementOutcome::Cancelled, Duration::ZERO));
    assert_eq!(world.status().await.waiting, 0);
    first.abort();
    world.until_backends("active", 0).await;
}

#[actix_rt::test]
async fn a_statement_that_exceeds_the_command_timeout_is_stopped_and_the_error_names_the_timeout() {
    let world =
        World::with(Options::new(), |settings| settings.postgres.clocks.command_timeout = Duration::from_millis(200))
            .await;
    for sql in ["select pg_sleep(60)", "select count(*) from pg_class a, pg_class b, pg_class c, pg_class d"] {
        let error = world.query(sql).await.unwrap_err();
        assert_eq!(error, QueryError::TimedOut { clock: Clock::Command, after: Duration::from_millis(200) });
        assert!(error.for_model().contains("POSTGRES_COMMAND_TIMEOUT"), "{}", error.for_model());
        world.until_backends("active", 0).await;
    }
}

#[actix_rt::test]
async fn postgresql_s_own_timeouts_are_a_little_longer_than_those_of_the_server() {
    let world = World::with(Options::new(), |settings| settings.postgres.clocks.command_timeout = seconds(3)).await;
    assert_eq!(world.rows("show statement_timeout").await, r#"[["4s"]]"#);
    assert_eq!(world.rows("show idle_in_transaction_session_timeout").await, r#"[["2min"]]"#);
    world.query("select set_config('statement_timeout', '1ms', false)").await.unwrap();
    assert_eq!(world.rows("show statement_timeout").await, r#"[["4s"]]"#);
}

#[actix_rt::test]
async fn the_error_of_a_call_without_a_connection_in_time_names_the_timeout() {
    let world = World::with(Options::new(), |settings| {
        settings.postgres.pool.size = 1;
        settings.postgres.clocks.pool_wait_timeout = Duration::from_millis(100);
    })
    .await;
    let first = actix_rt::spawn(world.ask("select pg_sleep(60)", json!([])));
    world.until_asleep(1).await;
    let error = world.query("select 2").await.unwrap_err();
    assert_eq!(error, QueryError::TimedOut { clock: Clock::PoolWait, after: Duration::from_millis(100) });
    assert!(error.for_model().contains("POSTGRES_POOL_WAIT_TIMEOUT"), "{}", error.for_model());
    first.abort();
    world.until_backends("active", 0).await;
    assert_eq!(world.rows("select 3").await, "[[3]]");
}

/// A statement that takes some time.
const LONG: &str = "select count(*) from generate_series(1, 10000)";

#[actix_rt::test]
async fn a_cancellation_never_hits_the_next_statement_in_thousands_of_races() {
    // There are as many connections as lanes, so a connection that is freed in one lane is used at once in another.
    race(4, 750).await;
}

/// A race that nearly always ends in the same way shows nothing. So the test continues until this number of calls were
/// cancelled.
const CANCELLED_MIN: usize = 100;

/// Runs calls in several lanes, as many as there are connections. In each lane calls are dropped at random moments, and
/// the call after each must be answered.
async fn race(lanes: u64, rounds: u64) {
    let world = World::with(Options::new(), |settings| settings.postgres.pool.size = lanes as usize).await;
    let ask = || actix_rt::spawn(world.ask(LONG, json!([])));
    let cancelled = || world.log.of("statement cancelled").len();
    let lane = async |lane: u64| {
        let (mut turns, mut round) = (0, 0);
        while round < rounds || (cancelled() < CANCELLED_MIN && round < rounds * 20) {
            if round % 10 == 0 {
                // Measures the length of a call in turns of the runtime, because a clock is not precise enough.
                let call = ask();
                turns = 0;
                while !call.is_finished() {
                    turns += 1;
                    tokio::task::yield_now().await;
                }
            }
            let call = ask();
            // The moments range from before the call is sent to after its answer.
            for _ in 0..turns * ((round * lanes + lane) % 100) / 70 {
                tokio::task::yield_now().await;
            }
            call.abort();
            assert_eq!(world.rows("select 1").await, "[[1]]", "lane {lane}, round {round}");
            round += 1;
        }
    };
    join_all((0..lanes).map(lane)).await;
    assert!(world.backends("%").await <= lanes as i64);
    assert!(cancelled() >= CANCELLED_MIN, "{} were cancelled", cancelled());
}

#[actix_rt::test]
async fn a_call_can_have_a_timeout_and_its_error_says_when_it_was_too_short() {
    let mut world = World::with(Options::new(), |settings| settings.postgres.pool.size = 1).await;
    let call = |timeout| CallContext { timeout: Some(timeout), ..CallContext::new("a test", Caller::stdio()) };
    let query = |timeout, sql: &str| Query {
        call: call(timeout),
        statement: statement(sql, json!([])),
        reading: world.reading,
    };
    let ran_out = |after, during| QueryError::TimedOut { clock: Clock::Call { during }, after };
    // The timeout must be long enough for everything before the statement runs, so it is doubled until it is.
    let mut timeout = Duration::from_millis(100);
    let error = loop {
        timeout *= 2;
        let error = world.executor.send(query(timeout, "select pg_sleep(60)")).await.unwrap().unwrap_err();
        if error == ran_out(timeout, Phase::Execute) {
            break error;
        }
        assert!(matches!(error, QueryError::TimedOut { clock: Clock::Call { .. }, .. }), "{error:?}");
    };
    assert!(error.for_model().contains("timeout_ms"), "{}", error.for_model());
    world.until_backends("active", 0).await;
    assert!(world.executor.send(query(PATIENCE, "select 1")).await.unwrap().is_ok());

    // The wait for a connection counts toward the timeout.
    let first = actix_rt::spawn(world.ask("select pg_sleep(60)", json!([])));
    world.until_asleep(1).await;
    let waited = world.executor.send(query(timeout, "select 2")).await.unwrap();
    assert_eq!(waited, Err(ran_out(timeout, Phase::Wait)));
    first.abort();
    world.until_backends("active", 0).await;

    let expected = [("select 1".to_owned(), false), ("select pg_sleep(60)".to_owned(), true)];
    let error = loop {
        timeout *= 2;
        let statements = vec![statement("select 1", json!([])), statement("select pg_sleep(60)", json!([]))];
        let batch = Batch { call: call(timeout), statements, reading: world.reading };
        let error = world.executor.send(batch).await.unwrap().unwrap_err().error;
        if error == ran_out(timeout, Phase::Execute) {
            break error;
        }
        assert!(matches!(error, QueryError::TimedOut { clock: Clock::Call { .. }, .. }), "{error:?}");
    };
    assert!(error.for_model().contains("timeout_ms"), "{}", error.for_model());
    world.until_backends("active", 0).await;
    // Both statements of the batch are reported with their outcomes.
    let mut reported = Vec::new();
    while !reported.ends_with(&expected) {
        let event = world.finished.next().await.message;
        reported.push((event.sql.to_string(), matches!(event.outcome, StatementOutcome::Failed { .. })));
    }
}

#[actix_rt::test]
async fn beyond_the_maximum_of_waiting_calls_the_next_is_refused_at_once() {
    let world = World::with(Options::new(), |settings| {
        settings.postgres.pool.size = 1;
        settings.limits.waiting_max = 2;
    })
    .await;
    let first = actix_rt::spawn(world.ask("select pg_sleep(60)", json!([])));
    world.until_asleep(1).await;
    let waiting: Vec<_> = (0..2).map(|_| actix_rt::spawn(world.ask("select 2", json!([])))).collect();
    until("two wait", async || world.status().await.waiting == 2).await;
    let error = world.query("select 3").await.unwrap_err();
    assert_eq!(error, QueryError::Busy { waiting_max: 2 });
    assert!(error.for_model().contains("MCP_MAX_WAITING"), "{}", error.for_model());
    first.abort();
    for call in waiting {
        assert!(call.await.unwrap().unwrap().is_ok());
    }
    assert_eq!(world.rows("select 3").await, "[[3]]");
}

#[actix_rt::test]
async fn the_error_of_a_call_that_ends_during_commit_says_that_its_changes_may_be_saved() {
    // COMMIT waits for a standby that does not exist. If the wait is cancelled, the transaction is committed
    // nevertheless.
    let options = Options::new().setting("synchronous_standby_names", "nobody").setting("synchronous_commit", "on");
    let world = World::with(options, |settings| {
        settings.access = AccessMode::ReadWrite;
        settings.postgres.clocks.command_timeout = Duration::from_millis(300);
    })
    .await;
    world.prepare("set synchronous_commit = local; create table t (n int)").await;
    let query = Query {
        call: CallContext { timeout: Some(Duration::from_millis(100)), ..CallContext::new("a test", Caller::stdio()) },
        statement: statement("insert into t values (1)", json!([])),
        reading: world.reading,
    };
    // At first the server does not wait, because it has not read the setting yet.
    let mut written = 0;
    let by_the_call = loop {
        match world.executor.send(query.clone()).await.unwrap() {
            Ok(_) => written += 1,
            Err(error) if error.phase() == Phase::End => {
                written += 1;
                break error;
            }
            // On a busy machine the timeout can pass before COMMIT.
            Err(_) => {}
        }
    };
    let by_the_command = world.query("insert into t values (1)").await.unwrap_err();
    let of_a_batch = world.batch(&[("insert into t values (1)", json!([]))]).await.unwrap_err().error;
    for (error, clock) in [
        (by_the_call, "100ms of timeout_ms"),
        (by_the_command, "300ms of POSTGRES_COMMAND_TIMEOUT"),
        (of_a_batch, "300ms of POSTGRES_COMMAND_TIMEOUT"),
    ] {
        let text = error.for_model();
        assert!(text.contains(clock) && text.contains("look before doing it again"), "{text}");
        assert!(!error.is_retryable());
    }
    // The last row becomes visible when its COMMIT does not wait any more.
    let rows = async || world.observed::<i64>("select count(*) from t").await;
    until("all rows are committed", async || rows().await == written + 2).await;
}
