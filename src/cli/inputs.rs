//! The arguments for the settings: the files to read, and a flag for each setting that may have one.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command, value_parser};

use crate::settings::{self, Inputs, Pipes};

const CONFIG: &str = "config";
const ENV_FILE: &str = "env-file";
/// The argument without a name.
const URL: &str = "url";

pub(super) fn arguments() -> impl Iterator<Item = Arg> {
    let file = |name: &'static str| Arg::new(name).long(name).value_name("FILE").value_parser(value_parser!(PathBuf));
    let files = [
        file(CONFIG).help("A TOML file"),
        file(ENV_FILE).help("A file of NAME=value lines; without it, ./.env may set a connection and limits"),
    ];
    let url = Arg::new(URL)
        .value_name("URL")
        .help("The database, as DATABASE_URL has it; every user of this machine can read it");
    files.into_iter().chain(settings::flags()).chain([url])
}

/// The arguments of a subcommand, and those before its name. The flags of settings are allowed in both places.
pub(super) struct Given<'a> {
    before: &'a ArgMatches,
    pub(super) own: &'a ArgMatches,
}

impl<'a> Given<'a> {
    /// # Errors
    /// The subcommand has no settings, but flags of settings are given before its name.
    pub(super) fn new(before: &'a ArgMatches, own: &'a ArgMatches, command: &Command) -> Result<Self, String> {
        let takes_settings = command.get_arguments().any(|argument| argument.get_id() == ENV_FILE);
        if before.args_present() && !takes_settings {
            return Err(format!("`{}` uses no settings, so no flags stand before it", command.get_name()));
        }
        let given = Self { before, own };
        let is_a_string =
            |text: &String| text.contains("://") || text.contains('=') || text.starts_with(['$', '%', '<', '{']);
        match given.one::<String>(URL).filter(|_| takes_settings) {
            Some(text) if !is_a_string(&text) => {
                Err("an argument is neither a subcommand (see --help) nor the URL of a \
                                                      database; it is not shown, for it may be a password"
                    .to_owned())
            }
            _ => Ok(given),
        }
    }

    fn one<T: Clone + Send + Sync + 'static>(&self, name: &str) -> Option<T> {
        let in_one = |matches: &ArgMatches| matches.try_get_one::<T>(name).ok().flatten().cloned();
        in_one(self.own).or_else(|| in_one(self.before))
    }
}

/// The sources of the settings: these arguments, the environment, and the files in the current folder.
pub(super) fn inputs(given: &Given) -> Inputs {
    let lossy = |text: OsString| text.to_string_lossy().into_owned();
    Inputs {
        config_file: given.one(CONFIG),
        env_file: given.one(ENV_FILE),
        environment: std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))).collect(),
        flags: {
            let flags = settings::flags();
            let named =
                flags.iter().filter_map(|flag| Some((flag.get_id().to_string(), given.one(flag.get_id().as_str())?)));
            let url = given.one(URL).map(|url| ("DATABASE_URL".to_owned(), url));
            url.into_iter().chain(named).collect()
        },
        folder: std::env::current_dir().unwrap_or_default(),
        pipes: Pipes::default(),
        // Debian's folder, its other name, and the default of PostgreSQL.
        socket_folders: ["/var/run/postgresql", "/run/postgresql", "/tmp"].map(PathBuf::from).to_vec(),
    }
}
