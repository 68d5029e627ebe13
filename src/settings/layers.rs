//! The layers of the settings: each source is read, then all are merged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::keys::{self, DATABASE_URL, KEYS, PASSWORD_KEYS, SERVICE};
use super::libpq::{Places, service, variables};
use super::near_miss::{self, UnknownName};
use super::read::{Files, NamedBy};
use super::url::{self, Parts};
use super::{IgnoredLine, Inputs, placeholder, without_passwords};

pub(super) use merge::Merged;

mod env_file;
mod found;
mod merge;
mod toml;

/// The kinds of sources. Each has priority over the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Default,
    /// A `.env` file that nobody has named.
    FoundFile,
    PgVariables,
    Toml,
    EnvFile,
    Environment,
    Flags,
}

/// The values of one source.
#[derive(Clone, Debug)]
struct Layer {
    rank: Rank,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    key: &'static str,
    text: String,
    /// Where it was set, as in "POSTGRES_PORT (in the environment)".
    origin: String,
}

/// A key's value after all layers.
#[derive(Clone)]
pub(super) struct Chosen {
    pub text: String,
    pub origin: String,
    pub rank: Rank,
}

/// All layers, in the order of their ranks.
pub(super) struct Layers {
    layers: Vec<Layer>,
    databases: BTreeMap<String, Vec<Entry>>,
    problems: Vec<String>,
    warnings: Vec<String>,
    /// Where libpq's files are.
    places: Places,
    /// The lines that were ignored, of a `.env` file that nobody has named.
    pub(super) ignored: Vec<IgnoredLine>,
    /// Names that other programs use for settings of this server, with the place where they were found, and those
    /// settings.
    others: Vec<(String, String, &'static str)>,
    /// The folders in which a server on this machine may have its socket, and the user of this process.
    local: (Vec<PathBuf>, Option<String>),
}

/// libpq's variables (manual, section 34.15), and the keys that they set.
const PG_VARIABLES: &[(&str, &str)] = &[
    ("PGHOST", "POSTGRES_HOST"),
    ("PGHOSTADDR", "POSTGRES_HOSTADDR"),
    ("PGLOADBALANCEHOSTS", "POSTGRES_LOAD_BALANCE_HOSTS"),
    ("PGPORT", "POSTGRES_PORT"),
    ("PGDATABASE", "POSTGRES_DB"),
    ("PGUSER", "POSTGRES_USER"),
    ("PGPASSWORD", "POSTGRES_PASSWORD"),
    ("PGPASSFILE", "POSTGRES_PASSFILE"),
    ("PGSERVICE", SERVICE),
    ("PGCHANNELBINDING", "POSTGRES_CHANNEL_BINDING"),
    ("PGSSLCERT", "POSTGRES_SSL_CERT"),
    ("PGSSLKEY", "POSTGRES_SSL_KEY"),
    ("PGSSLNEGOTIATION", "POSTGRES_SSL_NEGOTIATION"),
    ("PGSSLMODE", "POSTGRES_SSL_MODE"),
    ("PGSSLROOTCERT", "POSTGRES_SSL_ROOT_CERT"),
    ("PGAPPNAME", "POSTGRES_APPLICATION_NAME"),
    ("PGOPTIONS", "POSTGRES_OPTIONS"),
    ("PGTARGETSESSIONATTRS", "POSTGRES_TARGET_SESSION_ATTRS"),
    ("PGCONNECT_TIMEOUT", "POSTGRES_CONNECT_TIMEOUT"),
];

const IN_ENVIRONMENT: &str = "in the environment";

/// The name of the source of a flag's value.
pub(super) const BY_FLAG: &str = "by its flag";

/// The beginning of the name of the source of a URL's part.
const BY_URL: &str = "by DATABASE_URL";

/// Reads every source. All problems are collected and reported together.
pub(super) fn read(inputs: &Inputs, files: &mut Files) -> Layers {
    let variable =
        |name: &str| inputs.environment.iter().find(|(known, _)| known == name).map(|(_, text)| text.clone());
    let mut layers = Layers {
        layers: Vec::new(),
        databases: BTreeMap::new(),
        problems: Vec::new(),
        warnings: Vec::new(),
        places: Places::new(&inputs.folder, variable),
        ignored: Vec::new(),
        others: Vec::new(),
        local: (inputs.socket_folders.clone(), inputs.system_user()),
    };
    let defaults = KEYS.iter().filter(|key| !key.default.is_empty()).map(|key| (key.name, key.default.to_owned()));
    layers.layers.push(Layer {
        rank: Rank::Default,
        entries: defaults
            .chain(layers.places.defaults())
            .map(|(key, text)| Entry { key, text, origin: "default".to_owned() })
            .collect(),
    });

    let toml = inputs.config_file.as_ref().map(|path| inputs.folder.join(path));
    let toml_text = toml.as_ref().and_then(|path| layers.read_file(path, files));
    let env_file = inputs.env_file.as_ref().map(|path| inputs.folder.join(path));
    let env_text = env_file.as_ref().and_then(|path| layers.read_file(path, files));
    let in_env_file = match (&env_file, env_text) {
        (Some(path), Some(text)) => layers.env_file_pairs(path, &text),
        _ => Vec::new(),
    };
    let in_environment = inputs.environment.iter().map(|(name, text)| Pair {
        name: name.clone(),
        text: text.clone(),
        origin: IN_ENVIRONMENT.to_owned(),
    });
    let in_environment: Vec<Pair> = in_environment.collect();

    for Pair { name, text, origin } in in_env_file.iter().chain(&in_environment) {
        match variables::not_obeyed(name, text, origin) {
            Some(Ok(warning)) => layers.warnings.push(warning),
            Some(Err(problem)) => layers.problems.push(problem),
            None => {}
        }
    }
    let pg_variables = in_env_file.iter().chain(&in_environment).filter_map(pg_variable).collect();
    layers.add(Rank::PgVariables, pg_variables, files);
    if let (Some(path), Some(text)) = (toml, toml_text) {
        let entries = layers.toml_entries(&path, &text, files);
        layers.add(Rank::Toml, entries, files);
    }
    for (rank, pairs) in [(Rank::EnvFile, in_env_file), (Rank::Environment, in_environment)] {
        let entries = pairs.into_iter().filter_map(|pair| layers.entry_of(pair)).collect();
        layers.add(rank, entries, files);
    }
    let flags = inputs.flags.iter().filter_map(|(name, text)| {
        let key = keys::find(name)?;
        Some(Entry { key: key.name, text: text.clone(), origin: BY_FLAG.to_owned() })
    });
    layers.add(Rank::Flags, flags.collect(), files);
    if inputs.env_file.is_none() {
        layers.add_found(&inputs.folder.join(".env"), files);
    }
    layers
}

/// A name and a value, and where they were found.
struct Pair {
    name: String,
    text: String,
    origin: String,
}

fn pg_variable(pair: &Pair) -> Option<Entry> {
    let key = key_of_pg_variable(&pair.name)?;
    Some(Entry { key, text: pair.text.clone(), origin: format!("as {} {}", pair.name, pair.origin) })
}

/// The key that a variable of libpq sets.
fn key_of_pg_variable(name: &str) -> Option<&'static str> {
    PG_VARIABLES.iter().find(|(variable, _)| *variable == name).map(|(_, key)| *key)
}

