//! The summary of statements, and the history that it is computed from.

use super::*;
use mcp_server_postgres::messages::metrics::Times;

#[actix_rt::test]
async fn without_events_the_summary_is_empty() {
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
async fn times_are_those_of_answered_statements_by_nearest_rank() {
    let hundred: Vec<u64> = (1..=100).rev().collect();
    // Execution times in milliseconds; then average, median, p95, maximum and minimum in microseconds.
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
            // These do not count for the times of answers.
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
        world.finished(StatementEnded { rows, ..done("select 1", 1) }).await;
    }
    world.finished(failed("select 1", 1)).await;
    assert_eq!(world.summary().await.times.unwrap().average_rows, 5.0 / 3.0);
}

#[actix_rt::test]
async fn every_statement_that_began_is_counted_once_by_its_outcome() {
    let world = World::new(&settings());
    let mut expected = (0, 0, 0);
    for round in 1..=5_u64 {
        world.finished(done("select 1", 1)).await;
        world.finished(done("select 1", 1)).await;
        world.finished(failed("select 1", 1)).await;
        world.finished(cancelled("select 1", 1)).await;
        world.finished(StatementEnded { outcome: StatementOutcome::NeverBegan, ..done("select 1", 1) }).await;
        expected = (2 * round, round, round);
        let summary = world.summary().await;
        assert_eq!((summary.successful, summary.failed, summary.cancelled), expected);
        assert_eq!(summary.total, 4 * round);
        assert_eq!(summary.success_rate(), Some(0.5));
    }
    assert_eq!(world.summary().await.history as u64, expected.0 + expected.1 + expected.2);
}

#[actix_rt::test]
async fn the_success_rate_is_between_0_and_1_also_when_the_history_is_full() {
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
async fn the_history_is_limited_and_the_counts_are_not() {
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
    // It is counted by the second and does not depend on the size of the history.
    let world = World::with_history(2);
    for _ in 0..5 {
        world.finished(done("select 1", 1)).await;
    }
    // How many seconds pass, which statements end then, and the expected count of the last minute.
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
async fn a_shorter_history_drops_the_oldest_at_once_and_a_longer_one_begins_to_fill() {
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
async fn a_client_sees_only_its_databases_in_the_summary() {
    let world = World::new(&settings());
    for event in [
        done("table a", 5),
        at("stock", done("table b", 7)),
        at("stock", failed("table c", 9)),
        at("ledger", cancelled("table d", 11)),
    ] {
        world.finished(event).await;
    }
    // The databases; the successful, failed and cancelled statements; those of the last minute and of the history; the
    // longest time in milliseconds.
    for (databases, counts, of_minute, longest) in [
        (&["main"][..], [1, 0, 0], 1, Some(5)),
        (&["stock"], [1, 1, 0], 2, Some(7)),
        (&["ledger"], [0, 0, 1], 1, None),
        (&["main", "stock"], [2, 1, 0], 3, Some(7)),
        (&["nothing"], [0, 0, 0], 0, None),
    ] {
        let summary = world.summary_of(databases).await;
        assert_eq!([summary.successful, summary.failed, summary.cancelled], counts, "{databases:?}");
        assert_eq!((summary.total, summary.queries_per_minute), (of_minute, of_minute), "{databases:?}");
        assert_eq!(summary.history as u64, of_minute, "{databases:?}");
        let max = summary.times.map(|times| times.max);
        assert_eq!(max, longest.map(Duration::from_millis), "{databases:?}");
    }
}
