//! Types that only PostgreSQL can show. The encoder refuses their values, and a query asks the server for their texts.

use pg_render::Codec;
use serde_json::Value;

use crate::encode::{Server, report};

/// The SQL that prepares [`EXPRESSIONS`].
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

/// Values whose text only the server knows.
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
    // The server does not accept these types as input, but NULL is possible.
    "null::pg_ndistinct",
    "null::pg_dependencies",
    "null::pg_mcv_list",
    "null::pg_brin_bloom_summary",
    "null::pg_brin_minmax_multi_summary",
    // These types have no binary form, so a cast is added to the statement.
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
    // PostgreSQL does not accept the binary form of these types as input.
    "(select stxdndistinct from pg_statistic_ext_data)",
    "(select stxddependencies from pg_statistic_ext_data)",
    "(select stxdmcv from pg_statistic_ext_data)",
];

#[tokio::test]
async fn a_type_that_only_postgresql_can_show_is_not_native_and_a_query_shows_its_text() {
    let server = Server::start().await;
    let mut failures = Vec::new();
    server.run(SETUP).await;
    for expression in EXPRESSIONS {
        let sql = format!("select {expression}");
        let expected = server.texts(&sql).await.remove(0);
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
                if serde_json::from_str::<Value>(&outcome.page.json).unwrap()[0] == Value::from(expected.clone()) => {}
            actual => failures.push(format!("{expression} ({type_})\n    actual {actual:?}\n  expected {expected:?}")),
        }
    }
    report(failures, EXPRESSIONS.len());
}

#[tokio::test]
async fn texts_from_postgresql_are_in_the_right_rows() {
    let server = Server::start().await;
    // There are more rows than the first fetch requests, a column that the encoder writes itself, and NULLs.
    let from = "from (select n, case when n % 7 > 0 then (n * 7919 / 100.0 - 9999)::numeric::money end as m, \
                case when n % 5 > 0 then n::regclass end as c from generate_series(1, 1500) n) as given order by n";
    let expected = server.texts(&format!("select json_build_array(n, m::text, c::text) {from}")).await;
    let outcome = server.answer(&format!("select n, m, c {from}"), Vec::new()).await.unwrap();
    let actual: Vec<Value> = serde_json::from_str(&format!("[{}]", outcome.page.json)).unwrap();
    assert_eq!(actual.len(), expected.len());
    for (actual, expected) in actual.iter().zip(&expected) {
        assert_eq!(Some(actual), expected.as_deref().map(|row| serde_json::from_str(row).unwrap()).as_ref());
    }
}

/// The SQL that prepares [`ANONYMOUS`].
const ANONYMOUS_SETUP: &str = r#"
create type mood as enum ('sad', 'ok', 'so so', '"');
create type pair as (n int4, label text);
create type bill as (total money, "by" mood);
create domain posint as int4 check (value > 0);
create domain fee as money;
create table shown as select n, (array['sad', 'ok', 'so so', '"'])[n % 4 + 1]::mood as m,
    (n % 5)::numeric::money as price, (array['pg_class', '"Odd Name"'])[n % 2 + 1]::regclass as relation,
    (n % 3 + 1)::posint as p, row(n % 3, 'a b')::pair as pair, array['ok'::mood, (array['sad', 'so so'])[n % 2 + 1]::mood]
    as moods, array[(n % 5)::numeric::money] as prices from generate_series(1, 1000) n;
analyze shown;
"#;

