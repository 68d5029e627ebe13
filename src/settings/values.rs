//! From texts to settings: every value is checked, and every problem is told.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::guard::Policy;

use super::keys::{self, KEYS, Key, Kind};
use super::layers::{Chosen, Merged, Rank};
use super::{
    AccessMode, DatabaseSettings, Effective, Limits, LogSettings, MetricsSettings, PostgresSettings, ReloadSettings,
    RoleCheck, Secret, Settings, SslMode, TargetSessionAttrs, WatchedFile,
};

/// The settings that `chosen` makes, and each key as it may be shown. A password file is read, and added to `files`.
///
/// # Errors
/// The `problems` that there are already, and everything that is out of its bounds or contradicts itself.
pub(super) fn check(
    merged: Merged,
    folder: &Path,
    files: &mut Vec<WatchedFile>,
) -> Result<(Settings, Vec<Effective>, Vec<String>), Vec<String>> {
    let Merged { chosen, databases, mut warnings, problems } = merged;
    if chosen.is_empty() {
        return Err(problems);
    }
    let own_keys = databases.iter().flat_map(|(name, own)| effective_of(name, own)).collect::<Vec<_>>();
    let mut more_databases = BTreeMap::new();
    let mut further_problems = Vec::new();
    for (name, own) in databases {
        let mut values = Values { chosen: beside(&chosen, own), folder, problems: Vec::new() };
        let database = DatabaseSettings { postgres: values.postgres(files, &mut warnings), access: values.access() };
        further_problems.append(&mut values.problems);
        more_databases.insert(name, database);
    }
    let mut values = Values { chosen, folder, problems };
    let postgres = values.postgres(files, &mut warnings);
    let settings = Settings {
        postgres,
        access: values.access(),
        more_databases,
        policy: Policy {
            allow: values.names("MCP_FUNCTIONS_ALLOW"),
            deny: values.names("MCP_FUNCTIONS_DENY"),
            sensitive: values.choice("MCP_SENSITIVE_CATALOGS") == "allow",
        },
        role_check: match values.choice("MCP_ROLE_CHECK") {
            "enforce" => RoleCheck::Enforce,
            "off" => RoleCheck::Off,
            _ => RoleCheck::Warn,
        },
        data_boundary: values.choice("MCP_DATA_BOUNDARY") == "true",
        limits: Limits {
            rows_max: values.whole("MCP_MAX_ROWS"),
            bytes_max: values.whole("MCP_MAX_BYTES"),
            rows_ceiling: values.whole("MCP_MAX_ROWS_CEILING"),
            bytes_ceiling: values.whole("MCP_MAX_BYTES_CEILING"),
            waiting_max: values.whole("MCP_MAX_WAITING"),
            cursors_max: values.whole("MCP_MAX_CURSORS"),
            in_flight_max: values.whole("MCP_MAX_IN_FLIGHT"),
            line_bytes_max: values.whole("MCP_MAX_LINE_BYTES"),
        },
        metrics: MetricsSettings {
            history_max: values.whole("MCP_METRICS_HISTORY"),
            slow_query_threshold: values.milliseconds("MCP_SLOW_QUERY_THRESHOLD_MS"),
        },
        log: LogSettings {
            level: match values.choice("MCP_LOG_LEVEL") {
                "critical" => slog::Level::Critical,
                "error" => slog::Level::Error,
                "warning" => slog::Level::Warning,
                "debug" => slog::Level::Debug,
                _ => slog::Level::Info,
            },
            file: values.optional("MCP_LOG_FILE").map(|path| folder.join(path)),
            parameters: values.choice("MCP_LOG_PARAMETERS") == "true",
        },
        reload: ReloadSettings { debounce: values.milliseconds("MCP_RELOAD_DEBOUNCE_MS") },
    };
    // What is wrong with the main database is told once, not again for each that takes it over.
    further_problems.retain(|problem| !values.problems.contains(problem));
    values.problems.append(&mut further_problems);
    if !values.problems.is_empty() {
        return Err(values.problems);
    }
    let mut effective = values.effective();
    effective.extend(own_keys);
    warnings.dedup();
    Ok((settings, effective, warnings))
}

/// What holds for a further database: its own, and for the rest what holds for the main one. A server that it names
/// itself is sent no user and no password, and has no certificate, that was meant for another.
fn beside(main: &HashMap<&'static str, Chosen>, own: HashMap<&'static str, Chosen>) -> HashMap<&'static str, Chosen> {
    const OF_A_SERVER: [&str; 7] = [
        "POSTGRES_HOST",
        "POSTGRES_PORT",
        "POSTGRES_DB",
        "POSTGRES_USER",
        PASSWORD,
        PASSWORD_FILE,
        "POSTGRES_SSL_ROOT_CERT",
    ];
    let is_elsewhere = own.contains_key("POSTGRES_HOST");
    let has_password = [PASSWORD, PASSWORD_FILE].iter().any(|key| own.contains_key(key));
    let mut chosen: HashMap<_, _> = main
        .iter()
        .filter(|(key, value)| !is_elsewhere || value.rank == Rank::Default || !OF_A_SERVER.contains(key))
        .filter(|(key, _)| !has_password || ![PASSWORD, PASSWORD_FILE].contains(key))
        .map(|(key, value)| (*key, value.clone()))
        .collect();
    if is_elsewhere {
        for key in KEYS.iter().filter(|key| OF_A_SERVER.contains(&key.name) && !key.default.is_empty()) {
            let place = "default".to_owned();
            chosen.insert(key.name, Chosen { text: key.default.to_owned(), place, rank: Rank::Default });
        }
    }
    chosen.extend(own);
    chosen
}

