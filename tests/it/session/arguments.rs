//! Arguments on their way to the executor: nothing of them is lost, sorted or rounded.

use mcp_server_postgres::postgres::statement::Format;
use mcp_server_postgres::tools::TOOLS;
use serde_json::Value;

use crate::common::{settings, settings_with};
use crate::session::world::{BATCH, FETCH, QUERY, SLOW, SUMMARY, World, answer_of, answered, done};

/// `parameters`, and what is bound to `$1 … $n`, each as JSON.
const PARAMETERS: &[(&str, &[&str])] = &[
    ("[]", &[]),
    ("{}", &[]),
    ("null", &[]),
    (r#"[3,"b",null,true]"#, &["3", "\"b\"", "null", "true"]),
    (r#"{"z":3,"a":"b","m":null}"#, &["3", "\"b\"", "null"]),
    (r#"{"2":"first","1":"second"}"#, &["\"first\"", "\"second\""]),
    // The digits are those that were written.
    ("[1.10, 0.30, -0.0]", &["1.10", "0.30", "-0.0"]),
    (r#"{"price":1.10}"#, &["1.10"]),
    ("[123456789012345678901234567890]", &["123456789012345678901234567890"]),
    ("[0.1234567890123456789012345678901]", &["0.1234567890123456789012345678901"]),
    ("[9007199254740993, 18446744073709551616]", &["9007199254740993", "18446744073709551616"]),
    // What is inside of a value stays as it is, and in its order.
    (r#"[{"z":1.10,"a":[1.0,null]},[[]]]"#, &[r#"{"z":1.10,"a":[1.0,null]}"#, "[[]]"]),
    (
        r#"{"doc":{"z":1.00,"a":12345678901234567890123,"a":1e5,"d":{"k":1,"k":2}},"n":1E5}"#,
        &[r#"{"z":1.00,"a":12345678901234567890123,"a":1e5,"d":{"k":1,"k":2}}"#, "1E5"],
    ),
    // But for line breaks between its parts: a line of the log is an event.
    ("[[1,\n2],\r\n{}]", &["[1, 2]", "{}"]),
    (r#"["1.10","null","\u0007\"é"]"#, &["\"1.10\"", "\"null\"", r#""\u0007\"é""#]),
    // Some clients take the schema for that of a string, and write JSON in one. What is in the array stays as it is.
    (r#""[1.10, \"b\", [2]]""#, &["1.10", "\"b\"", "[2]"]),
    (r#"" {\"z\":3,\"a\":\"b\"} ""#, &["3", "\"b\""]),
    (r#""[]""#, &[]),
    (r#"["[1]","{\"a\":1}","5"]"#, &["\"[1]\"", r#""{\"a\":1}""#, "\"5\""]),
];

fn json(values: &[Value]) -> Vec<String> {
    values.iter().map(Value::to_string).collect()
}

#[actix_rt::test]
async fn parameters_are_bound_by_position_or_in_the_order_written_with_the_digits_written() {
    let mut world = World::new(settings());
    for (parameters, bound) in PARAMETERS {
        let call = world.call(QUERY, &format!(r#"{{"query":"select $1","parameters":{parameters}}}"#));
        let asked = world.queries.next().await;
        assert_eq!(json(asked.message.statement.parameters()), *bound, "{parameters}");
        asked.answer(done());
        assert!(!answer_of(call).await.is_error);
    }
}

#[actix_rt::test]
async fn a_batch_binds_each_statements_own_parameters() {
    let mut world = World::new(settings());
    let items: Vec<String> = PARAMETERS
        .iter()
        .enumerate()
        .map(|(at, (parameters, _))| format!(r#"{{"query":"select {at}","parameters":{parameters}}}"#))
        .collect();
    let call = world.call(BATCH, &format!(r#"{{"queries":[{},{{"query":"select"}}]}}"#, items.join(",")));
    let asked = world.batches.next().await;
    assert_eq!(asked.message.call.tool, BATCH);
    let statements = &asked.message.statements;
    assert_eq!(statements.len(), PARAMETERS.len() + 1);
    for (at, (statement, (_, bound))) in statements.iter().zip(PARAMETERS).enumerate() {
        assert_eq!(**statement.sql(), *format!("select {at}"));
        assert_eq!(json(statement.parameters()), *bound);
    }
    assert!(statements[PARAMETERS.len()].parameters().is_empty());
    asked.answer(Ok(answered(Vec::new())));
    assert!(!answer_of(call).await.is_error);
}

/// A call of each tool that needs nothing but this, with further arguments.
fn least_call(tool: &str, more: &str) -> String {
    let least = match tool {
        QUERY => r#""query":"select 1","#,
        FETCH => r#""cursor":"c","#,
        BATCH => r#""queries":"[{\"query\":\"select $1\",\"parameters\":\"[1.0]\"}]","#,
        _ => "",
    };
    format!("{{{least}{more}}}")
}

#[actix_rt::test]
async fn what_n8n_adds_to_a_call_is_ignored_by_every_tool() {
    let mut world = World::new(settings());
    let added = r#""sessionId":"s","action":"sendMessage","chatInput":{"a":[1]},"toolCallId":null,"tool":"t""#;
    for tool in TOOLS {
        let call = world.call(tool.name, &least_call(tool.name, added));
        match tool.name {
            QUERY => world.queries.next().await.answer(done()),
            FETCH => world.fetches.next().await.answer(done()),
            BATCH => {
                let asked = world.batches.next().await;
                assert_eq!(json(asked.message.statements[0].parameters()), ["1.0"]);
                asked.answer(Ok(answered(Vec::new())));
            }
            // Without an answer the call fails, and not because of its arguments.
            SUMMARY => drop(world.summaries.next().await),
            _ => drop(world.slow_lists.next().await),
        }
        let answer = answer_of(call).await;
        assert!(!answer.whole_text().contains("do not fit"), "{}: {answer:?}", tool.name);
    }
}

#[actix_rt::test]
async fn a_statement_arrives_as_it_was_written() {
    let mut world = World::new(settings());
    for sql in ["select 1", "  select\n'é😀\\', $$x$$ -- y\n;\t", "insert into t values ($1)", "frobnicate"] {
        let call = world.query(sql);
        let asked = world.queries.next().await;
        assert_eq!(&**asked.message.statement.sql(), sql);
        asked.answer(done());
        assert!(!answer_of(call).await.is_error);
    }
}

#[actix_rt::test]
async fn a_call_may_ask_for_fewer_rows_and_bytes_and_for_more_up_to_the_operators_ceilings() {
    let mut world = World::new(settings_with(|settings| {
        settings.limits.rows_max = 100;
        settings.limits.rows_ceiling = 200;
        settings.limits.bytes_max = 1000;
        // Below the default, which is the ceiling then.
        settings.limits.bytes_ceiling = 10;
    }));
    for (arguments, rows_max, bytes_max) in [
        ("", 100, 1000),
        (r#","max_rows":null"#, 100, 1000),
        (r#","max_rows":1"#, 1, 1000),
        (r#","max_rows":200"#, 200, 1000),
        (r#","max_rows":201"#, 200, 1000),
        (r#","max_rows":18446744073709551616"#, 200, 1000),
        // To JSON Schema that is an integer, and some clients know no other numbers.
        (r#","max_rows":7.0"#, 7, 1000),
        (r#","max_rows":1e1"#, 10, 1000),
        (r#","max_rows":1e400"#, 200, 1000),
        (r#","max_rows":"7""#, 7, 1000),
        (r#","max_rows":" 7.0 ","max_bytes":"9""#, 7, 9),
        (r#","max_bytes":1"#, 100, 1),
        (r#","max_bytes":1001,"max_rows":150"#, 150, 1000),
    ] {
        let call = world.call(QUERY, &format!(r#"{{"query":"select 1"{arguments}}}"#));
        let asked = world.queries.next().await;
        let limits = asked.message.reading.limits;
        assert_eq!((limits.rows_max, limits.bytes_max), (rows_max, bytes_max), "{arguments}");
        asked.answer(done());
        assert!(!answer_of(call).await.is_error);
        // All statements of a batch together.
        let call = world.call(BATCH, &format!(r#"{{"queries":[{{"query":"select 1"}}]{arguments}}}"#));
        let asked = world.batches.next().await;
        let limits = asked.message.reading.limits;
        assert_eq!((limits.rows_max, limits.bytes_max), (rows_max, bytes_max), "{arguments}");
        asked.answer(Ok(answered(Vec::new())));
        assert!(!answer_of(call).await.is_error);
    }
}

#[actix_rt::test]
async fn a_call_may_say_from_where_long_cells_are_shown() {
    let mut world = World::new(settings());
    for (arguments, expected) in [
        ("", 0),
        (r#","cell_offset":null"#, 0),
        (r#","cell_offset":0"#, 0),
        (r#","cell_offset":8000"#, 8000),
        (r#","cell_offset":8e3"#, 8000),
        (r#","cell_offset":18446744073709551616"#, usize::MAX),
    ] {
        let call = world.call(QUERY, &format!(r#"{{"query":"select 1"{arguments}}}"#));
        let asked = world.queries.next().await;
        assert_eq!(asked.message.reading.cell_offset, expected, "{arguments}");
        asked.answer(done());
        assert!(!answer_of(call).await.is_error);
    }
}

#[actix_rt::test]
async fn a_call_may_say_how_long_it_may_take() {
    let mut world = World::new(settings());
    for (arguments, timeout) in [("", None), (r#","timeout_ms":250"#, Some(std::time::Duration::from_millis(250)))] {
        let call = world.call(QUERY, &format!(r#"{{"query":"select 1"{arguments}}}"#));
        let asked = world.queries.next().await;
        assert_eq!(asked.message.call.timeout, timeout);
        asked.answer(done());
        answer_of(call).await;
        let _call = world.call(BATCH, &format!(r#"{{"queries":[{{"query":"select 1"}}]{arguments}}}"#));
        assert_eq!(world.batches.next().await.message.call.timeout, timeout);
    }
}

#[actix_rt::test]
async fn the_text_is_laid_out_as_the_call_asks() {
    let mut world = World::new(settings());
    for (format, expected) in [
        ("", Format::Table),
        (r#","format":"table""#, Format::Table),
        (r#","format":"json""#, Format::Json),
        (r#","format":"csv""#, Format::Csv),
        (r#","format":"markdown""#, Format::Markdown),
    ] {
        let call = world.call(QUERY, &format!(r#"{{"query":"select 1"{format}}}"#));
        let asked = world.queries.next().await;
        assert_eq!(asked.message.reading.format, expected, "{format}");
        asked.answer(done());
        assert!(!answer_of(call).await.is_error);
        let call = world.call(BATCH, &format!(r#"{{"queries":[{{"query":"select 1"}}]{format}}}"#));
        let asked = world.batches.next().await;
        assert_eq!(asked.message.reading.format, expected, "{format}");
        asked.answer(Ok(answered(Vec::new())));
        assert!(!answer_of(call).await.is_error);
    }
}

#[actix_rt::test]
async fn slow_queries_asks_with_the_threshold_and_the_limit_that_it_was_given() {
    let mut world = World::new(settings());
    for (arguments, threshold_us, limit) in [
        ("{}", None, 10),
        (r#"{"limit":1}"#, None, 1),
        (r#"{"limit":100,"threshold_ms":0}"#, Some(0), 100),
        (r#"{"limit":5.0,"threshold_ms":250}"#, Some(250_000), 5),
        (r#"{"threshold_ms":0.25}"#, Some(250), 10),
        (r#"{"threshold_ms":"0.25","limit":"5"}"#, Some(250), 5),
    ] {
        let call = world.call(SLOW, arguments);
        let asked = world.slow_lists.next().await;
        assert_eq!(asked.message.threshold.map(|threshold| threshold.as_micros()), threshold_us, "{arguments}");
        assert_eq!(asked.message.limit, limit, "{arguments}");
        drop(asked);
        assert!(answer_of(call).await.is_error);
    }
}
