//! `serve`: the daemon, for many hosts over HTTP.

use clap::Command;

use super::Subcommand;
use super::inputs::{Given, arguments, inputs};
use crate::{app, log, settings};

pub(super) const SUBCOMMAND: Subcommand = Subcommand {
    command: || {
        Command::new("serve")
            .about("Serve many hosts over HTTP, for as long as the process is wanted")
            .args(arguments())
    },
    run,
};

fn run(given: &Given) -> Result<u8, String> {
    let inputs = inputs(given);
    let loaded = settings::load(&inputs).map_err(|error| error.to_string())?;
    let (logger, control, guard) = log::root(&loaded.settings.log)?;
    let status = actix_rt::System::new().block_on(app::serve_http(loaded, inputs, control, logger));
    drop(guard);
    // Returning would wait for a thread that may be blocked in a system call.
    status.map(|status| std::process::exit(i32::from(status)))
}
