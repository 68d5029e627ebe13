//! `check-config`: the settings in effect.

use clap::Command;

use super::inputs::{Given, arguments, inputs};
use super::{Subcommand, print};
use crate::settings;

pub(super) const SUBCOMMAND: Subcommand = Subcommand {
    command: || {
        Command::new("check-config").about("Print the settings in effect and where each comes from").args(arguments())
    },
    run,
};

fn run(given: &Given) -> Result<u8, String> {
    let loaded = settings::load(&inputs(given)).map_err(|error| error.to_string())?;
    print(&settings::report(&loaded));
    Ok(0)
}
