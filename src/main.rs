//! The command line.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use mcp_server_postgres::http::{healthcheck, token};
use mcp_server_postgres::settings::{self, Inputs};
use mcp_server_postgres::{app, demo, doctor, log};
use pg_guard::parser;

/// The exit status for settings that cannot be used (sysexits.h, EX_CONFIG).
const EXIT_CONFIG: u8 = 78;

/// The exit status for a demonstration that did not succeed, and for a doctor who has found a failure.
const EXIT_FAILURE: u8 = 1;

fn main() -> ExitCode {
    let matches = command().get_matches();
    let status = match matches.subcommand() {
        Some(("check-config", given)) => check_config(&inputs(given)),
        Some(("doctor", given)) => doctor(&inputs(given)),
        Some(("demo", _)) => demo::run().map(|()| 0),
        Some(("token", given)) => token(given),
        Some(("healthcheck", given)) => health(&inputs(given)),
        Some((parser::SUBCOMMAND, _)) => parse(),
        Some(("stdio", given)) => stdio(inputs(given)),
        Some(("serve", given)) => serve(inputs(given)),
        _ => stdio(inputs(&matches)),
    };
    match status {
        Ok(status) => ExitCode::from(status),
        Err(why) => {
            let _ = writeln!(std::io::stderr(), "mcp-server-postgres: {why}");
            ExitCode::from(if matches.subcommand_name() == Some("demo") { EXIT_FAILURE } else { EXIT_CONFIG })
        }
    }
}

fn command() -> Command {
    let settings = || {
        [
            Arg::new("config")
                .long("config")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("A TOML file"),
            Arg::new("env-file")
                .long("env-file")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("A file of NAME=value lines [default: ./.env, if it is there]"),
        ]
        .into_iter()
        .chain(settings::flags())
    };
    Command::new("mcp-server-postgres")
        .version(clap::crate_version!())
        .about("A PostgreSQL server for the Model Context Protocol")
        .args(settings())
        .args_conflicts_with_subcommands(true)
        .subcommand(Command::new("stdio").about("Serve the host on stdin and stdout (the default)").args(settings()))
        .subcommand(
            Command::new("serve")
                .about("Serve many hosts over HTTP, for as long as the process is wanted")
                .args(settings()),
        )
        .subcommand(
            Command::new("check-config")
                .about("Print the settings in effect and where each comes from")
                .args(settings()),
        )
        .subcommand(
            Command::new("doctor")
                .about("Check the address, TLS, login, role and extensions, and say how to mend what is found")
                .args(settings()),
        )
        .subcommand(
            Command::new("healthcheck")
                .about("Ask the running `serve` of these settings whether it serves; status 0 if so, 1 if not")
                .args(settings()),
        )
        .subcommand(
            Command::new("token")
                .about("Make a token for a client of `serve`, and the table for MCP_TOKENS_FILE that lets it in")
                .arg(Arg::new("name").required(true).value_name("NAME").help("Whose it is: it stands in the log"))
                .arg(
                    Arg::new("mode")
                        .long("mode")
                        .value_name("WORD")
                        .value_parser(["read-only", "read-write"])
                        .default_value("read-only")
                        .help("The most that its bearer's statements may do"),
                )
                .arg(
                    Arg::new("databases")
                        .long("databases")
                        .value_name("NAMES")
                        .value_delimiter(',')
                        .default_value(settings::MAIN_DATABASE)
                        .help("The databases that its bearer may ask"),
                )
                .arg(
                    Arg::new("operator")
                        .long("operator")
                        .action(ArgAction::SetTrue)
                        .help("Its bearer may see what everybody does, and cancel it"),
                ),
        )
        .subcommand(Command::new("demo").about("Start a private PostgreSQL and play a host's side of a conversation"))
        .subcommand(
            Command::new(parser::SUBCOMMAND).about("The guard's parser; started by the server itself").hide(true),
        )
}

fn inputs(given: &ArgMatches) -> Inputs {
    let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    Inputs {
        config_file: given.get_one::<PathBuf>("config").cloned(),
        env_file: given.get_one::<PathBuf>("env-file").cloned(),
        environment: std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))).collect(),
        flags: settings::flags()
            .iter()
            .filter_map(|flag| {
                let name = flag.get_id().as_str();
                Some((name.to_owned(), given.get_one::<String>(name)?.clone()))
            })
            .collect(),
        folder: std::env::current_dir().unwrap_or_default(),
    }
}

fn check_config(inputs: &Inputs) -> Result<u8, String> {
    let loaded = settings::load(inputs).map_err(|error| error.to_string())?;
    print(&settings::report(&loaded));
    Ok(0)
}

fn doctor(inputs: &Inputs) -> Result<u8, String> {
    let loaded = settings::load(inputs).map_err(|error| error.to_string());
    let report = actix_rt::System::new().block_on(doctor::examine(loaded));
    print(report.text());
    Ok(if report.has_failed { EXIT_FAILURE } else { 0 })
}

fn stdio(inputs: Inputs) -> Result<u8, String> {
    let loaded = settings::load(&inputs).map_err(|error| error.to_string())?;
    let (logger, control, guard) = log::root(&loaded.settings.log)?;
    let status = actix_rt::System::new().block_on(app::serve_stdio(loaded, inputs, control, logger))?;
    drop(guard);
    // Returning would wait for a thread that still reads stdin where stdin is a terminal.
    std::process::exit(i32::from(status))
}

fn serve(inputs: Inputs) -> Result<u8, String> {
    let loaded = settings::load(&inputs).map_err(|error| error.to_string())?;
    let (logger, control, guard) = log::root(&loaded.settings.log)?;
    let status = actix_rt::System::new().block_on(app::serve_http(loaded, inputs, control, logger));
    drop(guard);
    // Returning would wait for a thread that is still in a system call.
    status.map(|status| std::process::exit(i32::from(status)))
}

fn health(inputs: &Inputs) -> Result<u8, String> {
    let loaded = settings::load(inputs).map_err(|error| error.to_string())?;
    let checked = actix_rt::System::new().block_on(healthcheck::check(&loaded.settings.http));
    let Err(why) = checked else { return Ok(0) };
    let _ = writeln!(std::io::stderr(), "mcp-server-postgres: {why}");
    Ok(EXIT_FAILURE)
}

fn token(given: &ArgMatches) -> Result<u8, String> {
    let text = |name| given.get_one::<String>(name).map_or("", String::as_str);
    let name = text("name");
    if !settings::is_token_name(name) {
        return Err(format!("{name:?} is no name for a token: it has letters, digits, -, _ and ."));
    }
    let databases: Vec<&str> = given.get_many::<String>("databases").unwrap_or_default().map(String::as_str).collect();
    let made = token::make(name, text("mode"), &databases, given.get_flag("operator"))?;
    print(&format!(
        "{}\n\n# The line above is the token: it is kept nowhere. What follows is for MCP_TOKENS_FILE.\n{}",
        made.token, made.table
    ));
    Ok(0)
}

fn parse() -> Result<u8, String> {
    parser::serve(std::io::stdin(), std::io::stdout()).map_err(|error| format!("the parser has no thread: {error}"))?;
    Ok(0)
}

// Not the protocol: these subcommands talk to a person.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
