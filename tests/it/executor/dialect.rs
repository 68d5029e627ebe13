//! What models write for other databases and for psql, and what they are told.

use super::*;

/// The text in backticks.
fn code(cell: &str) -> &str {
    let cell = cell.trim().trim_matches('…').trim();
    cell.strip_prefix("`` ").and_then(|cell| cell.strip_suffix(" ``")).unwrap_or_else(|| cell.trim_matches('`'))
}

/// The rows of docs/errors.md: a statement, and a part of its hint.
fn rows() -> Vec<(&'static str, &'static str)> {
    let page = include_str!("../../../docs/errors.md");
    let table = page.split_once("| the statement | the hint |\n|---|---|\n").unwrap().1;
    let lines = table.lines().take_while(|line| line.starts_with('|'));
    lines
        .map(|line| {
            let (statement, hint) = line.trim_matches('|').split_once(" | ").unwrap();
            (code(statement), code(hint))
        })
        .collect()
}

#[actix_rt::test]
async fn what_is_written_for_another_database_is_answered_with_what_to_write_here() {
    for access in [AccessMode::ReadOnly, AccessMode::ReadWrite] {
        let world = World::with(Options::new(), |settings| settings.access = access).await;
        world.prepare("create table t (id int, name text)").await;
        let rows = rows();
        assert!(rows.len() > 50);
        for (sql, hint) in rows {
            let is_write = ["insert", "create", "replace"].iter().any(|word| sql.starts_with(word));
            if access == AccessMode::ReadOnly && is_write {
                continue;
            }
            let error = world.query(sql).await.map(|_| ()).expect_err(sql);
            let QueryError::Rejected(rejection) = &error else { panic!("{sql}: {error}") };
            let said = rejection.hint.as_deref().unwrap_or("");
            assert!(said.contains(hint) && !said.contains('\n'), "{access}: {sql}: {error}");
        }
    }
}

#[actix_rt::test]
async fn a_parameter_in_quotes_is_told_where_it_belongs() {
    let world = World::new().await;
    let error = world.ask("select 1 where 'abc' like '$1%'", json!(["a"])).await.unwrap().unwrap_err();
    let text = error.for_model();
    assert!(text.contains("takes 0 parameters") && text.contains("outside of quotes"), "{text}");
}

#[actix_rt::test]
async fn what_can_only_run_alone_is_told_so_in_a_batch() {
    let world = World::read_write().await;
    world.prepare("create table t (n int); create procedure p() language plpgsql as 'begin commit; end'").await;
    for sql in [
        "vacuum t",
        "create index concurrently on t (n)",
        "reindex table concurrently t",
        "create database other",
        "drop database if exists other",
        "alter system set work_mem = '5MB'",
        "call p()",
    ] {
        let failed = world.batch(&[("select 1", json!([])), (sql, json!([]))]).await.unwrap_err();
        let text = failed.error.for_model();
        assert!(
            failed.statement == Some(2) && text.contains("alone") && text.contains("async_query_execute"),
            "{text}"
        );
    }
}

#[actix_rt::test]
async fn more_parameters_than_the_protocol_has_are_refused_and_cost_no_connection() {
    let world = World::with(Options::new(), |settings| settings.postgres.pool.size = 1).await;
    let pid = world.rows("select pg_backend_pid()").await;
    let numbered = |count: usize| {
        let marks: Vec<String> = (1..=count).map(|n| format!("${n}")).collect();
        format!("select 1 where 1 in ({})", marks.join(","))
    };
    for (sql, values) in [("select $1::int".to_owned(), 65_536), (numbered(65_536), 65_536), (numbered(65_536), 0)] {
        let error = world.ask(&sql, json!(vec![1; values])).await.unwrap().unwrap_err();
        let text = error.for_model();
        assert!(text.contains("at most 65535") && text.contains("= ANY($1)"), "{text}");
        assert!(!error.is_retryable());
        assert_eq!(world.rows("select pg_backend_pid()").await, pid);
    }
    let most = world.ask(&numbered(65_535), json!(vec![1; 65_535])).await.unwrap().unwrap();
    assert_eq!(most.answer.page.json, "[1]");
}
