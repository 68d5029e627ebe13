//! Merges the layers: of each key the value of the highest layer that sets it.

use std::collections::{BTreeMap, HashMap};

use config::{Config, ConfigError, Source, Value};

use super::{BY_URL, Chosen, Entry, IN_ENVIRONMENT, Layer, Layers, Rank};
use crate::settings::keys::{DATABASE_URL, KEYS};

/// All layers merged.
pub(in super::super) struct Merged {
    /// Every key that has a value, including defaults. Empty if the layers could not be merged.
    pub chosen: HashMap<&'static str, Chosen>,
    /// The values in the table of each further database, by its name.
    pub databases: BTreeMap<String, HashMap<&'static str, Chosen>>,
    pub warnings: Vec<String>,
    /// Advice for an operator who has not configured a connection, with the names of other programs that were found.
    pub others: Vec<String>,
    /// The problems of all sources so far.
    pub problems: Vec<String>,
}

impl Layers {
    /// The value of each key in the highest layer that sets it.
    pub(in super::super) fn merge(&self) -> Merged {
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
        self.local_server(&mut chosen);
        let others = self
            .others
            .iter()
            .filter(|(_, _, right)| chosen.get(right).is_none_or(|chosen: &Chosen| chosen.rank == Rank::Default));
        let is_ours = |(name, origin, _): &&(String, String, &str)| {
            name.starts_with("POSTGRES_") && origin == IN_ENVIRONMENT && self.named_connection().is_some()
        };
        warnings.extend(others.clone().filter(|(_, _, right)| *right != DATABASE_URL).filter(is_ours).map(
            |(name, origin, right)| format!("{name} ({origin}) is no setting of this server, which calls it {right}"),
        ));
        let others = others.map(|(name, origin, right)| format!("{name} ({origin}) is called {right} here")).collect();
        let databases = self.databases.iter().map(|(name, entries)| {
            let chosen = |entry: &Entry| Chosen {
                text: entry.text.clone(),
                origin: entry.origin.clone(),
                // The other layers do not set anything for this database.
                rank: Rank::Flags,
            };
            (name.clone(), entries.iter().map(|entry| (entry.key, chosen(entry))).collect())
        });
        Merged { chosen, databases: databases.collect(), warnings, others, problems }
    }

    /// As in libpq, a URL without a host means the server on this machine. Its socket is used if there is one, and the
    /// user of this process.
    fn local_server(&self, chosen: &mut HashMap<&'static str, Chosen>) {
        const ORIGIN: &str = "default, since a server's socket is there";
        let is_default = |chosen: &HashMap<&str, Chosen>, key| {
            chosen.get(key).is_none_or(|chosen: &Chosen| chosen.rank == Rank::Default)
        };
        let mut entries = self.layers.iter().flat_map(|layer| &layer.entries);
        if !entries.any(|entry| entry.origin.starts_with(BY_URL))
            || !is_default(chosen, "POSTGRES_HOST")
            || chosen.contains_key("POSTGRES_HOSTADDR")
        {
            return;
        }
        let (folders, user) = &self.local;
        let port = chosen.get("POSTGRES_PORT").map_or("", |port| &port.text);
        let Some(folder) = folders.iter().find(|folder| folder.join(format!(".s.PGSQL.{port}")).exists()) else {
            return;
        };
        let default = |text: String| Chosen { text, origin: ORIGIN.to_owned(), rank: Rank::Default };
        chosen.insert("POSTGRES_HOST", default(folder.display().to_string()));
        if let Some(user) = user.as_ref().filter(|_| is_default(chosen, "POSTGRES_USER")) {
            chosen.insert("POSTGRES_USER", default(user.clone()));
        }
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
