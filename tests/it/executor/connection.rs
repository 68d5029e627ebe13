//! A call leaves no session state on its connection.

use super::*;

#[actix_rt::test]
async fn a_call_leaves_no_state_for_the_next_one() {
    let world = World::with(Options::new(), |settings| {
        settings.access = AccessMode::ReadWrite;
        settings.postgres.pool.size = 1;
    })
    .await;
    world.prepare("create role other; create table t (n int); create sequence s").await;
    for (leave, look, expected) in [
        ("set work_mem = '1234kB'", "show work_mem", r#"[["4MB"]]"#),
        ("set search_path = nowhere", "show search_path", r#"[["\"$user\", public"]]"#),
        ("set role other", "select current_user::text", r#"[["postgres"]]"#),
        ("set session authorization other", "select session_user::text", r#"[["postgres"]]"#),
        (
            "set time zone 'Asia/Tokyo'",
            "select '2024-01-01 00:00+00'::timestamptz::text",
            r#"[["2024-01-01 00:00:00+00"]]"#,
        ),
        ("create temp table left_behind (n int)", "select to_regclass('left_behind')", "[[null]]"),
        ("select pg_advisory_lock(42)", "select count(*) from pg_locks where locktype = 'advisory'", "[[0]]"),
        (
            "select set_config('our.secret', 'x', false)",
            "select coalesce(current_setting('our.secret', true), '')",
            r#"[[""]]"#,
        ),
        ("declare c cursor with hold for select 1", "select count(*) from pg_cursors where name = 'c'", "[[0]]"),
        (
            "do 'begin execute ''prepare p as select 1''; end'",
            "select count(*) from pg_prepared_statements where name = 'p'",
            "[[0]]",
        ),
        ("do 'begin execute ''listen news''; end'", "select count(*) from pg_listening_channels()", "[[0]]"),
        ("select setseed(0.42)", "select random() = 0.742944875302392", "[[false]]"),
        ("select nextval('s')", "select pg_sequence_last_value('s'::regclass)", "[[1]]"),
    ] {
        world.query(leave).await.unwrap_or_else(|error| panic!("{leave}: {error}"));
        assert_eq!(world.rows(look).await, expected, "after {leave}");
    }
    let backend = world.rows("select pg_backend_pid()").await;
    // `currval` fails, because for the next call this session has never called `nextval`.
    world.query("select nextval('s')").await.unwrap();
    assert!(world.refusal("select currval('s')").await.starts_with("ERROR 55000: "));
    assert_eq!(world.rows("select pg_backend_pid()").await, backend, "and the connection is still the same");
    assert_eq!(
        world.log.of("notice from PostgreSQL; severity=WARNING").len(),
        0,
        "nothing is undone that is not there"
    );
}

#[actix_rt::test]
async fn the_session_settings_of_the_operator_are_restored_after_each_call() {
    let world = World::with(Options::new(), |settings| {
        settings.postgres.pool.size = 1;
        settings.postgres.target.options = Some("-c search_path=app -c work_mem=8MB".to_owned());
    })
    .await;
    for _ in 0..2 {
        assert_eq!(world.rows("show search_path").await, r#"[["app"]]"#);
        assert_eq!(world.rows("show work_mem").await, r#"[["8MB"]]"#);
        world
            .query("select set_config('search_path', 'other', false), set_config('work_mem', '1MB', false)")
            .await
            .unwrap();
    }
}

#[actix_rt::test]
async fn there_are_never_more_backends_than_the_size_of_the_pool() {
    let world = World::with(Options::new(), |settings| settings.postgres.pool.size = 3).await;
    let calls: Vec<_> = (0..60).map(|_| world.ask("select pg_sleep(0.005), pg_backend_pid()", json!([]))).collect();
    let mut most = 0;
    for call in calls {
        call.await.unwrap().unwrap();
        most = most.max(world.backends("%").await);
    }
    assert_eq!(most, 3);
}