impl Layers {
    fn add(&mut self, rank: Rank, entries: Vec<Entry>, files: &mut Files) {
        let entries = self.expand_urls(entries);
        let entries = self.expand_service(entries, rank == Rank::PgVariables, files);
        self.layers.push(Layer { rank, entries });
    }

    /// The value without a line end, which a file or a program may have added; hosts and ports also without quotes. A
    /// placeholder is a problem.
    fn tidied(&mut self, entry: Entry) -> Option<Entry> {
        let (key, origin) = (entry.key, &entry.origin);
        if let Some(found) = placeholder::find(key, &entry.text) {
            let also = if key == "POSTGRES_PASSWORD" {
                "; if it is the password, put it into POSTGRES_PASSWORD_FILE"
            } else {
                ""
            };
            self.problems.push(format!(
                "{key} ({origin}): {found} looks like a placeholder that the host has not filled in{also}"
            ));
            return None;
        }
        let text = entry.text.trim_end_matches(['\r', '\n']);
        if entry.key == "POSTGRES_PASSWORD" && text.len() < entry.text.len() {
            self.warnings.push(format!("POSTGRES_PASSWORD ({}) ends with a line end, which is left out", entry.origin));
        }
        let unquoted = |quote| text.trim().strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
        let text = match entry.key {
            "POSTGRES_HOST" | "POSTGRES_PORT" => ['"', '\''].into_iter().find_map(unquoted).unwrap_or(text),
            _ => text,
        };
        Some(Entry { text: text.to_owned(), ..entry })
    }

