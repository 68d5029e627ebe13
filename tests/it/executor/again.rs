//! A repeated statement, on a connection where it is already prepared.

use super::*;

async fn world() -> World {
    World::with(Options::new(), |settings| settings.postgres.pool.size = 1).await
}

/// The same with a second connection, so that a cursor can be open.
async fn roomy() -> World {
    World::with(Options::new(), |settings| settings.limits.cursors_max = 1).await
}

#[actix_rt::test]
async fn a_repeated_statement_returns_the_current_rows() {
    let world = world().await;
    world.prepare("create table t (n int); insert into t values (1)").await;
    let sql = "select n from t order by n";
    for n in 2..6 {
        let expected: Vec<_> = (1..n).map(|n| format!("[{n}]")).collect();
        assert_eq!(world.rows(sql).await, format!("[{}]", expected.join(",")));
        world.prepare(&format!("insert into t values ({n})")).await;
    }
}

#[actix_rt::test]
async fn a_repeated_statement_can_have_other_parameters() {
    let world = world().await;
    for n in 0..5 {
        let answer = world.ask("select $1::int + 1, $2::text", json!([n, format!("x{n}")])).await.unwrap().unwrap();
        assert_eq!(answer.answer.page.json, format!(r#"[{},"x{n}"]"#, n + 1));
    }
    // A wrong parameter leads to the same error as the first time, and the next call works.
    for _ in 0..2 {
        let error = world.ask("select $1::int + 1, $2::text", json!(["y", "x"])).await.unwrap().unwrap_err();
        assert!(error.for_model().contains("22P02"), "{error}");
        let error = world.ask("select $1::int + 1, $2::text", json!([1])).await.unwrap().unwrap_err();
        assert!(error.for_model().contains("takes 2 parameters"), "{error}");
        assert!(world.ask("select $1::int + 1, $2::text", json!([1, "x"])).await.unwrap().is_ok());
    }
}

#[actix_rt::test]
async fn a_repeated_statement_with_a_larger_answer_than_before_is_cut_and_has_a_cursor() {
    let world = roomy().await;
    world.prepare("create table t as select n from generate_series(1, 3) n").await;
    let sql = "select n from t order by n";
    for _ in 0..4 {
        assert_eq!(world.rows(sql).await, "[[1],[2],[3]]");
    }
    world.prepare("insert into t select generate_series(4, 1000000)").await;
    let (first, cursor) = world.first(sql, 5).await;
    assert_eq!(first, "[[1],[2],[3],[4],[5]]");
    assert_eq!(world.next(&cursor, 2).await.0, "[[6],[7]]");
    world.until_backends("active", 0).await;
}

#[actix_rt::test]
async fn the_table_of_a_repeated_statement_can_change_and_be_dropped() {
    let world = world().await;
    world.prepare("create table t (n int, x text); insert into t values (1, '2')").await;
    let sql = "select * from t";
    for _ in 0..3 {
        assert_eq!(world.rows(sql).await, r#"[[1,"2"]]"#);
    }
    world.prepare("alter table t alter n type text using n::text").await;
    assert_eq!(world.rows(sql).await, r#"[["1","2"]]"#);
    world.prepare("alter table t drop x, add y int default 5").await;
    assert_eq!(world.rows(sql).await, r#"[["1",5]]"#);
    world.prepare("alter table t rename to u").await;
    let why = world.refusal(sql).await;
    assert!(why.contains("42P01"), "{why}");
    world.prepare("create view t as select 7 as seven").await;
    assert_eq!(world.rows(sql).await, "[[7]]");
}

#[actix_rt::test]
async fn a_repeated_statement_is_prepared_again_if_postgresql_has_deallocated_it() {
    let world = world().await;
    world.prepare("create function mischief() returns int language plpgsql as 'begin execute ''deallocate all''; return 1; end'").await;
    for forgets in ["select mischief()", "select 1", "select mischief(), 2", "select 2"] {
        for _ in 0..3 {
            assert_eq!(world.rows("select 42").await, "[[42]]");
        }
        world.query(forgets).await.unwrap();
        until("the connection is back", async || world.status().await.idle <= 1).await;
    }
    assert_eq!(world.rows("select 42").await, "[[42]]");
}

#[actix_rt::test]
async fn only_the_last_of_very_many_statements_stay_prepared() {
    let world = world().await;
    for n in 0..100 {
        assert_eq!(world.rows(&format!("select {n}")).await, format!("[[{n}]]"));
    }
    let prepared = "select count(*) < 40 from pg_prepared_statements";
    assert_eq!(world.rows(prepared).await, "[[true]]");
}
