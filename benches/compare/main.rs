//! Compares this server with three other programs, on a private PostgreSQL, all of them in the same run.
//!
//! | program | what it is |
//! |---|---|
//! | `raw` | the driver alone: the lower limit of the database |
//! | `echo` | a server that answers a constant: the lower limit of the pipes |
//! | `yardstick` | the least that an MCP server for PostgreSQL can do |
//! | `ours` | this server. It sends the rows twice, as text and as `structuredContent`, so that its answers have about twice the bytes |
//!
//! Only ratios within one run mean anything. The p99 of less than 100 calls is the longest of them; the unit of processor time
//! is 10 ms. It takes 3 to 5 minutes.
//!
//! `cargo bench --bench compare -- --quick` is a short version; `cargo bench --bench compare -- "select 1"` runs only the cases
//! with this text in their name.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on ends")]

mod cases;
mod check;
mod client;
#[path = "../common/mod.rs"]
mod common;
mod echo;
mod fresh;
mod measure;
mod process;
mod raw;
mod report;
mod servers;
mod yardstick;

use std::time::Instant;

use cases::Case;
use common::report::{Targets, print};
use measure::{Bench, IN_FLIGHT};
use pg_private::Options;
use raw::RawDriver;
use servers::{POOL_SIZE, SERVE_ECHO, SERVE_YARDSTICK, Server, Workspace};

/// Calls that are sent at once, to see whether they are answered in their order.
const QUEUED: usize = 1000;

/// How many lines of our server's log are printed for a case.
const LOG_LINES_MAX: usize = 5;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some(SERVE_ECHO) => echo::serve(),
        Some(SERVE_YARDSTICK) => yardstick::serve(&arguments[1]),
        _ => {
            // Cargo passes `--bench`.
            let only = arguments.iter().find(|argument| !argument.starts_with("--"));
            compare(arguments.iter().any(|argument| argument == "--quick"), only.map(String::as_str));
        }
    }
}

fn compare(quick: bool, only: Option<&str>) {
    let began = Instant::now();
    // The table stays in memory, and no vacuum runs in between.
    let cluster = Options::new().setting("shared_buffers", "128MB").setting("autovacuum", "off").start().unwrap();
    let raw = RawDriver::start(&cluster.url());
    let workspace = Workspace::new(cluster.url());
    let mut cases = Case::all(quick);
    cases.retain(|case| only.is_none_or(|only| case.name.contains(only)));
    let mut targets = Targets::default();
    for case in &cases {
        let mut bench = Bench::new(&workspace, &raw, case);
        report::one_at_a_time(case, &bench.one_at_a_time(), &mut targets);
        let numbers = if quick && case.rows > 10_000 { &IN_FLIGHT[..1] } else { &IN_FLIGHT };
        let rows: Vec<_> = numbers.iter().map(|&outstanding| bench.in_flight(outstanding)).collect();
        report::in_flight(case, &rows, &mut targets);
        if case.name == "select 1" {
            let times = if quick { 3 } else { 10 };
            report::fairness(QUEUED, times, &bench.positions_off(QUEUED, times), POOL_SIZE, &mut targets);
        }
        drop(bench);
        let mut problems = workspace.logged_problems();
        problems.truncate(LOG_LINES_MAX);
        report::logged_problems(&problems);
    }
    if only.is_none() {
        fresh(&workspace, &raw, &cases, quick, &mut targets);
    }
    targets.print();
    print(&format!("\nAll of it took {:.0} s.", began.elapsed().as_secs_f64()));
}

/// Measures processes that have just started.
fn fresh(workspace: &Workspace, raw: &RawDriver, cases: &[Case], quick: bool, targets: &mut Targets) {
    let starts = fresh::starts(workspace, if quick { 5 } else { 20 });
    report::starts(&starts, workspace.program_bytes(), targets);
    let count = if quick { 1 } else { 3 };
    let large = cases.iter().filter(|case| case.rows >= 10_000);
    let rows = large.flat_map(|case| {
        let of = |server| fresh::memory(workspace, raw, case, &cases[0], server, count);
        [Server::Yardstick, Server::Ours].map(of)
    });
    report::memory(&rows.collect::<Vec<_>>(), count, targets);
}
