//! Cursors: answers that are read page by page.

use mcp_server_postgres::caller::Caller;
use mcp_server_postgres::messages::call::CallContext;
use mcp_server_postgres::messages::statements::{CloseCursors, CloseCursorsOf};

use super::*;

const NUMBERS: &str = "select n from generate_series(1, 1000) n";

async fn world() -> World {
    World::with(Options::new(), |settings| {
        settings.postgres.pool.size = 3;
        settings.limits.cursors_max = 2;
    })
    .await
}

#[actix_rt::test]
async fn the_pages_of_a_cursor_are_the_rows_of_one_answer() {
    let world = world().await;
    world.prepare("create table t as select n, repeat('x', n % 50) x from generate_series(1, 1000) n").await;
    let sql = "select n, x from t order by n";
    let whole = world.rows(sql).await;
    for rows_max in [1, 7, 127, 128, 129, 999] {
        let (mut rows, cursor) = world.first(sql, rows_max).await;
        let mut next = Some(cursor);
        while let Some(cursor) = next {
            // The cursor does not see later commits of others: it shows the data as of the start of the query.
            world.prepare("update t set x = 'new'").await;
            let (page, after) = world.next(&cursor, rows_max).await;
            rows = format!("{},{}", rows.strip_suffix(']').unwrap(), page.strip_prefix('[').unwrap());
            next = after;
        }
        assert_eq!(rows, whole, "{rows_max} rows a page");
        world.prepare("update t set x = repeat('x', n % 50)").await;
    }
}

#[actix_rt::test]
async fn pages_cut_by_bytes_lose_no_row_and_repeat_none() {
    let mut world = world().await;
    // The rows have very different sizes, so that a fetch and a page have different numbers of rows.
    let sql = "select n, repeat('y', (n * 7919) % 3000) from generate_series(1, 500) n";
    world.reading.limits.bytes_max = 10_000;
    let (mut rows, cursor) = world.first(sql, 400).await;
    let (mut next, mut pages) = (Some(cursor), 1);
    while let Some(cursor) = next {
        let (page, after) = world.next(&cursor, 400).await;
        assert!(page.len() <= 10_002, "{}", page.len());
        rows = format!("{},{}", rows.strip_suffix(']').unwrap(), page.strip_prefix('[').unwrap());
        (next, pages) = (after, pages + 1);
    }
    let rows: Vec<(u32, String)> = serde_json::from_str(&rows).unwrap();
    let wanted: Vec<_> = (1..=500).map(|n| (n, "y".repeat((n as usize * 7919) % 3000))).collect();
    assert_eq!(rows, wanted);
    assert!(pages > 50, "{pages} pages");
}

