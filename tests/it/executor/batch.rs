//! Several statements in one transaction.

use super::*;
use mcp_server_postgres::messages::events::StatementOutcome;

#[actix_rt::test]
async fn a_batch_commits_as_one_and_answers_each_statement() {
    let world = World::read_write().await;
    let batch = world
        .batch(&[
            ("create table t (n int, at timestamptz default now())", json!([])),
            ("insert into t (n) values ($1), ($2)", json!([1, 2])),
            ("select n from t order by n", json!([])),
            ("update t set n = n * $1 where n > $2 returning n", json!([10, 1])),
        ])
        .await
        .unwrap();
    let answers: Vec<_> =
        batch.answer.iter().map(|outcome| (outcome.page.json.as_str(), outcome.rows_affected)).collect();
    assert_eq!(answers, [("", None), ("", Some(2)), ("[1],[2]", None), ("[20]", Some(1))]);
    assert_eq!(world.observed::<i64>("select sum(n) from t").await, 21);
    assert_eq!(world.observed::<i64>("select count(distinct xmin::text) from t").await, 1);
}

#[actix_rt::test]
async fn a_failed_batch_changes_nothing_and_its_error_names_the_statement() {
    let world = World::read_write().await;
    world.prepare("create table t (n int primary key, m int references t deferrable initially deferred)").await;
    let insert = ("insert into t values (1)", json!([]));
    for (second, at, sqlstate) in [
        (("insert into t values (1)", json!([])), Some(2), "23505"),
        (("insert into tt values (1)", json!([])), Some(2), "42P01"),
        (("insert into t values ($1)", json!(["x"])), Some(2), "22P02"),
        (("insert into t values (2); commit", json!([])), Some(2), "42601"),
        (("select 1 / 0", json!([])), Some(2), "22012"),
        (("vacuum t", json!([])), Some(2), "25001"),
        // A failure in COMMIT does not belong to a single statement.
        (("insert into t values (2, 99)", json!([])), None, "23503"),
    ] {
        let error = world
            .batch(&[insert.clone(), second.clone(), ("insert into t values (3)", json!([]))])
            .await
            .expect_err(second.0);
        assert_eq!((error.statement, error.error.sqlstate()), (at, Some(sqlstate)), "{second:?}: {}", error.error);
        assert_eq!(world.observed::<i64>("select count(*) from t").await, 0, "{second:?}");
    }
    let error = world.batch(&[insert.clone(), ("select $1::int", json!([])), insert.clone()]).await.unwrap_err();
    assert_eq!(error.statement, Some(2));
    assert_eq!(world.observed::<i64>("select count(*) from t").await, 0);
}

#[actix_rt::test]
async fn a_batch_whose_connection_is_lost_changes_nothing() {
    let world = World::read_write().await;
    world.prepare("create table t (n int)").await;
    let batch = world.ask_batch(&[("insert into t values (1)", json!([])), ("select pg_sleep(60)", json!([]))]);
    let batch = actix_rt::spawn(batch);
    world.until_asleep(1).await;
    world.prepare("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'test'").await;
    let error = batch.await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.statement, Some(2), "{}", error.error);
    assert_eq!(world.observed::<i64>("select count(*) from t").await, 0);
    assert_eq!(world.rows("select 1").await, "[[1]]");
}

#[actix_rt::test]
async fn a_connection_lost_in_commit_is_reported_as_an_unknown_outcome() {
    let world = World::read_write().await;
    world
        .prepare(
            "create table t (n int); \
             create function slowly() returns trigger language plpgsql as 'begin perform pg_sleep(60); return null; end'; \
             create constraint trigger c after insert on t deferrable initially deferred \
             for each row execute function slowly()",
        )
        .await;
    let query = actix_rt::spawn(world.ask("insert into t values (1)", json!([])));
    until("the COMMIT runs", async || {
        world
            .observed::<i64>("select count(*) from pg_stat_activity where query ilike 'commit' and state = 'active'")
            .await
            == 1
    })
    .await;
    world.prepare("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'test'").await;
    let error = query.await.unwrap().unwrap().unwrap_err();
    assert!(matches!(error, QueryError::Unavailable { outcome_unknown: true, .. }), "{error:?}");
    assert!(error.for_model().contains("look before doing it again"), "{}", error.for_model());
}

#[actix_rt::test]
async fn the_statements_of_a_batch_share_one_timeout_and_the_limits_of_one_answer() {
    let mut world = World::with(Options::new(), |settings| {
        settings.access = AccessMode::ReadWrite;
        settings.postgres.clocks.command_timeout = Duration::from_millis(500);
    })
    .await;
    world.prepare("create table t (n int)").await;
    let sleep = ("select pg_sleep(0.2)", json!([]));
    let error = world.batch(&[("insert into t values (1)", json!([])), sleep.clone(), sleep.clone(), sleep]).await;
    assert!(matches!(error.unwrap_err().error, QueryError::TimedOut { .. }));
    assert_eq!(world.observed::<i64>("select count(*) from t").await, 0);

    world.reading.limits = Limits { rows_max: 5, bytes_max: 1 << 20 };
    let series = ("select generate_series(1, 3)", json!([]));
    let batch = world.batch(&[series.clone(), series.clone(), series]).await.unwrap();
    let rows: Vec<_> = batch.answer.iter().map(|outcome| (outcome.page.rows, outcome.page.cut.is_some())).collect();
    assert_eq!(rows, [(3, false), (2, true), (1, true)], "each statement shows at least a row");
}

#[actix_rt::test]
async fn a_batch_cuts_the_long_cells_of_each_statement_to_the_remaining_bytes() {
    let mut world = World::new().await;
    world.reading.limits = Limits { rows_max: 10, bytes_max: 1000 };
    let long = |bytes: u32| (format!("select repeat('x', {bytes})"), json!([]));
    let (first, second) = (long(700), long(5000));
    let statements = [(first.0.as_str(), first.1), (second.0.as_str(), second.1.clone()), (&second.0, second.1)];
    let batch = world.batch(&statements).await.unwrap();
    let cut: Vec<Vec<_>> = batch
        .answer
        .iter()
        .map(|outcome| outcome.page.cut_cells.iter().map(|cell| (cell.bytes, cell.length)).collect())
        .collect();
    // The remaining bytes are fewer than the minimum for the cell of the third statement.
    assert_eq!(cut, [vec![], vec![(292, 5000)], vec![(38, 5000)]]);
}

#[actix_rt::test]
async fn each_statement_that_began_is_reported_to_the_metrics_once() {
    let mut world = World::read_write().await;
    let begun = ("select 1", json!([]));
    world.batch(&[begun.clone(), ("select 1 / 0", json!([])), begun]).await.unwrap_err();
    world.query("select 2").await.unwrap();
    let mut reported = Vec::new();
    for _ in 0..3 {
        let event = world.finished.next().await.message;
        let outcome = match event.outcome {
            StatementOutcome::Failed { sqlstate, .. } => sqlstate.unwrap(),
            outcome => format!("{outcome:?}"),
        };
        reported.push((event.sql.to_string(), outcome));
    }
    let expected = [("select 1", "Done"), ("select 1 / 0", "22012"), ("select 2", "Done")];
    assert_eq!(reported, expected.map(|(sql, outcome)| (sql.to_owned(), outcome.to_owned())));
    assert!(world.finished.is_silent());
}
