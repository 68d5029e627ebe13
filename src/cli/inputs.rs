//! The arguments for the settings: the files to read, and a flag for each setting that may have one.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command, value_parser};

use crate::settings::{self, Inputs, Pipes};

const CONFIG: &str = "config";
const ENV_FILE: &str = "env-file";

pub(super) fn arguments() -> impl Iterator<Item = Arg> {
    let file = |name: &'static str| Arg::new(name).long(name).value_name("FILE").value_parser(value_parser!(PathBuf));
    let files = [
        file(CONFIG).help("A TOML file"),
        file(ENV_FILE).help("A file of NAME=value lines; without it, ./.env may set a connection and limits"),
    ];
    files.into_iter().chain(settings::flags())
}

/// The arguments of a subcommand, and those before its name. Flags of settings may stand in both places.
pub(super) struct Given<'a> {
    before: &'a ArgMatches,
    pub(super) own: &'a ArgMatches,
}

impl<'a> Given<'a> {
    /// # Errors
    /// The subcommand takes no settings, and some are given before its name.
    pub(super) fn new(before: &'a ArgMatches, own: &'a ArgMatches, command: &Command) -> Result<Self, String> {
        let takes_settings = command.get_arguments().any(|argument| argument.get_id() == ENV_FILE);
        if before.args_present() && !takes_settings {
            return Err(format!("`{}` uses no settings, so no flags stand before it", command.get_name()));
        }
        Ok(Self { before, own })
    }

    fn one<T: Clone + Send + Sync + 'static>(&self, name: &str) -> Option<T> {
        self.own.get_one(name).or_else(|| self.before.get_one(name)).cloned()
    }
}

/// Where the settings come from: these arguments, the environment, and the files in the current folder.
pub(super) fn inputs(given: &Given) -> Inputs {
    let lossy = |text: OsString| text.to_string_lossy().into_owned();
    Inputs {
        config_file: given.one(CONFIG),
        env_file: given.one(ENV_FILE),
        environment: std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))).collect(),
        flags: settings::flags()
            .iter()
            .filter_map(|flag| Some((flag.get_id().to_string(), given.one(flag.get_id().as_str())?)))
            .collect(),
        folder: std::env::current_dir().unwrap_or_default(),
        pipes: Pipes::default(),
    }
}
