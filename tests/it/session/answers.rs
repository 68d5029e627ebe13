//! What a model reads and what a program gets, for whatever becomes of a statement.

use std::time::{Duration, SystemTime};

use mcp_server_postgres::messages::answer::Answer;
use mcp_server_postgres::messages::metrics::{PerformanceSummary, SlowList, SlowQuery, Times};
use mcp_server_postgres::messages::statements::{Answered, Cursor};
use mcp_server_postgres::postgres::error::QueryError;
use mcp_server_postgres::postgres::inbox::{Notice, Notices};
use mcp_server_postgres::postgres::statement::{ColumnInfo, Cut, CutCell, FinishedPage, Format, Limits, Outcome};
use mcp_server_postgres::tools;
use pg_guard::sql::Operation;
use serde_json::Value;

use crate::common::settings;
use crate::session::schema::misfits;
use crate::session::world::{BATCH, FETCH, QUERY, SLOW, SUMMARY, World, answer_of, answered, page};

const GO_ON: &str = "there are more. Go on with ORDER BY … LIMIT … OFFSET, or ask for less \
                     (WHERE, fewer columns, aggregates)";

/// A success, whose structured part is as the tool's schema says.
fn assert_answers(tool: &str, answer: &Answer, text: &str, structured: &str) {
    assert_eq!(answer.whole_text(), text, "{tool}");
    assert!(!answer.is_error, "{tool}: {text}");
    let got = &answer.structured.as_ref().unwrap().to_string();
    assert_eq!(got, structured, "{tool}");
    assert!(!got.contains('\n'), "a newline ends a line of the protocol");
    let value: Value = serde_json::from_str(got).unwrap();
    assert_eq!(misfits(&(tools::find(tool).unwrap().output)(), &value), Vec::<String>::new(), "{tool}: {got}");
}

/// An outcome, its text, and its structured part less what every answer has at its end. What follows "Truncated at" is
/// said of a cut by rows, and by bytes.
fn outcomes([by_rows, by_bytes]: [String; 2]) -> Vec<(Outcome, String, &'static str)> {
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
            r#""columns":[],"rows":[],"row_count":0,"rows_affected":null,"truncated":false,"notices":[{"severity":"WARNING","sqlstate":"01007","message":"no privileges were granted","hint":"Ask."}],"notices_omitted":3"#,
        ),
        (
            rows(page(&[1, 2], None)),
            "2 rows\nn\n-\n1\n2\n".to_owned(),
            r#""columns":[{"name":"n","type":"integer"}],"rows":[[1],[2]],"row_count":2,"rows_affected":null,"truncated":false"#,
        ),
        (
            rows(page(&[1], None)),
            "1 row\nn\n-\n1\n".to_owned(),
            r#""columns":[{"name":"n","type":"integer"}],"rows":[[1]],"row_count":1,"rows_affected":null,"truncated":false"#,
        ),
        (
            rows(page(&[], None)),
            "0 rows\nn\n-\n".to_owned(),
            r#""columns":[{"name":"n","type":"integer"}],"rows":[],"row_count":0,"rows_affected":null,"truncated":false"#,
        ),
        (
            affected(3),
            "3 rows affected\n".to_owned(),
            r#""columns":[],"rows":[],"row_count":0,"rows_affected":3,"truncated":false"#,
        ),
        (
            affected(1),
            "1 row affected\n".to_owned(),
            r#""columns":[],"rows":[],"row_count":0,"rows_affected":1,"truncated":false"#,
        ),
        (
            affected(0),
            "0 rows affected\n".to_owned(),
            r#""columns":[],"rows":[],"row_count":0,"rows_affected":0,"truncated":false"#,
        ),
        (
            Outcome { page: page(&[7], None), rows_affected: Some(1), ..Outcome::default() },
            "1 row affected\nn\n-\n7\n".to_owned(),
            r#""columns":[{"name":"n","type":"integer"}],"rows":[[7]],"row_count":1,"rows_affected":1,"truncated":false"#,
        ),
        (
            Outcome::default(),
            "Done.\n".to_owned(),
            r#""columns":[],"rows":[],"row_count":0,"rows_affected":null,"truncated":false"#,
        ),
        (
            rows(page(&[1, 2], Some(Cut::Rows(2)))),
            format!("2 rows\nn\n-\n1\n2\nTruncated at {by_rows}\n"),
            r#""columns":[{"name":"n","type":"integer"}],"rows":[[1],[2]],"row_count":2,"rows_affected":null,"truncated":true"#,
        ),
        (
            rows(page(&[1], Some(Cut::Bytes(4096)))),
            format!("1 row\nn\n-\n1\nTruncated at {by_bytes}\n"),
            r#""columns":[{"name":"n","type":"integer"}],"rows":[[1]],"row_count":1,"rows_affected":null,"truncated":true"#,
        ),
    ]
}

