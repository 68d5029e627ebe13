//! The path of a request: how long `select 1` takes from each station on, and what a start costs.
//!
//! All stations are measured in turn, a call each, so that a busy machine is busy for all of them; only ratios of one
//! run say anything. `make bench` runs it on a private PostgreSQL, after `compare`, which sees the server from outside,
//! among others.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on ends")]

#[allow(dead_code, reason = "the comparison uses all of it")]
mod common;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Host, our_server, say};
use mcp_server_postgres::app::System as Actors;
use mcp_server_postgres::caller::Caller;
use mcp_server_postgres::demo::cluster::PrivateCluster;
use mcp_server_postgres::guard::parser::Parser;
use mcp_server_postgres::guard::{Guard, Policy};
use mcp_server_postgres::messages::admin::Status;
use mcp_server_postgres::messages::call::{Call, CallContext};
use mcp_server_postgres::messages::statements::Query;
use mcp_server_postgres::postgres::page::{Format, Limits};
use mcp_server_postgres::postgres::run::{Reading, Statement};
use mcp_server_postgres::progress::Progress;
use mcp_server_postgres::settings::{self, AccessMode, Inputs};
use serde_json::json;
use tokio_postgres::NoTls;

const ROUNDS: usize = 3000;
const WARM_UP: usize = 300;
const STARTS: usize = 20;
const CANCELS: usize = 50;
const PAGES: usize = 50;

fn main() {
    let cluster = PrivateCluster::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".env"), format!("DATABASE_URL={}\n", cluster.url())).unwrap();
    let path = actix_rt::System::new().block_on(path(&cluster, folder.path()));
    say("select 1, one call at a time: median and 99th percentile of each station, interleaved in one run");
    let floor = path[0].1[path[0].1.len() / 2].as_secs_f64();
    for (station, times) in &path {
        let (median, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
        say(&format!(
            "  {station:52} {:7.1} µs {:7.1} µs   {:4.2} × the floor",
            micros(median),
            micros(p99),
            median.as_secs_f64() / floor
        ));
    }
    start(folder.path());
    actix_rt::System::new().block_on(guard(&cluster, folder.path()));
    // PostgreSQL does not listen to a cancellation while it compiles a statement.
    fs::write(
        folder.path().join(".env"),
        format!("DATABASE_URL={}\nPOSTGRES_OPTIONS=\"-c jit=off\"\nMCP_FUNCTIONS_ALLOW=pg_sleep\n", cluster.url()),
    )
    .unwrap();
    actix_rt::System::new().block_on(cancel(&cluster, folder.path()));
    first_page(folder.path());
}

/// How long the first page of a statement takes that has no end to speak of, beside one that has a thousand rows, in
/// turns; and how much memory the process has had more than when it did nothing.
fn first_page(folder: &Path) {
    let mut host = Host::start(&mut our_server(folder), &folder.join("log"));
    host.initialize();
    let rows = |of: &str| format!("select n, md5(n::text), now() from (select {of}) n (n)");
    let statements = [("1,000 rows", 1_000), ("10,000,000 rows", 10_000_000)]
        .map(|(name, count)| (name, rows(&format!("generate_series(1, {count})"))));
    host.ask("tools/call", &json!({"name": "async_query_execute", "arguments": {"query": "select 1"}}));
    let at_rest = host.status_kib("VmRSS").unwrap_or_default();
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..PAGES {
        for ((_, sql), times) in statements.iter().zip(&mut times) {
            let began = Instant::now();
            let answer = host.ask("tools/call", &json!({"name": "async_query_execute", "arguments": {"query": sql}}));
            times.push(began.elapsed());
            assert!(answer["structuredContent"]["row_count"].as_u64().unwrap() > 500, "{answer}");
        }
    }
    let peak = host.status_kib("VmHWM").unwrap_or_default();
    say(&format!("\nThe first page of a statement, median and worst of {PAGES}:"));
    for ((name, _), times) in statements.iter().zip(&mut times) {
        times.sort_unstable();
        let (median, worst) = (times[PAGES / 2], times[PAGES - 1]);
        say(&format!("  {name:72} {:7.1} ms {:7.1} ms", micros(median) / 1e3, micros(worst) / 1e3));
    }
    say(&format!("  memory at the peak beyond rest: {:.1} MiB", (peak.saturating_sub(at_rest)) as f64 / 1024.0));
}

