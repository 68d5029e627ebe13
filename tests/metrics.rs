//! The metrics aggregator, by messages alone.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not tests to clippy")]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use actix::prelude::*;
use common::{settings, settings_with};
use mcp_server_postgres::actors::executor::ConfigChanged;
use mcp_server_postgres::actors::metrics::{
    Metrics, PerformanceSummary, QueryFinished, SlowList, SlowQueries, Summary, Times, Verdict,
};
use mcp_server_postgres::postgres::sql::Operation;
use mcp_server_postgres::settings::Settings;

/// An aggregator, and what the test tells it.
struct World(Addr<Metrics>);

impl World {
    fn new(settings: &Settings) -> Self {
        Self(Metrics::new(&settings.metrics).start())
    }

    fn with_history(history_max: usize) -> Self {
        Self::new(&settings_with(|settings| settings.metrics.history_max = history_max))
    }

    async fn finished(&self, event: QueryFinished) {
        self.0.send(event).await.unwrap();
    }

    async fn summary(&self) -> PerformanceSummary {
        self.0.send(Summary).await.unwrap()
    }

    async fn slow(&self, threshold_ms: Option<u64>, limit: usize) -> SlowList {
        self.0.send(SlowQueries { threshold: threshold_ms.map(Duration::from_millis), limit }).await.unwrap()
    }

    async fn change(&self, change: impl FnOnce(&mut Settings)) {
        let (old, new) = (Arc::new(settings()), Arc::new(settings_with(change)));
        self.0.send(ConfigChanged { old, new }).await.unwrap();
    }
}

/// A statement that was answered with one row.
fn done(sql: &str, executed_ms: u64) -> QueryFinished {
    QueryFinished {
        tool: "async_query_execute",
        client: "stdio".into(),
        database: "main".into(),
        sql: sql.into(),
        operation: Operation::of(sql),
        began: Instant::now(),
        waited: Duration::from_millis(2),
        executed: Duration::from_millis(executed_ms),
        rows: 1,
        verdict: Verdict::Done,
        generation: 1,
    }
}

fn failed(sql: &str, executed_ms: u64) -> QueryFinished {
    let verdict = Verdict::Failed { sqlstate: Some("42P01".to_owned()), why: "no such table".to_owned() };
    QueryFinished { verdict, rows: 0, ..done(sql, executed_ms) }
}

fn cancelled(sql: &str, executed_ms: u64) -> QueryFinished {
    QueryFinished { verdict: Verdict::Cancelled, rows: 0, ..done(sql, executed_ms) }
}

fn texts(list: &SlowList) -> Vec<&str> {
    list.queries.iter().map(|query| query.sql.as_str()).collect()
}

#[actix_rt::test]
async fn where_nothing_was_recorded_there_is_nothing_to_sum_up() {
    let before = SystemTime::now();
    let world = World::new(&settings());
    let summary = world.summary().await;
    assert!(before <= summary.since && summary.since <= SystemTime::now());
    let counts = [summary.total, summary.successful, summary.failed, summary.cancelled, summary.queries_per_minute];
    assert_eq!(counts, [0; 5]);
    assert_eq!((summary.history, summary.history_max, summary.times.as_ref()), (0, 1000, None));
    assert_eq!(summary.success_rate(), None);
    let list = world.slow(None, 10).await;
    assert_eq!(list, SlowList { threshold: Duration::from_secs(1), looked_at: 0, over: 0, queries: Vec::new() });
}

#[actix_rt::test]
async fn times_are_of_answered_statements_by_nearest_rank() {
    let hundred: Vec<u64> = (1..=100).rev().collect();
    // Execution times (ms); average, median, p95, max and min (µs).
    for (executed, expected) in [
        (&[7][..], [7000, 7000, 7000, 7000, 7000]),
        (&[1, 2], [1500, 1000, 2000, 2000, 1000]),
        (&[30, 10, 20], [20_000, 20_000, 30_000, 30_000, 10_000]),
        (&[5, 5, 5, 5], [5000; 5]),
        (&[0, 0, 1], [333, 0, 1000, 1000, 0]),
        (&hundred, [50_500, 50_000, 95_000, 100_000, 1000]),
    ] {
        let world = World::new(&settings());
        for &ms in executed {
            world.finished(done("select 1", ms)).await;
            // These say nothing of how long an answer takes.
            world.finished(failed("select 1", ms * 1000)).await;
            world.finished(cancelled("select 1", ms * 1000)).await;
        }
        let Times { average, median, p95, max, min, average_rows } = world.summary().await.times.unwrap();
        let got = [average, median, p95, max, min].map(|time| time.as_micros());
        assert_eq!(got, expected, "{executed:?}");
        assert_eq!(average_rows, 1.0);
    }
}

