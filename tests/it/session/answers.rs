//! What a model reads and what a program gets, for whatever becomes of a statement.

use std::time::Duration;

use mcp_server_postgres::messages::answer::Answer;
use mcp_server_postgres::messages::statements::{Answered, Cursor};
use mcp_server_postgres::postgres::error::QueryError;
use mcp_server_postgres::postgres::inbox::{Notice, Notices};
use mcp_server_postgres::postgres::statement::{ColumnInfo, Cut, CutCell, FinishedPage, Format, Limits, Outcome};
use mcp_server_postgres::tools;
use serde_json::Value;

use crate::common::settings;
use crate::session::schema::misfits;
use crate::session::world::{BATCH, FETCH, QUERY, World, answer_of, answered, page};

const GO_ON: &str = "more: ORDER BY … LIMIT … OFFSET, less (WHERE, fewer columns, aggregates), or a greater";

/// A success, whose structured part is as the tool's schema says.
pub fn assert_answers(tool: &str, answer: &Answer, text: &str, structured: &str) {
    assert_eq!(answer.whole_text(), text, "{tool}");
    assert!(!answer.is_error, "{tool}: {text}");
    let got = &answer.structured.as_ref().unwrap().to_string();
    assert_eq!(got, structured, "{tool}");
    assert!(!got.contains('\n'), "a newline ends a line of the protocol");
    let value: Value = serde_json::from_str(got).unwrap();
    assert_eq!(misfits(&(tools::find(tool).unwrap().output)(), &value), Vec::<String>::new(), "{tool}: {got}");
}

