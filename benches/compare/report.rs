//! The tables of this bench, and its targets.

use crate::cases::Case;
use crate::common::report::{Table, Targets, grouped, heading, megabytes, percentile, print, time};
use crate::fresh::{Memory, Starts};
use crate::measure::{InFlight, OneAtATime, PositionsOff};

pub fn one_at_a_time(case: &Case, rows: &[OneAtATime], targets: &mut Targets) {
    let (calls, each) = (rows[0].times.len(), case.one_at_a_time.calls);
    heading(
        &format!("{}, one call at a time", case.name),
        &format!("{} calls of each program; in each round every program makes {each}.", grouped(calls as f64)),
    );
    let mut table = Table::new([
        "program",
        "median",
        "p99",
        "p99 / median",
        "× yardstick",
        "bytes of an answer",
        "processor time of a call",
    ]);
    let yardstick = named(rows, |row| row.name, "yardstick").median().as_secs_f64();
    let tail = |row: &OneAtATime| row.p99().as_secs_f64() / row.median().as_secs_f64();
    for row in rows {
        table.row([
            row.name.to_owned(),
            time(row.median()),
            time(row.p99()),
            format!("{:.1}", tail(row)),
            format!("{:.2}", row.median().as_secs_f64() / yardstick),
            grouped(row.bytes as f64),
            row.processor.map_or("n/a".to_owned(), time),
        ]);
    }
    table.print();
    let ours = named(rows, |row| row.name, "ours");
    let ratio = Some(ours.median().as_secs_f64() / yardstick);
    targets.at_most(format!("{}, one call at a time: median", case.name), ratio, 1.0, "× yardstick");
    if case.rows == 1 {
        targets.at_most(format!("{}, one call at a time: p99", case.name), Some(tail(ours)), 3.0, "× own median");
    }
}

/// `rows` has for each number of calls in flight what each program did.
pub fn in_flight(case: &Case, rows: &[Vec<InFlight>], targets: &mut Targets) {
    let calls: Vec<_> = rows.iter().map(|row| case.in_flight.calls.max(row[0].outstanding).to_string()).collect();
    heading(
        &format!("{}, several calls in flight: calls a second", case.name),
        &format!(
            "The median of {} rounds of {} calls. `raw` is the best of {:?} connections; the number after \"on\" is that one.",
            case.in_flight.rounds,
            calls.join(", "),
            case.pools
        ),
    );
    let heads = rows.iter().flat_map(|row| [format!("{} in flight", row[0].outstanding), "× yardstick".to_owned()]);
    let heads: Vec<String> = std::iter::once("program".to_owned()).chain(heads).collect();
    let mut table = Table::new(heads.iter().map(String::as_str));
    for (at, first) in rows[0].iter().enumerate() {
        let cells = rows.iter().flat_map(|row| {
            let yardstick = named(row, |row| row.name, "yardstick").calls_a_second;
            let InFlight { calls_a_second, connections, .. } = &row[at];
            let pool = connections.map_or(String::new(), |connections| format!(" on {connections}"));
            [format!("{}{pool}", grouped(*calls_a_second)), format!("{:.2}", calls_a_second / yardstick)]
        });
        table.row(std::iter::once(first.name.to_owned()).chain(cells));
    }
    table.print();
    for row in rows.iter().filter(|row| row[0].outstanding == 32 && case.rows == 1) {
        let [ours, yardstick] = ["ours", "yardstick"].map(|name| named(row, |row| row.name, name).calls_a_second);
        targets.at_least(
            format!("{}, 32 in flight: calls a second", case.name),
            Some(ours / yardstick),
            0.4,
            "× yardstick",
        );
    }
}

