//! Through a real PgBouncer in transaction mode, in front of two backends that others use too.

use super::*;
use crate::common::pgbouncer::{HOSTILE, PgBouncer, SETTINGS};
use mcp_server_postgres::settings::Pooler;

mod cancel;
mod limits;
mod tls;

/// An executor behind a PgBouncer, if there is one.
async fn behind(mode: &str, change: impl FnOnce(&mut Settings)) -> Option<(World, PgBouncer)> {
    behind_with(mode, &[], "", change).await
}

/// The same with these files of the PgBouncer, and these further settings.
async fn behind_with(
    mode: &str,
    files: &[(&str, &str)],
    further: &str,
    change: impl FnOnce(&mut Settings),
) -> Option<(World, PgBouncer)> {
    let cluster = Options::new().start().unwrap();
    let bouncer = PgBouncer::start_with(&cluster, mode, files, further).await?;
    let observer = connect(&cluster.url()).await;
    observer
        .batch_execute(
            "create table kept (n int); insert into kept select generate_series(1, 1000); create role stranger;
             create schema app; create table app.inside (n int); insert into app.inside values (7);
             create type colour as enum ('red', 'blue'); create type place as (x int, c colour);
             create domain positive as int check (value > 0);
             create table own (c colour, p place, d positive, a colour[]);
             insert into own values ('red', (1, 'blue'), 5, '{red,blue}')",
        )
        .await
        .unwrap();
    let settings = settings_of(&cluster, |settings| {
        settings.postgres.target.ports = vec![bouncer.port()];
        change(settings);
    });
    let (executor, (finished, rebuilt), log) = start(&settings);
    let limits = Limits { rows_max: settings.limits.rows_max, bytes_max: settings.limits.bytes_max };
    let reading = Reading { limits, format: Format::Table, cell_offset: 0 };
    let world = World { executor, finished, rebuilt, log, settings: Arc::new(settings), reading, observer, cluster };
    Some((world, bouncer))
}

