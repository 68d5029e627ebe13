//! How long `select 1` takes from each stage of its path through this server; what the guard costs; how fast a cancelled
//! statement ends; how soon the first page of a large result comes. On a private PostgreSQL.
//!
//! In each round every stage makes one call, so that other work of the machine affects all of them. Only ratios within one
//! run mean anything. The bench `compare` measures the server from outside, beside other programs.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on ends")]

#[allow(dead_code, reason = "other benches use the rest")]
mod common;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::report::{Table, Targets, heading, percentile, time};
use common::{Host, our_server};
use mcp_server_postgres::app::System as Actors;
use mcp_server_postgres::caller::Caller;
use mcp_server_postgres::messages::admin::Status;
use mcp_server_postgres::messages::answer::Reply;
use mcp_server_postgres::messages::ask::CannotAsk;
use mcp_server_postgres::messages::call::{Call, CallContext};
use mcp_server_postgres::messages::statements::Query;
use mcp_server_postgres::postgres::statement::{Format, Limits, Reading};
use mcp_server_postgres::progress::Progress;
use mcp_server_postgres::settings::{self, AccessMode, Inputs};
use pg_guard::parser::Parser;
use pg_guard::{Guard, Policy, Statement};
use pg_private::PrivateCluster;
use serde_json::json;
use tokio_postgres::NoTls;

const ROUNDS: usize = 3000;
const WARM_UP: usize = 300;
const CANCELS: usize = 50;
const PAGES: usize = 50;

fn main() {
    let cluster = PrivateCluster::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".env"), format!("DATABASE_URL={}\n", cluster.url())).unwrap();
    let path = actix_rt::System::new().block_on(path(&cluster, folder.path()));
    heading("The path of select 1", &format!("{ROUNDS} calls from each stage, one at a time."));
    let mut table = Table::new(["from", "median", "p99", "× a prepared statement"]);
    let lower_limit = percentile(&path[0].1, 50).as_secs_f64();
    for (stage, times) in &path {
        let median = percentile(times, 50);
        let ratio = median.as_secs_f64() / lower_limit;
        table.row([(*stage).to_owned(), time(median), time(percentile(times, 99)), format!("{ratio:.2}")]);
    }
    table.print();
    let mut targets = Targets::default();
    actix_rt::System::new().block_on(guard(&cluster, folder.path(), &mut targets));
    // PostgreSQL does not notice a cancellation while it compiles a statement.
    fs::write(
        folder.path().join(".env"),
        format!("DATABASE_URL={}\nPOSTGRES_OPTIONS=\"-c jit=off\"\nMCP_FUNCTIONS_ALLOW=pg_sleep\n", cluster.url()),
    )
    .unwrap();
    actix_rt::System::new().block_on(cancel(&cluster, folder.path()));
    first_page(folder.path());
    targets.print();
}

/// Compares the first page of a very large result with that of a thousand rows, and measures how much more memory the process
/// had at its peak than at rest.
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
            assert!(answer["structuredContent"]["row_count"].as_u64().unwrap() > 400, "{answer}");
        }
    }
    let peak = host.status_kib("VmHWM").unwrap_or_default();
    let memory = peak.saturating_sub(at_rest) as f64 / 1024.0;
    heading(
        "The first page of a result",
        &format!("{PAGES} calls of each. The peak of memory is {memory:.1} MiB above that at rest."),
    );
    let mut table = Table::new(["result", "median", "longest"]);
    for ((name, _), times) in statements.iter().zip(&mut times) {
        times.sort_unstable();
        table.row([(*name).to_owned(), time(percentile(times, 50)), time(percentile(times, 100))]);
    }
    table.print();
}

