//! Calls that have a connection together: each has its own answer, whatever becomes of the others.

use tokio::task::JoinHandle;

use super::*;
use mcp_server_postgres::messages::events::StatementOutcome;

type Call = JoinHandle<Result<Result<Answered<Outcome>, QueryError>, MailboxError>>;

const LOOKUP: &str = "select name from t where n = $1";

const MODES: [AccessMode; 2] = [AccessMode::ReadOnly, AccessMode::ReadWrite];

/// One place, a table, and a lookup that is known as quick.
async fn world(access: AccessMode) -> World {
    let mut world = World::with(Options::new(), |settings| {
        settings.access = access;
        settings.postgres.pool_size = 1;
    })
    .await;
    world.prepare("create table t as select n, 'name ' || n as name from generate_series(1, 1000) as n").await;
    // Whatever else the machine does.
    let mut was_quick = 0;
    while was_quick < 2 {
        world.ask(LOOKUP, json!([1])).await.unwrap().unwrap();
        was_quick += usize::from(world.finished.next().await.message.executed < Duration::from_millis(10));
    }
    world
}

/// Lookups that have waited in one line, and have the only place now.
async fn looked_up(world: &World, keys: &[i32]) -> Vec<Call> {
    let gate = connect(&world.cluster.url()).await;
    gate.batch_execute("select pg_advisory_lock(7)").await.unwrap();
    let first = actix_rt::spawn(world.ask("select pg_advisory_xact_lock_shared(7)::text", json!([])));
    until("it has the place", async || world.status().await.idle == 0).await;
    let mut calls = Vec::new();
    for (waiting, key) in keys.iter().enumerate() {
        calls.push(actix_rt::spawn(world.ask(LOOKUP, json!([key]))));
        until("it waits", async || world.status().await.waiting == waiting + 1).await;
    }
    gate.batch_execute("select pg_advisory_unlock(7)").await.unwrap();
    first.await.unwrap().unwrap().unwrap();
    calls
}

async fn answer(call: Call) -> String {
    call.await.unwrap().unwrap().unwrap().answer.page.json
}

#[actix_rt::test]
async fn each_call_has_its_own_answer_or_its_own_error() {
    for access in MODES {
        let mut world = world(access).await;
        let calls = looked_up(&world, &[3, 4, 5, 6, 7]).await;
        for (key, call) in (3..).zip(calls) {
            assert_eq!(answer(call).await, format!(r#"["name {key}"]"#));
        }
        while world.finished.next().await.message.sql.contains("lock") {}
        assert_eq!(world.log.of("run again on a connection of its own").len(), 0);
        // Whoever fails is told what a connection of its own says, the hint included.
        world.prepare("alter table t rename name to names").await;
        for call in looked_up(&world, &[3, 4]).await {
            let error = call.await.unwrap().unwrap().unwrap_err().for_model();
            assert!(error.contains("42703") && error.contains("names"), "{error}");
        }
        assert_eq!(world.log.of("run again on a connection of its own").len(), 2);
    }
}

#[actix_rt::test]
async fn a_statement_that_is_not_quick_any_more_holds_nobody_up() {
    for access in MODES {
        let mut world = world(access).await;
        let holder = connect(&world.cluster.url()).await;
        holder.batch_execute("begin; lock table t").await.unwrap();
        let calls = looked_up(&world, &[3, 4, 5, 6]).await;
        // All of them have left the line, for one connection; then each waits for one of its own.
        until("they run again", async || world.log.of("run again on a connection of its own").len() == 4).await;
        until("the others wait", async || world.status().await.waiting == 3).await;
        assert!(world.backends("%").await <= 1);
        holder.batch_execute("commit").await.unwrap();
        for (key, call) in (3..).zip(calls) {
            assert_eq!(answer(call).await, format!(r#"["name {key}"]"#));
        }
        for _ in 0..5 {
            assert_eq!(world.finished.next().await.message.outcome, StatementOutcome::Done);
        }
    }
}

#[actix_rt::test]
async fn a_call_that_is_dropped_costs_the_others_no_more_than_a_second_run() {
    for (access, dropped) in MODES.into_iter().flat_map(|access| (0..4).map(move |dropped| (access, dropped))) {
        let mut world = world(access).await;
        let holder = connect(&world.cluster.url()).await;
        holder.batch_execute("begin; lock table t").await.unwrap();
        let mut calls = looked_up(&world, &[3, 4, 5, 6]).await;
        until("they have the place", async || world.status().await.waiting == 0).await;
        calls.remove(dropped).abort();
        until("its statement has ended", async || !world.log.of("statement cancelled").is_empty()).await;
        assert!(world.log.of("statement cancelled")[0].contains("idle=true"));
        holder.batch_execute("commit").await.unwrap();
        let keys = (3..7).enumerate().filter(|(at, _)| *at != dropped);
        for ((_, key), call) in keys.zip(calls) {
            assert_eq!(answer(call).await, format!(r#"["name {key}"]"#));
        }
        let mut outcomes = Vec::new();
        for _ in 0..5 {
            outcomes.push(world.finished.next().await.message.outcome);
        }
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == StatementOutcome::Cancelled).count(), 1);
        world.until_backends("active", 0).await;
        assert!(world.backends("%").await <= 1);
    }
}

#[actix_rt::test]
async fn a_backend_that_is_ended_under_them_costs_no_call() {
    for access in MODES {
        let world = world(access).await;
        let holder = connect(&world.cluster.url()).await;
        holder.batch_execute("begin; lock table t").await.unwrap();
        let calls = looked_up(&world, &[3, 4, 5, 6]).await;
        let sql = "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'test'";
        // Between two of their connections there may be none.
        until("a backend is ended", async || world.observed::<i64>(sql).await == 1).await;
        holder.batch_execute("commit").await.unwrap();
        for (key, call) in (3..).zip(calls) {
            assert_eq!(answer(call).await, format!(r#"["name {key}"]"#));
        }
    }
}