#[actix_rt::test]
async fn rows_are_averaged_over_the_answered_statements() {
    let world = World::new(&settings());
    for rows in [0, 1, 4] {
        world.finished(QueryFinished { rows, ..done("select 1", 1) }).await;
    }
    world.finished(failed("select 1", 1)).await;
    assert_eq!(world.summary().await.times.unwrap().average_rows, 5.0 / 3.0);
}

#[actix_rt::test]
async fn every_statement_that_began_is_counted_once_by_what_became_of_it() {
    let world = World::new(&settings());
    let mut expected = (0, 0, 0);
    for round in 1..=5_u64 {
        world.finished(done("select 1", 1)).await;
        world.finished(done("select 1", 1)).await;
        world.finished(failed("select 1", 1)).await;
        world.finished(cancelled("select 1", 1)).await;
        world.finished(QueryFinished { verdict: Verdict::NeverBegan, ..done("select 1", 1) }).await;
        expected = (2 * round, round, round);
        let summary = world.summary().await;
        assert_eq!((summary.successful, summary.failed, summary.cancelled), expected);
        assert_eq!(summary.total, 4 * round);
        assert_eq!(summary.success_rate(), Some(0.5));
    }
    assert_eq!(world.summary().await.history as u64, expected.0 + expected.1 + expected.2);
}

#[actix_rt::test]
async fn the_success_rate_is_between_0_and_1_also_when_the_history_has_forgotten() {
    let world = World::with_history(3);
    for _ in 0..7 {
        world.finished(failed("select 1", 1)).await;
    }
    assert_eq!(world.summary().await.success_rate(), Some(0.0));
    for _ in 0..21 {
        world.finished(done("select 1", 1)).await;
    }
    let summary = world.summary().await;
    assert_eq!(summary.success_rate(), Some(0.75));
    assert_eq!(summary.history, 3);

    let world = World::with_history(1);
    for _ in 0..5 {
        world.finished(done("select 1", 1)).await;
        assert_eq!(world.summary().await.success_rate(), Some(1.0));
    }
}

#[actix_rt::test]
async fn the_history_is_bounded_and_the_counts_are_not() {
    let world = World::new(&settings());
    for ms in 1..=1500 {
        world.0.do_send(done("select 1", ms));
    }
    let summary = world.summary().await;
    assert_eq!((summary.total, summary.successful, summary.history, summary.history_max), (1500, 1500, 1000, 1000));
    let times = summary.times.unwrap();
    assert_eq!((times.min.as_millis(), times.max.as_millis()), (501, 1500), "the oldest are forgotten");
    assert_eq!(world.slow(Some(0), usize::MAX).await.looked_at, 1000);
}

#[actix_rt::test]
async fn queries_per_minute_are_those_of_the_last_sixty_seconds() {
    tokio::time::pause();
    // It counts by the second, more than the history holds.
    let world = World::with_history(2);
    for _ in 0..5 {
        world.finished(done("select 1", 1)).await;
    }
    // Seconds to go on; what ends then; what the last minute had.
    for (seconds, ended, expected) in
        [(0, 0, 5), (30, 3, 8), (29, 0, 8), (1, 0, 3), (29, 1, 4), (1, 0, 1), (58, 0, 1), (1, 0, 0), (3600, 2, 2)]
    {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        for _ in 0..ended {
            world.finished(failed("select 1", 1)).await;
        }
        assert_eq!(world.summary().await.queries_per_minute, expected, "{seconds} s on");
    }
    let summary = world.summary().await;
    assert_eq!(summary.uptime, Duration::from_secs(30 + 29 + 1 + 29 + 1 + 58 + 1 + 3600));
    assert_eq!((summary.total, summary.history), (11, 2));
}

#[actix_rt::test]
async fn slow_queries_come_slowest_first_from_a_threshold_up_to_a_limit() {
    let world = World::new(&settings());
    let events = [
        done("table a", 500),
        failed("table b", 2000),
        done("table c", 1000),
        cancelled("table d", 60_000),
        done("table e", 999),
    ];
    for event in events {
        world.finished(event).await;
    }
    // Threshold (ms) and limit; how many are over it, and which are shown.
    for (threshold, limit, over, shown) in [
        (None, 10, 3, &["table d", "table b", "table c"][..]),
        (Some(0), 10, 5, &["table d", "table b", "table c", "table e", "table a"]),
        (Some(1000), 1, 3, &["table d"]),
        (Some(1001), 10, 2, &["table d", "table b"]),
        (Some(60_000), 10, 1, &["table d"]),
        (Some(60_001), 10, 0, &[]),
    ] {
        let list = world.slow(threshold, limit).await;
        assert_eq!(texts(&list), shown, "{threshold:?}");
        assert_eq!((list.over, list.looked_at), (over, 5), "{threshold:?}");
        assert_eq!(list.threshold, Duration::from_millis(threshold.unwrap_or(1000)));
    }
    let all = world.slow(Some(0), 3).await;
    let outcomes: Vec<_> = all.queries.iter().map(|query| query.outcome).collect();
    assert_eq!(outcomes, ["cancelled", "failed", "successful"]);
    assert_eq!(all.queries[1].waited, Duration::from_millis(2));
    assert_eq!(all.queries[1].operation.as_str(), "TABLE");
}

