//! What is seen of the server, and by whom.

use mcp_server_postgres::messages::admin::{CallInFlight, CallPhase, DatabaseStatus};
use mcp_server_postgres::messages::database::PendingDatabase;
use mcp_server_postgres::messages::metrics::Snapshot;
use mcp_server_postgres::tools::names;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper::StatusCode;
use mcp_server_postgres::actors::metrics::Metrics;
use mcp_server_postgres::postgres::catalog::role::Finding;
use mcp_server_postgres::postgres::pool::PoolStatus;
use mcp_server_postgres::postgres::pool::health::HealthState;
use mcp_server_postgres::settings::AccessMode;
use serde_json::{Value, json};

use actix::prelude::*;

use crate::common::settings;
use crate::gate::{World, authorization, neighbour, token};

fn status(state: HealthState) -> DatabaseStatus {
    DatabaseStatus {
        pool: PoolStatus { generation: 3, size_max: 5, size: 2, idle: 1, waiting: 4 },
        state,
        since: SystemTime::UNIX_EPOCH,
        why: (state != HealthState::Up).then(|| "it does not answer".to_owned()),
        next_try: (state == HealthState::Down).then(|| Duration::from_millis(1500)),
        access: AccessMode::ReadOnly,
        draining: 1,
        role_findings: [Finding { is_severe: true, what: "It may".to_owned(), mend: "Let it not".to_owned() }].into(),
    }
}

fn call_at(database: &str) -> CallInFlight {
    CallInFlight {
        id: 9,
        database: database.into(),
        client: "client 1".into(),
        tool: "async_query_execute",
        operation: "SELECT",
        sql: "select ?".to_owned(),
        phase: CallPhase::Running,
        elapsed: Duration::from_micros(1500),
        rows: 2,
        bytes: 3,
    }
}

/// The answer to a request of `path`, for which each database is asked how it is.
async fn with_states(world: &mut World, path: &str, states: &[HealthState]) -> (StatusCode, Value) {
    let request = world.request("GET", path, &[("host", "localhost")], "");
    let mut router = world.router.clone();
    let answer = actix_rt::spawn(async move {
        let response = tower_service::Service::call(&mut router, request).await.unwrap();
        let status = response.status();
        let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    });
    for (neighbour, state) in world.neighbours.iter_mut().zip(states) {
        neighbour.statuses.next().await.answer(status(*state));
    }
    answer.await.unwrap()
}

#[actix_rt::test]
async fn it_is_ready_as_long_as_one_database_can_be_reached() {
    let mut world = World::with_databases(&["main", "stock"], |_| {});
    for (states, path, code, state) in [
        ([HealthState::Up, HealthState::Up], "/readyz", StatusCode::OK, "up"),
        ([HealthState::Up, HealthState::Degraded], "/readyz", StatusCode::OK, "degraded"),
        ([HealthState::Down, HealthState::Up], "/readyz", StatusCode::OK, "degraded"),
        ([HealthState::Down, HealthState::Down], "/readyz", StatusCode::SERVICE_UNAVAILABLE, "down"),
        ([HealthState::Down, HealthState::Up], "/readyz/main", StatusCode::SERVICE_UNAVAILABLE, "down"),
        ([HealthState::Down, HealthState::Up], "/readyz/stock", StatusCode::OK, "up"),
    ] {
        let (status, body) = with_states(&mut world, path, &states).await;
        assert_eq!((status, body["state"].as_str()), (code, Some(state)), "{path} {states:?}");
    }
    let (status, body) = with_states(&mut world, "/readyz", &[HealthState::Down, HealthState::Up]).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        body["databases"],
        json!([
            {"name": "main", "state": "down", "since_at": "1970-01-01T00:00:00Z", "why": "it does not answer", "next_try_ms": 1500.0},
            {"name": "stock", "state": "up", "since_at": "1970-01-01T00:00:00Z", "why": null, "next_try_ms": null},
        ])
    );
    assert_eq!(
        with_states(&mut world, "/readyz/none", &[HealthState::Up, HealthState::Up]).await.0,
        StatusCode::NOT_FOUND
    );
}

