//! What a bench prints: headings and tables in Markdown, so that `docs/performance.md` can show them as they are.

use std::io::Write as _;
use std::time::Duration;

pub fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// A heading, then a sentence that says how the following table was measured.
pub fn heading(title: &str, how: &str) {
    print(&format!("\n### {title}\n\n{how}\n"));
}

/// A table. The first column is aligned to the left, the others, which are figures, to the right.
pub struct Table(Vec<Vec<String>>);

impl Table {
    pub fn new<'a>(columns: impl IntoIterator<Item = &'a str>) -> Self {
        Self(vec![columns.into_iter().map(str::to_owned).collect()])
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<String> = cells.into_iter().collect();
        assert_eq!(cells.len(), self.0[0].len(), "a row has a cell for each column");
        self.0.push(cells);
    }

    pub fn print(&self) {
        let width = |at: usize| self.0.iter().map(|cells| cells[at].chars().count()).max().unwrap_or(0).max(3);
        let widths: Vec<usize> = (0..self.0[0].len()).map(width).collect();
        let line = |cells: &[String]| {
            let cells = cells.iter().zip(&widths).enumerate().map(|(at, (cell, &width))| {
                if at == 0 { format!(" {cell:<width$} ") } else { format!(" {cell:>width$} ") }
            });
            format!("|{}|", cells.collect::<Vec<_>>().join("|"))
        };
        let rules = widths
            .iter()
            .enumerate()
            .map(|(at, &width)| if at == 0 { "-".repeat(width + 2) } else { format!("{}:", "-".repeat(width + 1)) });
        print(&line(&self.0[0]));
        print(&format!("|{}|", rules.collect::<Vec<_>>().join("|")));
        self.0[1..].iter().for_each(|cells| print(&line(cells)));
    }
}

/// A figure and its bound.
struct Target {
    what: String,
    /// `None` if it could not be measured.
    found: Option<f64>,
    bound: f64,
    unit: &'static str,
    at_least: bool,
}

/// All targets of a bench, which are printed at its end.
#[derive(Default)]
pub struct Targets(Vec<Target>);

impl Targets {
    pub fn at_most(&mut self, what: impl Into<String>, found: Option<f64>, bound: f64, unit: &'static str) {
        self.0.push(Target { what: what.into(), found, bound, unit, at_least: false });
    }

    pub fn at_least(&mut self, what: impl Into<String>, found: Option<f64>, bound: f64, unit: &'static str) {
        self.0.push(Target { what: what.into(), found, bound, unit, at_least: true });
    }

    pub fn print(&self) {
        heading("Targets", "What was found beside its bound.");
        let mut table = Table::new(["target", "found", "bound", "outcome"]);
        for Target { what, found, bound, unit, at_least } in &self.0 {
            let sign = if *at_least { '≥' } else { '≤' };
            let is_reached = |found: f64| if *at_least { found >= *bound } else { found <= *bound };
            let outcome = match *found {
                Some(found) if is_reached(found) => "reached".to_owned(),
                Some(found) => format!("missed by {:.0} %", (found / bound - 1.0).abs() * 100.0),
                None => "not measured".to_owned(),
            };
            let found = found.map_or("n/a".to_owned(), |found| format!("{found:.2}"));
            table.row([what.clone(), found, format!("{sign} {bound} {unit}"), outcome]);
        }
        table.print();
    }
}

/// A time with its unit.
pub fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 1e-3 { format!("{:.1} µs", seconds * 1e6) } else { format!("{:.2} ms", seconds * 1e3) }
}

/// The time at so many hundredths of the sorted times; at 100 the longest.
pub fn percentile(sorted: &[Duration], hundredths: usize) -> Duration {
    sorted[(sorted.len() * hundredths / 100).min(sorted.len() - 1)]
}

/// A number with commas, or with one decimal if it is small.
pub fn grouped(number: f64) -> String {
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

pub fn megabytes(bytes: Option<u64>) -> String {
    bytes.map_or("n/a".to_owned(), |bytes| format!("{:.1} MB", bytes as f64 / 1e6))
}
