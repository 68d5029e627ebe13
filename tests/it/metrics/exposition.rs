//! The text that Prometheus reads.

use std::fs;
use std::path::Path;

use super::text_format::read;
use super::*;
use mcp_server_postgres::messages::events::{PoolRebuilt, ReloadFinished, ReloadOutcome, StatementRefused};
use mcp_server_postgres::messages::metrics::DatabaseGauges;
use pg_guard::Rule;

const QUERY: &str = "async_query_execute";

fn pool(size: usize, idle: usize, waiting: usize) -> PoolStatus {
    PoolStatus { generation: 3, size_max: 5, size, idle, waiting }
}

fn gauges() -> Gauges {
    Gauges {
        databases: vec![
            DatabaseGauges { name: "main".into(), is_up: true, pool: pool(4, 1, 2) },
            DatabaseGauges { name: "stock".into(), is_up: false, pool: pool(0, 0, 0) },
        ],
        sessions: 2,
        connections: 3,
        resident_bytes: Some(1 << 20),
        descriptors: Some(17),
    }
}

/// Metrics after one event of every kind.
async fn full() -> World {
    let world = World::new(&settings());
    let event = StatementEnded {
        waited: Duration::from_millis(30),
        connected: Some(Duration::from_millis(20)),
        executed: Duration::from_millis(7),
        rows: 5,
        bytes: 120,
        retries: 1,
        ..done("select 'secret'", 0)
    };
    world.finished(event).await;
    world.finished(failed("table a", 4)).await;
    world.finished(refused("delete from a")).await;
    let refused = StatementRefused {
        tool: QUERY,
        client: "stdio".into(),
        database: "main".into(),
        sql: "delete from a where b = 'secret'".into(),
        operation: Operation::of("delete"),
        rule: Rule::StatementKind,
        why: "not accepted".to_owned(),
    };
    world.0.send(refused).await.unwrap();
    world.finished(at("stock", cancelled("table a", 4))).await;
    world.finished(StatementEnded { outcome: StatementOutcome::NeverBegan, ..done("table b", 1) }).await;
    for outcome in CallOutcome::ALL {
        let tool = if outcome == CallOutcome::UnknownTool { "unknown" } else { QUERY };
        world.called(tool, outcome, Duration::from_millis(40)).await;
    }
    world.0.send(ReloadFinished { outcome: ReloadOutcome::Applied, what: "MCP_MAX_ROWS".to_owned() }).await.unwrap();
    world.0.send(PoolRebuilt { database: "main".into(), result: Ok(2) }).await.unwrap();
    world.0.send(PoolRebuilt { database: "main".into(), result: Err("why".to_owned()) }).await.unwrap();
    world
}

