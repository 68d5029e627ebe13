//! The times of calls, over time and by tool.

use super::*;

const QUERY: &str = "async_query_execute";

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[actix_rt::test]
async fn the_last_hour_is_shown_in_steps_of_ten_seconds_the_oldest_first() {
    tokio::time::pause();
    let world = World::new(&settings());
    let latency = world.snapshot().await.latency;
    assert_eq!(latency.step_ms, 10_000.0);
    let first = &latency.points[..];
    assert_eq!(first.len(), 1, "there is no time before the start");
    assert_eq!(
        (first[0].calls, first[0].p50_ms, first[0].max_ms),
        (0, None, None),
        "a step without calls has no times"
    );
    let start = first[0].at;

    // There are calls in the first, the third and the last step of an hour.
    for (seconds, calls) in [(9, 3), (20, 1), (3570, 2)] {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        for _ in 0..calls {
            world.called(QUERY, CallOutcome::Successful, ms(40)).await;
        }
    }
    let points = world.snapshot().await.latency.points;
    let with_calls = |points: &[_]| -> Vec<(usize, u64)> {
        let points = points.iter().map(|point: &mcp_server_postgres::messages::metrics::Point| point.calls);
        points.enumerate().filter(|(_, calls)| *calls > 0).collect()
    };
    assert_eq!((points.len(), with_calls(&points)), (360, vec![(0, 3), (2, 1), (359, 2)]));
    assert_eq!((points[0].at, points[359].at), (start, start + Duration::from_secs(3590)));

    // One step later, the first call is more than an hour old.
    tokio::time::advance(Duration::from_secs(10)).await;
    let points = world.snapshot().await.latency.points;
    assert_eq!((points.len(), with_calls(&points)), (360, vec![(1, 1), (358, 2)]));
    assert_eq!(points[0].at, start + Duration::from_secs(10));
    // An hour later there are no calls.
    tokio::time::advance(Duration::from_secs(3600)).await;
    let points = world.snapshot().await.latency.points;
    assert_eq!((points.len(), with_calls(&points)), (360, vec![]));
}

#[actix_rt::test]
async fn the_quantiles_of_a_step_are_at_most_an_eighth_off_and_the_maximum_is_exact() {
    tokio::time::pause();
    let world = World::new(&settings());
    for took in 1..=100 {
        let outcome = if took % 10 == 0 { CallOutcome::Failed } else { CallOutcome::Successful };
        world.called(QUERY, outcome, ms(took)).await;
    }
    let snapshot = world.snapshot().await;
    let point = &snapshot.latency.points[0];
    assert_eq!((point.calls, point.failed, point.max_ms), (100, 10, Some(100.0)));
    let tool = &snapshot.tools[0];
    for (got, exact) in [
        (point.p50_ms.unwrap(), 50.0),
        (point.p95_ms.unwrap(), 95.0),
        (tool.p50_ms, 50.0),
        (tool.p95_ms, 95.0),
        (tool.p99_ms, 99.0),
    ] {
        assert!((got - exact).abs() <= exact / 8.0, "{got}, not {exact}");
    }
}

#[actix_rt::test]
async fn calls_are_counted_by_tool_and_by_time() {
    let world = World::new(&settings());
    for (outcome, took) in [
        (CallOutcome::Successful, Duration::from_micros(100)),
        (CallOutcome::Successful, Duration::from_micros(101)),
        (CallOutcome::Failed, ms(3)),
        (CallOutcome::Refused, ms(1)),
        (CallOutcome::Cancelled, Duration::from_secs(3600)),
        // None of these calls ran.
        (CallOutcome::Busy, ms(1)),
        (CallOutcome::InvalidArguments, ms(1)),
    ] {
        world.called(QUERY, outcome, took).await;
    }
    world.called("unknown", CallOutcome::UnknownTool, ms(1)).await;
    world.called("slow_queries", CallOutcome::Successful, ms(1)).await;
    let tools = world.snapshot().await.tools;
    assert_eq!(tools.iter().map(|tool| tool.tool).collect::<Vec<_>>(), [QUERY, "slow_queries"]);
    let tool = &tools[0];
    assert_eq!((tool.calls, tool.failed, tool.cancelled, tool.max_ms), (5, 2, 1, 3_600_000.0));
    let count = |le_ms: Option<f64>| tool.buckets.iter().find(|bucket| bucket.le_ms == le_ms).unwrap().count;
    let counts = [0.1, 0.25, 1.0, 2.5, 5.0, 30_000.0].map(|le| count(Some(le)));
    assert_eq!((counts, count(None)), ([1, 2, 3, 3, 4, 4], 5), "a bound belongs to its bucket");
}