#[actix_rt::test]
async fn only_operators_see_what_everybody_does_and_end_it() {
    let ((alices, alice), (operators, mut operator)) = (token("alice"), token("operator"));
    operator.is_operator = true;
    let mut world = World::new(|settings| {
        settings.http.tokens = Some(BTreeMap::from([("alice".to_owned(), alice), ("operator".to_owned(), operator)]));
    });
    let by = |token: &str| authorization(token);
    for (method, path) in [("GET", "/metrics"), ("GET", "/status.json"), ("POST", "/calls/7/cancel")] {
        let host = ("host", "localhost");
        let nobody = world.answer(world.request(method, path, &[host], "")).await;
        assert_eq!(nobody.status, StatusCode::UNAUTHORIZED, "{path}");
        let alice = by(&alices);
        let client = world.answer(world.request(method, path, &[host, ("authorization", &alice)], "")).await;
        assert_eq!(client.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(client.why(), "This is for operators: the token has no `operator = true`.");
    }
    for (is_there, code) in [(true, StatusCode::NO_CONTENT), (false, StatusCode::NOT_FOUND)] {
        let operator = by(&operators);
        let headers = [("host", "localhost"), ("origin", "http://localhost"), ("authorization", operator.as_str())];
        let request = world.request("POST", "/calls/7/cancel", &headers, "");
        let mut router = world.router.clone();
        let answer =
            actix_rt::spawn(async move { tower_service::Service::call(&mut router, request).await.unwrap().status() });
        let asked = world.neighbours[0].cancels.next().await;
        assert_eq!(asked.message.id, 7);
        asked.answer(is_there);
        assert_eq!(answer.await.unwrap(), code);
    }
}

#[actix_rt::test]
async fn where_everybody_is_let_in_nobody_can_cancel_a_call() {
    let mut world = World::new(|_| {});
    let answer = world.answer(world.request("POST", "/calls/7/cancel", &[("host", "localhost")], "")).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.body.contains("without MCP_TOKENS_FILE there is none"), "{}", answer.body);
    assert!(world.neighbours[0].cancels.is_silent());
}

#[actix_rt::test]
async fn the_pages_document_has_all_that_the_actors_say() {
    let mut world = World::new(|_| {});
    let request = world.request("GET", "/status.json", &[("host", "localhost")], "");
    let mut router = world.router.clone();
    let answer = actix_rt::spawn(async move {
        let response = tower_service::Service::call(&mut router, request).await.unwrap();
        let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
        serde_json::from_slice::<Value>(&body).unwrap()
    });
    let metrics = Metrics::new(&settings().metrics, &names()).start();
    let snapshot = metrics.send(Snapshot).await.unwrap();
    world.snapshots.next().await.answer(snapshot);
    world.neighbours[0].statuses.next().await.answer(status(HealthState::Degraded));
    world.neighbours[0].call_lists.next().await.answer(vec![call_at("main")]);
    let told = answer.await.unwrap();
    let members: Vec<&str> = told.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected =
        ["server", "operator", "databases", "calls", "totals", "latency", "tools", "slow", "reloads", "log"];
    let mut sorted = members.clone();
    sorted.sort_unstable();
    expected.sort_unstable();
    assert_eq!(sorted, expected);
    assert_eq!(
        told["databases"][0],
        json!({
            "name": "main", "state": "degraded", "since_at": "1970-01-01T00:00:00Z", "why": "it does not answer",
            "next_try_ms": null, "access": "read-only", "generation": 3, "draining": 1,
            "role_findings": [{"severe": true, "what": "It may", "mend": "Let it not"}],
            "pool": {"size_max": 5, "size": 2, "in_use": 1, "idle": 1, "waiting": 4},
        })
    );
    assert_eq!(
        told["calls"],
        json!([{
            "id": 9, "database": "main", "client": "client 1", "tool": "async_query_execute", "operation": "SELECT",
            "sql": "select ?", "phase": "running", "elapsed_ms": 1.5, "rows": 2, "bytes": 3,
        }])
    );
    assert_eq!(told["operator"]["may_cancel"], false);
    assert_eq!(told["log"], json!([{"message": "a line"}]));
    assert_eq!(told["server"]["clients"], 1);
    assert_eq!(told["server"]["listeners"], json!(["http://127.0.0.1:8808"]));
}

