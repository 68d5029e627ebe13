//! Calls that are refused before anybody is asked: each is answered with what was wrong, where, and what is right.

use mcp_server_postgres::messages::answer::Answer;
use mcp_server_postgres::settings::AccessMode;

use crate::common::{settings, settings_with};
use crate::session::world::{BATCH, FETCH, QUERY, SLOW, SUMMARY, World, answer_of, answered, done};

async fn each_is_refused(cases: &[(&str, &str, &str)]) {
    each_is_refused_by(World::new(settings()), cases).await;
}

async fn each_is_refused_by(mut world: World, cases: &[(&str, &str, &str)]) {
    for (tool, arguments, expected) in cases {
        let answer = answer_of(world.call(tool, arguments)).await;
        let facts = answer.failure.as_ref().unwrap();
        assert!(facts["kind"] == "refused" || facts["kind"] == "invalid_arguments", "{tool} {arguments}: {facts}");
        assert_eq!((&facts["phase"], &facts["retryable"]), (&"check".into(), &false.into()), "{tool} {arguments}");
        // A refused statement of a batch is named.
        let number = expected.strip_prefix("Statement ").map(|rest| rest[..1].parse().unwrap());
        assert_eq!(facts["statement"].as_u64(), number, "{tool} {arguments}");
        assert_eq!(Answer { failure: None, ..answer }, Answer::error(*expected), "{tool} {arguments}");
        let silent = world.queries.is_silent() && world.batches.is_silent();
        assert!(silent && world.summaries.is_silent() && world.slow_lists.is_silent(), "{tool} {arguments}");
    }
}