    /// The entries with a value: an empty text counts as not set, because hosts and compose files pass variables
    /// without a value that way. A URL is replaced by the keys that it sets.
    fn expand_urls(&mut self, entries: Vec<Entry>) -> Vec<Entry> {
        let entries = entries.into_iter().filter(|entry| !entry.text.is_empty()).filter_map(|entry| self.tidied(entry));
        let (urls, mut entries): (Vec<Entry>, Vec<Entry>) = entries.partition(|entry| entry.key == DATABASE_URL);
        for url_entry in urls {
            let origin = format!("{BY_URL} {}", url_entry.origin);
            match url::parts(&url_entry.text) {
                Err(why) => self.problems.push(format!("DATABASE_URL ({}) cannot be used: {why}", url_entry.origin)),
                Ok(Parts { keys, ignored }) => {
                    if !ignored.is_empty() {
                        let names = ignored.join(", ");
                        self.warnings
                            .push(format!("DATABASE_URL ({}): {names} after the ? without effect", url_entry.origin));
                    }
                    if url_entry.origin == BY_FLAG && keys.iter().any(|(key, _)| *key == "POSTGRES_PASSWORD") {
                        self.warnings.push(
                            "DATABASE_URL (by its flag) has a password, which every user of this machine can read: give it in \
                             the environment or by --env-file"
                                .to_owned(),
                        );
                    }
                    for (key, text) in keys {
                        if let Some(other) = entries.iter().find(|entry| entry.key == key) {
                            self.warnings.push(format!("{key} {} has no effect: it is set {origin}", other.origin));
                            entries.retain(|entry| entry.key != key);
                        }
                        entries.push(Entry { key, text, origin: origin.clone() });
                    }
                }
            }
        }
        entries
    }

    /// Adds the keys that the named service of libpq sets. As in libpq, the service has priority over PG* variables.
    /// Other values in the same layer have priority over the service.
    fn expand_service(&mut self, mut entries: Vec<Entry>, goes_first: bool, files: &mut Files) -> Vec<Entry> {
        let Some(service) = entries.iter().find(|entry| entry.key == SERVICE).cloned() else { return entries };
        let name = service.text.trim();
        let (path, parameters) = match service::find(&self.places, name, files) {
            Ok(found) => found,
            Err(why) => {
                self.problems.push(format!("{SERVICE} is \"{name}\" ({}): {why}", service.origin));
                return entries;
            }
        };
        for (parameter, text, line) in parameters {
            let place = format!("in {}, line {line}", path.display());
            let Some(key) = url::key_of(&parameter).filter(|key| *key != SERVICE) else {
                self.warnings.push(format!("{parameter} ({place}) has no effect: it is no setting of this server"));
                continue;
            };
            let replaces = |entry: &Entry| {
                entry.key == key || (PASSWORD_KEYS.contains(&key) && PASSWORD_KEYS.contains(&entry.key))
            };
            if goes_first {
                entries.retain(|entry| !replaces(entry));
            }
            if !text.is_empty() && !entries.iter().any(replaces) {
                entries.push(Entry { key, text, origin: format!("by the service {name} {place}") });
            }
        }
        entries
    }

    /// The text of a file that the operator has named by a flag. The file is watched from now on.
    fn read_file(&mut self, path: &Path, files: &mut Files) -> Option<String> {
        let text = files.text(path, NamedBy::Flag);
        text.map_err(|why| self.problems.push(format!("{} cannot be read: {why}", shown(path)))).ok()
    }

    /// The entry, if the name is a key. A misspelt key is a problem, another name with our prefix a warning.
    fn entry_of(&mut self, pair: Pair) -> Option<Entry> {
        let Pair { name, text, origin } = pair;
        if let Some(key) = keys::find(&name) {
            return Some(Entry { key: key.name, text, origin });
        }
        match near_miss::classify(&name) {
            UnknownName::NotOurs => {}
            UnknownName::Others(right) => self.others.push((name, origin, right)),
            UnknownName::Unknown => self.warnings.push(format!("{name} ({origin}) is no setting of this server")),
            UnknownName::NearMiss(right) => {
                self.problems.push(format!("{name} ({origin}) is no setting of this server: did you mean {right}?"));
            }
        }
        None
    }
}

/// A path for an error message. The value may be a URL that was meant for another setting, so it is shown without its
/// password.
pub(super) fn shown(path: &Path) -> String {
    without_passwords(&path.display().to_string())
}