#[actix_rt::test]
async fn a_cursor_can_have_values_that_only_postgresql_can_show() {
    let world = world().await;
    let sql = "select n, row(n, 'x') from generate_series(1, 300) n";
    let (first, cursor) = world.first(sql, 2).await;
    assert_eq!(first, r#"[[1,"(1,x)"],[2,"(2,x)"]]"#);
    let (page, cursor) = world.next(&cursor, 200).await;
    assert!(page.starts_with(r#"[[3,"(3,x)"]"#) && page.ends_with(r#"[202,"(202,x)"]]"#), "{page}");
    let (page, cursor) = world.next(&cursor.unwrap(), 200).await;
    assert!(page.ends_with(r#"[300,"(300,x)"]]"#) && cursor.is_none(), "{page}");
}

#[actix_rt::test]
async fn a_cursor_expires_and_its_error_says_so() {
    let world = World::with(Options::new(), |settings| {
        settings.limits.cursors_max = 1;
        settings.postgres.clocks.cursor_lifetime = Duration::from_millis(100);
    })
    .await;
    let (_, cursor) = world.first(NUMBERS, 10).await;
    assert_eq!(cursor.lifetime, Duration::from_millis(100));
    world.until_backends("idle in transaction", 0).await;
    let why = world.no_next(&cursor).await;
    assert!(why.contains("expired") && why.contains("MCP_CURSOR_LIFETIME"), "{why}");
}

#[actix_rt::test]
async fn a_new_cursor_displaces_the_longest_unused_one() {
    let world = world().await;
    let (_, first) = world.first(NUMBERS, 10).await;
    let (_, second) = world.first(NUMBERS, 10).await;
    assert!(world.next(&first, 10).await.0.starts_with("[[11]"));
    let (_, third) = world.first(NUMBERS, 10).await;
    let why = world.no_next(&second).await;
    assert!(why.contains("newer") && why.contains("MCP_MAX_CURSORS"), "{why}");
    assert!(world.next(&first, 10).await.0.starts_with("[[21]"));
    assert!(world.next(&third, 10).await.0.starts_with("[[11]"));
    // Two cursors are open, and the third connection is free.
    assert_eq!(world.rows("select 1").await, "[[1]]");
}

#[actix_rt::test]
async fn cursors_always_leave_one_connection_for_calls() {
    let world = World::with(Options::new(), |settings| {
        settings.postgres.pool.size = 1;
        settings.limits.cursors_max = 5;
    })
    .await;
    let limits = Limits { rows_max: 10, ..world.reading.limits };
    let reading = Reading { limits, ..world.reading };
    let query =
        Query { call: CallContext::new("a test", Caller::stdio()), statement: statement(NUMBERS, json!([])), reading };
    let answered = world.executor.send(query).await.unwrap().unwrap();
    assert!(answered.answer.page.cut.is_some() && answered.cursor.is_none());
    assert_eq!(world.rows("select 1").await, "[[1]]");
}

#[actix_rt::test]
async fn a_handle_that_was_never_given_or_is_read_to_its_end_is_refused() {
    let world = world().await;
    let stranger = Cursor { handle: "0".repeat(32), lifetime: seconds(60) };
    assert!(world.no_next(&stranger).await.contains("never given"));
    let (_, cursor) = world.first("select n from generate_series(1, 3) n", 2).await;
    assert_eq!(world.next(&cursor, 2).await, ("[[3]]".to_owned(), None));
    assert!(world.no_next(&cursor).await.contains("read to its end"));
    world.until_backends("idle in transaction", 0).await;
}

#[actix_rt::test]
async fn a_fetch_that_is_dropped_cancels_its_statement_and_ends_its_cursor() {
    let world = world().await;
    let sql = "select n, case when n > 10 then pg_sleep(60)::text end from generate_series(1, 12) n";
    let (_, cursor) = world.first(sql, 3).await;
    let fetch = actix_rt::spawn(world.fetch(&cursor, 100));
    world.until_asleep(1).await;
    let why = world.no_next(&cursor).await;
    assert!(why.contains("Another call reads from this cursor"), "{why}");
    fetch.abort();
    world.until_backends("active", 0).await;
    assert!(world.no_next(&cursor).await.contains("cancelled"));
    assert_eq!(world.rows("select 1").await, "[[1]]");
}

#[actix_rt::test]
async fn a_page_that_fails_ends_its_cursor() {
    let world = world().await;
    let (_, cursor) = world.first("select 1 / (200 - n) from generate_series(1, 300) n", 150).await;
    let error = world.fetch(&cursor, 100).await.unwrap().unwrap_err().for_model();
    assert!(error.contains("22012"), "{error}");
    assert!(world.no_next(&cursor).await.contains("failed"));
    assert_eq!(world.rows("select 1").await, "[[1]]");
}

#[actix_rt::test]
async fn a_killed_backend_ends_its_cursor_and_no_other() {
    let world = world().await;
    let (pid, killed) = world.first("select pg_backend_pid() from generate_series(1, 9)", 1).await;
    let (_, other) = world.first(NUMBERS, 10).await;
    world.prepare(&format!("select pg_terminate_backend({})", pid.trim_matches(['[', ']']))).await;
    let error = world.fetch(&killed, 100).await.unwrap().unwrap_err();
    assert!(error.is_lost_connection(), "{error}");
    assert!(world.no_next(&killed).await.contains("failed"));
    assert!(world.next(&other, 10).await.0.starts_with("[[11]"));
}

#[actix_rt::test]
async fn a_cursor_outlives_a_reload() {
    let mut world = world().await;
    let (_, cursor) = world.first(NUMBERS, 10).await;
    world.change(|settings| settings.postgres.target.options = Some("-c work_mem=9MB".to_owned())).await;
    until("the pool is new", async || world.status().await.generation == 2).await;
    assert!(world.next(&cursor, 10).await.0.starts_with("[[11]"));
}

#[actix_rt::test]
async fn the_cursors_of_a_disconnected_client_are_closed_and_no_others() {
    let world = World::with(Options::new(), |settings| {
        settings.postgres.pool.size = 4;
        settings.limits.cursors_max = 3;
    })
    .await;
    let mut cursors = Vec::new();
    for name in ["goes", "stays", "goes"] {
        let caller = Caller { name: name.into(), ..Caller::stdio() };
        let answered = world.ask_as(caller, "select n from generate_series(1, 100000) n", json!([])).await;
        cursors.push(answered.unwrap().unwrap().cursor.unwrap());
    }
    world.until_backends("idle in transaction", 3).await;
    world.executor.send(CloseCursorsOf { client: "goes".into() }).await.unwrap();
    world.until_backends("idle in transaction", 1).await;
    assert_eq!(world.log.of("cursor closed; why=its client has gone").len(), 2);
}

#[actix_rt::test]
async fn closing_all_cursors_leaves_no_transaction_open() {
    let world = world().await;
    let (_, cursor) = world.first(NUMBERS, 10).await;
    world.until_backends("idle in transaction", 1).await;
    world.executor.send(CloseCursors).await.unwrap();
    world.until_backends("idle in transaction", 0).await;
    assert!(world.no_next(&cursor).await.contains("There is no such cursor"));
}

#[actix_rt::test]
async fn in_read_write_mode_only_a_statement_that_has_not_written_has_a_cursor() {
    let world = World::with(Options::new(), |settings| {
        settings.access = AccessMode::ReadWrite;
        settings.limits.cursors_max = 1;
    })
    .await;
    world.prepare("create table t (n int); create sequence s").await;
    world
        .prepare("create function put(n int) returns int language sql as 'insert into t values (n) returning n'")
        .await;
    let (_, cursor) = world.first(NUMBERS, 10).await;
    assert!(world.next(&cursor, 1000).await.0.ends_with("[1000]]"));

    // The changes of an answered statement are committed, although its rows are not all read.
    let limits = Limits { rows_max: 10, ..world.reading.limits };
    let reading = Reading { limits, ..world.reading };
    for sql in
        ["select put(n) from generate_series(1, 200) n", "insert into t select generate_series(1, 50) returning n"]
    {
        let query =
            Query { call: CallContext::new("a test", Caller::stdio()), statement: statement(sql, json!([])), reading };
        let answered = world.executor.send(query).await.unwrap().unwrap();
        assert!(answered.answer.page.cut.is_some() && answered.cursor.is_none(), "{sql}");
        assert!(world.observed::<i64>("select count(*) from t").await >= 10, "{sql}");
    }

    // The statement writes for the first time on its second page. That page is committed and ends the cursor.
    world.prepare("truncate t").await;
    let late = "select case when n > 150 then put(n) else n end from generate_series(1, 1000) n";
    let (_, cursor) = world.first(late, 10).await;
    let (page, after) = world.next(&cursor, 300).await;
    assert!(page.ends_with("[310]]") && after.is_none(), "{page}");
    assert!(world.observed::<i64>("select count(*) from t").await >= 160);
}
