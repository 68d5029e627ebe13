//! The arguments for the settings: the files to read, and a flag for each setting that may have one.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, value_parser};

use crate::settings::{self, Inputs};

pub(super) fn arguments() -> impl Iterator<Item = Arg> {
    let file = |name: &'static str| Arg::new(name).long(name).value_name("FILE").value_parser(value_parser!(PathBuf));
    let files = [
        file("config").help("A TOML file"),
        file("env-file").help("A file of NAME=value lines [default: ./.env, if it is there]"),
    ];
    files.into_iter().chain(settings::flags())
}

/// Where the settings come from: these arguments, the environment, and the files in the current folder.
pub(super) fn inputs(given: &ArgMatches) -> Inputs {
    let lossy = |text: OsString| text.to_string_lossy().into_owned();
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
