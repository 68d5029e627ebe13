//! The limits and the formats of an answer.

use mcp_server_postgres::postgres::statement::{Cut, FinishedPage};

use super::*;

#[actix_rt::test]
async fn an_answer_ends_at_its_limit_of_rows_or_bytes_and_says_which() {
    let mut world = World::new().await;
    let sql = "select n, repeat('x', 1000) from generate_series(1, 1000) n";
    world.reading.limits = Limits { rows_max: 10, bytes_max: 1 << 20 };
    let page = world.query(sql).await.unwrap().answer.page;
    assert_eq!((page.rows, page.cut), (10, Some(Cut::Rows(10))));

    world.reading.limits = Limits { rows_max: 1000, bytes_max: 10_000 };
    let page = world.query(sql).await.unwrap().answer.page;
    assert_eq!((page.rows, page.cut), (9, Some(Cut::Bytes(10_000))));
    assert!(page.json.len() <= 10_000);

    // An answer with exactly as many rows as the limit is not cut.
    world.reading.limits = Limits { rows_max: 10, bytes_max: 1 << 20 };
    for (rows, cut) in [(9, None), (10, None), (11, Some(Cut::Rows(10)))] {
        let page = world.query(&format!("select generate_series(1, {rows})")).await.unwrap().answer.page;
        assert_eq!((page.rows, page.cut), (rows.min(10), cut), "{rows}");
    }
}

/// The values of the only row of a page, which are strings.
fn strings(page: &FinishedPage) -> Vec<String> {
    serde_json::from_str(&page.json).unwrap_or_else(|error| panic!("{error}: {}", page.json))
}

#[actix_rt::test]
async fn a_row_larger_than_the_limit_is_answered_with_its_long_cells_cut() {
    let mut world = World::new().await;
    world.reading.limits = Limits { rows_max: 10, bytes_max: 1000 };
    let sql = "select 7 as n, repeat('é', 100000) as doc, null as none, \
               (select jsonb_agg(g) from generate_series(1, 1000) g) as list, 'short' as t \
               from generate_series(1, 3)";
    let page = world.query(sql).await.unwrap().answer.page;
    assert_eq!((page.rows, page.cut), (1, Some(Cut::Bytes(1000))), "the others are left to the next answer");
    assert!((998..=1000).contains(&page.json.len()), "{}", page.json.len());
    let row: Value = serde_json::from_str(&page.json).unwrap();
    assert_eq!((&row[0], &row[2], &row[4]), (&json!(7), &json!(null), &json!("short")));
    let [doc, list] = page.cut_cells[..] else { panic!("{:?}", page.cut_cells) };
    assert_eq!((doc.row, doc.column, doc.offset, doc.length), (0, 1, 0, 200_000));
    assert_eq!(row[1], "é".repeat(doc.bytes / 2));
    assert_eq!((list.column, list.length), (3, world.observed::<i32>(LIST_BYTES).await as usize));
    assert!(row[3].as_str().unwrap().starts_with("[1, 2, 3, "), "it is PostgreSQL's text");
    assert!(doc.bytes.abs_diff(list.bytes) < 3, "{doc:?} {list:?}");
    assert!(page.text.contains("éé… | NULL | [1, 2"), "{}", page.text);
}

const LIST_BYTES: &str = "select octet_length(jsonb_agg(g)::text) from generate_series(1, 1000) g";

#[actix_rt::test]
async fn a_value_of_any_type_is_read_to_its_end_by_its_offset() {
    let mut world = World::new().await;
    world
        .prepare("create type pair as (a int, b text); create domain note as text; create extension if not exists cube")
        .await;
    world.reading.limits = Limits { rows_max: 1, bytes_max: 301 };
    for expression in [
        "repeat(E'a\"\\\\é\\n日\u{1f511}', 100)",
        "repeat('é', 500)::note",
        "to_json(repeat('é\"', 300))",
        "(select jsonb_object_agg('k' || g, g) from generate_series(1, 100) g)",
        "decode(repeat('00ff1a', 300), 'hex')",
        "(select array_agg(g) from generate_series(1, 500) g)",
        "array_fill('say \"é\"'::text, array[20, 5])",
        "array_fill('x'::text, array[400], array[3])",
        "(10::numeric ^ 900)",
        "row(1, repeat('é', 400))::pair",
        "array[row(1, repeat('\"', 400))]::pair[]",
        "tsvector(repeat('a b ', 1) || repeat('x', 400))",
        "xmlelement(name a, repeat('é', 300))",
        "repeat('10', 400)::varbit",
        "cube(array_fill(1.5, array[90]))",
        "(select array_agg(oid::regclass order by oid) from pg_class)",
    ] {
        let whole: String = world.observed(&format!("select ({expression})::text")).await;
        let mut read = String::new();
        loop {
            world.reading.cell_offset = read.len();
            let page = world.query(&format!("select {expression}")).await.unwrap().answer.page;
            assert!(page.json.len() <= 301, "{expression}: {}", page.json.len());
            let [cut] = page.cut_cells[..] else { panic!("{expression} at {}: {page:?}", read.len()) };
            assert_eq!((cut.offset, cut.length), (read.len(), whole.len()), "{expression}");
            read.push_str(&strings(&page)[0]);
            assert_eq!(cut.end(), read.len(), "{expression}");
            if !page.is_truncated() {
                break;
            }
        }
        assert_eq!(read, whole, "{expression}");
    }
}

