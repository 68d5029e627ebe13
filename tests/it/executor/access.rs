//! The access modes: read-only and read-write.

use super::*;
use crate::common::versions::version;
use mcp_server_postgres::messages::call::CallContext;
use mcp_server_postgres::messages::events::Events;

/// A function that writes and that the operator has allowed.
const MISCHIEF: &str = "create table t (n int);
    create function mischief() returns int language sql as 'insert into t values (1) returning n'";

#[actix_rt::test]
async fn a_copy_that_the_tools_have_not_refused_fails_and_the_next_call_works() {
    // In read-write mode the driver does not support the messages of COPY and closes its connection.
    for (world, says) in [(World::new().await, "COPY"), (World::read_write().await, "")] {
        world.prepare("create table t (n int)").await;
        for sql in
            ["copy t to stdout", "copy t from stdin", "copy (values (1)) to stdout", "/**/copy t(n) from stdin csv"]
        {
            assert!(world.refusal(sql).await.contains(says), "{sql}");
            let error = world.batch(&[("select 1", json!([])), (sql, json!([]))]).await.unwrap_err();
            assert_eq!(error.statement, Some(2), "{sql}: {error:?}");
            assert_eq!(world.rows("select 1").await, "[[1]]");
        }
    }
}

#[actix_rt::test]
async fn in_read_only_mode_a_write_is_refused_with_the_setting_that_would_allow_it() {
    let world = World::new().await;
    world.prepare("create table t (n int); create sequence s; create function f() returns int language sql as 'insert into t values (1) returning n'").await;
    for sql in [
        "insert into t values (1)",
        "update t set n = 2",
        "delete from t",
        "truncate t",
        "drop table t",
        "create table u (n int)",
        "alter table t add m int",
        "select nextval('s')",
        "select f()",
        "with w as (insert into t values (1) returning n) select * from w",
        "explain analyze insert into t values (1)",
        "select * into u from t",
        "grant select on t to public",
        "comment on table t is 'x'",
        "do 'begin insert into t values (1); end'",
        "create index on t (n)",
        "refresh materialized view m",
        "merge into t using (values (1)) v (n) on false when not matched then insert values (1)",
    ] {
        let error = world.refusal(sql).await;
        assert!(error.contains("not accepted in read-only mode"), "{sql}: {error}");
        assert!(
            ["MCP_ACCESS_MODE=read-write", "MCP_FUNCTIONS_ALLOW="].iter().any(|way| error.contains(way)),
            "{error}"
        );
    }
    // A function that the operator has allowed still runs in a READ ONLY transaction.
    world
        .prepare("create function mischief() returns int language sql as 'insert into t values (1) returning n'")
        .await;
    let error = world.refusal("select mischief()").await;
    assert!(error.starts_with("ERROR 25006: "), "{error}");
    assert!(error.contains("MCP_ACCESS_MODE=read-write"), "{error}");
    assert_eq!(world.observed::<i64>("select count(*) from t").await, 0);
}

#[actix_rt::test]
async fn a_statement_that_tries_to_leave_read_only_mode_does_not_affect_the_next_call() {
    let world = World::new().await;
    world.prepare(MISCHIEF).await;
    for sql in [
        "set transaction read write",
        "set session characteristics as transaction read write",
        "set default_transaction_read_only = off",
        "select set_config('transaction_read_only', 'off', false)",
        "select set_config('transaction_read_only', 'off', true), f.n from (select 1 n) f",
        "reset all",
        "discard all",
        "do 'begin commit; insert into t values (1); end'",
        "vacuum t",
        "select 1; commit; insert into t values (1)",
        "create database other",
    ] {
        // Some of them are answered and some are refused. In both cases the next call is read-only.
        let _ = world.query(sql).await;
        let error = world.refusal("select mischief()").await;
        assert!(error.starts_with("ERROR 25006"), "after {sql}: {error}");
    }
    assert_eq!(world.observed::<i64>("select count(*) from t").await, 0);
    assert_eq!(world.observed::<i64>("select count(*) from pg_database where datname = 'other'").await, 0);
}

#[actix_rt::test]
async fn no_statement_of_a_batch_can_make_the_next_one_write() {
    let world = World::new().await;
    world.prepare(MISCHIEF).await;
    let insert = ("select mischief()", json!([]));
    for first in [
        "set transaction read write",
        "/* */ ; SET transaction_read_only = off",
        "set local transaction_read_only to default",
        "reset transaction_read_only",
        "set session characteristics as transaction read write",
        "set default_transaction_read_only = off",
        "reset all",
    ] {
        let error = world.batch(&[(first, json!([])), insert.clone()]).await.expect_err(first);
        assert_eq!(error.statement, Some(1), "{first}");
        let text = error.error.for_model();
        assert!(text.contains("SET or RESET is not accepted in read-only mode"), "{first}: {text}");
    }
    for (first, sqlstate) in [
        ("select set_config('transaction_read_only', 'off', false)", "25001"),
        ("select set_config('default_transaction_read_only', 'off', false)", "25006"),
        ("show transaction_read_only", "25006"),
    ] {
        let error = world.batch(&[(first, json!([])), insert.clone()]).await.expect_err(first);
        assert_eq!(error.error.sqlstate(), Some(sqlstate), "{first}: {}", error.error);
    }
}

#[actix_rt::test]
async fn two_statements_in_one_query_are_refused_in_either_mode() {
    for mode in [AccessMode::ReadOnly, AccessMode::ReadWrite] {
        let world = World::with(Options::new(), |settings| settings.access = mode).await;
        world.prepare("create table t (n int)").await;
        for sql in ["select 1; select 2", "select 1; insert into t values (1)", "commit; drop table t"] {
            let error = world.refusal(sql).await;
            assert!(error.contains("batch_query_execute"), "{sql}: {error}");
        }
        assert_eq!(world.rows("select 1;").await, "[[1]]");
        assert_eq!(world.observed::<i64>("select count(*) from t").await, 0);
    }
}

