mod cut_cells;

use tokio_postgres::Statement;

use super::*;
use crate::postgres::error::tests::backend::{client, message, ready};
use tokio_postgres::types::Type;

/// An empty page of the statement's columns.
fn page_of(statement: &Statement, format: Format, limits: Limits) -> Page {
    page_from(statement, format, limits, 0)
}

/// The same, with `cell_offset`.
fn page_from(statement: &Statement, format: Format, limits: Limits, cell_offset: usize) -> Page {
    let types: Vec<Type> = statement.columns().iter().map(|column| column.type_().clone()).collect();
    let columns = statement.columns().iter().map(ColumnInfo::of).collect();
    Page::new(columns, types.iter().map(Codec::of).collect(), format, limits, cell_offset)
}

/// A value on the wire; `None` is NULL.
type Cell = Option<Vec<u8>>;

fn text(text: &str) -> Cell {
    Some(text.as_bytes().to_vec())
}

fn int(value: i32) -> Cell {
    Some(value.to_be_bytes().to_vec())
}

/// The statement and the rows that the driver makes of `columns` and `rows`.
async fn answered(columns: &[(&str, Type)], rows: &[Vec<Cell>]) -> (Statement, Vec<Row>) {
    let count = |items: usize| u16::try_from(items).unwrap().to_be_bytes();
    let mut description = count(columns.len()).to_vec();
    for (name, ty) in columns {
        description.extend_from_slice(name.as_bytes());
        // A NUL, no table, no column of one, the type, its length and modifier, and the binary format.
        description.extend_from_slice(&[0; 7]);
        description.extend_from_slice(&ty.oid().to_be_bytes());
        description.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1]);
    }
    let prepared = [message(b'1', b""), message(b't', &[0, 0]), message(b'T', &description), ready()].concat();
    let mut done = message(b'2', b"");
    for row in rows {
        let mut body = count(row.len()).to_vec();
        for cell in row {
            let length = cell.as_ref().map_or(-1, |bytes| i32::try_from(bytes.len()).unwrap());
            body.extend_from_slice(&length.to_be_bytes());
            body.extend_from_slice(cell.as_deref().unwrap_or_default());
        }
        done.extend(message(b'D', &body));
    }
    done.extend(message(b'C', b"SELECT 0\0"));
    done.extend(ready());
    let client = client(move |kinds| match kinds.first() {
        Some(b'P') => Some(prepared.clone()),
        Some(b'B') => Some(done.clone()),
        // The statement is closed.
        _ => Some([message(b'3', b""), ready()].concat()),
    })
    .await;
    let statement = client.prepare("").await.unwrap();
    let rows = client.query(&statement, &[]).await.unwrap();
    (statement, rows)
}

const ALL: Limits = Limits { rows_max: 1000, bytes_max: 1_000_000 };

async fn page(format: Format, limits: Limits, columns: &[(&str, Type)], rows: &[Vec<Cell>]) -> FinishedPage {
    let (statement, rows) = answered(columns, rows).await;
    let mut page = page_of(&statement, format, limits);
    for row in &rows {
        page.push(row, &[]).unwrap();
    }
    page.finish()
}

const FORMATS: [Format; 4] = [Format::Table, Format::Json, Format::Csv, Format::Markdown];

#[tokio::test]
async fn a_page_is_laid_out_in_each_format_and_is_the_same_json_in_all() {
    let columns = [("n", Type::INT4), ("some text", Type::TEXT)];
    let rows = [
        vec![int(1), text("plain")],
        vec![int(-2), None],
        vec![None, text("")],
        vec![int(3), text("a|b, \"c\"\nd\r\ne")],
    ];
    let json = r#"[1,"plain"],[-2,null],[null,""],[3,"a|b, \"c\"\nd\r\ne"]"#;
    for (format, expected) in [
        (
            Format::Table,
            "n | some text\n-------------\n1 | plain\n-2 | NULL\nNULL | \n3 | a|b, \"c\"\\nd\\r\\ne\n".to_owned(),
        ),
        (Format::Json, format!("{{\"columns\":[\"n\",\"some text\"],\"rows\":[{json}]}}\n")),
        (Format::Csv, "n,some text\r\n1,plain\r\n-2,\r\n,\"\"\r\n3,\"a|b, \"\"c\"\"\nd\r\ne\"\r\n".to_owned()),
        (
            Format::Markdown,
            "| n | some text |\n|---|---|\n| 1 | plain |\n| -2 | NULL |\n| NULL |  |\n| 3 | a\\|b, \"c\"<br>d<br>e |\n"
                .to_owned(),
        ),
    ] {
        let page = page(format, ALL, &columns, &rows).await;
        assert_eq!(page.whole_text(), expected, "{format:?}");
        assert_eq!(page.json, json, "{format:?}");
        assert_eq!((page.rows, page.cut), (4, None), "{format:?}");
        serde_json::from_str::<serde_json::Value>(&format!("[{}]", page.json)).expect("JSON");
    }
}