/// Values that name the types of their parts. Some of these types are not built in, or only PostgreSQL can show them.
const ANONYMOUS: &[&str] = &[
    "row(1, 'ok'::mood)",
    "row(1, 'so so'::mood, null::mood, '\"'::mood, 'a b')",
    "row('1234.5'::money)",
    "row('pg_class'::regclass, 2)",
    "row(5::posint)",
    "row('1.5'::fee, null::fee)",
    "row(row(1, 'x')::pair)",
    "row(row(1, 'a b')::pair, row('1.5', 'so so')::bill)",
    "row(row(1, 'so so'::mood), row(row(null, '2'::money)))",
    "row(array['ok'::mood, 'so so'], array['1.5'::money], array[row(1, 'a \"b')::pair])",
    "row('a', array[row('\"Odd Name\"'::regclass), row(null), null])",
    "array[row('sad'::mood)]",
    "array[row(1, 'ok'::mood), null, row(2, 'so so'), row(null, null)]",
    "array[[row('1'::money)], [row('2'::money)]]",
    "array_fill(row(1, 'so so'::mood), array[2], array[0])",
    "array(select row(n, 'ok'::mood) from generate_series(1, 300) n)",
    // These have only parts that the encoder can write.
    "row(1, 'a b', null)",
    "array[row(1, 'x')]",
];

#[tokio::test]
async fn an_anonymous_value_is_shown_with_all_types_of_parts() {
    let server = Server::start().await;
    server.run("create table \"Odd Name\" ()").await;
    server.run(ANONYMOUS_SETUP).await;
    let mut failures = Vec::new();
    for expression in ANONYMOUS {
        let sql = format!("select {expression}");
        let expected = server.texts(&sql).await.remove(0);
        for sql in [sql.clone(), format!("{sql} union all {sql}")] {
            match server.answer(&sql, Vec::new()).await {
                // An array without such a part is a JSON array.
                Ok(outcome) if text_of(&outcome.page.json) == expected || outcome.page.json == r#"[["(1,x)"]]"# => {}
                Ok(outcome) if outcome.page.json == r#"[["(1,x)"]],[["(1,x)"]]"# => {}
                actual => failures.push(format!("{sql}\n    actual {actual:?}\n  expected {expected:?}")),
            }
        }
    }
    report(failures, ANONYMOUS.len());
}

/// The first cell of the first row, which is a string.
fn text_of(rows: &str) -> Option<String> {
    let rows: Value = serde_json::from_str(&format!("[{rows}]")).unwrap();
    rows[0][0].as_str().map(str::to_owned)
}

#[tokio::test]
async fn the_statistics_of_columns_of_every_type_are_shown_in_one_answer() {
    let server = Server::start().await;
    server.run("create table \"Odd Name\" ()").await;
    server.run(ANONYMOUS_SETUP).await;
    let sql = "select attname, most_common_vals, histogram_bounds, most_common_elems from pg_stats \
               where tablename = 'shown' order by attname";
    let outcome = server.answer(sql, Vec::new()).await.unwrap();
    let rows: Value = serde_json::from_str(&format!("[{}]", outcome.page.json)).unwrap();
    let texts =
        |column: &str| format!("select {column}::text from pg_stats where tablename = 'shown' order by attname");
    let expected = server.texts(&texts("most_common_vals")).await;
    for (row, expected) in rows.as_array().unwrap().iter().zip(expected) {
        match (row[0].as_str().unwrap(), &row[1], expected) {
            ("n", Value::Null, None) => assert!(row[2].as_array().is_some_and(|bounds| bounds[0] == 1)),
            // The elements have a type that the encoder can write, so the value is a JSON array.
            ("m" | "p" | "pair" | "moods", Value::Array(values), Some(_)) => assert!(values.len() >= 2, "{row}"),
            ("price" | "relation" | "prices", Value::String(text), Some(expected)) => assert_eq!(*text, expected),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(rows[1][3], serde_json::json!(["sad", "ok", "so so"]), "{rows}");
}

#[tokio::test]
async fn the_codec_alone_refuses_an_anonymous_value_with_a_part_that_only_postgresql_can_show() {
    let server = Server::start().await;
    server.run("create type mood as enum ('sad')").await;
    for expression in ["row(1, 'sad'::mood)", "row('1'::money)", "array[row('sad'::mood)]"] {
        let column = server.column(&format!("select {expression}")).await;
        assert!(Codec::of(&column.type_).is_native() && Codec::of(&column.type_).is_anonymous(), "{expression}");
        for actual in [column.text(0), column.json(0)] {
            let problem = actual.map_err(|error| error.problem);
            assert_eq!(problem, Err("only the server can show values of this type"), "{expression}");
        }
    }
}