#[actix_rt::test]
async fn a_statement_is_answered_with_what_it_did() {
    let mut world = World::new(settings());
    let notes = [
        format!("2 rows (max_rows): {GO_ON}, or for more; the operator's limit on that is MCP_MAX_ROWS_CEILING."),
        format!(
            "4096 bytes of rows (max_bytes): {GO_ON}, or for more; the operator's limit on that is MCP_MAX_BYTES_CEILING."
        ),
    ];
    for (outcome, text, structured) in outcomes(notes) {
        let call = world.query("select n from t");
        world.queries.next().await.answer(Ok(answered(outcome)));
        let structured = format!(r#"{{{structured},"cursor":null,"duration_ms":1.5,"generation":3}}"#);
        assert_answers(QUERY, &answer_of(call).await, &text, &structured);
    }
}

#[actix_rt::test]
async fn an_answer_that_can_be_read_on_says_how_and_for_how_long() {
    let mut world = World::new(settings());
    let handle = "0123456789abcdef";
    let cut = || Outcome { page: page(&[1, 2], Some(Cut::Rows(2))), rows_affected: None, ..Outcome::default() };
    let cursor = || Some(Cursor { handle: handle.to_owned(), lifetime: Duration::from_secs(60) });
    let text = format!(
        "2 rows\nn\n-\n1\n2\nTruncated at 2 rows (max_rows): there are more. Read on within 60s by fetch_rows with \
         cursor \"{handle}\", or ask for less (WHERE, fewer columns, aggregates).\n"
    );
    let structured = |cursor: &str| {
        format!(
            r#"{{"columns":[{{"name":"n","type":"integer"}}],"rows":[[1],[2]],"row_count":2,"rows_affected":null,"truncated":true,"cursor":{cursor},"duration_ms":1.5,"generation":3}}"#
        )
    };
    let call = world.query("select n from t");
    world.queries.next().await.answer(Ok(Answered { cursor: cursor(), ..answered(cut()) }));
    assert_answers(QUERY, &answer_of(call).await, &text, &structured(&format!("\"{handle}\"")));

    let call = world.call(FETCH, &format!(r#"{{"cursor":"{handle}"}}"#));
    let fetch = world.fetches.next().await;
    let limits = &world.settings.limits;
    assert_eq!(fetch.message.cursor, handle);
    assert_eq!(fetch.message.limits, Limits { rows_max: limits.rows_max, bytes_max: limits.bytes_max });
    assert_eq!((fetch.message.format, fetch.message.call.timeout), (None, None));
    fetch.answer(Ok(Answered { cursor: cursor(), ..answered(cut()) }));
    assert_answers(FETCH, &answer_of(call).await, &text, &structured(&format!("\"{handle}\"")));

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
    let notes = [
        format!(
            "2 rows: {GO_ON}, or for a greater max_rows, which all of a batch shares; the operator's limit on that is \
             MCP_MAX_ROWS_CEILING."
        ),
        format!(
            "4096 bytes of rows: {GO_ON}, or for a greater max_bytes, which all of a batch shares; the operator's limit on \
             that is MCP_MAX_BYTES_CEILING."
        ),
    ];
    let (outcomes, (texts, parts)): (Vec<_>, (Vec<_>, Vec<_>)) =
        outcomes(notes).into_iter().map(|(outcome, text, structured)| (outcome, (text, structured))).unzip();
    let texts: String = texts.iter().enumerate().map(|(at, text)| format!("\n{}: {text}", at + 1)).collect();
    let parts: Vec<String> = parts.iter().map(|part| format!("{{{part}}}")).collect();
    world.batches.next().await.answer(Ok(answered(outcomes)));
    assert_answers(
        BATCH,
        &answer_of(call).await,
        &format!("{} statements in one transaction\n{texts}", parts.len()),
        &format!(r#"{{"results":[{}],"duration_ms":1.5,"generation":3}}"#, parts.join(",")),
    );

    let call = world.call(BATCH, r#"{"queries":[{"query":"delete from t"}]}"#);
    let outcome = Outcome { page: FinishedPage::default(), rows_affected: Some(2), ..Outcome::default() };
    world.batches.next().await.answer(Ok(answered(vec![outcome])));
    assert_answers(
        BATCH,
        &answer_of(call).await,
        "1 statement in one transaction\n\n1: 2 rows affected\n",
        r#"{"results":[{"columns":[],"rows":[],"row_count":0,"rows_affected":2,"truncated":false}],"duration_ms":1.5,"generation":3}"#,
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
    let members = r#""columns":[{"name":"n","type":"integer"}],"rows":[[1],[2]],"row_count":2,"rows_affected":null,"truncated":false,"json_cells":[[0,0],[1,0]]"#;
    let call = world.query("select n from t");
    world.queries.next().await.answer(Ok(answered(outcome.clone())));
    let structured = format!(r#"{{{members},"cursor":null,"duration_ms":1.5,"generation":3}}"#);
    assert_answers(QUERY, &answer_of(call).await, "2 rows\nn\n-\n1\n2\n", &structured);
    let call = world.call(BATCH, r#"{"queries":[{"query":"select n from t"}]}"#);
    world.batches.next().await.answer(Ok(answered(vec![outcome])));
    let answer = answer_of(call).await;
    assert_eq!(
        answer.structured.unwrap().to_string(),
        format!(r#"{{"results":[{{{members}}}],"duration_ms":1.5,"generation":3}}"#)
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
        let members = format!(
            r#""columns":[{{"name":"doc","type":"text"}},{{"name":"say \"é\"","type":"text"}}],"rows":[["ab","c"]],"row_count":1,"rows_affected":null,"truncated":{truncated},"cut_cells":[{listed}]"#
        );
        let call = world.query("select doc from t");
        world.queries.next().await.answer(Ok(answered(outcome.clone())));
        let structured = format!(r#"{{{members},"cursor":null,"duration_ms":1.5,"generation":3}}"#);
        assert_answers(QUERY, &answer_of(call).await, &format!("1 row\nab… | c\n{note}"), &structured);

        let call = world.call(BATCH, r#"{"queries":[{"query":"select doc from t"}]}"#);
        world.batches.next().await.answer(Ok(answered(vec![outcome])));
        // A batch takes no offset.
        let note = note.replace("with cell_offset", "with async_query_execute and cell_offset");
        assert_answers(
            BATCH,
            &answer_of(call).await,
            &format!("1 statement in one transaction\n\n1: 1 row\nab… | c\n{note}"),
            &format!(r#"{{"results":[{{{members}}}],"duration_ms":1.5,"generation":3}}"#),
        );
    }
}

/// 2025-10-11T12:13:14.5Z
fn moment() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_760_184_794_500)
}

fn summary() -> PerformanceSummary {
    PerformanceSummary {
        since: moment(),
        uptime: Duration::from_secs(60),
        total: 0,
        successful: 0,
        failed: 0,
        cancelled: 0,
        queries_per_minute: 0,
        history: 0,
        history_max: 1000,
        times: None,
    }
}

#[actix_rt::test]
async fn the_summary_says_how_things_have_gone() {
    let times = Times {
        average: Duration::from_micros(2500),
        median: Duration::from_micros(1250),
        p95: Duration::from_millis(9),
        max: Duration::from_nanos(9_000_400),
        min: Duration::from_nanos(400),
        average_rows: 2.0 / 3.0,
    };
    let mut world = World::new(settings());
    for (summary, text, structured) in [
        (
            summary(),
            "No queries recorded since 2025-10-11T12:13:14Z.\n",
            r#"{"since":"2025-10-11T12:13:14Z","total":0,"successful":0,"failed":0,"cancelled":0,"success_rate":null,"average_ms":null,"median_ms":null,"p95_ms":null,"max_ms":null,"min_ms":null,"average_rows":null,"queries_per_minute":0,"history":0}"#,
        ),
        (
            PerformanceSummary { total: 1, failed: 1, history: 1, ..summary() },
            "1 query since 2025-10-11T12:13:14Z: 0 successful, 1 failed, 0 cancelled; success rate 0.0 %; 0 in the last \
             minute\nNo successful query in the history.\n",
            r#"{"since":"2025-10-11T12:13:14Z","total":1,"successful":0,"failed":1,"cancelled":0,"success_rate":0.0,"average_ms":null,"median_ms":null,"p95_ms":null,"max_ms":null,"min_ms":null,"average_rows":null,"queries_per_minute":0,"history":1}"#,
        ),
        (
            PerformanceSummary {
                total: 8,
                successful: 6,
                failed: 1,
                cancelled: 1,
                queries_per_minute: 4,
                history: 5,
                times: Some(times),
                ..summary()
            },
            "8 queries since 2025-10-11T12:13:14Z: 6 successful, 1 failed, 1 cancelled; success rate 75.0 %; 4 in the \
             last minute\n\
             Execution time (ms): average 2.5, median 1.25, p95 9.0, max 9.0, min 0.0; 0.7 rows a query\n",
            r#"{"since":"2025-10-11T12:13:14Z","total":8,"successful":6,"failed":1,"cancelled":1,"success_rate":0.75,"average_ms":2.5,"median_ms":1.25,"p95_ms":9.0,"max_ms":9.0,"min_ms":0.0,"average_rows":0.6666666666666666,"queries_per_minute":4,"history":5}"#,
        ),
    ] {
        let call = world.call(SUMMARY, "{}");
        world.summaries.next().await.answer(summary);
        assert_answers(SUMMARY, &answer_of(call).await, text, structured);
    }
}

#[actix_rt::test]
async fn slow_queries_are_listed_or_it_is_said_that_there_are_none() {
    let slow = |sql: &str, ms, outcome| SlowQuery {
        sql: sql.to_owned(),
        operation: Operation::of(sql),
        waited: Duration::from_micros(250),
        executed: Duration::from_millis(ms),
        rows: 4,
        outcome,
        began: moment(),
        database: "stock".into(),
        client: "stdio".into(),
    };
    let none = SlowList { threshold: Duration::from_secs(1), looked_at: 0, over: 0, queries: Vec::new() };
    let mut world = World::new(settings());
    for (list, text, structured) in [
        (
            none.clone(),
            "No queries recorded.\n",
            r#"{"threshold_ms":1000.0,"looked_at":0,"over_threshold":0,"queries":[]}"#,
        ),
        (
            SlowList { looked_at: 1, ..none.clone() },
            "None of the last 1 statement took 1000.0 ms or more.\n",
            r#"{"threshold_ms":1000.0,"looked_at":1,"over_threshold":0,"queries":[]}"#,
        ),
        (
            SlowList {
                looked_at: 20,
                over: 3,
                queries: vec![
                    slow("select pg_sleep(?)", 5000, "cancelled"),
                    slow("update t set \"a\" = ?", 1500, "successful"),
                ],
                ..none
            },
            "3 of the last 20 statements took 1000.0 ms or more; the slowest 2:\n\
             execution ms | rows | outcome | query\n\
             5000.0 | 4 | cancelled | select pg_sleep(?)\n\
             1500.0 | 4 | successful | update t set \"a\" = ?\n",
            concat!(
                r#"{"threshold_ms":1000.0,"looked_at":20,"over_threshold":3,"queries":["#,
                r#"{"query":"select pg_sleep(?)","database":"stock","operation":"SELECT","execution_ms":5000.0,"wait_ms":0.25,"rows":4,"outcome":"cancelled","started":"2025-10-11T12:13:14Z"},"#,
                r#"{"query":"update t set \"a\" = ?","database":"stock","operation":"UPDATE","execution_ms":1500.0,"wait_ms":0.25,"rows":4,"outcome":"successful","started":"2025-10-11T12:13:14Z"}]}"#,
            ),
        ),
    ] {
        let call = world.call(SLOW, "{}");
        world.slow_lists.next().await.answer(list);
        assert_answers(SLOW, &answer_of(call).await, text, structured);
    }
}
