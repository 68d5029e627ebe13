//! What nobody waits for does not run on, and what takes too long is ended by the clock that says so.

use futures_util::future::join_all;
use mcp_server_postgres::caller::Caller;
use mcp_server_postgres::messages::call::CallContext;
use mcp_server_postgres::messages::events::StatementOutcome;
use mcp_server_postgres::postgres::error::{Clock, Phase};

use super::*;

#[actix_rt::test]
async fn a_dropped_call_stops_in_postgresql_and_frees_its_place_in_the_pool() {
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
        assert!(world.backends("%").await <= 1, "the pool's place was not given away twice");
    }
}

#[actix_rt::test]
async fn a_statement_that_will_not_be_cancelled_ends_with_its_connection() {
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
async fn a_dropped_batch_stops_and_leaves_nothing() {
    let mut world = World::read_write().await;
    world.prepare("create table t (n int)").await;
    let [insert, sleep] = ["insert into t values (1)", "select pg_sleep(60)"].map(|sql| (sql, json!([])));
    let batch = actix_rt::spawn(world.ask_batch(&[insert.clone(), sleep, insert]));
    world.until_asleep(1).await;
    batch.abort();
    world.until_backends("active", 0).await;
    // The third never had its turn, and is in no count.
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
async fn a_statement_past_the_command_timeout_is_stopped_and_the_clock_is_named() {
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
async fn a_statement_that_our_clock_missed_is_ended_by_postgresqls_own() {
    let world = World::with(Options::new(), |settings| settings.postgres.clocks.command_timeout = seconds(3)).await;
    assert_eq!(world.rows("show statement_timeout").await, r#"[["4s"]]"#);
    assert_eq!(world.rows("show idle_in_transaction_session_timeout").await, r#"[["2min"]]"#);
    world.query("select set_config('statement_timeout', '1ms', false)").await.unwrap();
    assert_eq!(world.rows("show statement_timeout").await, r#"[["4s"]]"#);
}

#[actix_rt::test]
async fn a_call_that_gets_no_connection_in_time_is_told_which_clock_ran_out() {
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

/// Takes a while.
const LONG: &str = "select count(*) from generate_series(1, 10000)";

#[actix_rt::test]
async fn a_cancellation_never_hits_the_next_statement_in_thousands_of_races() {
    // As many connections as calls at a time: what is freed by one lane is taken by the next call at once.
    race(4, 750).await;
}

/// A race that nearly always ends the same way shows nothing: it goes on until so many calls were cancelled.
const CANCELLED_MIN: usize = 100;

/// In so many lanes, each with a connection, calls are dropped at any moment, and those after them have their answers.
async fn race(lanes: u64, rounds: u64) {
    let world = World::with(Options::new(), |settings| settings.postgres.pool.size = lanes as usize).await;
    let ask = || actix_rt::spawn(world.ask(LONG, json!([])));
    let cancelled = || world.log.of("statement cancelled").len();
    let lane = async |lane: u64| {
        let (mut turns, mut round) = (0, 0);
        while round < rounds || (cancelled() < CANCELLED_MIN && round < rounds * 20) {
            if round % 10 == 0 {
                // What a call takes now in turns of the runtime, whatever else the machine does: no clock is as fine.
                let call = ask();
                turns = 0;
                while !call.is_finished() {
                    turns += 1;
                    tokio::task::yield_now().await;
                }
            }
            let call = ask();
            // From before it is sent to after it has answered.
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
async fn a_call_can_say_how_long_it_may_take_and_is_told_when_that_was_not_enough() {
    let mut world = World::with(Options::new(), |settings| settings.postgres.pool.size = 1).await;
    let call = |timeout| CallContext { timeout: Some(timeout), ..CallContext::new("a test", Caller::stdio()) };
    let query = |timeout, sql: &str| Query {
        call: call(timeout),
        statement: statement(sql, json!([])),
        reading: world.reading,
    };
    let ran_out = |after, during| QueryError::TimedOut { clock: Clock::Call { during }, after };
    // Long enough on this machine for all that comes before the statement runs.
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

    // Waiting for a connection is a part of it.
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
    // The batch's two statements are told of, each with what became of it.
    let mut told = Vec::new();
    while !told.ends_with(&expected) {
        let event = world.finished.next().await.message;
        told.push((event.sql.to_string(), matches!(event.outcome, StatementOutcome::Failed { .. })));
    }
}

#[actix_rt::test]
async fn past_so_many_waiting_calls_the_next_is_refused_at_once() {
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
async fn what_is_ended_while_it_commits_may_have_lasted_and_says_so() {
    // A COMMIT that waits for a standby that never comes; what it has written is there when the wait is cancelled.
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
    // At first the server knows of no standby that it has to wait for.
    let mut written = 0;
    let by_the_call = loop {
        match world.executor.send(query.clone()).await.unwrap() {
            Ok(_) => written += 1,
            Err(error) if error.phase() == Phase::End => {
                written += 1;
                break error;
            }
            // On a busy machine its time was over before it came to that.
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
    // The last is to be seen when its wait is over.
    let rows = async || world.observed::<i64>("select count(*) from t").await;
    until("all of it has lasted", async || rows().await == written + 2).await;
}
