//! The answers of the tools that report on this server's statements.

use std::time::{Duration, SystemTime};

use mcp_server_postgres::messages::metrics::{PerformanceSummary, SlowList, SlowQuery, Times};
use pg_guard::sql::Operation;

use crate::common::settings;
use crate::session::answers::assert_answers;
use crate::session::world::{SLOW, SUMMARY, World, answer_of};

/// 2025-10-11T12:13:14.5Z
fn moment() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_760_184_794_500)
}

pub fn summary() -> PerformanceSummary {
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
