//! `token`: makes a token for a client of the daemon.

use clap::{Arg, ArgAction, Command};

use super::inputs::Given;
use super::{Subcommand, print};
use crate::http::token;
use crate::settings;

pub(super) const SUBCOMMAND: Subcommand = Subcommand {
    command: || {
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
            )
    },
    run,
};

fn run(given: &Given) -> Result<u8, String> {
    let given = given.own;
    let text = |name| given.get_one::<String>(name).map_or("", String::as_str);
    let name = text("name");
    if !settings::is_token_name(name) {
        return Err("that is no name for a token: it has letters, digits, -, _ and .".to_owned());
    }
    let databases: Vec<&str> = given.get_many::<String>("databases").unwrap_or_default().map(String::as_str).collect();
    let made = token::make(name, text("mode"), &databases, given.get_flag("operator"))?;
    print(&format!(
        "{}\n\n# The line above is the token: it is kept nowhere. What follows is for MCP_TOKENS_FILE.\n{}",
        made.token, made.table
    ));
    Ok(0)
}