#[actix_rt::test]
async fn postgresql_does_not_compute_rows_beyond_the_limit() {
    let mut world = World::read_write().await;
    world.prepare("create sequence made").await;
    world.reading.limits = Limits { rows_max: 10, bytes_max: 1 << 20 };
    // A set-returning function in FROM would not do: PostgreSQL stores all of its rows first.
    let sql = "select nextval('made') from pg_class a, pg_class b, pg_class c";
    assert_eq!(world.query(sql).await.unwrap().answer.page.cut, Some(Cut::Rows(10)));
    assert!(world.observed::<i64>("select last_value from made").await < 1000);
}

#[actix_rt::test]
async fn any_statement_that_returns_rows_is_read_within_the_limits() {
    let mut world = World::read_write().await;
    world.prepare("create table t as select generate_series(1, 100) n").await;
    world.reading.limits = Limits { rows_max: 3, bytes_max: 1 << 20 };
    for (sql, affected) in [
        ("table t", None),
        ("values (1), (2), (3), (4)", None),
        ("with a as (select * from t) select * from a", None),
        ("update t set n = n + 0 returning n", Some(100)),
        ("insert into t select 1000 + n from t returning n", Some(100)),
        ("delete from t where n > 1000 returning n", Some(100)),
    ] {
        let outcome = world.query(sql).await.unwrap().answer;
        assert_eq!((outcome.page.rows, outcome.page.cut), (3, Some(Cut::Rows(3))), "{sql}");
        assert_eq!(outcome.rows_affected, affected, "{sql}");
    }
    for sql in ["show work_mem", "explain select 1", "explain (format json) select 1"] {
        assert_eq!(world.query(sql).await.unwrap().answer.page.rows, 1, "{sql}");
    }
}

#[actix_rt::test]
async fn a_cell_that_is_to_be_read_as_json_is_listed() {
    let mut world = World::new().await;
    world.reading.format = Format::Json;
    let sql = "select n, case v::text when '{}' then null else v end as v, v::text from \
               (values (1, 'null'::json), (2, '{}'), (3, '[1e999]'), (4, '\"[1e999]\"'), (5, ' null '), (6, 'true')) t (n, v) \
               order by n";
    let page = world.query(sql).await.unwrap().answer.page;
    assert_eq!(
        page.json,
        r#"[1,null,"null"],[2,null,"{}"],[3,"[1e999]","[1e999]"],[4,"[1e999]","\"[1e999]\""],[5, null ," null "],[6,true,"true"]"#
    );
    assert_eq!(page.json_cells, [[0, 1], [2, 1], [4, 1]], "the others are what they look like");
    assert!(page.whole_text().ends_with("]],\"json_cells\":[[0,1],[2,1],[4,1]]}\n"), "{}", page.whole_text());
    serde_json::from_str::<Value>(&page.whole_text()).unwrap();
    let page =
        world.query("select 1, '{}'::jsonb, null::jsonb, '\"null\"'::jsonb, 'null'::text").await.unwrap().answer.page;
    assert_eq!((&*page.json, page.json_cells.len()), (r#"[1,{},null,"null","null"]"#, 0));
    // The list is no way around the limit.
    world.reading.limits.bytes_max = 1000;
    let page = world.query("select 'null'::jsonb from generate_series(1, 1000)").await.unwrap().answer.page;
    assert!(page.cut.is_some() && page.json_cells.len() == page.rows && page.rows < 60, "{page:?}");
}

#[actix_rt::test]
async fn each_format_escapes_its_special_characters() {
    let mut world = World::new().await;
    let sql = r#"select 'a|b,"c"' as "x|y", e'two\r\nlines' as "x|y", null::text as none, '' as "empty", '\' as back"#;
    for (format, text) in [
        (
            Format::Table,
            "x|y | x|y | none | empty | back\n-------------------------------\na|b,\"c\" | two\\r\\nlines | NULL |  | \\\n",
        ),
        (
            Format::Json,
            "{\"columns\":[\"x|y\",\"x|y\",\"none\",\"empty\",\"back\"],\"rows\":[[\"a|b,\\\"c\\\"\",\"two\\r\\nlines\",null,\"\",\"\\\\\"]]}\n",
        ),
        (Format::Csv, "x|y,x|y,none,empty,back\r\n\"a|b,\"\"c\"\"\",\"two\r\nlines\",,\"\",\\\r\n"),
        (
            Format::Markdown,
            "| x\\|y | x\\|y | none | empty | back |\n|---|---|---|---|---|\n| a\\|b,\"c\" | two<br>lines | NULL |  | \\ |\n",
        ),
    ] {
        world.reading.format = format;
        assert_eq!(world.query(sql).await.unwrap().answer.page.whole_text(), text, "{format:?}");
    }
    for format in [Format::Table, Format::Csv, Format::Markdown] {
        world.reading.format = format;
        let page = world.query("select 1 as n where false").await.unwrap().answer.page;
        assert_eq!(page.text.lines().next().unwrap().trim_matches(['|', ' ']), "n", "{format:?} keeps its header");
        assert_eq!(world.query("select from generate_series(1, 2)").await.unwrap().answer.page.rows, 2);
    }
}
