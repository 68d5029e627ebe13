//! The command line: one file for each subcommand, with its arguments and what it does. `inputs` has what most of them
//! share: the arguments for the settings.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Command;

mod check_config;
mod demo;
mod doctor;
mod healthcheck;
mod inputs;
mod parser;
mod serve;
mod stdio;
mod token;

use inputs::Given;

/// The exit status for settings that cannot be used (sysexits.h, EX_CONFIG).
const EXIT_CONFIG: u8 = 78;

/// The exit status of a subcommand that has found or met a failure.
const EXIT_FAILURE: u8 = 1;

/// A subcommand. `run` gives the exit status, or says what in the settings cannot be used.
struct Subcommand {
    command: fn() -> Command,
    run: fn(&Given) -> Result<u8, String>,
}

/// Every subcommand, in the order of `--help`.
const SUBCOMMANDS: &[Subcommand] = &[
    stdio::SUBCOMMAND,
    serve::SUBCOMMAND,
    check_config::SUBCOMMAND,
    doctor::SUBCOMMAND,
    healthcheck::SUBCOMMAND,
    token::SUBCOMMAND,
    demo::SUBCOMMAND,
    parser::SUBCOMMAND,
];

/// Do what the arguments of this process say.
pub fn run() -> ExitCode {
    let matches = command().get_matches();
    let (subcommand, own) = match matches.subcommand() {
        Some((name, own)) => (SUBCOMMANDS.iter().find(|known| (known.command)().get_name() == name), own),
        None => (None, &matches),
    };
    let subcommand = subcommand.unwrap_or(&stdio::SUBCOMMAND);
    let done = match Given::new(&matches, own, &(subcommand.command)()) {
        Ok(given) => (subcommand.run)(&given),
        Err(why) => Err(why),
    };
    match done {
        Ok(status) => ExitCode::from(status),
        Err(why) => {
            complain(&why);
            ExitCode::from(EXIT_CONFIG)
        }
    }
}

fn command() -> Command {
    Command::new("mcp-server-postgres")
        .version(clap::crate_version!())
        .about("A PostgreSQL server for the Model Context Protocol")
        .args(inputs::arguments())
        .subcommands(SUBCOMMANDS.iter().map(|subcommand| (subcommand.command)()))
}

/// Print for a person. Only the subcommands that do not serve a host on stdout may use it.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Say on stderr why something was not done.
fn complain(why: &str) {
    let _ = writeln!(std::io::stderr(), "mcp-server-postgres: {why}");
}
