//! The layers that settings come from, read and laid over each other.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::Path;

use config::{Config, ConfigError, File, FileFormat, Source, Value, ValueKind};

use super::keys::{self, DATABASE_URL, KEYS, Key, Stranger};
use super::{Inputs, MAIN_DATABASE, WatchedFile, url};

/// Who sets a value; each wins over those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Default,
    PgVariables,
    Toml,
    EnvFile,
    Environment,
    Flags,
}

/// What one source sets.
#[derive(Clone, Debug)]
struct Layer {
    rank: Rank,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    key: &'static str,
    text: String,
    /// As in "POSTGRES_PORT (this place)".
    place: String,
}

/// A key's value after all layers.
#[derive(Clone)]
pub(super) struct Chosen {
    pub text: String,
    pub place: String,
    pub rank: Rank,
}

/// All layers as one.
pub(super) struct Merged {
    /// Empty if the layers could not be merged; otherwise every key that has a value, the defaults among them.
    pub chosen: HashMap<&'static str, Chosen>,
    /// What each table of a further database sets, by the database's name.
    pub databases: BTreeMap<String, HashMap<&'static str, Chosen>>,
    pub warnings: Vec<String>,
    /// Everything that is wrong with any source so far.
    pub problems: Vec<String>,
}

/// Every layer, in the order of their ranks.
pub(super) struct Layers {
    layers: Vec<Layer>,
    databases: BTreeMap<String, Vec<Entry>>,
    pub files: Vec<WatchedFile>,
    problems: Vec<String>,
    warnings: Vec<String>,
}

/// libpq's variables (manual, section 34.15), and the keys that they stand for.
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

/// The table of the TOML file that holds a table for each further database.
const DATABASES: &str = "databases";

const IN_ENVIRONMENT: &str = "in the environment";

/// Read every source. What is wrong with any of them waits for the end, to be told together.
pub(super) fn read(inputs: &Inputs) -> Layers {
    let mut this = Layers {
        layers: Vec::new(),
        databases: BTreeMap::new(),
        files: Vec::new(),
        problems: Vec::new(),
        warnings: Vec::new(),
    };
    let defaults = KEYS.iter().filter(|key| !key.default.is_empty());
    this.layers.push(Layer {
        rank: Rank::Default,
        entries: defaults
            .map(|key| Entry { key: key.name, text: key.default.to_owned(), place: "default".to_owned() })
            .collect(),
    });

    let toml = inputs.config_file.as_ref().map(|path| inputs.folder.join(path));
    let toml_text = toml.as_ref().and_then(|path| this.read_file(path, true));
    let env_file = inputs.folder.join(inputs.env_file.as_deref().unwrap_or(Path::new(".env")));
    let env_text = this.read_file(&env_file, inputs.env_file.is_some()).unwrap_or_default();
    let in_env_file = this.env_file_pairs(&env_file, &env_text);
    let in_environment = inputs.environment.iter().map(|(name, text)| Pair {
        name: name.clone(),
        text: text.clone(),
        place: IN_ENVIRONMENT.to_owned(),
    });
    let in_environment: Vec<Pair> = in_environment.collect();

    let pg_variables = in_env_file.iter().chain(&in_environment).filter_map(pg_variable).collect();
    this.add(Rank::PgVariables, pg_variables);
    if let (Some(path), Some(text)) = (toml, toml_text) {
        let entries = this.toml_entries(&path, &text);
        this.add(Rank::Toml, entries);
    }
    for (rank, pairs) in [(Rank::EnvFile, in_env_file), (Rank::Environment, in_environment)] {
        let entries = pairs.into_iter().filter_map(|pair| this.known(pair)).collect();
        this.add(rank, entries);
    }
    let flags = inputs.flags.iter().filter_map(|(name, text)| {
        let key = keys::find(name)?;
        Some(Entry { key: key.name, text: text.clone(), place: "by its flag".to_owned() })
    });
    this.add(Rank::Flags, flags.collect());
    this
}

/// A name and a text, and where they stand.
struct Pair {
    name: String,
    text: String,
    place: String,
}

fn pg_variable(pair: &Pair) -> Option<Entry> {
    let (variable, key) = PG_VARIABLES.iter().find(|(variable, _)| *variable == pair.name)?;
    Some(Entry { key, text: pair.text.clone(), place: format!("as {variable} {}", pair.place) })
}