#[actix_rt::test]
async fn of_equally_slow_statements_the_older_one_comes_first() {
    let world = World::new(&settings());
    for sql in ["table a", "table b", "table c"] {
        world.finished(done(sql, 1500)).await;
    }
    assert_eq!(texts(&world.slow(None, 2).await), ["table a", "table b"]);
}

#[actix_rt::test]
async fn a_statement_is_shown_with_when_it_was_asked_for() {
    let world = World::new(&settings());
    let (before, ago) = (SystemTime::now(), Duration::from_secs(5));
    let began = Instant::now().checked_sub(ago).unwrap();
    world.finished(QueryFinished { began, ..done("table a", 5000) }).await;
    let shown = world.slow(None, 1).await.queries.remove(0).began;
    // The two clocks are not read at one moment.
    let slack = Duration::from_secs(4);
    assert!(before - ago - slack <= shown && shown <= SystemTime::now() - ago, "{before:?} {shown:?}");
}

#[actix_rt::test]
async fn a_statement_is_shown_without_its_literals() {
    let world = World::with_history(1);
    for (sql, shown) in [
        ("select 'secret'", "select ?"),
        ("select 'it''s secret', 1", "select ?, ?"),
        ("select E'it\\'s secret', e'\\\\', 'secret'", "select ?, ?, ?"),
        ("select $$secret$$, $a$ $$secret$$ $a$", "select ?, ?"),
        ("select N'secret', U&'secr\\0065t', date '4711-01-01'", "select ?, ?, date ?"),
        ("select b'4711', X'4711AB', B'01' '4711'", "select ?, ?, ? ?"),
        ("select 4711, 4711.5, .4711, 4711e-4711, 0x4711, 4_711", "select ?, ?, ?, ?, ?, ?"),
        ("select -4711, - 4711, +4711, a-4711", "select - ?, - ?, + ?, a - ?"),
        ("select /* secret */ 1 -- secret", "select ?"),
        ("select /* a /* secret */ secret */ a", "select a"),
        ("select a from t where b in (4711, 'secret', -4711)", "select a from t where b in(?, ?, - ?)"),
        ("select '{\"secret\":4711}'::jsonb->'secret'", "select ?::jsonb - > ?"),
        ("values ('secret', 4711), (null, true)", "values(?, ?), (null, true)"),
        ("select a from t limit 4711 offset 4711", "select a from t limit ? offset ?"),
        ("select 'never closed secret", "select ?"),
        ("select /* never closed secret", "select"),
        ("select $1, $2 from t1 where \"a b\" = $3", "select $1, $2 from t1 where \"a b\" = $3"),
    ] {
        world.finished(done(sql, 5000)).await;
        let list = world.slow(None, 1).await;
        assert_eq!(texts(&list), [shown], "{sql}");
        assert!(!shown.contains("secret") && !shown.contains("4711"), "{sql}");
    }
}

#[actix_rt::test]
async fn a_long_statement_is_kept_only_as_far_as_it_is_shown() {
    let world = World::new(&settings());
    world.finished(done(&format!("select {}", "é".repeat(5000)), 5000)).await;
    let list = world.slow(None, 1).await;
    assert_eq!(list.queries[0].sql, format!("select {}…", "é".repeat(993)));
}

#[actix_rt::test]
async fn a_shorter_history_forgets_the_oldest_at_once_and_a_longer_one_begins_to_fill() {
    let world = World::with_history(5);
    for ms in 1..=5 {
        world.finished(done("select 1", ms)).await;
    }
    world.change(|settings| settings.metrics.history_max = 2).await;
    let summary = world.summary().await;
    assert_eq!((summary.history, summary.history_max, summary.total), (2, 2, 5));
    assert_eq!(summary.times.unwrap().min, Duration::from_millis(4));

    world.change(|settings| settings.metrics.history_max = 3).await;
    for ms in 6..=8 {
        world.finished(done("select 1", ms)).await;
    }
    let summary = world.summary().await;
    assert_eq!((summary.history, summary.history_max, summary.total), (3, 3, 8));
    assert_eq!(summary.times.unwrap().min, Duration::from_millis(6));
}

#[actix_rt::test]
async fn a_new_threshold_holds_for_what_is_already_there() {
    let world = World::new(&settings());
    world.finished(done("table a", 300)).await;
    world.finished(done("table b", 900)).await;
    assert_eq!(world.slow(None, 10).await.over, 0);
    world.change(|settings| settings.metrics.slow_query_threshold = Duration::from_millis(500)).await;
    let list = world.slow(None, 10).await;
    assert_eq!(texts(&list), ["table b"]);
    assert_eq!(list.threshold, Duration::from_millis(500));
}