/// An outcome, its text, and its structured part less what every answer has at its end. `shared` follows the name of the argument
/// that has cut the answer, and `cursor` is the member after `truncated`.
fn outcomes(shared: &str, cursor: &str) -> Vec<(Outcome, String, String)> {
    let by_rows = format!("cut at 2 rows; {GO_ON} max_rows{shared} (the operator's limit is MCP_MAX_ROWS_CEILING)");
    let by_bytes =
        format!("cut at 4096 bytes; {GO_ON} max_bytes{shared} (the operator's limit is MCP_MAX_BYTES_CEILING)");
    let structured = |count: usize, affected: &str, note: Option<&str>, columns: &str, rows: &str| {
        let (truncated, note) = (note.is_some(), note.map(|note| format!(r#","note":"{note}""#)).unwrap_or_default());
        format!(
            r#""row_count":{count},"rows_affected":{affected},"truncated":{truncated}{cursor}{note},"columns":[{columns}],"rows":[{rows}]"#
        )
    };
    let n = r#"{"name":"n","type":"integer"}"#;
    let rows = |page| Outcome { page, rows_affected: None, ..Outcome::default() };
    let affected = |count| Outcome { page: FinishedPage::default(), rows_affected: Some(count), ..Outcome::default() };
    let warning = Notice {
        severity: "WARNING",
        sqlstate: "01007".to_owned(),
        message: "no privileges were granted".to_owned(),
        detail: None,
        hint: Some("Ask.".to_owned()),
    };
    vec![
        (
            Outcome { notices: Notices { shown: vec![warning], omitted: 3 }, ..Outcome::default() },
            "Done.\nWARNING 01007: no privileges were granted\nHINT: Ask.\n3 more messages of PostgreSQL are not shown.\n"
                .to_owned(),
            structured(0, "null", None, "", "").replace(
                r#","columns""#,
                r#","notices":[{"severity":"WARNING","sqlstate":"01007","message":"no privileges were granted","hint":"Ask."}],"notices_omitted":3,"columns""#,
            ),
        ),
        (
            rows(page(&[1, 2], None)),
            "2 rows\nn\n-\n1\n2\n".to_owned(),
            structured(2, "null", None, n, "[1],[2]"),
        ),
        (rows(page(&[1], None)), "1 row\nn\n-\n1\n".to_owned(), structured(1, "null", None, n, "[1]")),
        (rows(page(&[], None)), "0 rows\nn\n-\n".to_owned(), structured(0, "null", None, n, "")),
        (affected(3), "3 rows affected\n".to_owned(), structured(0, "3", None, "", "")),
        (affected(1), "1 row affected\n".to_owned(), structured(0, "1", None, "", "")),
        (affected(0), "0 rows affected\n".to_owned(), structured(0, "0", None, "", "")),
        (
            Outcome { page: page(&[7], None), rows_affected: Some(1), ..Outcome::default() },
            "1 row affected\nn\n-\n7\n".to_owned(),
            structured(1, "1", None, n, "[7]"),
        ),
        (Outcome::default(), "Done.\n".to_owned(), structured(0, "null", None, "", "")),
        (
            rows(page(&[1, 2], Some(Cut::Rows(2)))),
            format!("2 rows, {by_rows}\nn\n-\n1\n2\n"),
            structured(2, "null", Some(&by_rows), n, "[1],[2]"),
        ),
        (
            rows(page(&[1], Some(Cut::Bytes(4096)))),
            format!("1 row, {by_bytes}\nn\n-\n1\n"),
            structured(1, "null", Some(&by_bytes), n, "[1]"),
        ),
    ]
}

#[actix_rt::test]
async fn a_statement_is_answered_with_what_it_did() {
    let mut world = World::new(settings());
    for (outcome, text, structured) in outcomes("", r#","cursor":null"#) {
        let call = world.query("select n from t");
        world.queries.next().await.answer(Ok(answered(outcome)));
        let structured = format!(r#"{{{structured},"duration_ms":1.5,"generation":3}}"#);
        assert_answers(QUERY, &answer_of(call).await, &text, &structured);
    }
}

#[actix_rt::test]
async fn an_answer_that_can_be_read_on_says_how_and_for_how_long() {
    let mut world = World::new(settings());
    let handle = "0123456789abcdef";
    let cut = || Outcome { page: page(&[1, 2], Some(Cut::Rows(2))), rows_affected: None, ..Outcome::default() };
    let cursor = || Some(Cursor { handle: handle.to_owned(), lifetime: Duration::from_secs(60) });
    let more = format!("cut at 2 rows; more: fetch_rows cursor \"{handle}\" within 60 s");
    let text = format!("2 rows, {more}\nn\n-\n1\n2\n");
    let note = more.replace('"', "\\\"");
    let structured = format!(
        r#"{{"row_count":2,"rows_affected":null,"truncated":true,"cursor":"{handle}","note":"{note}","columns":[{{"name":"n","type":"integer"}}],"rows":[[1],[2]],"duration_ms":1.5,"generation":3}}"#
    );
    let call = world.query("select n from t");
    world.queries.next().await.answer(Ok(Answered { cursor: cursor(), ..answered(cut()) }));
    assert_answers(QUERY, &answer_of(call).await, &text, &structured);

    let call = world.call(FETCH, &format!(r#"{{"cursor":"{handle}"}}"#));
    let fetch = world.fetches.next().await;
    let limits = &world.settings.limits;
    assert_eq!(fetch.message.cursor, handle);
    assert_eq!(fetch.message.limits, Limits { rows_max: limits.rows_max, bytes_max: limits.bytes_max });
    assert_eq!((fetch.message.format, fetch.message.call.timeout), (None, None));
    fetch.answer(Ok(Answered { cursor: cursor(), ..answered(cut()) }));
    assert_answers(FETCH, &answer_of(call).await, &text, &structured);

    let arguments = format!(r#"{{"cursor":"{handle}","max_rows":7,"max_bytes":70,"format":"csv","timeout_ms":9}}"#);
    let call = world.call(FETCH, &arguments);
    let fetch = world.fetches.next().await;
    assert_eq!(fetch.message.limits, Limits { rows_max: 7, bytes_max: 70 });
    assert_eq!((fetch.message.format, fetch.message.call.timeout), (Some(Format::Csv), Some(Duration::from_millis(9))));
    fetch.answer(Err(QueryError::refused("There is no such cursor.")));
    let answer = answer_of(call).await;
    assert!(answer.is_error && answer.whole_text() == "There is no such cursor.", "{answer:?}");
}

#[actix_rt::test]
async fn a_batch_is_answered_statement_by_statement() {
    let mut world = World::new(settings());
    let call = world.call(BATCH, r#"{"queries":[{"query":"select n from t"}]}"#);
    let (outcomes, (texts, parts)): (Vec<_>, (Vec<_>, Vec<_>)) = outcomes(", which the whole batch shares", "")
        .into_iter()
        .map(|(outcome, text, structured)| (outcome, (text, structured)))
        .unzip();
    let texts: String = texts.iter().enumerate().map(|(at, text)| format!("\n{}: {text}", at + 1)).collect();
    let parts: Vec<String> = parts.iter().map(|part| format!("{{{part}}}")).collect();
    world.batches.next().await.answer(Ok(answered(outcomes)));
    assert_answers(
        BATCH,
        &answer_of(call).await,
        &format!("{} statements in one transaction; cut: 10, 11\n{texts}", parts.len()),
        &format!(r#"{{"results":[{}],"duration_ms":1.5,"generation":3}}"#, parts.join(",")),
    );

    let call = world.call(BATCH, r#"{"queries":[{"query":"delete from t"}]}"#);
    let outcome = Outcome { page: FinishedPage::default(), rows_affected: Some(2), ..Outcome::default() };
    world.batches.next().await.answer(Ok(answered(vec![outcome])));
    assert_answers(
        BATCH,
        &answer_of(call).await,
        "1 statement in one transaction\n\n1: 2 rows affected\n",
        r#"{"results":[{"row_count":0,"rows_affected":2,"truncated":false,"columns":[],"rows":[]}],"duration_ms":1.5,"generation":3}"#,
    );
}

#[actix_rt::test]
async fn a_batch_in_json_has_each_statements_rows_where_its_text_wants_them() {
    let mut world = World::new(settings());
    let call = world.call(BATCH, r#"{"queries":[{"query":"select 1"},{"query":"select 2"}],"format":"json"}"#);
    let in_json = |n: i32| {
        let before = r#"{"columns":["n"],"rows":["#;
        let page =
            FinishedPage { text: format!("{before}]}}\n"), rows_in_text: Some(before.len()), ..page(&[n], None) };
        Outcome { page, rows_affected: None, ..Outcome::default() }
    };
    world.batches.next().await.answer(Ok(answered(vec![in_json(1), in_json(2)])));
    let answer = answer_of(call).await;
    assert_eq!(
        answer.whole_text(),
        "2 statements in one transaction\n\n1: 1 row\n{\"columns\":[\"n\"],\"rows\":[[1]]}\n\n\
         2: 1 row\n{\"columns\":[\"n\"],\"rows\":[[2]]}\n"
    );
}

#[actix_rt::test]
async fn of_two_columns_with_one_name_a_cut_cell_says_which_it_is_of() {
    let cells = [0, 1].map(|column| CutCell { row: 0, column, offset: 0, bytes: 2, length: 9 });
    let mut page = page_of_pieces(&cells);
    page.columns = [0, 1].map(|_| ColumnInfo { name: "x".to_owned(), type_name: "text".to_owned() }).into();
    let mut world = World::new(settings());
    let call = world.query("select a as x, b as x from t");
    world.queries.next().await.answer(Ok(answered(Outcome { page, rows_affected: None, ..Outcome::default() })));
    let answer = answer_of(call).await;
    for (number, index) in [(1, 0), (2, 1)] {
        assert!(
            answer.whole_text().contains(&format!("Cell x (column {number}) of row 1 is cut")),
            "{}",
            answer.whole_text()
        );
        let structured = answer.structured.as_ref().unwrap().to_string();
        assert!(structured.contains(&format!(r#"{{"row":0,"column":"x","column_index":{index},"#)), "{structured}");
    }
}

#[actix_rt::test]
async fn a_cell_that_is_to_be_read_as_json_is_listed_for_programs() {
    let mut world = World::new(settings());
    let mut page = page(&[1, 2], None);
    page.json_cells = vec![[0, 0], [1, 0]];
    let outcome = Outcome { page, rows_affected: None, ..Outcome::default() };
    let members = |cursor: &str| {
        format!(
            r#"{{"row_count":2,"rows_affected":null,"truncated":false{cursor},"json_cells":[[0,0],[1,0]],"columns":[{{"name":"n","type":"integer"}}],"rows":[[1],[2]]"#
        )
    };
    let call = world.query("select n from t");
    world.queries.next().await.answer(Ok(answered(outcome.clone())));
    let structured = format!(r#"{},"duration_ms":1.5,"generation":3}}"#, members(r#","cursor":null"#));
    assert_answers(QUERY, &answer_of(call).await, "2 rows\nn\n-\n1\n2\n", &structured);
    let call = world.call(BATCH, r#"{"queries":[{"query":"select n from t"}]}"#);
    world.batches.next().await.answer(Ok(answered(vec![outcome])));
    let answer = answer_of(call).await;
    assert_eq!(
        answer.structured.unwrap().to_string(),
        format!(r#"{{"results":[{}}}],"duration_ms":1.5,"generation":3}}"#, members(""))
    );
}

/// A page with cells that are not shown whole, and its members for programs.
fn page_of_pieces(cells: &[CutCell]) -> FinishedPage {
    let column = |name: &str| ColumnInfo { name: name.to_owned(), type_name: "text".to_owned() };
    FinishedPage {
        columns: [column("doc"), column("say \"é\"")].into(),
        json: r#"["ab","c"]"#.to_owned(),
        text: "ab… | c\n".to_owned(),
        rows_in_text: None,
        rows: 1,
        json_cells: Vec::new(),
        cut_cells: cells.to_vec(),
        cut: None,
    }
}

#[actix_rt::test]
async fn a_cell_that_is_not_shown_whole_is_listed_and_the_text_says_how_to_read_on() {
    let first = CutCell { row: 0, column: 0, offset: 0, bytes: 8000, length: 123_456 };
    let later = CutCell { row: 0, column: 1, offset: 8000, bytes: 8000, length: 16_001 };
    let last = CutCell { row: 1, column: 1, offset: 8000, bytes: 77, length: 8077 };
    let cut_doc = "Cell doc of row 1 is cut: bytes 0 to 8000 of 123456. Read on with cell_offset 8000 \
                   (best with only that row and column).\n";
    let listed_doc = r#"{"row":0,"column":"doc","column_index":0,"offset":0,"bytes":8000,"length":123456}"#;
    let mut world = World::new(settings());
    for (cells, note, listed, truncated) in [
        (&[first][..], cut_doc.to_owned(), listed_doc.to_owned(), true),
        (
            &[first, later, last],
            format!(
                "{cut_doc}Cell say \"é\" of row 1 is cut: bytes 8000 to 16000 of 16001. Read on with cell_offset 16000 \
                 (best with only that row and column).\n\
                 Cell say \"é\" of row 2 is shown from byte 8000 to its end at 8077.\n"
            ),
            format!(
                r#"{listed_doc},{{"row":0,"column":"say \"é\"","column_index":1,"offset":8000,"bytes":8000,"length":16001}},{{"row":1,"column":"say \"é\"","column_index":1,"offset":8000,"bytes":77,"length":8077}}"#
            ),
            true,
        ),
        // What was asked for is all there.
        (
            &[last],
            "Cell say \"é\" of row 2 is shown from byte 8000 to its end at 8077.\n".to_owned(),
            r#"{"row":1,"column":"say \"é\"","column_index":1,"offset":8000,"bytes":77,"length":8077}"#.to_owned(),
            false,
        ),
        (
            &[first; 8],
            format!("{}Not shown whole, too: 3 cells (cut_cells has all).\n", cut_doc.repeat(5)),
            [listed_doc; 8].join(","),
            true,
        ),
    ] {
        let outcome = Outcome { page: page_of_pieces(cells), rows_affected: None, ..Outcome::default() };
        let members = |cursor: &str, note: &str| {
            let note = note.trim_end().replace('"', "\\\"").replace('\n', "\\n");
            format!(
                r#"{{"row_count":1,"rows_affected":null,"truncated":{truncated}{cursor},"note":"{note}","cut_cells":[{listed}],"columns":[{{"name":"doc","type":"text"}},{{"name":"say \"é\"","type":"text"}}],"rows":[["ab","c"]]"#
            )
        };
        let call = world.query("select doc from t");
        world.queries.next().await.answer(Ok(answered(outcome.clone())));
        let structured = format!(r#"{},"duration_ms":1.5,"generation":3}}"#, members(r#","cursor":null"#, &note));
        assert_answers(QUERY, &answer_of(call).await, &format!("1 row\n{note}ab… | c\n"), &structured);

        let call = world.call(BATCH, r#"{"queries":[{"query":"select doc from t"}]}"#);
        world.batches.next().await.answer(Ok(answered(vec![outcome])));
        // A batch takes no offset.
        let note = note.replace("with cell_offset", "with async_query_execute and cell_offset");
        let cut = if truncated { "; cut: 1" } else { "" };
        assert_answers(
            BATCH,
            &answer_of(call).await,
            &format!("1 statement in one transaction{cut}\n\n1: 1 row\n{note}ab… | c\n"),
            &format!(r#"{{"results":[{}}}],"duration_ms":1.5,"generation":3}}"#, members("", &note)),
        );
    }
}
