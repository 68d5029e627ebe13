//! `healthcheck`: checks whether the daemon with these settings is alive, for the health check of a container.

use clap::Command;

use super::inputs::{Given, arguments, inputs};
use super::{EXIT_FAILURE, Subcommand, complain};
use crate::http::healthcheck;
use crate::settings;

pub(super) const SUBCOMMAND: Subcommand = Subcommand {
    command: || {
        Command::new("healthcheck")
            .about("Ask the running `serve` of these settings whether it serves; status 0 if so, 1 if not")
            .args(arguments())
    },
    run,
};

fn run(given: &Given) -> Result<u8, String> {
    let loaded = settings::load(&inputs(given)).map_err(|error| error.to_string())?;
    let checked = actix_rt::System::new().block_on(healthcheck::check(&loaded.settings.http));
    let Err(why) = checked else { return Ok(0) };
    complain(&why);
    Ok(EXIT_FAILURE)
}
