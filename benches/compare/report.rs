//! The tables, and the targets with what was found.

use std::time::Duration;

use crate::cases::Case;
use crate::common::say;
use crate::fresh::{Memory, Starts};
use crate::measure::{InFlight, OneAtATime};

/// One aim: a figure and its bound.
struct Target {
    what: String,
    /// `None` where it could not be measured.
    found: Option<f64>,
    bound: f64,
    unit: &'static str,
    at_least: bool,
}

#[derive(Default)]
pub struct Targets(Vec<Target>);

impl Targets {
    pub fn at_most(&mut self, what: impl Into<String>, found: Option<f64>, bound: f64, unit: &'static str) {
        self.0.push(Target { what: what.into(), found, bound, unit, at_least: false });
    }

    pub fn at_least(&mut self, what: impl Into<String>, found: Option<f64>, bound: f64, unit: &'static str) {
        self.0.push(Target { what: what.into(), found, bound, unit, at_least: true });
    }

    pub fn say(&self) {
        say("\nTargets");
        for Target { what, found, bound, unit, at_least } in &self.0 {
            let sign = if *at_least { '≥' } else { '≤' };
            let (found, outcome) = match found {
                Some(found) if (if *at_least { found >= bound } else { found <= bound }) => {
                    (format!("{found:.2}"), "reached".to_owned())
                }
                Some(found) => {
                    (format!("{found:.2}"), format!("MISSED by {:.0} %", (found / bound - 1.0).abs() * 100.0))
                }
                None => ("n/a".to_owned(), "not measured".to_owned()),
            };
            say(&format!("  {what:52} {found:>8} {sign} {bound:<6} {unit:14} {outcome}"));
        }
    }
}

pub fn one_at_a_time(case: &Case, rows: &[OneAtATime], targets: &mut Targets) {
    let calls = rows[0].times.len();
    say(&format!("\n{}, one at a time: {calls} calls of each, in turns of {}", case.name, case.one_at_a_time.calls));
    say("                median         p99  p99/median  × yardstick  bytes of an answer  processor a call");
    let yardstick = named(rows, |row| row.name, "yardstick").median();
    for row in rows {
        say(&format!(
            "  {:9} {:>11} {:>11} {:>11.1} {:12.2} {:>19} {:>17}",
            row.name,
            time(row.median()),
            time(row.p99()),
            row.p99() / row.median(),
            row.median() / yardstick,
            grouped(row.bytes as f64),
            row.processor.map_or("n/a".to_owned(), |used| time(used.as_secs_f64())),
        ));
    }
    let ours = named(rows, |row| row.name, "ours");
    let ratio = Some(ours.median() / yardstick);
    targets.at_most(format!("{}, one at a time: median", case.name), ratio, 1.0, "× yardstick");
    if case.rows == 1 {
        let tail = Some(ours.p99() / ours.median());
        targets.at_most(format!("{}, one at a time: p99", case.name), tail, 3.0, "× own median");
    }
}

pub fn in_flight(case: &Case, rows: &[Vec<InFlight>], targets: &mut Targets) {
    let calls: Vec<_> = rows.iter().map(|row| case.in_flight.calls.max(row[0].outstanding).to_string()).collect();
    let (rounds, calls) = (case.in_flight.rounds, calls.join(", "));
    say(&format!("\n{}, in flight: calls a second, median of {rounds} turns of {calls} calls", case.name));
    let heads: String = rows.iter().map(|row| format!("{:>14} × yardstick", row[0].outstanding)).collect();
    say(&format!("           {heads}"));
    for (at, first) in rows[0].iter().enumerate() {
        let cells = rows.iter().map(|row| {
            let yardstick = named(row, |row| row.name, "yardstick").calls_a_second;
            let pool = row[at].connections.map_or(String::new(), |connections| format!(" (on {connections})"));
            let rate = row[at].calls_a_second;
            format!("{}{pool}{:8.2}", grouped(rate), rate / yardstick)
        });
        say(&format!("  {:9}{}", first.name, cells.map(|cell| format!("{cell:>26}")).collect::<String>()));
    }
    for row in rows.iter().filter(|row| row[0].outstanding == 32 && case.rows == 1) {
        let [ours, yardstick] = ["ours", "yardstick"].map(|name| named(row, |row| row.name, name).calls_a_second);
        targets.at_least(
            format!("{}, 32 in flight: calls a second", case.name),
            Some(ours / yardstick),
            1.0,
            "× yardstick",
        );
    }
}