impl Layers {
    /// What each key is set to, by the highest layer that sets it.
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
            let place = value.origin().unwrap_or_default().to_owned();
            for (below, entry) in &setters {
                if rank >= Rank::Environment && matches!(below, Rank::Toml | Rank::EnvFile) {
                    let key = key.name;
                    warnings.push(format!("{key} {} has no effect: it is set {place}", entry.place));
                }
            }
            let text = value.into_string().unwrap_or_default();
            chosen.insert(key.name, Chosen { text, place, rank });
        }
        let databases = self.databases.iter().map(|(name, entries)| {
            let chosen = |entry: &Entry| Chosen {
                text: entry.text.clone(),
                place: entry.place.clone(),
                // Nothing of the other layers is meant for this database.
                rank: Rank::Flags,
            };
            (name.clone(), entries.iter().map(|entry| (entry.key, chosen(entry))).collect())
        });
        Merged { chosen, databases: databases.collect(), warnings, problems }
    }

    fn add(&mut self, rank: Rank, entries: Vec<Entry>) {
        let entries = self.without_urls(entries);
        self.layers.push(Layer { rank, entries });
    }

    /// The entries that set something: an empty text does not, for hosts and compose files pass what they have no value
    /// for as such. A URL becomes what it stands for.
    fn without_urls(&mut self, entries: Vec<Entry>) -> Vec<Entry> {
        let (urls, mut entries): (Vec<Entry>, Vec<Entry>) =
            entries.into_iter().filter(|entry| !entry.text.is_empty()).partition(|entry| entry.key == DATABASE_URL);
        for whole in urls {
            let place = format!("by DATABASE_URL {}", whole.place);
            match url::parts(&whole.text) {
                Err(why) => self.problems.push(format!("DATABASE_URL ({}) cannot be used: {why}", whole.place)),
                Ok(parts) => {
                    for (key, text) in parts {
                        if let Some(other) = entries.iter().find(|entry| entry.key == key) {
                            self.warnings.push(format!("{key} {} has no effect: it is set {place}", other.place));
                            entries.retain(|entry| entry.key != key);
                        }
                        entries.push(Entry { key, text, place: place.clone() });
                    }
                }
            }
        }
        entries
    }

    /// The text of a file, which from now on is followed.
    fn read_file(&mut self, path: &Path, required: bool) -> Option<String> {
        let text = match fs::read_to_string(path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !required => None,
            Err(error) => {
                self.problems.push(format!("{} cannot be read: {error}", path.display()));
                None
            }
        };
        self.files.push(WatchedFile { path: path.to_owned(), text: text.clone() });
        text
    }

    /// The entry of a key of ours; what looks like one is a problem, what might be one a warning.
    fn known(&mut self, pair: Pair) -> Option<Entry> {
        let Pair { name, text, place } = pair;
        if let Some(key) = keys::find(&name) {
            return Some(Entry { key: key.name, text, place });
        }
        match keys::stranger(&name) {
            Stranger::Other => {}
            Stranger::Unknown => self.warnings.push(format!("{name} ({place}) is no setting of this server")),
            Stranger::NearMiss(right) => {
                self.problems.push(format!("{name} ({place}) is no setting of this server: did you mean {right}?"));
            }
        }
        None
    }

    fn env_file_pairs(&mut self, path: &Path, text: &str) -> Vec<Pair> {
        let mut pairs: BTreeMap<String, Pair> = BTreeMap::new();
        // Without a byte order mark, which some editors put there and dotenvy takes for part of the first name.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        // Ended, because dotenvy refuses a last line that ends in a space and nothing else.
        for line in dotenvy::Iter::new(format!("{}\n", dollars_hidden(text)).as_bytes()) {
            match line {
                Ok((name, text_of)) => {
                    let place = format!("in {}{}", path.display(), line_of(text, &name));
                    if pairs.contains_key(&name) {
                        self.warnings
                            .push(format!("{name} ({place}) is set more than once there: the last one counts"));
                    }
                    let text = text_of.replace(HIDDEN_DOLLAR, "$");
                    pairs.insert(name.clone(), Pair { name, text, place });
                }
                // The error quotes the line, which may hold a password.
                Err(dotenvy::Error::LineParse(wrong, _)) => {
                    self.problems.push(format!(
                        "{}{} cannot be read: a line is NAME=value; \
                         a value with spaces, quotes, backslashes or # stands in quotes",
                        path.display(),
                        line_with(text, &wrong.replace(HIDDEN_DOLLAR, "$")),
                    ));
                }
                Err(error) => self.problems.push(format!("{} cannot be read: {error}", path.display())),
            }
        }
        pairs.into_values().collect()
    }

    fn toml_entries(&mut self, path: &Path, text: &str) -> Vec<Entry> {
        let file = Config::builder().add_source(File::from_str(text, FileFormat::Toml)).build();
        let root = match file.and_then(|file| file.collect()) {
            Ok(root) => root,
            Err(error) => {
                self.problems.push(format!("{} cannot be read: {}", path.display(), without_excerpt(&error)));
                return Vec::new();
            }
        };
        let mut found: Vec<(String, String, Value)> = Vec::new();
        for (name, value) in root {
            match value.kind {
                ValueKind::Table(databases) if name == DATABASES => self.databases_of(path, databases),
                ValueKind::Table(table) => {
                    found.extend(table.into_iter().map(|(inner, value)| (name.clone(), inner, value)));
                }
                _ => found.push((String::new(), name, value)),
            }
        }
        // A TOML table has no order here; problems are told in one all the same.
        found.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        found.into_iter().filter_map(|(table, name, value)| self.toml_entry(path, &table, &name, value)).collect()
    }

    /// The tables `[databases.NAME]`: each has the names of `[postgres]`, `url` and `access_mode`.
    fn databases_of(&mut self, path: &Path, databases: config::Map<String, Value>) {
        for (database, value) in databases.into_iter().collect::<BTreeMap<_, _>>() {
            let place = format!("[{DATABASES}.{database}] in {}", path.display());
            let ValueKind::Table(table) = value.kind else {
                self.problems.push(format!("{place} must be a table, such as [{DATABASES}.{database}] url = \"…\""));
                continue;
            };
            let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
            if database.is_empty() || !database.chars().all(is_name) || database == MAIN_DATABASE {
                self.problems.push(format!(
                    "{place}: a database's name has lower-case letters, digits, - and _, and is not {MAIN_DATABASE:?}, \
                     which is the database of [postgres]"
                ));
                continue;
            }
            let mut entries = Vec::new();
            for (name, value) in table.into_iter().collect::<BTreeMap<_, _>>() {
                let full = match name.as_str() {
                    "url" => DATABASE_URL.to_owned(),
                    "access_mode" => "MCP_ACCESS_MODE".to_owned(),
                    name => keys::of_toml("postgres", name),
                };
                match keys::find(&full) {
                    Some(key) => {
                        let place = format!("in {} as [{DATABASES}.{database}] {name}", path.display());
                        entries.extend(self.toml_value(key, place, value));
                    }
                    None => self.problems.push(format!(
                        "[{DATABASES}.{database}] {name} in {} is no setting of a database: it has the names of \
                         [postgres], and url and access_mode",
                        path.display()
                    )),
                }
            }
            let entries = self.without_urls(entries);
            self.databases.insert(database, entries);
        }
    }

    fn toml_entry(&mut self, path: &Path, table: &str, name: &str, value: Value) -> Option<Entry> {
        let written = if table.is_empty() { name.to_owned() } else { format!("[{table}] {name}") };
        let place = format!("in {} as {written}", path.display());
        let full = keys::of_toml(table, name);
        let Some(key) = keys::find(&full) else {
            let advice = match keys::stranger(&full) {
                Stranger::NearMiss(right) => {
                    let (table, name) = keys::in_toml(right);
                    let table = if table.is_empty() { table } else { format!("[{table}] ") };
                    format!("did you mean {table}{name}?")
                }
                _ => {
                    "the tables are [postgres], [mcp] and [databases.NAME], with .env's names less their prefix, in lower \
                     case"
                        .to_owned()
                }
            };
            self.problems.push(format!("{written} in {} is no setting of this server: {advice}", path.display()));
            return None;
        };
        self.toml_value(key, place, value)
    }

    fn toml_value(&mut self, key: &'static Key, place: String, value: Value) -> Option<Entry> {
        match value.kind {
            ValueKind::Table(_) | ValueKind::Array(_) | ValueKind::Nil => {
                self.problems.push(format!("{} ({place}) must be {}", key.name, key.kind.right()));
                None
            }
            _ => Some(Entry { key: key.name, text: value.into_string().unwrap_or_default(), place }),
        }
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<config::Map<String, Value>, ConfigError> {
        let value = |entry: &Entry| Value::new(Some(&entry.place), entry.text.clone());
        Ok(self.entries.iter().map(|entry| (entry.key.to_owned(), value(entry))).collect())
    }
}

