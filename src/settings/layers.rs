//! The layers that settings come from: each is read, and then they are merged.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use config::{Config, ConfigError, Source, Value};

use super::keys::{self, DATABASE_URL, KEYS};
use super::near_miss::{self, UnknownName};
use super::read::{Files, NamedBy};
use super::{Inputs, NotTaken, url};

mod env_file;
mod found;
mod toml;

/// The kinds of sources. Each has priority over the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Default,
    /// A `.env` that nobody has named.
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

/// All layers merged.
pub(super) struct Merged {
    /// Every key that has a value, including defaults. Empty if the layers could not be merged.
    pub chosen: HashMap<&'static str, Chosen>,
    /// The values in the table of each further database, by its name.
    pub databases: BTreeMap<String, HashMap<&'static str, Chosen>>,
    pub warnings: Vec<String>,
    /// The problems of all sources so far.
    pub problems: Vec<String>,
}

/// All layers, in the order of their ranks.
pub(super) struct Layers {
    layers: Vec<Layer>,
    databases: BTreeMap<String, Vec<Entry>>,
    problems: Vec<String>,
    warnings: Vec<String>,
    /// What is not used of a `.env` that nobody has named.
    pub(super) not_taken: Vec<NotTaken>,
}

/// libpq's variables (manual, section 34.15), and the keys that they set.
const PG_VARIABLES: &[(&str, &str)] = &[
    ("PGHOST", "POSTGRES_HOST"),
    ("PGPORT", "POSTGRES_PORT"),
    ("PGDATABASE", "POSTGRES_DB"),
    ("PGUSER", "POSTGRES_USER"),
    ("PGPASSWORD", "POSTGRES_PASSWORD"),
    ("PGSSLMODE", "POSTGRES_SSL_MODE"),
    ("PGSSLROOTCERT", "POSTGRES_SSL_ROOT_CERT"),
    ("PGAPPNAME", "POSTGRES_APPLICATION_NAME"),
    ("PGOPTIONS", "POSTGRES_OPTIONS"),
    ("PGTARGETSESSIONATTRS", "POSTGRES_TARGET_SESSION_ATTRS"),
    ("PGCONNECT_TIMEOUT", "POSTGRES_CONNECT_TIMEOUT"),
];

const IN_ENVIRONMENT: &str = "in the environment";

/// The origin of a flag's value.
pub(super) const BY_FLAG: &str = "by its flag";