pub fn fairness(calls: usize, times: usize, apart: &[(&'static str, Vec<u64>)], out: u64, targets: &mut Targets) {
    say(&format!("\n{calls} × select 1 queued at once, {times} times: places between an answer and its turn"));
    say(&format!("               median        p99        max   more than {out} places (as many are out at once)"));
    for (name, apart) in apart {
        let (median, p99, max) = (apart[apart.len() / 2], apart[apart.len() * 99 / 100], apart[apart.len() - 1]);
        let beyond = apart.len() - apart.partition_point(|&places| places <= out);
        say(&format!("  {name:9} {median:10} {p99:10} {max:10}   {beyond} of {}", apart.len()));
        if *name == "ours" {
            // That nobody is passed in the line is tested. Here the machine has its say: a backend that it lets wait holds
            // its calls up, while later ones are answered by the others.
            targets.at_most(
                format!("{calls} queued calls: places apart, p99"),
                Some(p99 as f64),
                out as f64,
                "places (out at once)",
            );
        }
    }
}

pub fn starts(starts: &[Starts], targets: &mut Targets) {
    let count = starts[0].listed.len();
    say(&format!("\nA start, median and worst of {count}; then memory at rest, and bytes of tools/list"));
    say("                    to tools/list         to first select 1   resident   tools/list");
    for Starts { name, listed, answered, resident_bytes, tools_bytes } in starts {
        let both = |times: &[Duration]| {
            format!("{:>9} {:>9}", time(times[count / 2].as_secs_f64()), time(times[count - 1].as_secs_f64()))
        };
        let resident = resident_bytes.map(|bytes| bytes as f64 / 1e6);
        say(&format!(
            "  {name:9}  {:>20}  {:>24}  {:>9} {:>12}",
            both(listed),
            both(answered),
            resident.map_or("n/a".to_owned(), |resident| format!("{resident:.1} MB")),
            grouped(*tools_bytes as f64),
        ));
        if *name == "ours" {
            let listed = listed[count / 2].as_secs_f64() * 1e3;
            targets.at_most("start to tools/list, median", Some(listed), 10.0, "ms");
            targets.at_most("resident at rest", resident, 10.0, "MB");
        }
    }
}

pub fn memory(rows: &[Memory], count: usize, targets: &mut Targets) {
    say(&format!("\nMemory for one large answer of a fresh process: the largest peak of {count}"));
    say("                               at rest        peak      answer   (peak − rest) / answer");
    for row in rows {
        let mega = |bytes: Option<u64>| bytes.map_or("n/a".to_owned(), |bytes| format!("{:.1} MB", bytes as f64 / 1e6));
        say(&format!(
            "  {:9}  {:>14}  {:>10}  {:>10}  {:>10}   {:>10}",
            row.name,
            row.case,
            mega(row.resident_bytes),
            mega(row.peak_bytes),
            mega(Some(row.answer_bytes as u64)),
            row.ratio().map_or("n/a".to_owned(), |ratio| format!("{ratio:.2}")),
        ));
        if row.name == "ours" {
            targets.at_most(format!("{}: peak memory above rest", row.case), row.ratio(), 1.5, "× answer");
        }
    }
}

fn named<'a, T>(rows: &'a [T], name_of: impl Fn(&T) -> &'static str, name: &str) -> &'a T {
    rows.iter().find(|row| name_of(row) == name).unwrap()
}

fn time(seconds: f64) -> String {
    if seconds < 1e-3 { format!("{:.1} µs", seconds * 1e6) } else { format!("{:.2} ms", seconds * 1e3) }
}

/// A number with commas, or one decimal where it is small.
fn grouped(number: f64) -> String {
    if number < 100.0 && number.fract() > 0.0 {
        return format!("{number:.1}");
    }
    let digits = format!("{number:.0}");
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
