//! The snapshot for the status page.

use serde_json::{Value, json};

use super::*;
use mcp_server_postgres::messages::events::{PoolRebuilt, ReloadFinished, ReloadOutcome};

#[actix_rt::test]
async fn the_snapshot_has_the_members_of_the_status_document() {
    tokio::time::pause();
    let world = World::new(&settings());
    world.finished(StatementEnded { rows: 7, bytes: 90, ..done("select 'secret'", 1500) }).await;
    world.finished(at("stock", failed("table a", 999))).await;
    world.finished(refused("delete from a")).await;
    world.finished(cancelled("table b", 2500)).await;
    world.called("fetch_rows", CallOutcome::Successful, Duration::from_millis(1)).await;
    let reload = ReloadFinished { outcome: ReloadOutcome::Applied, what: "MCP_MAX_ROWS".to_owned() };
    world.0.send(reload).await.unwrap();
    let mut shown = serde_json::to_value(world.snapshot().await).unwrap();
    // The times are current.
    for place in ["/latency/points/0/at", "/slow/queries/0/began_at", "/slow/queries/1/began_at", "/reloads/0/at"] {
        let moment = shown.pointer_mut(place).unwrap().take();
        let text = moment.as_str().unwrap();
        assert!(text.len() == "2025-10-11T12:13:14Z".len() && text.ends_with('Z'), "{place}: {text}");
    }
    let buckets = shown.pointer_mut("/tools/0/buckets").unwrap().take();
    assert_eq!((&buckets[0], &buckets[17]), (&json!({"le_ms": 0.1, "count": 0}), &json!({"le_ms": null, "count": 1})));
    let slow = |sql: &str, executed_ms: f64, operation: &str, rows: u64, outcome: &str| {
        json!({
            "sql": sql, "operation": operation, "executed_ms": executed_ms, "waited_ms": 2.0, "rows": rows,
            "outcome": outcome, "began_at": null, "database": "main", "client": "stdio",
        })
    };
    let expected: Value = json!({
        "totals": {"successful": 1, "failed": 2, "cancelled": 1, "refused": 1, "rows": 7, "bytes": 90},
        "latency": {
            "step_ms": 10000.0,
            "points": [{"at": null, "calls": 1, "failed": 0, "p50_ms": 1.0, "p95_ms": 1.0, "max_ms": 1.0}],
        },
        "tools": [{
            "tool": "fetch_rows", "calls": 1, "failed": 0, "cancelled": 0,
            "p50_ms": 1.0, "p95_ms": 1.0, "p99_ms": 1.0, "max_ms": 1.0, "buckets": null,
        }],
        "slow": {
            "threshold_ms": 1000.0,
            "queries": [
                slow("table b", 2500.0, "TABLE", 0, "cancelled"),
                slow("select ?", 1500.0, "SELECT", 7, "successful"),
            ],
        },
        "reloads": [{"at": null, "outcome": "applied", "what": "MCP_MAX_ROWS"}],
    });
    assert_eq!(shown, expected, "{shown:#}");
}

#[actix_rt::test]
async fn the_last_fifty_reloads_are_listed_the_newest_first_and_a_repeated_one_once() {
    let world = World::new(&settings());
    for number in 0..60 {
        let what = format!("reload {number}");
        world.0.send(ReloadFinished { outcome: ReloadOutcome::Unchanged, what }).await.unwrap();
    }
    for result in [Err("nobody answers".to_owned()), Err("nobody answers".to_owned()), Ok(2)] {
        world.0.send(PoolRebuilt { database: "stock".into(), result }).await.unwrap();
    }
    let reloads = world.snapshot().await.reloads;
    let shown: Vec<_> = reloads.iter().map(|reload| (reload.outcome, reload.what.as_str())).collect();
    assert_eq!(shown[0], ("applied", "pool rebuilt: stock, generation 2"));
    assert_eq!(shown[1], ("rejected", "pool not rebuilt: stock: nobody answers"));
    assert_eq!((shown[2], shown[49]), (("unchanged", "reload 59"), ("unchanged", "reload 12")));
    assert_eq!(shown.len(), 50);
}