#[actix_rt::test]
async fn arguments_that_do_not_fit_are_answered_in_the_words_of_the_schema() {
    each_is_refused(&[
        (
            QUERY,
            "{}",
            "The arguments of async_query_execute do not fit: `query` is missing; it must be a string.",
        ),
        (
            QUERY,
            r#"{"query":"select 1","limit":5}"#,
            "The arguments of async_query_execute do not fit: `limit` is unknown: known are `query`, `parameters`, \
             `max_rows`, `max_bytes`, `timeout_ms`, `format`, `cell_offset`.",
        ),
        (
            QUERY,
            r#"{"query":1}"#,
            "The arguments of async_query_execute do not fit: `query` is 1; it must be a string.",
        ),
        (
            QUERY,
            r#"{"query":["select 1","select 2"]}"#,
            "The arguments of async_query_execute do not fit: `query` is an array; it must be a string.",
        ),
        (
            QUERY,
            r#"{"query":"select '\ud800'"}"#,
            "The arguments of async_query_execute do not fit: `query` has half of a surrogate pair (an escape from \\ud800 to \
             \\udfff without its other half), which is no character.",
        ),
        (
            BATCH,
            r#"{"queries":[{"query":"select '\udc00\ud83d\ude00'"}]}"#,
            "The arguments of batch_query_execute do not fit: `queries` has half of a surrogate pair (an escape from \\ud800 \
             to \\udfff without its other half), which is no character.",
        ),
        (
            QUERY,
            r#"{"query":null}"#,
            "The arguments of async_query_execute do not fit: `query` is null; it must be a string.",
        ),
        (
            QUERY,
            r#"{"query":"select 1","max_rows":"five"}"#,
            "The arguments of async_query_execute do not fit: `max_rows` is \"five\"; it must be a whole number, 1 or more.",
        ),
        (
            QUERY,
            r#"{"query":"select 1","max_rows":"5.5"}"#,
            "The arguments of async_query_execute do not fit: `max_rows` is 5.5; it must be a whole number, 1 or more.",
        ),
        (
            QUERY,
            r#"{"query":"select 1","max_rows":-1e400}"#,
            "The arguments of async_query_execute do not fit: -1e+400 is less than 0.",
        ),
        (
            QUERY,
            r#"{"query":"select 1","max_rows":-1}"#,
            "The arguments of async_query_execute do not fit: `max_rows` is -1; it must be a whole number, 1 or more.",
        ),
        (
            QUERY,
            r#"{"query":"select 1","cell_offset":"8 KiB"}"#,
            "The arguments of async_query_execute do not fit: `cell_offset` is \"8 KiB\"; it must be a whole number, 0 or \
             more.",
        ),
        (
            QUERY,
            r#"{"query":"select 1","cell_offset":-1}"#,
            "The arguments of async_query_execute do not fit: `cell_offset` is -1; it must be a whole number, 0 or more.",
        ),
        (
            QUERY,
            r#"{"query":"select 1","max_rows":1.50}"#,
            "The arguments of async_query_execute do not fit: `max_rows` is 1.50; it must be a whole number, 1 or more.",
        ),
        (QUERY, r#"{"query":"select 1","max_rows":0}"#, "`max_rows` is 0; it must be at least 1."),
        (QUERY, r#"{"query":"select 1","max_bytes":0}"#, "`max_bytes` is 0; it must be at least 1."),
        (QUERY, r#"{"query":"select 1","timeout_ms":0}"#, "`timeout_ms` is 0; it must be at least 1."),
        (FETCH, r#"{"cursor":"x","max_rows":0}"#, "`max_rows` is 0; it must be at least 1."),
        (FETCH, "{}", "The arguments of fetch_rows do not fit: `cursor` is missing; it must be a string."),
        (BATCH, r#"{"queries":[],"timeout_ms":0}"#, "`timeout_ms` is 0; it must be at least 1."),
        (BATCH, r#"{"queries":[],"max_rows":0}"#, "`max_rows` is 0; it must be at least 1."),
        (BATCH, r#"{"queries":[],"max_bytes":0}"#, "`max_bytes` is 0; it must be at least 1."),
        (
            BATCH,
            r#"{"queries":[{"query":"select 1"}],"format":"xml"}"#,
            "The arguments of batch_query_execute do not fit: `format` is \"xml\"; it must be one of \"table\", \
             \"json\", \"csv\", \"markdown\".",
        ),
        (
            QUERY,
            r#"{"query":"select 1","format":"xml"}"#,
            "The arguments of async_query_execute do not fit: `format` is \"xml\"; it must be one of \"table\", \
             \"json\", \"csv\", \"markdown\".",
        ),
        (
            QUERY,
            r#"{"query":"select 1","format":"a text that is much too long to be worth repeating"}"#,
            "The arguments of async_query_execute do not fit: `format` is a string; it must be one of \"table\", \
             \"json\", \"csv\", \"markdown\".",
        ),
        (
            QUERY,
            r#"{"query":"select $1","parameters":7}"#,
            "The arguments of async_query_execute do not fit: `parameters` is 7; it must be an array or an object.",
        ),
        (
            QUERY,
            r#"{"query":"select $1","parameters":1.10}"#,
            "The arguments of async_query_execute do not fit: `parameters` is 1.10; it must be an array or an object.",
        ),
        (
            QUERY,
            r#"{"query":"select $1","parameters":"7"}"#,
            "The arguments of async_query_execute do not fit: `parameters` is \"7\"; it must be an array or an object.",
        ),
        (
            QUERY,
            r#"{"query":"select $1","parameters":[[1],{"a":2}],"timeout_ms":true}"#,
            "The arguments of async_query_execute do not fit: `timeout_ms` is true; it must be a whole number, 1 or more.",
        ),
        // What n8n adds to each call is ignored, and a name that is nearly one of ours is not.
        (
            QUERY,
            r#"{"query":"select 1","sessionId":"a","tool":"b","max_row":5}"#,
            "The arguments of async_query_execute do not fit: `max_row` is unknown: known are `query`, `parameters`, \
             `max_rows`, `max_bytes`, `timeout_ms`, `format`, `cell_offset`.",
        ),
        (
            BATCH,
            "{}",
            "The arguments of batch_query_execute do not fit: `queries` is missing; it must be an array, each item of \
             it an object with `query`, `parameters`.",
        ),
        (
            BATCH,
            r#"{"queries":"{\"query\":\"select 1\"}"}"#,
            "The arguments of batch_query_execute do not fit: `queries` is \"{\\\"query\\\":\\\"select 1\\\"}\"; it must be an array, \
             each item of it an object with `query`, `parameters`.",
        ),
        (
            BATCH,
            r#"{"queries":"[{\"query\":\"select 1\",\"params\":[]}]"}"#,
            "The arguments of batch_query_execute do not fit: `queries[0].params` is unknown: known are `query`, `parameters`.",
        ),
        (
            BATCH,
            r#"{"queries":"select 1"}"#,
            "The arguments of batch_query_execute do not fit: `queries` is \"select 1\"; it must be an array, each item \
             of it an object with `query`, `parameters`.",
        ),
        (
            BATCH,
            r#"{"queries":["select 1"]}"#,
            "The arguments of batch_query_execute do not fit: `queries[0]` is \"select 1\"; it must be an object with \
             `query`, `parameters`.",
        ),
        (
            BATCH,
            r#"{"queries":[{"query":"select 1"},{"query":"select 2","params":[]}]}"#,
            "The arguments of batch_query_execute do not fit: `queries[1].params` is unknown: known are `query`, \
             `parameters`.",
        ),
        (
            BATCH,
            r#"{"queries":[{"query":"select 1"},{"parameters":[]}]}"#,
            "The arguments of batch_query_execute do not fit: `queries[1].query` is missing; it must be a string.",
        ),
        (
            BATCH,
            r#"{"queries":[{"query":"select 1","parameters":true}]}"#,
            "The arguments of batch_query_execute do not fit: `queries[0].parameters` is true; it must be an array or \
             an object.",
        ),
        (
            QUERY,
            r#"{"query":"select $1","parameters":{"a":1,"b":2,"a":3}}"#,
            "The arguments of async_query_execute do not fit: `parameters` has \"a\" twice; each value must have a name of \
             its own.",
        ),
        (
            BATCH,
            r#"{"queries":[{"query":"select 1"},{"query":"select $1","parameters":{"a":1,"a":1}}]}"#,
            "The arguments of batch_query_execute do not fit: `parameters` has \"a\" twice; each value must have a name of \
             its own.",
        ),
        (
            QUERY,
            r#"{"query":"select 1","query":"select 2"}"#,
            "The arguments of async_query_execute do not fit: duplicate field `query`.",
        ),
        (
            SUMMARY,
            r#"{"since":1}"#,
            "The arguments of performance_summary do not fit: `since` is unknown: this tool takes no arguments.",
        ),
        (
            SLOW,
            r#"{"threshold_ms":"1s"}"#,
            "The arguments of slow_queries do not fit: `threshold_ms` is \"1s\"; it must be a number, 0 or more.",
        ),
        (SLOW, r#"{"threshold_ms":-1}"#, "`threshold_ms` must be a number of milliseconds, 0 or more."),
        (SLOW, r#"{"threshold_ms":1e300}"#, "`threshold_ms` must be a number of milliseconds, 0 or more."),
        (
            SLOW,
            r#"{"limit":"all"}"#,
            "The arguments of slow_queries do not fit: `limit` is \"all\"; it must be a whole number from 1 to 100.",
        ),
        (SLOW, r#"{"limit":0}"#, "`limit` is 0; it must be from 1 to 100."),
        (SLOW, r#"{"limit":101}"#, "`limit` is 101; it must be from 1 to 100."),
    ])
    .await;
}

#[actix_rt::test]
async fn statements_that_cannot_be_sent_are_refused_with_what_to_do_instead() {
    let begin = "every call is a transaction of its own; to run several statements in one transaction, all or \
                 nothing, give them to batch_query_execute without BEGIN and COMMIT";
    let prepare = "a prepared statement would stay behind on a shared connection; run the statement itself and give \
                   its values in `parameters`";
    let copy = "COPY streams data that a tool call can neither send nor receive; read with SELECT, write with INSERT";
    let too_many = format!(r#"{{"queries":[{}]}}"#, vec![r#"{"query":"select 1"}"#; 101].join(","));
    each_is_refused(&[
        (QUERY, r#"{"query":""}"#, "The query is empty: give one SQL statement."),
        (QUERY, r#"{"query":" \n\t "}"#, "The query is empty: give one SQL statement."),
        (QUERY, r#"{"query":"-- select 1\n /* 2 */"}"#, "The query holds only comments: give one SQL statement."),
        (
            QUERY,
            r#"{"query":"select '\u0000'"}"#,
            "The query holds the character U+0000, which PostgreSQL's protocol cannot carry.",
        ),
        (QUERY, r#"{"query":"begin"}"#, &format!("BEGIN is not accepted: {begin}.")),
        (QUERY, r#"{"query":"/* a */ Commit;"}"#, &format!("COMMIT is not accepted: {begin}.")),
        (QUERY, r#"{"query":"rollback to a"}"#, &format!("ROLLBACK is not accepted: {begin}.")),
        (QUERY, r#"{"query":"prepare p as select 1"}"#, &format!("PREPARE is not accepted: {prepare}.")),
        (QUERY, r#"{"query":"copy t from stdin"}"#, &format!("COPY is not accepted: {copy}.")),
        (QUERY, r#"{"query":";; -- a\n COPY(values (1))TO stdout"}"#, &format!("COPY is not accepted: {copy}.")),
        (
            BATCH,
            r#"{"queries":[{"query":"select 1"},{"query":"/* a */\fcopy t to stdout"}]}"#,
            &format!("Statement 2: COPY is not accepted: {copy}. Nothing was run."),
        ),
        (
            QUERY,
            r#"{"query":"listen news"}"#,
            "LISTEN is not accepted: a call ends before a notification could arrive.",
        ),
        (BATCH, r#"{"queries":[]}"#, "`queries` is empty: give at least one statement."),
        (BATCH, &too_many, "`queries` has 101 statements; a batch takes at most 100."),
        (
            BATCH,
            r#"{"queries":[{"query":"select 1"},{"query":""}]}"#,
            "Statement 2: The query is empty: give one SQL statement. Nothing was run.",
        ),
        (
            BATCH,
            r#"{"queries":[{"query":"begin"},{"query":"select 1"}]}"#,
            &format!("Statement 1: BEGIN is not accepted: {begin}. Nothing was run."),
        ),
    ])
    .await;
}

#[actix_rt::test]
async fn what_would_be_gone_with_its_call_is_refused_where_writes_run_and_taken_in_a_batch() {
    let set = "SET is not accepted: what it sets is gone when the call ends; put it into batch_query_execute in front of \
               the statements that need it, or ask the operator for POSTGRES_OPTIONS (-c name=value), which holds for \
               every call.";
    let lock = "LOCK is not accepted: the lock is gone when the call ends; put it into batch_query_execute in front of the \
                statements that need it.";
    let read_write = || World::new(settings_with(|settings| settings.access = AccessMode::ReadWrite));
    each_is_refused_by(
        read_write(),
        &[
            (QUERY, r#"{"query":"set work_mem='1MB'"}"#, set),
            (QUERY, r#"{"query":"-- a\nSET LOCAL x.y=1"}"#, set),
            (QUERY, r#"{"query":"lock table pg_class"}"#, lock),
        ],
    )
    .await;
    let mut world = read_write();
    let call = world.call(BATCH, r#"{"queries":[{"query":"set local work_mem='1MB'"},{"query":"lock table t"}]}"#);
    let asked = world.batches.next().await;
    assert_eq!(asked.message.statements.len(), 2);
    asked.answer(Ok(answered(Vec::new())));
    assert!(!answer_of(call).await.is_error);
    // In read-only mode the guard has words of its own.
    let mut world = World::new(settings());
    let call = world.query("set work_mem='1MB'");
    world.queries.next().await.answer(done());
    assert!(!answer_of(call).await.is_error);
}
