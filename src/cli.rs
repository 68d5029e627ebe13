//! The command line. Each subcommand has its own file, with its arguments and what it does. `inputs` contains the
//! arguments for the settings, which most subcommands share.

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

/// The exit status of a subcommand that has failed or has found a failure.
const EXIT_FAILURE: u8 = 1;

/// The exit status for invalid arguments.
const EXIT_USAGE: u8 = 2;

/// A subcommand. `run` returns the exit status, or the problems of the settings.
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

/// Runs the program with the arguments of this process.
pub fn run() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let matches = match command().try_get_matches_from(std::env::args_os()) {
        Ok(matches) => matches,
        // Help and version are not errors.
        Err(asked) if !asked.use_stderr() => asked.exit(),
        Err(wrong) => {
            let _ = write!(std::io::stderr(), "{}", unrevealing(&wrong.render().to_string(), &arguments));
            return ExitCode::from(EXIT_USAGE);
        }
    };
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

/// Prints text for a person. Only subcommands that do not serve a host on stdout may use it.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Reports on stderr why something was not done.
fn complain(why: &str) {
    let _ = writeln!(std::io::stderr(), "mcp-server-postgres: {why}");
}

/// `text` without the values of the arguments. An argument may be a URL, or a password in the wrong place.
fn unrevealing(text: &str, arguments: &[String]) -> String {
    const HIDDEN: &str = "(not shown)";
    let is_subcommand = |word: &str| SUBCOMMANDS.iter().any(|known| (known.command)().get_name() == word);
    let values = arguments.iter().skip(1).filter_map(|argument| match argument.strip_prefix('-') {
        Some(flag) => flag.split_once('=').map(|(_, value)| value),
        None => Some(argument.as_str()).filter(|word| !is_subcommand(word)),
    });
    values.filter(|value| !value.is_empty()).fold(text.to_owned(), |text, value| {
        let text = text.replace(&format!("'{value}'"), HIDDEN);
        if value.len() < HIDDEN.len() / 2 { text } else { text.replace(value, HIDDEN) }
    })
}
