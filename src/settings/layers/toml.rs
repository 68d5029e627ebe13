//! The TOML file: its tables `[postgres]`, `[mcp]` and `[databases.NAME]`.

use std::collections::BTreeMap;
use std::path::Path;

use config::{Config, ConfigError, File, FileFormat, Source, Value, ValueKind};

use super::super::MAIN_DATABASE;
use super::super::keys::{self, DATABASE_URL, Key};
use super::super::near_miss::{self, UnknownName};
use super::super::read::Files;
use super::{Entry, Layers};

/// The table of the TOML file that contains a table for each further database.
const DATABASES: &str = "databases";

impl Layers {
    pub(super) fn toml_entries(&mut self, path: &Path, text: &str, files: &mut Files) -> Vec<Entry> {
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
                ValueKind::Table(databases) if name == DATABASES => self.databases_of(path, databases, files),
                ValueKind::Table(table) => {
                    found.extend(table.into_iter().map(|(inner, value)| (name.clone(), inner, value)));
                }
                _ => found.push((String::new(), name, value)),
            }
        }
        // A TOML table has no order here; sorted, the problems are always reported in the same order.
        found.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        found.into_iter().filter_map(|(table, name, value)| self.toml_entry(path, &table, &name, value)).collect()
    }

    /// The tables `[databases.NAME]`: each has the names of `[postgres]`, `url` and `access_mode`.
    fn databases_of(&mut self, path: &Path, databases: config::Map<String, Value>, files: &mut Files) {
        for (database, value) in databases.into_iter().collect::<BTreeMap<_, _>>() {
            let origin = format!("[{DATABASES}.{database}] in {}", path.display());
            let ValueKind::Table(table) = value.kind else {
                self.problems.push(format!("{origin} must be a table, such as [{DATABASES}.{database}] url = \"…\""));
                continue;
            };
            let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
            if database.is_empty() || !database.chars().all(is_name) || database == MAIN_DATABASE {
                self.problems.push(format!(
                    "{origin}: a database's name has lower-case letters, digits, - and _, and is not {MAIN_DATABASE:?}, \
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
                        let origin = format!("in {} as [{DATABASES}.{database}] {name}", path.display());
                        entries.extend(self.toml_value(key, origin, value));
                    }
                    None => self.problems.push(format!(
                        "[{DATABASES}.{database}] {name} in {} is no setting of a database: it has the names of \
                         [postgres], and url and access_mode",
                        path.display()
                    )),
                }
            }
            let entries = self.expand_urls(entries);
            let entries = self.expand_service(entries, false, files);
            self.databases.insert(database, entries);
        }
    }

    fn toml_entry(&mut self, path: &Path, table: &str, name: &str, value: Value) -> Option<Entry> {
        let written = if table.is_empty() { name.to_owned() } else { format!("[{table}] {name}") };
        let origin = format!("in {} as {written}", path.display());
        let full = keys::of_toml(table, name);
        let Some(key) = keys::find(&full) else {
            let advice = match near_miss::classify(&full) {
                UnknownName::NearMiss(right) => {
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
        self.toml_value(key, origin, value)
    }

    fn toml_value(&mut self, key: &'static Key, origin: String, value: Value) -> Option<Entry> {
        match value.kind {
            ValueKind::Table(_) | ValueKind::Array(_) | ValueKind::Nil => {
                self.problems.push(format!("{} ({origin}) must be {}", key.name, key.kind.requirement()));
                None
            }
            _ => Some(Entry { key: key.name, text: value.into_string().unwrap_or_default(), origin }),
        }
    }
}

/// The message of the TOML reader, without the lines of the file that it quotes: they may contain a password.
fn without_excerpt(error: &ConfigError) -> String {
    let text = error.to_string();
    let message: Vec<&str> = text.lines().filter(|line| !line.contains('|')).map(str::trim).collect();
    message.join(": ").trim_end_matches([':', ' ']).to_owned()
}
