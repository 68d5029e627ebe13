//! `stdio`: serves the host that has started this process. It is also what the program does without a subcommand.

use clap::Command;

use super::Subcommand;
use super::inputs::{Given, arguments, inputs};
use crate::{app, log, settings};

pub(super) const SUBCOMMAND: Subcommand = Subcommand {
    command: || Command::new("stdio").about("Serve the host on stdin and stdout (the default)").args(arguments()),
    run,
};

fn run(given: &Given) -> Result<u8, String> {
    let inputs = inputs(given);
    let loaded = settings::load(&inputs).map_err(|error| error.to_string())?;
    let (logger, control, guard) = log::root(&loaded.settings.log)?;
    let status = actix_rt::System::new().block_on(app::serve_stdio(loaded, inputs, control, logger))?;
    drop(guard);
    // If stdin is a terminal, returning would wait for the thread that still reads it.
    std::process::exit(i32::from(status))
}
