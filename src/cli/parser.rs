//! `parser`: the parser of the guard. The server starts it as a process of its own. It is not in `--help`.

use clap::Command;
use pg_guard::parser;

use super::Subcommand;
use super::inputs::Given;

pub(super) const SUBCOMMAND: Subcommand = Subcommand {
    command: || Command::new(parser::SUBCOMMAND).about("The guard's parser; started by the server itself").hide(true),
    run,
};

fn run(_: &Given) -> Result<u8, String> {
    parser::serve(std::io::stdin(), std::io::stdout()).map_err(|error| format!("the parser has no thread: {error}"))?;
    Ok(0)
}