#[actix_rt::test]
async fn what_prometheus_reads_is_asked_for_with_the_state_of_each_database() {
    let mut world = World::new(|_| {});
    let request = world.request("GET", "/metrics", &[("host", "localhost")], "");
    let mut router = world.router.clone();
    let answer = actix_rt::spawn(async move { tower_service::Service::call(&mut router, request).await.unwrap() });
    world.neighbours[0].statuses.next().await.answer(status(HealthState::Down));
    let asked = world.scrapes.next().await;
    let database = &asked.message.gauges.databases[0];
    assert_eq!((&*database.name, database.is_up, database.pool.waiting), ("main", false, 4));
    asked.answer("# EOF\n".to_owned());
    let response = answer.await.unwrap();
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
}

#[actix_rt::test]
async fn the_page_may_load_nothing_and_run_nothing_but_what_it_holds() {
    let world = World::new(|_| {});
    let answer = world.answer(world.request("GET", "/", &[("host", "localhost")], "")).await;
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(policy.contains("; script-src 'sha256-") && policy.contains("frame-ancestors 'none'"), "{policy}");
    for (name, value) in
        [("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer"), ("cache-control", "no-store")]
    {
        assert_eq!(answer.header(name), Some(value));
    }
    for part in ["<style>", "<script>"] {
        assert_eq!(answer.body.matches(part).count(), 1, "one {part}, or its hash is not of all there is");
    }
    for elsewhere in ["http://", "https://", "src=", "@import"] {
        let found: Vec<&str> = answer.body.lines().filter(|line| line.contains(elsewhere)).collect();
        let found: Vec<_> = found.into_iter().filter(|line| !line.contains("www.w3.org")).collect();
        assert_eq!(found, Vec::<&str>::new(), "{elsewhere}");
    }
}

#[actix_rt::test]
async fn a_database_that_is_pending_counts_as_down_and_one_that_drains_is_seen_by_its_calls_alone() {
    let mut world = World::new(|_| {});
    let (probe, mut draining) = neighbour("old");
    world.set.send_modify(|set| {
        let set = Arc::make_mut(set);
        set.pending.push(PendingDatabase {
            name: "new".into(),
            access: AccessMode::ReadWrite,
            since: SystemTime::UNIX_EPOCH,
            why: "there is no such database".to_owned(),
            next_try: None,
        });
        set.draining.push(probe);
    });
    let (code, body) = with_states(&mut world, "/readyz", &[HealthState::Up]).await;
    assert_eq!((code, &body["state"]), (StatusCode::OK, &json!("degraded")));
    let listed: Vec<_> = body["databases"].as_array().unwrap().iter().map(|database| &database["name"]).collect();
    assert_eq!(listed, ["main", "new"]);
    let (code, body) = with_states(&mut world, "/readyz/new", &[HealthState::Up]).await;
    assert_eq!((code, &body["state"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("down")));
    let why = "a reload has added it, and it is not served yet: there is no such database";
    assert_eq!(body["databases"][0]["why"], why);
    assert_eq!(with_states(&mut world, "/readyz/old", &[HealthState::Up]).await.0, StatusCode::NOT_FOUND);

    let scrape = world.request("GET", "/metrics", &[("host", "localhost")], "");
    let mut router = world.router.clone();
    let scraped = actix_rt::spawn(async move { tower_service::Service::call(&mut router, scrape).await.unwrap() });
    world.neighbours[0].statuses.next().await.answer(status(HealthState::Up));
    let asked = world.scrapes.next().await;
    let gauges: Vec<_> = asked.message.gauges.databases.iter().map(|gauge| (&*gauge.name, gauge.is_up)).collect();
    assert_eq!(gauges, [("main", true), ("new", false)]);
    asked.answer("# EOF\n".to_owned());
    scraped.await.unwrap();

    let request = world.request("GET", "/status.json", &[("host", "localhost")], "");
    let mut router = world.router.clone();
    let page = actix_rt::spawn(async move {
        let response = tower_service::Service::call(&mut router, request).await.unwrap();
        let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
        serde_json::from_slice::<Value>(&body).unwrap()
    });
    let metrics = Metrics::new(&settings().metrics, &names()).start();
    world.snapshots.next().await.answer(metrics.send(Snapshot).await.unwrap());
    world.neighbours[0].statuses.next().await.answer(status(HealthState::Up));
    world.neighbours[0].call_lists.next().await.answer(Vec::new());
    draining.call_lists.next().await.answer(vec![call_at("old")]);
    let page = page.await.unwrap();
    assert_eq!(page["databases"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&page["databases"][1]["access"], &page["databases"][1]["generation"]),
        (&json!("read-write"), &json!(0))
    );
    assert_eq!(page["calls"][0]["database"], "old");
}