#[actix_rt::test]
async fn in_read_write_mode_a_write_is_committed_and_its_rows_are_counted() {
    let world = World::read_write().await;
    let (merge, merged) = match version(&world.observer).await {
        15.. => (
            "merge into t using (values (1), (50)) v (n) on t.n = v.n \
             when matched then delete when not matched then insert values (v.n)",
            2,
        ),
        _ => ("update t set n = 50 where n = 1", 1), // MERGE is new in 15
    };
    for (sql, affected, rows) in [
        ("create table t (n int primary key)", None, "[]"),
        ("insert into t select generate_series(1, 10)", Some(10), "[]"),
        ("insert into t values (11) returning n", Some(1), "[[11]]"),
        ("update t set n = n + 100 where n > 5", Some(6), "[]"),
        ("with gone as (delete from t where n > 100 returning n) select count(*) from gone", None, "[[6]]"),
        ("delete from t where n = 5", Some(1), "[]"),
        (merge, Some(merged), "[]"),
        ("select count(*) from t", None, "[[4]]"),
    ] {
        let outcome = world.query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}")).answer;
        assert_eq!(outcome.rows_affected, affected, "{sql}");
        assert_eq!(format!("[{}]", outcome.page.json), rows, "{sql}");
    }
    let error = world.refusal("insert into t values (50)").await;
    assert!(error.starts_with("ERROR 23505: "), "{error}");
    assert_eq!(world.observed::<i64>("select count(*) from t").await, 4);
}

#[actix_rt::test]
async fn in_read_write_mode_a_statement_that_allows_no_transaction_block_runs_without_one() {
    let world = World::read_write().await;
    world.prepare("create table t (n int); create procedure p() language plpgsql as 'begin insert into t values (1); commit; insert into t values (2); end'").await;
    for sql in ["vacuum t", "create index concurrently i on t (n)", "create database other", "call p()"] {
        world.query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    assert_eq!(world.observed::<i64>("select count(*) from t").await, 2);
    assert_eq!(world.observed::<i64>("select count(*) from pg_database where datname = 'other'").await, 1);
}

#[actix_rt::test]
async fn the_output_of_a_procedure_that_commits_is_shown_with_any_type() {
    let world = World::read_write().await;
    world.prepare("create type mood as enum ('ok'); create table t (n int)").await;
    let body = "insert into t values (1); commit; a := 1.5; b := row(2, 'ok'::mood); c := 3;";
    world
        .prepare(&format!(
            "create procedure p(out a money, out b record, out c int) language plpgsql as $$begin {body} end$$"
        ))
        .await;
    assert_eq!(world.rows("call p(null, null, null)").await, r#"[["$1.50","(2,ok)",3]]"#);
    assert_eq!(world.observed::<i64>("select count(*) from t").await, 1);
}

#[actix_rt::test]
async fn a_changed_access_mode_applies_from_the_next_call_on() {
    let mut world = World::new().await;
    world.prepare(MISCHIEF).await;
    for _ in 0..3 {
        assert!(world.refusal("select mischief()").await.starts_with("ERROR 25006"));
        assert!(world.refusal("insert into t values (1)").await.contains("not accepted in read-only mode"));
        world.change(|settings| settings.access = AccessMode::ReadWrite).await;
        world.query("insert into t values (1)").await.unwrap();
        world.change(|settings| settings.access = AccessMode::ReadOnly).await;
    }
}

#[actix_rt::test]
async fn a_read_only_caller_cannot_write_to_a_database_that_others_write_to() {
    let world = World::read_write().await;
    world.query("create table written (n int)").await.unwrap();
    let query = |name: &str, access| Query {
        call: CallContext::new("a test", Caller { name: name.into(), access, ..Caller::stdio() }),
        statement: statement("insert into written values (1)", json!([])),
        reading: world.reading,
    };
    let refused = world.executor.send(query("reader", AccessMode::ReadOnly)).await.unwrap();
    assert!(refused.unwrap_err().for_model().contains("INSERT is not accepted in read-only mode"));
    assert_eq!(world.observed::<i64>("select count(*) from written").await, 0);
    world.executor.send(query("writer", AccessMode::ReadWrite)).await.unwrap().unwrap();
    assert_eq!(world.observed::<i64>("select count(*) from written").await, 1);
}

#[actix_rt::test]
async fn the_published_access_mode_changes_with_the_settings_and_only_then() {
    let settings = settings_with(|settings| settings.postgres.pool.min_size = 0);
    let (log, _) = heard();
    let events = Events::default();
    let executor = Executor::new(MAIN_DATABASE, &settings, parser(&log), events, TaskTracker::new(), &log).unwrap();
    let mut shown = executor.summary();
    let executor = executor.start();
    let mut old = Arc::new(settings);
    for (access, is_new) in [
        (AccessMode::ReadOnly, false),
        (AccessMode::ReadWrite, true),
        (AccessMode::ReadWrite, false),
        (AccessMode::ReadOnly, true),
    ] {
        let mut new = (*old).clone();
        new.access = access;
        new.limits.rows_max += 1;
        let new = Arc::new(new);
        executor.send(SettingsChanged { old, new: new.clone() }).await.unwrap();
        old = new;
        assert_eq!(shown.has_changed().unwrap(), is_new, "{access}");
        assert_eq!(shown.borrow_and_update().access, access);
    }
}
