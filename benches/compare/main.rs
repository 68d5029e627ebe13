//! This server beside the raw driver, an echo and a yardstick, on a private PostgreSQL, interleaved in one run.
//!
//! `raw` is the floor of the database, `echo` that of the pipes, `yardstick` the least that an MCP server can do.
//! Ours sends the rows twice, as text and as `structuredContent`: its answers have about twice the bytes.
//! Only ratios of one run say anything; a p99 of less than 100 calls is the worst of them, and processor time comes in
//! ticks of 10 ms. It takes 3 to 5 minutes; for iterating, `cargo bench --bench compare -- --quick` is a short version, and
//! `-- "select 1"` runs the cases whose name has that in it, and nothing else.

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
use common::say;
use mcp_server_postgres::demo::cluster::Options;
use measure::{Bench, IN_FLIGHT};
use raw::Raw;
use report::Targets;
use servers::{POOL_SIZE, Place, SERVE_ECHO, SERVE_YARDSTICK, Server};

/// Calls queued at once, to see whether they are answered in turn.
const QUEUED: usize = 1000;

/// So many of them share a connection of ours where many wait (`postgres/turns.rs`).
const TOGETHER: u64 = 4;

/// Lines of our own server's log that are shown for a case.
const COMPLAINTS_MAX: usize = 5;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some(SERVE_ECHO) => echo::serve(),
        Some(SERVE_YARDSTICK) => yardstick::serve(&arguments[1]),
        _ => {
            // Cargo says `--bench`.
            let only = arguments.iter().find(|argument| !argument.starts_with("--"));
            compare(arguments.iter().any(|argument| argument == "--quick"), only.map(String::as_str));
        }
    }
}

fn compare(quick: bool, only: Option<&str>) {
    let began = Instant::now();
    // The tables stay in memory, and nothing tidies them up meanwhile.
    let cluster = Options::new().setting("shared_buffers", "128MB").setting("autovacuum", "off").start().unwrap();
    let raw = Raw::start(&cluster.url());
    let place = Place::new(cluster.url());
    let mut cases = Case::all(quick);
    cases.retain(|case| only.is_none_or(|only| case.name.contains(only)));
    let mut targets = Targets::default();
    for case in &cases {
        let mut bench = Bench::new(&place, &raw, case);
        report::one_at_a_time(case, &bench.one_at_a_time(), &mut targets);
        let numbers = if quick && case.rows > 10_000 { &IN_FLIGHT[..1] } else { &IN_FLIGHT };
        let rows: Vec<_> = numbers.iter().map(|&outstanding| bench.in_flight(outstanding)).collect();
        report::in_flight(case, &rows, &mut targets);
        if case.name == "select 1" {
            let times = if quick { 3 } else { 10 };
            report::fairness(QUEUED, times, &bench.places_apart(QUEUED, times), POOL_SIZE * TOGETHER, &mut targets);
        }
        drop(bench);
        place.complaints().iter().take(COMPLAINTS_MAX).for_each(|line| say(&format!("  ours has logged: {line}")));
    }
    if only.is_none() {
        fresh(&place, &raw, &cases, quick, &mut targets);
    }
    targets.say();
    say(&format!("\nAll of it took {:.0} s.", began.elapsed().as_secs_f64()));
}

/// What is measured of processes that have just started.
fn fresh(place: &Place, raw: &Raw, cases: &[Case], quick: bool, targets: &mut Targets) {
    report::starts(&fresh::starts(place, if quick { 5 } else { 20 }), targets);
    let count = if quick { 1 } else { 3 };
    let large = cases.iter().filter(|case| case.rows >= 10_000);
    let rows = large.flat_map(|case| {
        let of = |server| fresh::memory(place, raw, case, &cases[0], server, count);
        [Server::Yardstick, Server::Ours].map(of)
    });
    report::memory(&rows.collect::<Vec<_>>(), count, targets);
    let program = place.program_bytes() as f64 / 1e6;
    say(&format!("\nThe program: {program:.1} MB"));
    targets.at_most("the program", Some(program), 15.0, "MB");
}
