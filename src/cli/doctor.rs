//! `doctor`: checks the settings, the address, TLS, the login, the server, the role and the extensions, in this order, and
//! says how to repair what it finds. It changes nothing.

use std::time::Duration;

use clap::Command;

use super::inputs::{Given, arguments, inputs};
use super::{EXIT_FAILURE, Subcommand, print};
use crate::settings::{self, Loaded};
use report::Report;

mod address;
mod database;
mod report;

pub(super) const SUBCOMMAND: Subcommand = Subcommand {
    command: || {
        Command::new("doctor")
            .about("Check the address, TLS, login, role and extensions, and say how to mend what is found")
            .args(arguments())
    },
    run,
};

/// The longest time to wait for a host. The time limit of the settings is used if it is shorter.
const CONNECT_MAX: Duration = Duration::from_secs(5);

fn run(given: &Given) -> Result<u8, String> {
    let loaded = settings::load(&inputs(given)).map_err(|error| error.to_string());
    let report = actix_rt::System::new().block_on(examine(loaded));
    print(report.text());
    Ok(if report.has_failed { EXIT_FAILURE } else { 0 })
}

/// Runs all checks, up to a failure that makes the next ones impossible.
async fn examine(loaded: Result<Loaded, String>) -> Report {
    let mut report = Report::default();
    let settings = match loaded {
        Ok(Loaded { settings, warnings, .. }) => {
            warnings.iter().for_each(|warning| report.warning("settings", warning));
            settings
        }
        Err(why) => {
            report.failed("settings", why);
            return report;
        }
    };
    report.ok("settings", format!("{} mode; see check-config for the rest", settings.access));
    if address::check(&mut report, &settings.postgres).await {
        database::check(&mut report, &settings).await;
    }
    report
}