/// How long after `notifications/cancelled` the backend is idle or gone, seen by another connection that asks without
/// a pause: its own round trips are in the figure.
async fn cancel(cluster: &PrivateCluster, folder: &Path) {
    let (observer, connection) = tokio_postgres::connect(&cluster.url(), NoTls).await.unwrap();
    actix_rt::spawn(connection);
    let active = "select count(*) from pg_stat_activity where pid <> pg_backend_pid() and state = 'active' \
                  and backend_type = 'client backend'";
    let active = observer.prepare(active).await.unwrap();
    let until = async |wanted: i64| while observer.query_one(&active, &[]).await.unwrap().get::<_, i64>(0) != wanted {};
    let mut host = Host::start(&mut our_server(folder), &folder.join("log"));
    host.initialize();
    say(&format!("\nFrom notifications/cancelled to an idle backend, median and worst of {CANCELS}:"));
    for sql in ["select pg_sleep(60)", "select count(*) from pg_class a, pg_class b, pg_class c, pg_class d"] {
        let mut times = Vec::new();
        for _ in 0..CANCELS {
            until(0).await;
            let id = host.requests + 1;
            host.send("tools/call", &json!({"name": "async_query_execute", "arguments": {"query": sql}}));
            until(1).await;
            let cancelled = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
            let began = Instant::now();
            host.input.write_all(format!("{cancelled}\n").as_bytes()).unwrap();
            until(0).await;
            times.push(began.elapsed());
        }
        times.sort_unstable();
        let (median, worst) = (times[CANCELS / 2], times[CANCELS - 1]);
        say(&format!("  {sql:72} {:7.1} ms {:7.1} ms", micros(median) / 1e3, micros(worst) / 1e3));
    }
}

/// The times of each station, sorted.
async fn path(cluster: &PrivateCluster, folder: &Path) -> Vec<(&'static str, Vec<Duration>)> {
    let (client, connection) = tokio_postgres::connect(&cluster.url(), NoTls).await.unwrap();
    actix_rt::spawn(connection);
    let prepared = client.prepare("select 1").await.unwrap();

    let inputs = Inputs { folder: folder.to_owned(), ..Inputs::default() };
    let settings = settings::load(&inputs).unwrap().settings;
    let no_log = slog::Logger::root(slog::Discard, slog::o!());
    let mut actors = Actors::start(&settings, env!("CARGO_BIN_EXE_mcp-server-postgres").into(), &no_log).unwrap();
    let session = actors.session(&settings, &no_log);
    let limits = Limits { rows_max: 1000, bytes_max: 102_400 };
    let statement = Statement { sql: "select 1".into(), parameters: Vec::new() };
    let query = Query {
        call: CallContext::new("bench", Caller::stdio()),
        statement,
        reading: Reading { limits, format: Format::Table, cell_offset: 0 },
    };
    let arguments = json!({"query": "select 1"});
    let given = arguments.as_object().unwrap().clone().into();
    let call = Call { tool: "async_query_execute".to_owned(), arguments: given, progress: Progress::default() };
    let mut host = Host::start(&mut our_server(folder), &folder.join("log"));
    host.initialize();

    let mut times: [Vec<Duration>; 5] = Default::default();
    for round in 0..WARM_UP + ROUNDS {
        let mut took = [Duration::ZERO; 5];
        let began = Instant::now();
        client.query(&prepared, &[]).await.unwrap();
        took[0] = began.elapsed();

        let began = Instant::now();
        client.batch_execute("begin read only").await.unwrap();
        let prepared = client.prepare("select 1").await.unwrap();
        client.query(&prepared, &[]).await.unwrap();
        client.batch_execute("rollback").await.unwrap();
        took[1] = began.elapsed();

        let began = Instant::now();
        actors.executors[0].send(query.clone()).await.unwrap().unwrap();
        took[2] = began.elapsed();
        until_clean(&actors).await;

        let began = Instant::now();
        assert!(!session.send(call.clone()).await.unwrap().unwrap().is_error);
        took[3] = began.elapsed();
        until_clean(&actors).await;

        // Blocking, which does no harm: the server is another process.
        let began = Instant::now();
        assert_eq!(host.ask("tools/call", &json!({"name": call.tool, "arguments": arguments}))["isError"], false);
        took[4] = began.elapsed();
        if round >= WARM_UP {
            times.iter_mut().zip(took).for_each(|(times, took)| times.push(took));
        }
    }
    times.iter_mut().for_each(|times| times.sort_unstable());
    let stations = [
        "PostgreSQL: a prepared statement, the floor",
        "PostgreSQL: begin read only, prepare, run, rollback",
        "executor: Query",
        "session: Call",
        "stdio: a line in, a line out, another process",
    ];
    stations.into_iter().zip(times).collect()
}