/// Statements whose answers depend on settings, with the right answers.
const READS: &[(&str, &str)] = &[
    (r"select '\x00ff'::bytea", r#"[["\\x00ff"]]"#),
    ("select date '2024-02-01', interval '1 day 2 hours'", r#"[["2024-02-01","1 day 02:00:00"]]"#),
    ("select '01/02/2024'::date", r#"[["2024-01-02"]]"#),
    ("select 0.1::float8 + 0.2::float8", "[[0.30000000000000004]]"),
    (r"select 'a\b'", r#"[["a\\b"]]"#),
    ("select timestamptz '2024-02-01 12:00+00'", r#"[["2024-02-01 12:00:00+00"]]"#),
    ("select count(*) from kept", "[[1000]]"),
    ("select current_user::text, current_setting('search_path')", r#"[["postgres","\"$user\", public"]]"#),
    ("select '{NULL,1}'::text[]", r#"[[[null,"1"]]]"#),
    ("select null = null", "[[null]]"),
    ("select * from own", r#"[["red","(1,blue)",5,["red","blue"]]]"#),
    ("select quote_ident('a')", r#"[["a"]]"#),
];

#[actix_rt::test]
async fn between_hostile_neighbours_every_answer_is_right_and_they_keep_what_they_have_set() {
    let Some((world, bouncer)) = behind("transaction", |_| {}).await else { return };
    bouncer.on_both(HOSTILE).await;
    let set = bouncer.on_both(SETTINGS).await;
    assert!(set.iter().all(|set| set.contains("bytea_output=escape")), "{set:?}");
    // Twice: the second time a statement is known.
    for (sql, expected) in [READS, READS].concat() {
        assert_eq!(world.rows(sql).await, expected, "{sql}");
    }
    let all = futures_util::future::join_all(
        READS.iter().map(|(sql, expected)| async { (world.rows(sql).await, *expected, *sql) }),
    );
    for (answer, expected, sql) in all.await {
        assert_eq!(answer, expected, "{sql}, at once with others");
    }
    let refused = world.refusal("delete from kept").await;
    assert!(refused.contains("DELETE"), "{refused}");
    let hint = world.refusal("select * from kepp").await;
    assert!(hint.contains("Perhaps you meant kept"), "{hint}");
    assert_eq!(bouncer.on_both(SETTINGS).await, set, "theirs are as they were");
    assert_eq!(world.observed::<i64>("select count(*) from kept").await, 1000);
    let prepared = "select count(*)::text from pg_catalog.pg_prepared_statements where not from_sql";
    assert_eq!(bouncer.on_both(prepared).await, ["0", "0"], "nothing of ours is left there");
    assert_eq!(world.log.of("there is a pooler").len(), 1);
}

#[actix_rt::test]
async fn a_cursor_keeps_its_backend_and_a_cancelled_call_stops_nothing_else() {
    let Some((world, bouncer)) = behind("transaction", |_| {}).await else { return };
    bouncer.on_both(HOSTILE).await;
    let (first, cursor) = world.first("select n from kept order by n", 2).await;
    assert_eq!(first, "[[1],[2]]");
    assert_eq!(world.rows("select count(*) from kept").await, "[[1000]]");
    let (next, cursor) = world.next(&cursor, 2).await;
    assert_eq!(next, "[[3],[4]]");
    world.executor.send(mcp_server_postgres::messages::statements::CloseCursors).await.unwrap();
    assert!(cursor.is_some());
    // A neighbour's statement runs on one backend, ours on the other.
    let neighbour = bouncer.client().await;
    let theirs = actix_rt::spawn(async move { neighbour.simple_query("select pg_sleep(1), 'theirs'").await });
    until("the neighbour's statement runs", async || {
        world
            .observed::<i64>(
                "select count(*) from pg_stat_activity where query like '%theirs%' and wait_event = 'PgSleep'",
            )
            .await
            == 1
    })
    .await;
    let ours = world.ask("select pg_sleep(1000)", json!([]));
    let ours = actix_rt::spawn(ours);
    world.until_asleep(1).await;
    ours.abort();
    world.until_asleep(0).await;
    assert!(theirs.await.unwrap().is_ok(), "it was not cancelled");
    assert_eq!(world.rows("select 1").await, "[[1]]");
}

#[actix_rt::test]
async fn writes_are_committed_and_what_needs_a_session_is_refused() {
    let change = |settings: &mut Settings| settings.access = AccessMode::ReadWrite;
    let Some((world, bouncer)) = behind("transaction", change).await else { return };
    bouncer.on_both(HOSTILE).await;
    let set = bouncer.on_both(SETTINGS).await;
    let written = world.query("insert into kept values (1001), (1002) returning n").await.unwrap();
    assert_eq!((written.answer.rows_affected, written.answer.page.json.as_str()), (Some(2), "[1001],[1002]"));
    world
        .batch(&[("insert into kept values ($1)", json!([1003])), ("select count(*) from kept", json!([]))])
        .await
        .unwrap();
    let failed = world.batch(&[("insert into kept values (1)", json!([])), ("select * from nowhere", json!([]))]).await;
    assert_eq!(failed.unwrap_err().statement, Some(2));
    assert_eq!(world.observed::<i64>("select count(*) from kept").await, 1003);
    world.query("create table made (n int)").await.unwrap();
    for sql in ["set work_mem = '1MB'", "create temp table t (n int)", "load 'plpgsql'", "discard all", "reset all"] {
        let refused = world.batch(&[(sql, json!([]))]).await.unwrap_err().error.for_model();
        assert!(refused.contains("session port"), "{sql}: {refused}");
    }
    for sql in ["select pg_advisory_lock(1)", "select set_config('a.b', 'c', false)", "vacuum kept"] {
        let refused = world.refusal(sql).await;
        assert!(refused.contains("session port"), "{sql}: {refused}");
    }
    let local = [("set local work_mem = '1MB'", json!([])), ("show work_mem", json!([]))];
    let shown = world.batch(&local).await.unwrap().answer;
    assert_eq!(shown[1].page.json, r#"["1MB"]"#);
    assert_eq!(bouncer.on_both(SETTINGS).await, set);
    // The role's own default holds, whatever a neighbour has set.
    world.prepare("alter role postgres set default_transaction_read_only = on").await;
    let others = "backend_type = 'client backend' and pid <> pg_backend_pid()";
    world.prepare(&format!("select pg_terminate_backend(pid) from pg_stat_activity where {others}")).await;
    let gone = format!("select count(*) = 0 from pg_stat_activity where {others}");
    until("the old sessions are gone", async || world.observed(&gone).await).await;
    bouncer.on_both("set default_transaction_read_only = off").await;
    let refused = world.refusal("insert into kept values (1)").await;
    assert!(refused.contains("25006"), "{refused}");
}

#[actix_rt::test]
async fn options_hold_for_each_transaction_and_the_setting_is_obeyed() {
    let Some((mut world, bouncer)) = behind("transaction", |settings| {
        settings.postgres.target.options = Some("-c search_path=app -c my.setting=it\\'s".to_owned());
    })
    .await
    else {
        return;
    };
    bouncer.on_both(HOSTILE).await;
    // PgBouncer refuses start-up options, by which it is found.
    let expected = r#"[[7,"it's"]]"#;
    assert_eq!(world.rows("select n, current_setting('my.setting') from inside").await, expected);
    world.change(|settings| settings.postgres.target.pooler = Pooler::Transaction).await;
    assert_eq!(world.rows("select n, current_setting('my.setting') from inside").await, expected);
    // Its socket works too.
    world.change(|settings| settings.postgres.target.hosts = vec![bouncer.folder().to_owned()]).await;
    assert_eq!(world.rows("select n, current_setting('my.setting') from inside").await, expected);
    // A direct connection can be used in the same way.
    let port = world.cluster.port();
    world
        .change(|settings| {
            settings.postgres.target.hosts = vec!["127.0.0.1".to_owned()];
            settings.postgres.target.ports = vec![port];
        })
        .await;
    assert_eq!(world.rows("select n, current_setting('my.setting') from inside").await, expected);
}

#[actix_rt::test]
async fn in_session_mode_both_ways_are_right() {
    for pooler in [Pooler::Auto, Pooler::None] {
        let Some((world, _bouncer)) = behind("session", |settings| settings.postgres.target.pooler = pooler).await
        else {
            return;
        };
        for (sql, expected) in READS {
            assert_eq!(world.rows(sql).await, *expected, "{sql}");
        }
        assert_eq!(!world.log.of("there is a pooler").is_empty(), pooler == Pooler::Auto);
    }
}

#[actix_rt::test]
async fn without_a_pooler_none_is_found() {
    let world = World::new().await;
    assert_eq!(world.rows("select 1").await, "[[1]]");
    assert!(world.log.of("there is a pooler").is_empty());
    // A session of its own is set up once: what is prepared there stays.
    let prepared = "select count(*) > 0 from pg_prepared_statements";
    world.rows(prepared).await;
    assert_eq!(world.rows(prepared).await, "[[true]]");
}