#[tokio::test]
async fn a_cell_keeps_its_place_whatever_is_in_it() {
    for (value, table, csv, markdown) in [
        ("a | b", "a | b", "a | b", "a \\| b"),
        // Two characters that together would end the cell.
        ("a\\|b", "a\\|b", "a\\|b", "a\\&#124;b"),
        ("||", "||", "||", "\\|\\|"),
        ("a,b", "a,b", "\"a,b\"", "a,b"),
        ("\"", "\"", "\"\"\"\"", "\""),
        ("\n", "\\n", "\"\n\"", "<br>"),
        ("\r", "\\r", "\"\r\"", ""),
        (" a ", " a ", " a ", " a "),
        ("NULL", "NULL", "NULL", "NULL"),
        ("\u{1f511}é\t", "\u{1f511}é\t", "\u{1f511}é\t", "\u{1f511}é\t"),
    ] {
        for (format, expected) in [
            (Format::Table, format!("c\n-\n{table}\n")),
            (Format::Csv, format!("c\r\n{csv}\r\n")),
            (Format::Markdown, format!("| c |\n|---|\n| {markdown} |\n")),
        ] {
            let page = page(format, ALL, &[("c", Type::TEXT)], &[vec![text(value)]]).await;
            assert_eq!(page.whole_text(), expected, "{value:?} as {format:?}");
            let cells: Vec<String> = serde_json::from_str(&page.json).unwrap();
            assert_eq!(cells, [value], "{format:?}");
        }
    }
}

#[tokio::test]
async fn a_column_may_have_any_name_none_and_the_same_as_another() {
    let columns = [("?column?", Type::INT4), ("a|\"b\nc", Type::INT4), ("a", Type::INT4), ("a", Type::INT4)];
    let row = [vec![int(1), int(2), int(3), int(4)]];
    for (format, header) in [
        (Format::Table, "?column? | a|\"b\\nc | a | a\n--------------------------\n"),
        (Format::Json, "{\"columns\":[\"?column?\",\"a|\\\"b\\nc\",\"a\",\"a\"],\"rows\":["),
        (Format::Csv, "?column?,\"a|\"\"b\nc\",a,a\r\n"),
        (Format::Markdown, "| ?column? | a\\|\"b<br>c | a | a |\n|---|---|---|---|\n"),
    ] {
        let page = page(format, ALL, &columns, &row).await;
        assert!(page.whole_text().starts_with(header), "{format:?}: {}", page.whole_text());
        assert_eq!(page.json, "[1,2,3,4]", "no value hides another of its column's name");
        let names: Vec<&str> = page.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["?column?", "a|\"b\nc", "a", "a"]);
        assert_eq!(page.columns[0].type_name, "integer");
    }
}

#[tokio::test]
async fn a_page_without_rows_is_its_header_and_one_without_columns_its_lines() {
    for (format, no_rows, no_columns) in [
        (Format::Table, "a | b\n-----\n", "\n\n"),
        (Format::Json, "{\"columns\":[\"a\",\"b\"],\"rows\":[]}\n", "{\"columns\":[],\"rows\":[[],[]]}\n"),
        (Format::Csv, "a,b\r\n", "\r\n\r\n"),
        (Format::Markdown, "| a | b |\n|---|---|\n", "|\n|\n"),
    ] {
        let empty = page(format, ALL, &[("a", Type::INT4), ("b", Type::TEXT)], &[]).await;
        assert_eq!((empty.text.as_str(), empty.json.as_str(), empty.rows), (no_rows, "", 0), "{format:?}");
        let bare = page(format, ALL, &[], &[vec![], vec![]]).await;
        assert_eq!((&*bare.whole_text(), bare.json.as_str(), bare.rows), (no_columns, "[],[]", 2), "{format:?}");
    }
}

#[tokio::test]
async fn the_rule_under_a_header_is_as_wide_as_the_header_up_to_80_characters() {
    for (name, width) in [("a", 1), ("é", 1), ("日本語", 3), (&*"x".repeat(80), 80), (&*"é".repeat(500), 80)] {
        let wide = text(&"y".repeat(10_000));
        let page = page(Format::Table, ALL, &[(name, Type::TEXT)], &[vec![wide]]).await;
        let lines: Vec<&str> = page.text.lines().collect();
        assert_eq!((lines[0], lines[1]), (name, &*"-".repeat(width)));
        assert_eq!(lines[2].len(), 10_000, "a value within the limit is never cut");
    }
}