/// What a further database's own table sets, as it may be shown.
fn effective_of(name: &str, own: &HashMap<&'static str, Chosen>) -> Vec<Effective> {
    let keys = KEYS.iter().filter_map(|key| Some((key, own.get(key.name)?)));
    keys.map(|(key, chosen)| Effective {
        key: format!("{} of {name}", key.name),
        value: shown(key, chosen),
        source: chosen.place.clone(),
    })
    .collect()
}

/// A key's value as it may be shown.
fn shown(key: &Key, chosen: &Chosen) -> String {
    if key.kind == Kind::Secret { Secret::MASK.to_owned() } else { chosen.text.clone() }
}

const PASSWORD: &str = "POSTGRES_PASSWORD";
const PASSWORD_FILE: &str = "POSTGRES_PASSWORD_FILE";

struct Values<'a> {
    chosen: HashMap<&'static str, Chosen>,
    folder: &'a Path,
    problems: Vec<String>,
}

impl Values<'_> {
    fn optional(&self, key: &'static str) -> Option<String> {
        self.chosen.get(key).map(|chosen| chosen.text.clone())
    }

    fn text(&self, key: &'static str) -> String {
        self.optional(key).unwrap_or_default()
    }

    /// What `read` makes of the key's text; a problem if that is nothing.
    fn read<T>(&mut self, key: &'static str, read: impl Fn(&str, Kind) -> Option<T>) -> Option<T> {
        let (chosen, kind) = (self.chosen.get(key)?, keys::find(key)?.kind);
        let value = read(chosen.text.trim(), kind);
        if value.is_none() {
            let Chosen { text, place, .. } = chosen;
            self.problems.push(format!("{key} is \"{text}\" ({place}): it must be {}", kind.right()));
        }
        value
    }

    /// Names separated by commas.
    fn names(&self, key: &'static str) -> Vec<String> {
        let text = self.text(key);
        text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }

    fn whole(&mut self, key: &'static str) -> usize {
        let value = self.read(key, |text, kind| match kind {
            Kind::Whole(min, max) => text.parse::<u64>().ok().filter(|value| (min..=max).contains(value)),
            _ => None,
        });
        value.and_then(|value| usize::try_from(value).ok()).unwrap_or_default()
    }

    fn milliseconds(&mut self, key: &'static str) -> Duration {
        let value = self.read(key, |text, kind| match kind {
            Kind::Milliseconds(min, max) => text.parse::<u64>().ok().filter(|value| (min..=max).contains(value)),
            _ => None,
        });
        Duration::from_millis(value.unwrap_or_default())
    }

    fn seconds(&mut self, key: &'static str) -> Duration {
        let value = self.read(key, |text, kind| match kind {
            Kind::Seconds(min, max) => text.parse::<f64>().ok().filter(|value| (min..=max).contains(value)),
            _ => None,
        });
        Duration::from_secs_f64(value.unwrap_or_default())
    }

    fn choice(&mut self, key: &'static str) -> &'static str {
        let value = self.read(key, |text, kind| {
            let words: &[&'static str] = match kind {
                Kind::Choice(words) => words,
                Kind::Switch => &["true", "false"],
                _ => &[],
            };
            words.iter().find(|word| word.eq_ignore_ascii_case(text)).copied()
        });
        value.unwrap_or_default()
    }

    fn access(&mut self) -> AccessMode {
        match self.choice("MCP_ACCESS_MODE") {
            "read-write" => AccessMode::ReadWrite,
            _ => AccessMode::ReadOnly,
        }
    }

    fn postgres(&mut self, files: &mut Vec<WatchedFile>, warnings: &mut Vec<String>) -> PostgresSettings {
        let password = self.password(files, warnings);
        let user = self.text("POSTGRES_USER");
        let postgres = PostgresSettings {
            hosts: self.hosts(),
            ports: self.ports(),
            database: self.optional("POSTGRES_DB").unwrap_or_else(|| user.clone()),
            user,
            password,
            ssl_mode: match self.choice("POSTGRES_SSL_MODE") {
                "disable" => SslMode::Disable,
                "require" => SslMode::Require,
                "verify-ca" => SslMode::VerifyCa,
                "verify-full" => SslMode::VerifyFull,
                _ => SslMode::Prefer,
            },
            ssl_root_cert: self.optional("POSTGRES_SSL_ROOT_CERT").map(|path| match path.as_str() {
                "system" => PathBuf::from(path),
                path => self.folder.join(path),
            }),
            application_name: self.text("POSTGRES_APPLICATION_NAME"),
            options: self.optional("POSTGRES_OPTIONS"),
            target_session_attrs: match self.choice("POSTGRES_TARGET_SESSION_ATTRS") {
                "read-write" => TargetSessionAttrs::ReadWrite,
                "read-only" => TargetSessionAttrs::ReadOnly,
                _ => TargetSessionAttrs::Any,
            },
            pool_size: self.whole("POSTGRES_POOL_SIZE"),
            pool_min_size: self.whole("POSTGRES_POOL_MIN_SIZE"),
            connect_timeout: self.seconds("POSTGRES_CONNECT_TIMEOUT"),
            command_timeout: self.seconds("POSTGRES_COMMAND_TIMEOUT"),
            pool_wait_timeout: self.seconds("POSTGRES_POOL_WAIT_TIMEOUT"),
            cursor_lifetime: self.seconds("MCP_CURSOR_LIFETIME"),
        };
        self.pool_fits(&postgres);
        postgres
    }

    fn hosts(&mut self) -> Vec<String> {
        let hosts = self.read("POSTGRES_HOST", |text, _| {
            let hosts: Vec<String> = text.split(',').map(|host| host.trim().to_owned()).collect();
            hosts.iter().all(|host| !host.is_empty()).then_some(hosts)
        });
        hosts.unwrap_or_default()
    }

    fn ports(&mut self) -> Vec<u16> {
        let ports = self.read("POSTGRES_PORT", |text, _| {
            let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
            text.split(',').map(port).collect::<Option<Vec<u16>>>()
        });
        ports.unwrap_or_default()
    }

    fn pool_fits(&mut self, postgres: &PostgresSettings) {
        let place = |key| self.chosen.get(key).map_or("", |chosen| chosen.place.as_str());
        let (hosts, ports) = (postgres.hosts.len(), postgres.ports.len());
        if !self.problems.is_empty() {
            // A value that was refused stands here as another one: what follows from that is no news.
        } else if ports > 1 && ports != hosts {
            self.problems.push(format!(
                "POSTGRES_PORT ({}) has {ports} ports for {hosts} hosts: it must be one for all, or one for each",
                place("POSTGRES_PORT"),
            ));
        } else if postgres.pool_min_size > postgres.pool_size {
            self.problems.push(format!(
                "POSTGRES_POOL_MIN_SIZE is {} ({}): it must not be more than POSTGRES_POOL_SIZE, {} ({})",
                postgres.pool_min_size,
                place("POSTGRES_POOL_MIN_SIZE"),
                postgres.pool_size,
                place("POSTGRES_POOL_SIZE"),
            ));
        }
    }

    /// The password: the one that the higher layer sets, itself or by a file.
    fn password(&mut self, files: &mut Vec<WatchedFile>, warnings: &mut Vec<String>) -> Option<Secret> {
        const TEXT: &str = PASSWORD;
        const FILE: &str = PASSWORD_FILE;
        let set = |key| self.chosen.get(key).map_or((Rank::Default, ""), |it| (it.rank, it.place.as_str()));
        let ((text_rank, text_place), (file_rank, file_place)) = (set(TEXT), set(FILE));
        if text_rank == file_rank && text_rank != Rank::Default {
            let problem = format!("{TEXT} ({text_place}) and {FILE} ({file_place}) are both set: keep one of them");
            self.problems.push(problem);
            return None;
        }
        let winner = if text_rank > file_rank { TEXT } else { FILE };
        if text_rank.min(file_rank) != Rank::Default {
            let [(loser, beaten), (_, place)] = match winner {
                TEXT => [(FILE, file_place), (TEXT, text_place)],
                _ => [(TEXT, text_place), (FILE, file_place)],
            };
            warnings.push(format!("{loser} ({beaten}) has no effect: {winner} is set {place}"));
            self.chosen.remove(loser);
        }
        if winner == TEXT {
            return self.optional(TEXT).map(Secret::new);
        }
        let path = self.folder.join(self.optional(FILE)?);
        let read = fs::read_to_string(&path);
        let password = match &read {
            Ok(text) => Some(Secret::new(text.trim_end_matches(['\r', '\n']))),
            Err(error) => {
                let place = self.chosen.get(FILE).map_or("", |chosen| chosen.place.as_str());
                self.problems.push(format!("{FILE} is {} ({place}): it cannot be read: {error}", path.display()));
                None
            }
        };
        files.push(WatchedFile { path, text: read.ok() });
        password
    }

    fn effective(&self) -> Vec<Effective> {
        // A URL is shown as the keys that it stands for.
        let keys = KEYS.iter().filter(|key| key.name != keys::DATABASE_URL);
        keys.map(|key| match self.chosen.get(key.name) {
            None => Effective { key: key.name.to_owned(), value: String::new(), source: "not set".to_owned() },
            Some(chosen) => {
                Effective { key: key.name.to_owned(), value: shown(key, chosen), source: chosen.place.clone() }
            }
        })
        .collect()
    }
}