#[actix_rt::test]
async fn every_metric_counts_its_events() {
    let text = full().await.scrape(gauges()).await;
    let families = read(&text);
    let own = |name: &str| format!("mcp_server_postgres_{name}");
    let value = |name: &str, labels: &[(&str, &str)]| {
        let family = families.get(name).or_else(|| families.get(name.rsplit_once('_').unwrap().0));
        family.unwrap_or_else(|| panic!("{name}: {text}")).value(name, labels)
    };
    let (main, stock, query) = (("database", "main"), ("database", "stock"), ("tool", QUERY));
    for (name, labels, expected) in [
        ("calls_total", &[query, ("outcome", "successful")][..], 1.0),
        ("calls_total", &[query, ("outcome", "refused")], 1.0),
        ("calls_total", &[("tool", "unknown"), ("outcome", "unknown_tool")], 1.0),
        ("calls_total", &[("tool", "fetch_rows"), ("outcome", "busy")], 0.0),
        // Successful, failed, refused and cancelled.
        ("call_duration_seconds_count", &[query], 4.0),
        ("call_duration_seconds_sum", &[query], 0.16),
        ("call_duration_seconds_bucket", &[query, ("le", "0.025")], 0.0),
        ("call_duration_seconds_bucket", &[query, ("le", "0.05")], 4.0),
        ("statements_total", &[main, query, ("outcome", "successful")], 1.0),
        ("statements_total", &[main, query, ("outcome", "failed")], 1.0),
        ("statements_total", &[main, query, ("outcome", "refused")], 1.0),
        ("statements_total", &[stock, query, ("outcome", "cancelled")], 1.0),
        ("statement_refusals_total", &[main, ("rule", "statement-kind")], 1.0),
        ("statement_rows_total", &[main], 5.0),
        ("answer_bytes_total", &[main], 120.0),
        ("statement_retries_total", &[main], 1.0),
        ("reloads_total", &[("outcome", "applied")], 1.0),
        ("reloads_total", &[("outcome", "rejected")], 0.0),
        ("pool_rebuilds_total", &[main, ("outcome", "rebuilt")], 1.0),
        ("pool_rebuilds_total", &[main, ("outcome", "failed")], 1.0),
        ("database_up", &[main], 1.0),
        ("database_up", &[stock], 0.0),
        ("pool_connections_max", &[main], 5.0),
        ("pool_connections", &[main, ("state", "idle")], 1.0),
        ("pool_connections", &[main, ("state", "in_use")], 3.0),
        ("pool_waiting_calls", &[main], 2.0),
        ("pool_generation", &[main], 3.0),
        ("sessions", &[], 2.0),
        ("client_connections", &[], 3.0),
        ("build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0),
    ] {
        assert_eq!(value(&own(name), labels), Some(expected), "{name} {labels:?} in\n{text}");
    }
    assert_eq!(value("process_resident_memory_bytes", &[]), Some(1_048_576.0));
    assert_eq!(value("process_open_fds", &[]), Some(17.0));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    let started = value("process_start_time_seconds", &[]).unwrap();
    assert!(started <= now && now - started < 600.0, "{started}");
    assert!(!text.contains("secret") && !text.contains("table a"));
}

#[actix_rt::test]
async fn the_phases_of_a_statement_do_not_overlap_and_only_reached_phases_count() {
    let families = read(&full().await.scrape(gauges()).await);
    let phases = &families["mcp_server_postgres_statement_phase_seconds"];
    // The phase, the number of statements that reached it, and the sum of their times in milliseconds.
    for (database, phase, count, sum_ms) in [
        // Opening a connection took 20 of the 30 ms. Two more statements waited for 2 ms each.
        ("main", "wait", 3.0, Some(14.0)),
        ("main", "connect", 1.0, Some(20.0)),
        // One took 7 ms and one failed after 4 ms. The refused one had no connection.
        ("main", "execute", 2.0, Some(11.0)),
        ("stock", "wait", 1.0, Some(2.0)),
        ("stock", "execute", 1.0, Some(4.0)),
    ] {
        let labels = [("database", database), ("tool", QUERY), ("phase", phase)];
        let value = |name| phases.value(&format!("mcp_server_postgres_statement_phase_seconds_{name}"), &labels);
        assert_eq!(value("count").unwrap_or_default(), count, "{database} {phase}");
        let sum = value("sum").map(|seconds| (seconds * 1e6).round() / 1e3);
        assert_eq!(sum, sum_ms, "{database} {phase}");
    }
}

#[actix_rt::test]
async fn unknown_values_and_removed_databases_are_not_shown() {
    let world = full().await;
    world.scrape(gauges()).await;
    let mut later = gauges();
    later.databases.truncate(1);
    let families = read(&world.scrape(Gauges { resident_bytes: None, descriptors: None, ..later }).await);
    assert!(!families.contains_key("process_resident_memory_bytes") && !families.contains_key("process_open_fds"));
    for name in ["database_up", "pool_connections_max", "pool_connections", "pool_waiting_calls", "pool_generation"] {
        let samples = &families[&format!("mcp_server_postgres_{name}")].samples;
        assert!(samples.iter().all(|(_, labels, _)| labels["database"] == "main"), "{samples:?}");
    }
}

#[actix_rt::test]
async fn the_text_is_valid_with_any_name_of_a_database() {
    let world = World::new(&settings());
    let name = "a\"b\\c\nd{e}=,é";
    world.finished(at(name, done("select 1", 1))).await;
    let families = read(&world.scrape(Gauges::default()).await);
    let rows = &families["mcp_server_postgres_statement_rows_total"];
    assert_eq!(rows.value("mcp_server_postgres_statement_rows_total", &[("database", name)]), Some(1.0));
}

#[actix_rt::test]
async fn before_the_first_event_known_series_are_0() {
    let families = read(&World::new(&settings()).scrape(Gauges::default()).await);
    let calls = &families["mcp_server_postgres_calls_total"].samples;
    assert_eq!(calls.len(), 5 * CallOutcome::ALL.len());
    assert!(calls.iter().all(|(_, _, value)| *value == 0.0));
}

#[actix_rt::test]
async fn the_page_of_metrics_has_every_metric() {
    let mut table = "| metric | type | labels | what it is |\n|---|---|---|---|\n".to_owned();
    for (name, family) in read(&full().await.scrape(gauges()).await) {
        let labels: Vec<_> = family.labels().into_iter().map(|label| format!("`{label}`")).collect();
        let help = family.help.strip_suffix('.').unwrap_or(&family.help);
        table.push_str(&format!("| `{name}` | {} | {} | {help} |\n", family.kind, labels.join(", ")));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let read = || fs::read_to_string(&path).unwrap();
    let page = read();
    let (before, rest) = page.split_once("<!-- metrics: ").unwrap();
    let (comment, rest) = rest.split_once("-->\n").unwrap();
    let (_, after) = rest.split_once("<!-- /metrics -->").unwrap();
    let expected = format!("{before}<!-- metrics: {comment}-->\n{table}<!-- /metrics -->{after}");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, &expected).unwrap();
    }
    assert!(
        read() == expected,
        "docs/metrics.md does not have the metrics that there are: run this with UPDATE_SNAPSHOTS=1"
    );
}
