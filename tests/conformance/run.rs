//! The official conformance suite of the protocol, run against this server: `make conformance`.
//!
//! In two parts. The general one meets the product, as it is built. The suite's other scenarios ask for tools, resources
//! and prompts of its own; those are answered by the same daemon with another server behind it ([`fixture`]), which is
//! this program itself, started with the argument `fixture`.
//!
//! It fails if a scenario fails that is not excused ([`excused`]), and if one is excused that does not fail.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use pg_private::PrivateCluster;

mod daemon;
mod excused;
mod fixture;
mod suite;

use daemon::Daemon;
use excused::Part;
use suite::{Judgement, Suite};

/// The revisions that are asked for: the newest, and the newest of those that have sessions.
const REVISIONS: [&str; 2] = ["2026-07-28", "2025-11-25"];

fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let done = match &arguments[..] {
        [only] if only == Path::new("fixture") => fixture::serve(),
        [node, suite, results] => run(&Suite { node, suite, results }),
        _ => Err("usage: conformance NODE SUITE RESULTS, or conformance fixture".to_owned()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            let _ = writeln!(std::io::stderr(), "conformance: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything turned out as it should.
fn run(suite: &Suite) -> Result<bool, String> {
    let cluster = PrivateCluster::start().map_err(|error| error.to_string())?;
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    // Examples are built into a folder beside the product.
    let product = this.ancestors().nth(2).unwrap_or(&this).join("mcp-server-postgres");
    let mut all = Judgement::default();
    let mut lines = vec![format!("{:<9}{:<12}{}", "part", "revision", Judgement::HEAD)];
    for (part, program, argument) in [(Part::Product, &product, "serve"), (Part::Fixture, &this, "fixture")] {
        let daemon = Daemon::start(program, argument, &cluster.url(), suite.results)?;
        let mut of_part = Judgement::default();
        for revision in REVISIONS {
            let results = suite.run(daemon.url(), part, revision)?;
            let judgement = excused::judge(part, &results);
            lines.push(format!("{:<9}{revision:<12}{judgement}", part.name()));
            of_part.add(judgement);
        }
        of_part.complaints.extend(excused::needless(part, &of_part));
        all.add(of_part);
    }
    lines.push(format!("{:<21}{all}", "all"));
    for line in excused::list().iter().chain(&lines).chain(&all.complaints) {
        say(line);
    }
    Ok(all.complaints.is_empty())
}

// A person reads it; there is no protocol on this program's stdout.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
