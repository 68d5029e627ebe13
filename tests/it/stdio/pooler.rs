//! Three processes through one pooler with two backends, between hostile neighbours, and one of them is killed.

use std::collections::HashMap;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::*;
use crate::common::pgbouncer::{HOSTILE, PgBouncer};

/// Statements of a reader, with their rows.
fn reads() -> Vec<(&'static str, Value)> {
    vec![
        (r"select '\x00ff'::bytea", json!([["\\x00ff"]])),
        ("select date '2024-02-01', interval '1 day 2 hours'", json!([["2024-02-01", "1 day 02:00:00"]])),
        ("select '01/02/2024'::date", json!([["2024-01-02"]])),
        (r"select 'a\b'", json!([[r"a\b"]])),
        ("select count(*) from kept where n <= 1000", json!([[1000]])),
        ("select n from kept where n = 7", json!([[7]])),
        ("select current_user::text", json!([["postgres"]])),
        ("select c, d from own", json!([["red", 5]])),
        ("select sum(n) from generate_series(1, 200) as n", json!([[20100]])),
    ]
}

/// One statement of a reader and its check; the kinds come in turn.
async fn read(server: &mut Server, turn: usize) {
    let reads = reads();
    match turn % (reads.len() + 3) {
        at if at < reads.len() => {
            let (sql, rows) = &reads[at];
            assert_eq!(&server.rows(sql).await, rows, "{sql}");
        }
        at if at == reads.len() => {
            let arguments = json!({"query": "select n from kept where n <= 1000 order by n", "max_rows": 2});
            let cut = server.call("async_query_execute", arguments).await;
            assert_eq!(cut["structuredContent"]["rows"], json!([[1], [2]]), "{cut}");
            let cursor = cut["structuredContent"]["cursor"].clone();
            // To its end: an open cursor keeps one of the two backends.
            let next = server.call("fetch_rows", json!({"cursor": cursor, "max_rows": 2000})).await;
            let rows = next["structuredContent"]["rows"].as_array().unwrap();
            assert_eq!((rows.len(), &rows[0], &rows[997]), (998, &json!([3]), &json!([1000])), "{next}");
        }
        at if at == reads.len() + 1 => {
            let missing = server.query("select * from kepp").await;
            assert!(missing["content"][0]["text"].as_str().unwrap().contains("42P01"), "{missing}");
        }
        _ => {
            let arguments = json!({"query": "delete from kept where n = $1", "parameters": [turn]});
            let refused = server.call("async_query_execute", arguments).await;
            assert_eq!(refused["isError"], true, "{refused}");
        }
    }
}

/// So many statements of a writer: each adds a row, and its answers say so.
async fn write(server: &mut Server, statements: usize) {
    for turn in 0..statements {
        if turn % 3 == 0 {
            let n = 1001 + turn;
            let written = server.rows(&format!("insert into kept values ({n}) returning n")).await;
            assert_eq!(written, json!([[n]]));
        } else {
            read(server, turn % reads().len()).await;
        }
    }
}

/// So many statements in all, of two readers and a writer.
async fn mixed(statements: usize) {
    let cluster = PrivateCluster::start().unwrap();
    let Some(bouncer) = PgBouncer::start(&cluster, "transaction").await else { return };
    let direct = observer(&cluster).await;
    direct
        .batch_execute(
            "create table kept (n int); insert into kept select generate_series(1, 1000); create role stranger;
             create type colour as enum ('red', 'blue'); create domain positive as int check (value > 0);
             create table own (c colour, d positive); insert into own values ('red', 5)",
        )
        .await
        .unwrap();
    bouncer.on_both(HOSTILE).await;
    let each = statements / 3;
    let read_only = format!("DATABASE_URL={}\nPOSTGRES_POOL_SIZE=3\nMCP_MAX_ROWS_CEILING=100000", bouncer.url());
    let read_write = format!("{read_only}\nMCP_ACCESS_MODE=read-write");
    let start = async |env: &str| {
        let mut server = Server::start(env);
        server.initialize("2025-11-25").await;
        server
    };
    let (over, is_over) = watch::channel(false);
    // A neighbour goes on meanwhile, and finds what it has set.
    let mut seen = HashMap::new();
    let neighbour = async {
        let client = bouncer.client().await;
        while !*is_over.borrow() {
            PgBouncer::haunt(&client, &mut seen).await;
            tokio::task::yield_now().await;
        }
    };
    let ours = async {
        let reader = async |is_killed: bool| {
            let mut server = start(&read_only).await;
            for turn in 0..each {
                if is_killed && turn == each / 2 {
                    server.send_call("async_query_execute", json!({"query": "select pg_sleep(0.05)"})).await;
                    server.signal("KILL");
                    server.ended().await;
                    server = start(&read_only).await;
                }
                read(&mut server, turn).await;
            }
        };
        let writer = async {
            let mut server = start(&read_write).await;
            write(&mut server, statements - 2 * each).await;
        };
        tokio::join!(join_all([reader(false), reader(true)]), writer);
        over.send_replace(true);
    };
    tokio::join!(ours, neighbour);
    let written = (statements - 2 * each).div_ceil(3) as i64;
    let count = direct.query_one("select count(*) from kept", &[]).await.unwrap();
    assert_eq!(count.get::<_, i64>(0), 1000 + written, "only the writer has written");
    let prepared = "select count(*)::text from pg_catalog.pg_prepared_statements where not from_sql";
    assert_eq!(bouncer.on_both(prepared).await, ["0", "0"], "nothing of ours is left there");
}

#[tokio::test]
async fn three_processes_share_two_backends_with_hostile_neighbours_and_every_answer_is_right() {
    mixed(300).await;
}

/// `make pooler`
#[tokio::test]
#[ignore = "it takes some minutes"]
async fn ten_thousand_statements_of_three_processes_through_two_backends_are_right() {
    mixed(10_000).await;
}