#[tokio::test]
async fn an_answer_is_cut_between_rows_by_the_first_limit_that_is_reached() {
    // Each row is four bytes of JSON, and a comma between two.
    let rows: Vec<Vec<Cell>> = (10..20).map(|n| vec![int(n)]).collect();
    for (what, rows_max, bytes_max, count, cut) in [
        ("no limit is reached", 1000, 1000, 10, None),
        ("as many rows as may be", 10, 1000, 10, None),
        ("one row too many", 9, 1000, 9, Some(Cut::Rows(9))),
        ("as many bytes as may be", 1000, 49, 10, None),
        ("one byte too many", 1000, 48, 9, Some(Cut::Bytes(48))),
        ("room for half a row more", 1000, 11, 2, Some(Cut::Bytes(11))),
        ("both: the bytes come first", 3, 9, 2, Some(Cut::Bytes(9))),
        ("both: the rows come first", 2, 9, 2, Some(Cut::Rows(2))),
        // One row is always answered, or the answer could never go on.
        ("less room than one row", 1000, 1, 1, Some(Cut::Bytes(1))),
    ] {
        for format in FORMATS {
            let page = page(format, Limits { rows_max, bytes_max }, &[("n", Type::INT4)], &rows).await;
            assert_eq!((page.rows, page.cut), (count, cut), "{what} as {format:?}");
            let kept: Vec<Vec<usize>> = serde_json::from_str(&format!("[{}]", page.json)).unwrap();
            assert_eq!(kept, (10..10 + count).map(|n| vec![n]).collect::<Vec<_>>(), "{what} as {format:?}");
            let last = format!("{}", 10 + count - 1);
            assert!(page.whole_text().contains(&last), "{what} as {format:?}");
            assert!(
                !page.whole_text().contains(&format!("{}", 10 + count)),
                "{what} as {format:?}: {}",
                page.whole_text()
            );
        }
    }
}

#[tokio::test]
async fn a_page_knows_the_room_that_is_left() {
    let (statement, rows) = answered(&[("n", Type::INT4)], &[vec![int(10)], vec![int(11)], vec![int(12)]]).await;
    let mut page = page_of(&statement, Format::Table, Limits { rows_max: 2, bytes_max: 24 });
    assert_eq!((page.rows_left(), page.rows_left_by_bytes(), page.is_cut()), (2, None, false));
    page.push(&rows[0], &[]).unwrap();
    assert_eq!((page.rows_left(), page.rows_left_by_bytes(), page.is_cut()), (1, Some(5), false));
    page.push(&rows[1], &[]).unwrap();
    assert_eq!((page.rows_left(), page.is_cut()), (0, false), "full is not cut: there may be no more");
    page.push(&rows[2], &[]).unwrap();
    page.push(&rows[2], &[]).unwrap();
    assert!(page.is_cut());
    assert_eq!(page.finish().json, "[10],[11]");
}

#[tokio::test]
async fn a_column_that_only_postgresql_can_show_is_named_and_shown_by_its_text() {
    let columns = [("n", Type::INT4), ("m", Type::MONEY), ("r", Type::REGCLASS)];
    let money = Some(100_i64.to_be_bytes().to_vec());
    let (statement, rows) = answered(&columns, &[vec![int(1), money, int(1259)]]).await;
    for (format, expected) in [
        (Format::Table, "1 | $1.00 | NULL\n"),
        (Format::Json, "[[1,\"$1.00\",null]]}\n"),
        (Format::Csv, "1,$1.00,\r\n"),
        (Format::Markdown, "| 1 | $1.00 | NULL |\n"),
    ] {
        let mut page = page_of(&statement, format, ALL);
        assert_eq!(page.server_text_columns(), [1, 2]);
        page.push(&rows[0], &[(1, RenderedCell::Text(Some("$1.00".to_owned()))), (2, RenderedCell::Text(None))])
            .unwrap();
        let page = page.finish();
        assert!(page.whole_text().ends_with(expected), "{format:?}: {}", page.whole_text());
        assert_eq!(page.json, "[1,\"$1.00\",null]", "{format:?}");
    }
}

#[tokio::test]
async fn a_value_that_is_none_is_an_error_and_text_that_is_no_utf_8_is_made_some() {
    let (statement, rows) = answered(&[("n", Type::INT4)], &[vec![text("abc")]]).await;
    let error = page_of(&statement, Format::Table, ALL).push(&rows[0], &[]).unwrap_err();
    assert!(error.to_string().starts_with("cannot decode a binary int4 value: "), "{error}");

    for format in FORMATS {
        let page = page(format, ALL, &[("t", Type::TEXT)], &[vec![Some(b"a\xffb".to_vec())]]).await;
        assert_eq!(page.json, "[\"a\u{fffd}b\"]", "{format:?}");
        assert!(page.whole_text().contains("a\u{fffd}b"), "{format:?}: {}", page.whole_text());
    }
}
