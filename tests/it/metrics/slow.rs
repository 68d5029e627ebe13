//! The list of the slowest statements.

use super::*;

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
    // The threshold in milliseconds, the limit, the number of statements over the threshold, and the shown statements.
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
async fn a_statement_is_shown_with_the_time_of_its_call() {
    let world = World::new(&settings());
    let (before, ago) = (SystemTime::now(), Duration::from_secs(5));
    let began = Instant::now().checked_sub(ago).unwrap();
    world.finished(StatementEnded { began, ..done("table a", 5000) }).await;
    let shown = world.slow(None, 1).await.queries.remove(0).began;
    // The two clocks are not read at the same moment.
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
async fn a_long_statement_is_cut_in_memory_too() {
    let world = World::new(&settings());
    world.finished(done(&format!("select {}", "é".repeat(5000)), 5000)).await;
    let list = world.slow(None, 1).await;
    assert_eq!(list.queries[0].sql, format!("select {}…", "é".repeat(993)));
}

#[actix_rt::test]
async fn a_new_threshold_applies_to_earlier_statements() {
    let world = World::new(&settings());
    world.finished(done("table a", 300)).await;
    world.finished(done("table b", 900)).await;
    assert_eq!(world.slow(None, 10).await.over, 0);
    world.change(|settings| settings.metrics.slow_query_threshold = Duration::from_millis(500)).await;
    let list = world.slow(None, 10).await;
    assert_eq!(texts(&list), ["table b"]);
    assert_eq!(list.threshold, Duration::from_millis(500));
}

#[actix_rt::test]
async fn only_slow_statements_of_the_client_s_databases_are_listed() {
    let world = World::new(&settings());
    for event in [done("table a", 5000), at("stock", done("table b", 7000)), at("ledger", done("table c", 6000))] {
        world.finished(event).await;
    }
    for (databases, shown) in [
        (&["main"][..], &["table a"][..]),
        (&["stock"], &["table b"]),
        (&["stock", "ledger"], &["table b", "table c"]),
        (&[], &[]),
    ] {
        let list = world.slow_of(databases, None, 10).await;
        assert_eq!(texts(&list), shown, "{databases:?}");
        assert_eq!((list.over, list.looked_at), (shown.len(), shown.len()), "{databases:?}");
        assert!(list.queries.iter().all(|query| databases.contains(&&*query.database)));
    }
}