/// `running_max` is how many calls of ours run at the same time.
pub fn fairness(calls: usize, times: usize, all: &[PositionsOff], running_max: u64, targets: &mut Targets) {
    heading(
        &format!("{} × select 1, sent at once: is each answered in its order", grouped(calls as f64)),
        &format!(
            "{times} times. How many positions an answer is away from that of its request. {running_max} calls run at a time."
        ),
    );
    let beyond_head = format!("more than {running_max}");
    let mut table = Table::new(["program", "median", "p99", "largest", &beyond_head]);
    for PositionsOff { name, sorted } in all {
        let (median, p99, largest) =
            (sorted[sorted.len() / 2], sorted[sorted.len() * 99 / 100], sorted[sorted.len() - 1]);
        let beyond = sorted.len() - sorted.partition_point(|&positions| positions <= running_max);
        table.row([
            (*name).to_owned(),
            median.to_string(),
            p99.to_string(),
            largest.to_string(),
            format!("{beyond} of {}", grouped(sorted.len() as f64)),
        ]);
        if *name == "ours" {
            // A test holds the order of the queue. Here the machine matters too: when it delays one backend, its call is
            // answered after later calls of the other backends.
            targets.at_most(
                format!("{calls} calls sent at once: positions off, p99"),
                Some(p99 as f64),
                running_max as f64,
                "(calls that run at a time)",
            );
        }
    }
    table.print();
}

pub fn starts(starts: &[Starts], program_bytes: u64, targets: &mut Targets) {
    let count = starts[0].listed.len();
    heading(
        "A start",
        &format!(
            "{count} starts of each program: the time to two answers, the resident memory at rest after them, and the length of \
             `tools/list`. Our program has {}.",
            megabytes(Some(program_bytes))
        ),
    );
    let mut table = Table::new([
        "program",
        "to tools/list, median",
        "longest",
        "to the first select 1, median",
        "longest",
        "memory at rest",
        "bytes of tools/list",
    ]);
    for Starts { name, listed, answered, resident_bytes, tools_bytes } in starts {
        table.row([
            (*name).to_owned(),
            time(percentile(listed, 50)),
            time(percentile(listed, 100)),
            time(percentile(answered, 50)),
            time(percentile(answered, 100)),
            megabytes(*resident_bytes),
            grouped(*tools_bytes as f64),
        ]);
        if *name == "ours" {
            let listed = percentile(listed, 50).as_secs_f64() * 1e3;
            targets.at_most("start to tools/list, median", Some(listed), 10.0, "ms");
            targets.at_most("memory at rest", resident_bytes.map(|bytes| bytes as f64 / 1e6), 10.0, "MB");
        }
    }
    table.print();
    targets.at_most("the program", Some(program_bytes as f64 / 1e6), 15.0, "MB");
}

pub fn memory(rows: &[Memory], count: usize, targets: &mut Targets) {
    heading(
        "Memory of one large answer",
        &format!(
            "A new process answers `select 1`, rests, and answers the case: of {count} processes the one with the largest peak."
        ),
    );
    let mut table = Table::new(["program", "case", "at rest", "peak", "answer", "(peak − rest) / answer"]);
    for row in rows {
        table.row([
            row.name.to_owned(),
            row.case.to_owned(),
            megabytes(row.resident_bytes),
            megabytes(row.peak_bytes),
            megabytes(Some(row.answer_bytes as u64)),
            row.ratio().map_or("n/a".to_owned(), |ratio| format!("{ratio:.2}")),
        ]);
        if row.name == "ours" {
            targets.at_most(format!("{}: peak of memory above rest", row.case), row.ratio(), 1.5, "× answer");
        }
    }
    table.print();
}

pub fn logged_problems(lines: &[String]) {
    if !lines.is_empty() {
        print("\nOur server has logged:\n");
        lines.iter().for_each(|line| print(&format!("    {line}")));
    }
}

fn named<'a, T>(rows: &'a [T], name_of: impl Fn(&T) -> &'static str, name: &str) -> &'a T {
    rows.iter().find(|row| name_of(row) == name).unwrap()
}