/// Stands for a `$` while dotenvy reads, from Unicode's private use area.
const HIDDEN_DOLLAR: &str = "\u{f8d4}";

/// The text with each `$` hidden, unless a backslash stands before it: dotenvy would put a variable's value in its
/// place, and silently make another password of `pa$$word`.
fn dollars_hidden(text: &str) -> String {
    let mut hidden = String::with_capacity(text.len());
    let mut escaped = false;
    for c in text.chars() {
        if c == '$' && !escaped {
            hidden.push_str(HIDDEN_DOLLAR)
        } else {
            hidden.push(c)
        }
        escaped = c == '\\' && !escaped;
    }
    hidden
}

/// `, line 3` for the line that dotenvy calls `wrong`: that line or only its value, less what follows it, and where
/// quotes are open the first of several lines.
fn line_with(text: &str, wrong: &str) -> String {
    let wrong = wrong.lines().next().unwrap_or_default().trim();
    let lines = || text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with('#'));
    let ends = lines().find(|(_, line)| line.trim_end().ends_with(wrong));
    let at = ends.or_else(|| lines().find(|(_, line)| line.contains(wrong)));
    at.map_or(String::new(), |(at, _)| format!(", line {}", at + 1))
}

/// `, line 3` for the last line that sets `name`.
fn line_of(text: &str, name: &str) -> String {
    let sets = |line: &str| {
        let line = line.trim_start();
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        line.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    let last = text.lines().enumerate().filter(|(_, line)| sets(line)).last();
    last.map_or(String::new(), |(at, _)| format!(", line {}", at + 1))
}

/// What the TOML reader says, less the lines of the file that it quotes: they may hold a password.
fn without_excerpt(error: &ConfigError) -> String {
    let text = error.to_string();
    let said: Vec<&str> = text.lines().filter(|line| !line.contains('|')).map(str::trim).collect();
    said.join(": ").trim_end_matches([':', ' ']).to_owned()
}