/// Read every source. The problems are collected, to be reported together.
pub(super) fn read(inputs: &Inputs, files: &mut Files) -> Layers {
    let mut layers = Layers {
        layers: Vec::new(),
        databases: BTreeMap::new(),
        problems: Vec::new(),
        warnings: Vec::new(),
        not_taken: Vec::new(),
    };
    let defaults = KEYS.iter().filter(|key| !key.default.is_empty());
    layers.layers.push(Layer {
        rank: Rank::Default,
        entries: defaults
            .map(|key| Entry { key: key.name, text: key.default.to_owned(), origin: "default".to_owned() })
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

    let pg_variables = in_env_file.iter().chain(&in_environment).filter_map(pg_variable).collect();
    layers.add(Rank::PgVariables, pg_variables);
    if let (Some(path), Some(text)) = (toml, toml_text) {
        let entries = layers.toml_entries(&path, &text);
        layers.add(Rank::Toml, entries);
    }
    for (rank, pairs) in [(Rank::EnvFile, in_env_file), (Rank::Environment, in_environment)] {
        let entries = pairs.into_iter().filter_map(|pair| layers.entry_of(pair)).collect();
        layers.add(rank, entries);
    }
    let flags = inputs.flags.iter().filter_map(|(name, text)| {
        let key = keys::find(name)?;
        Some(Entry { key: key.name, text: text.clone(), origin: BY_FLAG.to_owned() })
    });
    layers.add(Rank::Flags, flags.collect());
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
    /// The value of each key in the highest layer that sets it.
    pub(super) fn merge(&self) -> Merged {
        let mut problems = self.problems.clone();
        let sources = self.layers.iter().cloned();
        let merged = sources.fold(Config::builder(), |builder, layer| builder.add_source(layer)).build();
        let mut table = merged.and_then(|config| config.collect()).unwrap_or_else(|error| {
            problems.push(error.to_string());
            config::Map::new()
        });
        let mut warnings = self.warnings.clone();
        let mut chosen = HashMap::new();
        for key in KEYS {
            let Some(value) = table.remove(key.name) else { continue };
            let setters: Vec<(Rank, &Entry)> = self
                .layers
                .iter()
                .flat_map(|layer| layer.entries.iter().map(|entry| (layer.rank, entry)))
                .filter(|(_, entry)| entry.key == key.name)
                .collect();
            let rank = setters.iter().map(|(rank, _)| *rank).max().unwrap_or(Rank::Default);
            let origin = value.origin().unwrap_or_default().to_owned();
            for (lower, entry) in &setters {
                if rank >= Rank::Environment && matches!(lower, Rank::Toml | Rank::EnvFile) {
                    let key = key.name;
                    warnings.push(format!("{key} {} has no effect: it is set {origin}", entry.origin));
                }
            }
            let text = value.into_string().unwrap_or_default();
            chosen.insert(key.name, Chosen { text, origin, rank });
        }
        let databases = self.databases.iter().map(|(name, entries)| {
            let chosen = |entry: &Entry| Chosen {
                text: entry.text.clone(),
                origin: entry.origin.clone(),
                // The other layers do not set anything for this database.
                rank: Rank::Flags,
            };
            (name.clone(), entries.iter().map(|entry| (entry.key, chosen(entry))).collect())
        });
        Merged { chosen, databases: databases.collect(), warnings, problems }
    }

    fn add(&mut self, rank: Rank, entries: Vec<Entry>) {
        let entries = self.expand_urls(entries);
        self.layers.push(Layer { rank, entries });
    }

    /// The entries with a value: an empty text counts as not set, because hosts and compose files pass variables
    /// without a value that way. A URL is replaced by the keys that it sets.
    fn expand_urls(&mut self, entries: Vec<Entry>) -> Vec<Entry> {
        let (urls, mut entries): (Vec<Entry>, Vec<Entry>) =
            entries.into_iter().filter(|entry| !entry.text.is_empty()).partition(|entry| entry.key == DATABASE_URL);
        for url_entry in urls {
            let origin = format!("by DATABASE_URL {}", url_entry.origin);
            match url::parts(&url_entry.text) {
                Err(why) => self.problems.push(format!("DATABASE_URL ({}) cannot be used: {why}", url_entry.origin)),
                Ok(parts) => {
                    for (key, text) in parts {
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

    /// The text of a file that the operator has named by a flag, which is followed from now on.
    fn read_file(&mut self, path: &Path, files: &mut Files) -> Option<String> {
        let text = files.text(path, NamedBy::Flag);
        text.map_err(|why| self.problems.push(format!("{} cannot be read: {why}", path.display()))).ok()
    }

    /// The entry, if the name is a key. A misspelt key is a problem, another name with our prefix a warning.
    fn entry_of(&mut self, pair: Pair) -> Option<Entry> {
        let Pair { name, text, origin } = pair;
        if let Some(key) = keys::find(&name) {
            return Some(Entry { key: key.name, text, origin });
        }
        match near_miss::classify(&name) {
            UnknownName::NotOurs => {}
            UnknownName::Unknown => self.warnings.push(format!("{name} ({origin}) is no setting of this server")),
            UnknownName::NearMiss(right) => {
                self.problems.push(format!("{name} ({origin}) is no setting of this server: did you mean {right}?"));
            }
        }
        None
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<config::Map<String, Value>, ConfigError> {
        let value = |entry: &Entry| Value::new(Some(&entry.origin), entry.text.clone());
        Ok(self.entries.iter().map(|entry| (entry.key.to_owned(), value(entry))).collect())
    }
}