/// The time from `notifications/cancelled` until the backend is idle or has ended. Another connection asks for it without a
/// pause, and its round trips are part of the figure.
async fn cancel(cluster: &PrivateCluster, folder: &Path) {
    let (observer, connection) = tokio_postgres::connect(&cluster.url(), NoTls).await.unwrap();
    actix_rt::spawn(connection);
    let active = "select count(*) from pg_stat_activity where pid <> pg_backend_pid() and state = 'active' \
                  and backend_type = 'client backend'";
    let active = observer.prepare(active).await.unwrap();
    let until = async |wanted: i64| while observer.query_one(&active, &[]).await.unwrap().get::<_, i64>(0) != wanted {};
    let mut host = Host::start(&mut our_server(folder), &folder.join("log"));
    host.initialize();
    heading("From notifications/cancelled to an idle backend", &format!("{CANCELS} calls of each."));
    let mut table = Table::new(["statement", "median", "longest"]);
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
        table.row([format!("`{sql}`"), time(percentile(&times, 50)), time(percentile(&times, 100))]);
    }
    table.print();
}

/// The times from each stage, sorted.
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
    let statement = Statement::new("select 1", Vec::new()).unwrap();
    let query = Query {
        call: CallContext::new("bench", Caller::stdio()),
        statement,
        reading: Reading { limits, format: Format::Table, cell_offset: 0 },
    };
    let arguments = json!({"query": "select 1"});
    let given = arguments.as_object().unwrap().clone().into();
    let call = Call {
        tool: "async_query_execute".to_owned(),
        arguments: given,
        progress: Progress::default(),
        trace: None,
        permit: None,
        client: Arc::new(CannotAsk::NoClient),
    };
    let mut host = Host::start(&mut our_server(folder), &folder.join("log"));
    host.initialize();

    let mut times: [Vec<Duration>; 5] = Default::default();
    let database = actors.databases.borrow().served[0].clone();
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
        database.query.send(query.clone()).await.unwrap().unwrap();
        took[2] = began.elapsed();
        wait_until_idle(&actors).await;

        let began = Instant::now();
        assert!(
            matches!(session.send(call.clone()).await.unwrap().unwrap(), Reply::Answer(answer) if !answer.is_error)
        );
        took[3] = began.elapsed();
        wait_until_idle(&actors).await;

        // This blocks the thread: the server is another process.
        let began = Instant::now();
        assert_eq!(host.ask("tools/call", &json!({"name": call.tool, "arguments": arguments}))["isError"], false);
        took[4] = began.elapsed();
        if round >= WARM_UP {
            times.iter_mut().zip(took).for_each(|(times, took)| times.push(took));
        }
    }
    times.iter_mut().for_each(|times| times.sort_unstable());
    let stages = [
        "PostgreSQL: a prepared statement",
        "PostgreSQL: begin read only, prepare, run, rollback",
        "the executor: `Query`",
        "the session: `Call`",
        "stdio: a line to another process and one back",
    ];
    stages.into_iter().zip(times).collect()
}

/// Waits until the connection of the last call is idle, so that its cleanup is not part of the next call.
async fn wait_until_idle(actors: &Actors) {
    let status = actors.databases.borrow().probes[0].status.upgrade().unwrap();
    loop {
        let pool = status.send(Status).await.unwrap().pool;
        if pool.idle == pool.size {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// The cost of the guard for a statement that it knows, and for a new one.
async fn guard(cluster: &PrivateCluster, folder: &Path, targets: &mut Targets) {
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
        let known = Statement::new("select 1", Vec::new()).unwrap();
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
        // Only a batch in read-write mode is not reviewed by the guard.
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
    heading("The guard", &format!("{ROUNDS} calls of each, one at a time."));
    let mut table = Table::new(["what", "median"]);
    for (what, times) in [
        "the review of a statement that the guard knows",
        "the parser process, for a new statement",
        "`select 1`, read-only",
        "`select 1`, read-write",
        "a new look-up in a catalog, with the guard",
        "the same without the guard (a batch of one, read-write)",
    ]
    .into_iter()
    .zip(&times)
    {
        table.row([what.to_owned(), time(percentile(times, 50))]);
    }
    let ratio = |one: usize, other: usize| {
        percentile(&times[one], 50).as_secs_f64() / percentile(&times[other], 50).as_secs_f64()
    };
    table.row(["a new look-up, with / without the guard".to_owned(), format!("{:.2}", ratio(4, 5))]);
    table.print();
    targets.at_most("the guard's part of `select 1`, read-only", Some(ratio(0, 2) * 100.0), 15.0, "%");
}
