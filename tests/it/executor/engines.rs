//! Servers that speak PostgreSQL's protocol and are none: a stand-in in front of a real one, to which some words mean
//! nothing.

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A server to which these words mean nothing: what it gets has the last letter of each changed.
async fn without(words: &'static [&'static str], cluster: &PrivateCluster) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, server) = (listener.local_addr().unwrap().port(), cluster.port());
    actix_rt::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
            let (mut from_server, mut to_server) = server.into_split();
            let (mut from_client, mut to_client) = client.into_split();
            actix_rt::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
            actix_rt::spawn(async move {
                let mut bytes = vec![0; 1 << 16];
                while let Ok(count @ 1..) = from_client.read(&mut bytes).await {
                    let sent = &mut bytes[..count];
                    for word in words {
                        while let Some(at) = sent.windows(word.len()).position(|window| window == word.as_bytes()) {
                            sent[at + word.len() - 1] = b'_';
                        }
                    }
                    if to_server.write_all(sent).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

/// An executor on such a server.
async fn on(words: &'static [&'static str], access: AccessMode) -> World {
    let cluster = Options::new().start().unwrap();
    let observer = connect(&cluster.url()).await;
    observer.batch_execute("create table t (n int); insert into t values (1), (2), (3)").await.unwrap();
    let port = without(words, &cluster).await;
    let settings = settings_of(&cluster, |settings| {
        settings.postgres.target.ports = vec![port];
        settings.access = access;
    });
    let (executor, (finished, rebuilt), log) = super::start(&settings);
    let limits = Limits { rows_max: settings.limits.rows_max, bytes_max: settings.limits.bytes_max };
    let reading = Reading { limits, format: Format::Table, cell_offset: 0 };
    World { executor, finished, rebuilt, log, settings: Arc::new(settings), reading, observer, cluster }
}

const WARNING: &str = "the server is no PostgreSQL";

#[actix_rt::test]
async fn a_refused_setting_costs_only_what_it_is_for() {
    for (words, warned) in [
        (&["IntervalStyle"][..], "SET IntervalStyle"),
        (&["SET statement_timeout"], "SET statement_timeout"),
        (&["DateStyle", "bytea_output", "extra_float_digits"], "SET extra_float_digits"),
        (&["pg_advisory_unlock_all"], "whether a connection is clean"),
        // It has standard strings all the same, and that is asked.
        (&["SET standard_conforming_strings"], ""),
        // Then each transaction begins so.
        (&["default_transaction_read_only"], ""),
        (&["pg_backend_pid"], ""),
    ] {
        let world = on(words, AccessMode::ReadOnly).await;
        for _ in 0..2 {
            assert_eq!(world.rows("select n from t order by n").await, "[[1],[2],[3]]", "without {words:?}");
            assert_eq!(world.rows("select abs(-1)").await, "[[1]]", "without {words:?}");
        }
        world.prepare("create function mischief() returns int stable language plpgsql as $$ begin delete from t; return 1; end $$").await;
        let refused = world.refusal("select mischief()").await;
        assert!(refused.contains("25006") || refused.contains("0A000"), "without {words:?}: {refused}");
        assert_eq!(world.observed::<i64>("select count(*) from t").await, 3);
        let warnings = world.log.of(WARNING);
        assert_eq!(warnings.len(), usize::from(!warned.is_empty()), "without {words:?}: {warnings:?}");
        assert!(warnings.iter().all(|warning| warning.contains(warned)), "without {words:?}: {warnings:?}");
    }
}

#[actix_rt::test]
async fn what_cannot_be_guarded_is_not_used_in_read_only_mode() {
    for words in [&["default_transaction_read_only", "BEGIN READ ONLY"][..], &["standard_conforming_strings"]] {
        let world = on(words, AccessMode::ReadOnly).await;
        let refused = world.refusal("select 1").await;
        assert!(refused.contains("cannot be guarded") && refused.contains("MCP_ACCESS_MODE"), "{words:?}: {refused}");
    }
    let world = on(&["standard_conforming_strings"], AccessMode::ReadWrite).await;
    assert_eq!(world.rows("select 1").await, "[[1]]");
    assert_eq!(world.rows("insert into t values (4) returning n").await, "[[4]]");
}

#[actix_rt::test]
async fn a_failed_question_of_ours_is_not_the_statements_error() {
    let world = on(&["hashint8extended"], AccessMode::ReadOnly).await;
    assert_eq!(world.rows("select 1").await, "[[1]]");
    let refused = world.refusal("select abs(1)").await;
    assert!(refused.starts_with("The guard cannot ask this server's catalogs"), "{refused}");
    // The type of a column is asked for behind the guard's question, which has failed.
    world
        .prepare("create type colour as enum ('red'); create table own (c colour); insert into own values ('red')")
        .await;
    let refused = world.refusal("select c, abs(1) from own").await;
    assert!(refused.starts_with("The guard cannot ask this server's catalogs"), "{refused}");

    let world = on(&["hashint8extended"], AccessMode::ReadWrite).await;
    world
        .prepare("create type colour as enum ('red'); create table own (c colour); insert into own values ('red')")
        .await;
    assert_eq!(world.rows("select c, abs(1) from own").await, r#"[["red",1]]"#);

    let world = on(&["txid_current_if_assigned"], AccessMode::ReadWrite).await;
    let reading = Reading { limits: Limits { rows_max: 1, ..world.reading.limits }, ..world.reading };
    let statement = statement("with x as (insert into t values (9) returning n) select t.n from t, x", json!([]));
    let query = Query { call: CallContext::new("a test", Caller::stdio()), statement, reading };
    let refused = world.executor.send(query).await.unwrap().map(|answered| answered.answer).unwrap_err().for_model();
    assert!(refused.contains("cannot be cut and read on"), "{refused}");
    assert_eq!(world.observed::<i64>("select count(*) from t").await, 3);
}

/// The rest of what may fail behind a statement: the driver's look-ups of its types, and the questions for texts that only
/// the server can write.
#[actix_rt::test]
async fn a_type_that_cannot_be_looked_up_is_not_the_statements_error() {
    const LOOK_UP: &str = "The statement is right, but a type of its columns or parameters cannot be looked up";
    const TEXT: &str = "This server cannot be asked for the text of a value";
    for (words, sql, part) in [
        (&["enumlabel"][..], "select c from own", LOOK_UP),
        (&["t.typbasetype, n.nspname"], "select c from own", LOOK_UP),
        (&["pg_catalog.pg_type t\nLEFT OUTER JOIN pg_catalog.pg_range"], "select c from own -- and a comment", LOOK_UP),
        (&["SELECT DISTINCT part.whole"], "select a from own", TEXT),
        (&["pg_catalog.concat($1)"], "select r from own", TEXT),
        // What is wrong with the statement goes first.
        (&["enumlabel"], "select c from owm", "42P01"),
        (&["enumlabel"], "select nothing, c from own", "42703"),
        (&["enumlabel"], "selec c from own", "42601"),
    ] {
        for access in [AccessMode::ReadOnly, AccessMode::ReadWrite] {
            let world = on(words, access).await;
            world
                .prepare(
                    "create type colour as enum ('red'); create table own (c colour, a aclitem, r regclass);
                          insert into own values ('red', '=r/postgres', 'own')",
                )
                .await;
            let refused = world.refusal(sql).await;
            assert!(refused.contains(part) && !refused.contains("25P02"), "{words:?} {sql}: {refused}");
            assert_eq!(world.rows("select c::text from own").await, r#"[["red"]]"#, "{words:?}");
            assert_eq!(world.rows("select n from t order by n").await, "[[1],[2],[3]]", "{words:?}");
        }
    }
}

#[actix_rt::test]
async fn a_role_that_may_not_read_the_types_is_told_so() {
    let world = World::with(Options::new(), |settings| {
        settings.postgres.target.user = "clerk".to_owned();
        settings.postgres.pool.min_size = 0;
    })
    .await;
    world
        .prepare(
            "create role clerk login; create type colour as enum ('red'); create table own (c colour);
             insert into own values ('red'); grant select on own to clerk; revoke select on pg_catalog.pg_enum from public",
        )
        .await;
    let refused = world.refusal("select c from own").await;
    assert!(refused.starts_with("The statement is right") && refused.contains("42501"), "{refused}");
    assert_eq!(world.rows("select c::text from own").await, r#"[["red"]]"#);
}
