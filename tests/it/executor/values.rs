//! Parameters and rows: each type of PostgreSQL as a parameter, and as a value in an answer.

use super::*;
use crate::common::versions::version;

#[actix_rt::test]
async fn a_parameter_of_any_type_is_returned_unchanged() {
    let world = World::new().await;
    world
        .prepare("create type mood as enum ('sad', 'ok'); create domain age as int check (value >= 0); create type pair as (a int, b text)")
        .await;
    for (sql, parameters, rows) in [
        ("select $1::int + 1", json!([41]), json!([[42]])),
        ("select $1::int8", json!([9_007_199_254_740_993_i64]), json!([["9007199254740993"]])),
        (
            "select $1::uuid",
            json!(["A0EEBC999C0B4EF8BB6D6BB9BD380A11"]),
            json!([["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]]),
        ),
        ("select $1::date + 1", json!(["2024-02-28"]), json!([["2024-02-29"]])),
        ("select $1::timestamptz", json!(["2024-02-28T12:00:00+02"]), json!([["2024-02-28 10:00:00+00"]])),
        ("select $1::interval", json!(["90 minutes"]), json!([["01:30:00"]])),
        ("select $1::jsonb -> 'a'", json!([{"a": [1, null, "x"]}]), json!([[[1, null, "x"]]])),
        ("select $1::json", json!([[1, 2]]), json!([[[1, 2]]])),
        ("select $1::mood", json!(["ok"]), json!([["ok"]])),
        ("select $1::age", json!([7]), json!([[7]])),
        ("select $1::inet", json!(["10.0.0.1/8"]), json!([["10.0.0.1/8"]])),
        ("select $1::int[]", json!([[1, null, 3]]), json!([[[1, null, 3]]])),
        ("select $1::int[]", json!(["{1,2}"]), json!([[[1, 2]]])),
        ("select $1::text[]", json!([["a\"b", "", "NULL", "c\\d"]]), json!([[["a\"b", "", "NULL", "c\\d"]]])),
        ("select 2 = any($1::int[])", json!([[1, 2]]), json!([[true]])),
        ("select $1::bool, $2::text", json!([true, null]), json!([[true, null]])),
        ("select $1::bytea", json!(["\\x00ff"]), json!([["\\x00ff"]])),
        ("select ($1::pair).b", json!(["(1,two)"]), json!([["two"]])),
        ("select $1::int4range", json!(["[1,5)"]), json!([["[1,5)"]])),
        ("select n from generate_series(1, 9) n where n = any($1) limit $2", json!([[2.0, 3.0], 1.0]), json!([[2]])),
        ("select $1", json!(["a text is what an unknown is"]), json!([["a text is what an unknown is"]])),
        ("select 1 as a, 2 as a, 3", json!([]), json!([[1, 2, 3]])),
        ("select", json!([]), json!([[]])),
        ("select 1 where false", json!([]), json!([])),
    ] {
        let answered = world.ask(sql, parameters.clone()).await.unwrap();
        let page = answered.unwrap_or_else(|error| panic!("{sql} {parameters}: {error}")).answer.page;
        let answer: Value = serde_json::from_str(&format!("[{}]", page.json)).unwrap();
        assert_eq!(answer, rows, "{sql} {parameters}");
        assert_eq!(page.cut, None, "{sql}");
    }
}

#[actix_rt::test]
async fn the_digits_of_a_number_are_kept() {
    let world = World::new().await;
    let parameters: Value = serde_json::from_str("[1.10, 12345678901234567890.123456789]").unwrap();
    let answered = world.ask("select $1::numeric, $2::numeric", parameters).await.unwrap().unwrap();
    assert!(answered.answer.page.text.ends_with("1.10 | 12345678901234567890.123456789\n"));
}

#[actix_rt::test]
async fn the_error_for_an_invalid_parameter_says_what_is_valid() {
    let world = World::new().await;
    for (sql, parameters, parts) in [
        ("select $1::int", json!([]), &["takes 1 parameter ($1 integer)", "`parameters` has 0"][..]),
        ("select 1", json!([1, 2]), &["takes 0 parameters (none)", "`parameters` has 2"]),
        ("select $1::int", json!([{"a": 1}]), &["Parameter $1", "wants integer", "an object was given"]),
        ("select $1::int[]", json!([7]), &["Parameter $1", "wants integer[]", "a number was given", "JSON array"]),
        ("select $1::int", json!(["seven"]), &["22P02", "seven", "$1"]),
        (
            "select $1::int",
            json!([5.5]),
            &["Parameter $1: PostgreSQL wants integer, and 5.5 was given, which is not a whole number"],
        ),
        ("select $1::int2", json!([1e6]), &["22003", "1000000"]),
        ("select $1::date", json!(["2023-02-29"]), &["22008", "2023-02-29", "$1"]),
        ("select $1::text", json!(["a\u{0}b"]), &["Parameter $1", "U+0000"]),
    ] {
        let error = world.ask(sql, parameters.clone()).await.unwrap().expect_err(sql).for_model();
        for part in parts {
            assert!(error.contains(part), "{sql} {parameters}: {error}");
        }
    }
    assert_eq!(world.rows("select 1").await, "[[1]]");
}

#[actix_rt::test]
async fn values_that_only_postgresql_can_show_are_shown() {
    let world = World::new().await;
    world.prepare("create extension if not exists ltree; create extension if not exists cube").await;
    assert_eq!(
        world.rows("select 'a.b'::ltree, '(1,2)'::cube, null::cube, 'x.*'::lquery from generate_series(1, 2)").await,
        r#"[["a.b","(1, 2)",null,"x.*"],["a.b","(1, 2)",null,"x.*"]]"#
    );
}

#[actix_rt::test]
async fn a_type_without_a_binary_form_comes_as_text() {
    let mut world = World::read_write().await;
    world.prepare("create table t (n int); grant select on t to public; create extension if not exists seg").await;
    // The privilege MAINTAIN exists since PostgreSQL 17.
    let all = if version(&world.observer).await >= 17 { "arwdDxtm" } else { "arwdDxt" };
    for (sql, rows) in [
        (
            "select relacl, relname, 1 from pg_class where relname = 't' -- all of it;",
            &*format!(r#"[["{{postgres={all}/postgres,=r/postgres}}","t",1]]"#),
        ),
        ("select makeaclitem(10, 10, 'SELECT', false) as a, 2 as a;;", r#"[["postgres=r/postgres",2]]"#),
        ("select null::aclitem, $$;$$", r#"[[null,";"]]"#),
        ("values ('1 .. 2'::seg), (null) order by 1", r#"[["1 .. 2"],[null]]"#),
        ("with s as (select '1'::seg) table s", r#"[["1"]]"#),
    ] {
        assert_eq!(world.rows(sql).await, rows, "{sql}");
    }
    let page = world.query("select relacl as a from pg_class").await.unwrap().answer.page;
    assert_eq!((page.columns[0].name.as_str(), page.columns[0].type_name.as_str()), ("a", "aclitem[]"));
    world.reading.limits.rows_max = 10;
    for catalog in ["pg_class", "pg_type", "pg_proc", "pg_attribute", "pg_stats", "pg_index", "pg_stat_activity"] {
        assert_eq!(world.query(&format!("select * from {catalog}")).await.map(|_| ()), Ok(()), "{catalog}");
    }
    let refused = world.refusal("with i as (insert into t values (1)) select relacl from pg_class").await;
    assert_eq!(
        refused,
        "PostgreSQL cannot send a column of this answer: relacl (aclitem[]). Cast it to text (column::text)."
    );
}

#[actix_rt::test]
async fn a_composite_that_was_altered_is_shown_as_it_is_now() {
    let world = World::with(Options::new(), |settings| settings.postgres.pool.size = 1).await;
    world.prepare("create table t (a int); insert into t values (1); create type e as enum ('x')").await;
    assert_eq!(world.rows("select t, 'x'::e from t").await, r#"[["(1)","x"]]"#);
    world.prepare("alter table t add b text default 'two'; alter type e add value 'y'").await;
    assert_eq!(world.rows("select t, 'y'::e from t").await, r#"[["(1,two)","y"]]"#);
    world.prepare("alter table t drop a; alter table t add c bool").await;
    assert_eq!(world.rows("select t, array[t] from t").await, r#"[["(two,)",["(two,)"]]]"#);
}

#[actix_rt::test]
async fn few_large_rows_that_only_postgresql_can_show_are_read_beyond_the_cut() {
    let mut world = World::read_write().await;
    world.prepare("create type bigm as (m money, t text); create sequence seen").await;
    // The value of a sequence is not rolled back, so it counts the rows that PostgreSQL has made.
    let sql = |bytes: usize| {
        format!("select row(1::money, repeat('x', {bytes}))::bigm, nextval('seen') from generate_series(1, 300)")
    };
    let seen = "select setval('seen', 1, false), last_value from (select last_value from seen) as given";
    let record = "select row(1::money, repeat('x', 3000000)), nextval('seen') from generate_series(1, 300)";
    for (sql, bytes_max, shown, read_max) in [
        (sql(3_000_000), 100_000, 1, 2),
        (record.to_owned(), 100_000, 1, 2),
        (sql(300_000), 3_050_000, 10, 13),
        (sql(10), 1_000_000, 300, 300),
    ] {
        world.reading.limits.bytes_max = bytes_max;
        let page = world.query(&sql).await.unwrap().answer.page;
        assert_eq!(page.rows, shown, "{sql}");
        let read: i64 = world.observer.query_one(seen, &[]).await.unwrap().get(1);
        assert!(read <= read_max, "{sql}: {read} rows were read for {shown}");
    }
}

#[actix_rt::test]
async fn many_rows_with_values_that_only_postgresql_can_show_are_shown_in_their_order() {
    let mut world = World::new().await;
    world.prepare("create type mood as enum ('sad', 'ok')").await;
    world.reading.limits = Limits { rows_max: 2000, bytes_max: 10_000_000 };
    // There are small and large values, and values with more parts than one query asks for.
    let sql = "select n, row(n::money, case when n % 2 = 0 then 'ok'::mood end), \
               repeat('x', case when n % 100 = 0 then 400000 else n % 7 end)::text, n::money from generate_series(1, 1000) n";
    let rows: Value = serde_json::from_str(&world.rows(sql).await).unwrap();
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 1000);
    for (at, row) in rows.iter().enumerate() {
        let n = at + 1;
        let money = match n {
            1000 => "$1,000.00".to_owned(),
            n => format!("${n}.00"),
        };
        let quoted = if n == 1000 { format!("\"{money}\"") } else { money.clone() };
        let mood = if n % 2 == 0 { "ok" } else { "" };
        assert_eq!((&row[0], &row[1], &row[3]), (&json!(n), &json!(format!("({quoted},{mood})")), &json!(money)));
    }
    let rows = world.rows("select array(select row(n, n::money) from generate_series(1, 900) n)").await;
    assert!(
        rows.starts_with(r#"[["{\"(1,$1.00)\",\"(2,$2.00)\""#) && rows.ends_with(r#"\"(900,$900.00)\"}"]]"#),
        "{rows}"
    );
}

#[actix_rt::test]
async fn invalid_utf_8_can_be_read_as_the_hint_says() {
    let world = World::with(Options::new(), |settings| settings.postgres.target.database = "bytes".to_owned()).await;
    world.prepare("create database bytes encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C' template template0").await;
    let url = world.cluster.url();
    let made = connect(&format!("{}/bytes", url.strip_suffix("/postgres").unwrap())).await;
    made.batch_execute("create table t as select E'gr\\xfc\\xdf'::text as word").await.unwrap();
    let error = world.refusal("select word from t").await;
    let hint = "convert_to(column, 'SQL_ASCII')";
    assert!(error.starts_with("ERROR 22021") && error.contains(hint), "{error}");
    let sql = format!("select {} from t", hint.replace("column", "word"));
    assert_eq!(world.rows(&sql).await, r#"[["\\x6772fcdf"]]"#);
}