/// Wait until the connection of the last call is cleaned: that is no part of the next one's time.
async fn until_clean(actors: &Actors) {
    loop {
        let status = actors.executors[0].send(Status).await.unwrap().pool;
        if status.idle == status.size {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// What the guard costs: of a statement that comes again, and of one that it has not seen.
async fn guard(cluster: &PrivateCluster, folder: &Path) {
    let no_log = slog::Logger::root(slog::Discard, slog::o!());
    let parser = Arc::new(Parser::new(env!("CARGO_BIN_EXE_mcp-server-postgres").into(), &no_log));
    let guard = Arc::new(Guard::new(parser.clone(), Policy::default()));
    let writing = tempfile::tempdir().unwrap();
    let env = format!("DATABASE_URL={}\nMCP_ACCESS_MODE=read-write\n", cluster.url());
    fs::write(writing.path().join(".env"), env).unwrap();
    let mut hosts = [folder, writing.path()].map(|folder| {
        let mut host = Host::start(&mut our_server(folder), &folder.join("log"));
        host.initialize();
        host
    });
    let lookup = |n: usize| format!("select relname, upper(relname) from pg_class where oid = {n} and relkind = 'r'");
    let mut times: [Vec<Duration>; 6] = Default::default();
    for round in 0..WARM_UP + ROUNDS {
        let known = Statement { sql: "select 1".into(), parameters: Vec::new() };
        let began = Instant::now();
        guard.review(known, AccessMode::ReadOnly).await.unwrap();
        let reviewed = began.elapsed();
        let began = Instant::now();
        parser.parse(&lookup(round)).await.unwrap();
        let parsed = began.elapsed();
        let [read_only, read_write] = &mut hosts;
        let ask = |host: &mut Host, tool: &str, arguments: serde_json::Value| {
            let began = Instant::now();
            let params = json!({"name": tool, "arguments": arguments});
            assert_eq!(host.ask("tools/call", &params)["isError"], false);
            began.elapsed()
        };
        let call = |host: &mut Host, sql: &str| ask(host, "async_query_execute", json!({"query": sql}));
        // The one way past the guard: of a batch that may write nothing has to be known.
        let unguarded =
            |host: &mut Host, sql: &str| ask(host, "batch_query_execute", json!({"queries": [{"query": sql}]}));
        let took = [
            reviewed,
            parsed,
            call(read_only, "select 1"),
            call(read_write, "select 1"),
            call(read_only, &lookup(round)),
            unguarded(read_write, &lookup(round)),
        ];
        if round >= WARM_UP {
            times.iter_mut().zip(took).for_each(|(times, took)| times.push(took));
        }
    }
    times.iter_mut().for_each(|times| times.sort_unstable());
    let median = |at: usize| micros(times[at][ROUNDS / 2]);
    say("\nThe guard, medians:");
    for (at, what) in [
        "a verdict that is remembered",
        "the parser's process, for a text that is new",
        "select 1, read-only",
        "select 1, read-write (with BEGIN READ ONLY, COMMIT)",
        "a new lookup in a catalog, guarded",
        "the same unguarded (a batch of one, read-write)",
    ]
    .into_iter()
    .enumerate()
    {
        say(&format!("  {what:52} {:7.1} µs", median(at)));
    }
    say(&format!("  {:52} {:7.1} % of its median (target: 15)", "its cost on select 1", median(0) / median(2) * 100.0));
    say(&format!("  {:52} {:7.2} × unguarded", "a new statement, guarded", median(4) / median(5)));
}

fn start(folder: &Path) {
    let mut listed = Vec::new();
    let mut answered = Vec::new();
    let mut bytes = 0;
    let mut resident = None;
    for _ in 0..STARTS {
        let began = Instant::now();
        let mut host = Host::start(&mut our_server(folder), &folder.join("log"));
        host.initialize();
        bytes = host.ask("tools/list", &json!({})).to_string().len();
        listed.push(began.elapsed());
        host.ask("tools/call", &json!({"name": "async_query_execute", "arguments": {"query": "select 1"}}));
        answered.push(began.elapsed());
        resident = host.status_kib("VmRSS");
    }
    listed.sort_unstable();
    answered.sort_unstable();
    say(&format!("\nA start, median and worst of {STARTS}:"));
    for (what, times) in [("to tools/list answered", &listed), ("to the first select 1 answered", &answered)] {
        say(&format!(
            "  {what:52} {:7.1} ms {:7.1} ms",
            micros(times[STARTS / 2]) / 1e3,
            micros(times[STARTS - 1]) / 1e3
        ));
    }
    say(&format!("  {:52} {bytes:7}", "bytes of tools/list"));
    if let Some(resident) = resident {
        say(&format!("  {:52} {:7.1} MiB", "resident memory after it", resident as f64 / 1024.0));
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
