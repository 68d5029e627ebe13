//! Types that only PostgreSQL can show: the encoder says so and refuses their values, and a query asks the server for
//! their texts.

use mcp_server_postgres::postgres::encode::Codec;
use serde_json::Value;

use crate::{Server, report};

/// What must exist before [`EXPRESSIONS`].
pub const SETUP: &str = r#"
create type priced as (name text, price money);
create type float_span as range (subtype = float8, multirange_type_name = float_spans);
create table "Mixed Case" (n int);
create domain price as money;
create domain privilege as aclitem;
create type granted as (what text, privileges privilege[]);
create extension cube;
create extension isn;
create extension lo;
create extension earthdistance;
create extension intarray;
create extension pg_trgm;
create extension seg;
create table twins as select n % 10 as a, n % 10 as b from generate_series(1, 1000) n;
create statistics both_columns (ndistinct, dependencies, mcv) on a, b from twins;
analyze twins;
"#;

/// Values whose text the server knows.
pub const EXPRESSIONS: &[&str] = &[
    "'12345.67'::money",
    "'-92233720368547758.08'::money",
    "null::money",
    "array['1.5'::money, null, '-1234.5']",
    "'1.5'::price",
    "row('a b', '1234.5')::priced",
    "array[row('a \"b\"', null)::priced]",
    "'pg_class'::regclass",
    "'\"Mixed Case\"'::regclass",
    "'\"Mixed Case\"[]'::regtype",
    "0::regclass",
    "4294967295::regclass",
    "'now'::regproc",
    "'abs(int4)'::regprocedure",
    "'||/'::regoper",
    "'+(int4,int4)'::regoperator",
    "'timestamp with time zone'::regtype",
    "'postgres'::regrole",
    "'pg_catalog'::regnamespace",
    "'english'::regconfig",
    "'simple'::regdictionary",
    "'\"C\"'::regcollation",
    "array['pg_class'::regclass, '\"Mixed Case\"']",
    "'{[1.5,2.5),[3,4)}'::float_spans",
    "'(1,2),(3,4)'::cube",
    "array['(1,2)'::cube]",
    "ll_to_earth(0, 0)",
    "null::aclitem[]",
    // The server refuses to read these, but a NULL need not be read.
    "null::pg_ndistinct",
    "null::pg_dependencies",
    "null::pg_mcv_list",
    "null::pg_brin_bloom_summary",
    "null::pg_brin_minmax_multi_summary",
    // These have no binary form; the statement is given a cast.
    "'postgres=r/postgres'::aclitem",
    "array['postgres=r/postgres'::aclitem, null]",
    "null::aclitem",
    "'postgres=r/postgres'::privilege",
    "row('a b', array['postgres=r/postgres', null])::granted",
    "array[row('a b', array['postgres=r/postgres'])::granted]",
    "(select c from pg_class c where relname = 'pg_class')",
    "null::gtsvector",
    "'978-0-393-04002-9'::isbn",
    "'1&2'::query_int",
    "'1.5 .. 2.5'::seg",
    // These have one that PostgreSQL does not take back.
    "(select stxdndistinct from pg_statistic_ext_data)",
    "(select stxddependencies from pg_statistic_ext_data)",
    "(select stxdmcv from pg_statistic_ext_data)",
];

#[tokio::test]
async fn a_type_that_only_postgresql_can_show_is_refused_by_the_codec_and_shown_by_a_query() {
    let server = Server::start().await;
    let mut failures = Vec::new();
    server.run(SETUP).await;
    for expression in EXPRESSIONS {
        let sql = format!("select {expression}");
        let wanted = server.texts(&sql).await.remove(0);
        let type_ = server.prepare(&sql).await.columns()[0].type_().clone();
        let (codec, mut out) = (Codec::of(&type_), b"before".to_vec());
        if codec.is_native()
            || codec.write_text(&[0; 4], &mut out).is_ok()
            || codec.write_json(&[0; 4], &mut out).is_ok()
        {
            failures.push(format!("{expression} ({type_}): the codec did not refuse it"));
        }
        assert_eq!(out, b"before", "{expression}");
        match server.answer(&sql, Vec::new()).await {
            Ok(outcome)
                if serde_json::from_str::<Value>(&outcome.page.json).unwrap()[0] == Value::from(wanted.clone()) => {}
            got => failures.push(format!("{expression} ({type_})\n     got {got:?}\n  wanted {wanted:?}")),
        }
    }
    report(failures, EXPRESSIONS.len());
}

#[tokio::test]
async fn the_texts_that_postgresql_gives_stay_in_their_rows() {
    let server = Server::start().await;
    // More rows than the first fetch takes, a column of our own beside PostgreSQL's, NULLs among them.
    let from = "from (select n, case when n % 7 > 0 then (n * 7919 / 100.0 - 9999)::numeric::money end as m, \
                case when n % 5 > 0 then n::regclass end as c from generate_series(1, 1500) n) as given order by n";
    let wanted = server.texts(&format!("select json_build_array(n, m::text, c::text) {from}")).await;
    let outcome = server.answer(&format!("select n, m, c {from}"), Vec::new()).await.unwrap();
    let got: Vec<Value> = serde_json::from_str(&format!("[{}]", outcome.page.json)).unwrap();
    assert_eq!(got.len(), wanted.len());
    for (got, wanted) in got.iter().zip(&wanted) {
        assert_eq!(Some(got), wanted.as_deref().map(|row| serde_json::from_str(row).unwrap()).as_ref());
    }
}

#[tokio::test]
async fn an_anonymous_record_with_a_field_of_no_known_type_is_refused_whole() {
    let server = Server::start().await;
    let mut failures = Vec::new();
    server.run("create type mood as enum ('sad'); create type pair as (n int4, label text)").await;
    let expressions = [
        "row(1, 'sad'::mood)",
        "row(row(1, 'a')::pair)",
        "row('1'::money)",
        "row('pg_class'::regclass)",
        "row('a', array[row('pg_class'::regclass)])",
        "array[row('sad'::mood)]",
    ];
    for expression in expressions {
        let column = server.column(&format!("select {expression}")).await;
        assert!(Codec::of(&column.type_).is_native(), "{expression}");
        for got in [column.text(0), column.json(0)] {
            if !got.as_ref().is_err_and(|error| error.problem == "only the server can show values of this type") {
                failures.push(format!("{expression}\n     got {got:?}\n  wanted a refusal"));
            }
        }
    }
    report(failures, expressions.len());
}
