//! Converts texts to settings: every value is checked, and every problem is reported.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::choices::{
    ACCESS_MODE, Choice, LOAD_BALANCE_HOSTS, LOG_FILE_MODE, LOG_LEVEL, POOLER, ROLE_CHECK, SENSITIVE_CATALOGS,
    SSL_MODE, STRUCTURED, TARGET_SESSION_ATTRS,
};
use super::http;
use super::keys::{self, KEYS, Key, PASSWORD_KEYS};
use super::kind::{self, Kind};
use super::layers::{BY_FLAG, Chosen, Merged, Rank, shown};
use super::read::{Files, NamedBy};
use super::{
    Address, ClockSettings, DatabaseSettings, Effective, HttpSettings, Limits, LogSettings, MAIN_DATABASE,
    MetricsSettings, Policy, PoolSettings, PostgresSettings, ReloadSettings, Secret, Settings, TargetSettings,
    TcpSettings, TlsSettings, secret,
};

mod place;

/// The settings, each key with its printable value, and the warnings. The files that they name are read by `files`.
///
/// # Errors
/// The problems from before, all values outside of their bounds, and all contradictions.
pub(super) fn check(
    merged: Merged,
    folder: &Path,
    files: &mut Files,
) -> Result<(Settings, Vec<Effective>, Vec<String>), Vec<String>> {
    let Merged { chosen, databases, mut warnings, others, problems } = merged;
    if chosen.is_empty() {
        return Err(problems);
    }
    let own_keys = databases.iter().flat_map(|(name, own)| effective_of(name, own)).collect::<Vec<_>>();
    let mut more_databases = BTreeMap::new();
    let mut further_problems = Vec::new();
    for (name, own) in databases {
        let mut values = Values { chosen: inherit(&chosen, own), folder, problems: Vec::new() };
        let database =
            DatabaseSettings { postgres: values.postgres(files, &mut warnings), access: values.choice(&ACCESS_MODE) };
        further_problems.append(&mut values.problems);
        more_databases.insert(name, database);
    }
    let mut values = Values { chosen, folder, problems };
    let mut postgres = values.postgres(files, &mut warnings);
    postgres.target.advice = values.advice(&others);
    let names: Vec<&str> = std::iter::once(MAIN_DATABASE).chain(more_databases.keys().map(String::as_str)).collect();
    let http = values.http(&names, files);
    let settings = Settings {
        postgres,
        access: values.choice(&ACCESS_MODE),
        more_databases,
        policy: Policy {
            allow: values.functions("MCP_FUNCTIONS_ALLOW"),
            deny: values.functions("MCP_FUNCTIONS_DENY"),
            sensitive: values.choice(&SENSITIVE_CATALOGS),
        },
        role_check: values.choice(&ROLE_CHECK),
        data_boundary: values.switch("MCP_DATA_BOUNDARY"),
        structured: values.choice(&STRUCTURED),
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
            level: values.choice(&LOG_LEVEL),
            file: values.optional("MCP_LOG_FILE").map(|path| folder.join(path)),
            file_mode: values.choice(&LOG_FILE_MODE),
            parameters: values.switch("MCP_LOG_PARAMETERS"),
        },
        reload: ReloadSettings { debounce: values.milliseconds("MCP_RELOAD_DEBOUNCE_MS") },
        http,
    };
    if settings.structured && settings.data_boundary {
        warnings.push(
            "MCP_STRUCTURED has no effect: MCP_DATA_BOUNDARY is on, and structured content has no boundary".to_owned(),
        );
    }
    // A problem of the main database is reported once, and not again for each database that inherits the value.
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

/// The values of a further database: its own, and otherwise those of the main database. If it has its own host, it does
/// not inherit user, password and certificate: they are for another server.
fn inherit(main: &HashMap<&'static str, Chosen>, own: HashMap<&'static str, Chosen>) -> HashMap<&'static str, Chosen> {
    const NOT_FOR_ANOTHER_HOST: [&str; 11] = [
        "POSTGRES_HOST",
        "POSTGRES_HOSTADDR",
        "POSTGRES_PORT",
        "POSTGRES_DB",
        "POSTGRES_USER",
        "POSTGRES_PASSWORD",
        "POSTGRES_PASSWORD_FILE",
        "POSTGRES_PASSWORD_COMMAND",
        "POSTGRES_SSL_ROOT_CERT",
        "POSTGRES_SSL_CERT",
        "POSTGRES_SSL_KEY",
    ];
    let has_own_host = own.contains_key("POSTGRES_HOST");
    let has_password = PASSWORD_KEYS.iter().any(|key| own.contains_key(key));
    let mut chosen: HashMap<_, _> = main
        .iter()
        .filter(|(key, value)| !has_own_host || value.rank == Rank::Default || !NOT_FOR_ANOTHER_HOST.contains(key))
        .filter(|(key, _)| !has_password || !PASSWORD_KEYS.contains(key))
        .map(|(key, value)| (*key, value.clone()))
        .collect();
    if has_own_host {
        for key in KEYS.iter().filter(|key| NOT_FOR_ANOTHER_HOST.contains(&key.name) && !key.default.is_empty()) {
            let origin = "default".to_owned();
            chosen.insert(key.name, Chosen { text: key.default.to_owned(), origin, rank: Rank::Default });
        }
    }
    chosen.extend(own);
    chosen
}

/// The printable values that the table of a further database sets.
fn effective_of(name: &str, own: &HashMap<&'static str, Chosen>) -> Vec<Effective> {
    let keys = KEYS.iter().filter_map(|key| Some((key, own.get(key.name)?)));
    keys.map(|(key, chosen)| Effective {
        key: format!("{} of {name}", key.name),
        value: printable(key, chosen),
        source: chosen.origin.clone(),
    })
    .collect()
}

/// The printable value of a key.
fn printable(key: &Key, chosen: &Chosen) -> String {
    if key.kind == Kind::Secret { Secret::MASK.to_owned() } else { secret::without_passwords(&chosen.text) }
}

pub(super) struct Values<'a> {
    pub(super) chosen: HashMap<&'static str, Chosen>,
    pub(super) folder: &'a Path,
    pub(super) problems: Vec<String>,
}

impl Values<'_> {
    pub(super) fn optional(&self, key: &'static str) -> Option<String> {
        self.chosen.get(key).map(|chosen| chosen.text.clone())
    }

    fn text(&self, key: &'static str) -> String {
        self.optional(key).unwrap_or_default()
    }

    /// Converts the text of a key with `read`; `None` becomes a problem.
    fn read<T>(&mut self, key: &'static str, read: impl Fn(&str, Kind) -> Option<T>) -> Option<T> {
        let (chosen, kind) = (self.chosen.get(key)?, keys::find(key)?.kind);
        let value = read(chosen.text.trim(), kind);
        if value.is_none() {
            let Chosen { text, origin, .. } = chosen;
            let text = secret::without_passwords(text);
            self.problems.push(format!("{key} is \"{text}\" ({origin}): it must be {}", kind.requirement()));
        }
        value
    }

    /// Functions separated by commas; a comma in parentheses separates argument types.
    fn functions(&self, key: &'static str) -> Vec<String> {
        let (text, mut is_inside) = (self.text(key), false);
        let functions = text.split(|c| {
            is_inside = (is_inside || c == '(') && c != ')';
            c == ',' && !is_inside
        });
        functions.map(str::trim).filter(|function| !function.is_empty()).map(str::to_owned).collect()
    }

    /// Hosts or origins.
    fn allowed(&mut self, key: &'static str) -> Vec<String> {
        self.read(key, |text, kind| kind.names(text)).unwrap_or_default()
    }

    fn whole(&mut self, key: &'static str) -> usize {
        let value = self.read(key, |text, kind| kind.whole(text));
        value.and_then(|value| usize::try_from(value).ok()).unwrap_or_default()
    }

    fn milliseconds(&mut self, key: &'static str) -> Duration {
        Duration::from_millis(self.read(key, |text, kind| kind.whole(text)).unwrap_or_default())
    }

    fn seconds(&mut self, key: &'static str) -> Duration {
        Duration::from_secs_f64(self.read(key, |text, kind| kind.seconds(text)).unwrap_or_default())
    }

    /// The meaning of the word. Another word is a problem, and then the first meaning is returned.
    pub(super) fn choice<T: Copy, const N: usize>(&mut self, choice: &Choice<T, N>) -> T {
        self.read(choice.name, |text, _| choice.of(text)).unwrap_or(choice.words[0].1)
    }

    fn switch(&mut self, key: &'static str) -> bool {
        self.read(key, |text, _| kind::switch(text)).unwrap_or_default()
    }

    fn postgres(&mut self, files: &mut Files, warnings: &mut Vec<String>) -> PostgresSettings {
        let (password, password_source) = self.password(files, warnings);
        let user = self.text("POSTGRES_USER");
        let ssl_mode = self.choice(&SSL_MODE);
        let ssl_root_cert = self.optional("POSTGRES_SSL_ROOT_CERT").map(|path| match path.as_str() {
            "system" => PathBuf::from(path),
            path => self.folder.join(path),
        });
        let target = TargetSettings {
            hosts: self.hosts(),
            addresses: self.addresses(),
            ports: self.ports(),
            database: self.optional("POSTGRES_DB").unwrap_or_else(|| user.clone()),
            user,
            password,
            password_source,
            ssl_mode,
            ssl_root_text: ssl_root_cert.as_ref().filter(|path| path.as_os_str() != "system").and_then(|path| {
                // What is wrong with it is said when it is used.
                files.text(path, NamedBy::Setting).ok()
            }),
            ssl_root_cert,
            client_certificate: self.client_certificate(ssl_mode, files, warnings),
            channel_binding: self.channel_binding(),
            ssl_negotiation: self.ssl_negotiation(),
            application_name: self.text("POSTGRES_APPLICATION_NAME"),
            options: self.optional("POSTGRES_OPTIONS"),
            target_session_attrs: self.choice(&TARGET_SESSION_ATTRS),
            pooler: self.choice(&POOLER),
            has_random_order: self.choice(&LOAD_BALANCE_HOSTS),
            tcp: TcpSettings {
                keepalives: self.switch("POSTGRES_KEEPALIVES"),
                idle: Duration::from_secs(self.whole("POSTGRES_KEEPALIVES_IDLE") as u64),
                interval: self.if_set("POSTGRES_KEEPALIVES_INTERVAL", |values, key| {
                    Duration::from_secs(values.whole(key) as u64)
                }),
                count: self.if_set("POSTGRES_KEEPALIVES_COUNT", |values, key| values.whole(key) as u32),
                user_timeout: self.if_set("POSTGRES_TCP_USER_TIMEOUT", Self::milliseconds),
            },
            advice: None,
        };
        let pool =
            PoolSettings { size: self.whole("POSTGRES_POOL_SIZE"), min_size: self.whole("POSTGRES_POOL_MIN_SIZE") };
        let clocks = ClockSettings {
            connect_timeout: self.seconds("POSTGRES_CONNECT_TIMEOUT"),
            command_timeout: self.seconds("POSTGRES_COMMAND_TIMEOUT"),
            pool_wait_timeout: self.seconds("POSTGRES_POOL_WAIT_TIMEOUT"),
            cursor_lifetime: self.seconds("MCP_CURSOR_LIFETIME"),
        };
        let postgres = PostgresSettings { target, pool, clocks };
        self.pool_fits(&postgres);
        self.encryption_fits(&postgres.target);
        postgres
    }

    fn http(&mut self, databases: &[&str], files: &mut Files) -> HttpSettings {
        let folder = self.folder;
        let addresses = self.read("MCP_HTTP_ADDR", |text, _| {
            text.split(',').map(|address| Address::parse(address.trim(), folder)).collect::<Option<Vec<_>>>()
        });
        let addresses = addresses.unwrap_or_else(|| vec![Address::default()]);
        let tokens = self.file("MCP_TOKENS_FILE", files).map(|(text, path)| match http::tokens(&text, databases) {
            Ok(tokens) => tokens,
            Err(why) => {
                self.problems.push(format!("MCP_TOKENS_FILE is {}: it {why}", path.display()));
                BTreeMap::new()
            }
        });
        if let Some(open) = addresses.iter().find(|address| !address.is_local())
            && !self.chosen.contains_key("MCP_TOKENS_FILE")
        {
            let origin = self.chosen.get("MCP_HTTP_ADDR").map_or("", |chosen| chosen.origin.as_str());
            self.problems.push(format!(
                "MCP_HTTP_ADDR is {open} ({origin}): beyond this machine nobody is let in without a token, so MCP_TOKENS_FILE \
                 must be set"
            ));
        }
        let certificates = self.file("MCP_TLS_CERT", files);
        let key = self.file("MCP_TLS_KEY", files);
        let is_set = |key| self.chosen.contains_key(key);
        let tls = match (certificates, key) {
            // Both may be in one file.
            (Some((certificates, _)), key) if key.is_some() || !is_set("MCP_TLS_KEY") => {
                let key = Secret::new(key.map_or_else(|| certificates.clone(), |(key, _)| key));
                let tls = TlsSettings { certificates: Secret::new(certificates), key };
                if let Err(why) = tls.server_config() {
                    self.problems.push(format!("MCP_TLS_CERT and MCP_TLS_KEY cannot be used: {why}"));
                }
                Some(tls)
            }
            (None, Some(_)) if !is_set("MCP_TLS_CERT") => {
                self.problems.push("MCP_TLS_KEY is set without MCP_TLS_CERT: it is the key of that".to_owned());
                None
            }
            _ => None,
        };
        HttpSettings {
            addresses,
            tokens,
            tls,
            allowed_hosts: self.allowed("MCP_ALLOWED_HOSTS"),
            allowed_origins: self.allowed("MCP_ALLOWED_ORIGINS"),
            rate: u32::try_from(self.whole("MCP_CLIENT_RATE")).unwrap_or(u32::MAX),
            client_timeout: self.seconds("MCP_CLIENT_TIMEOUT"),
            connections_max: self.whole("MCP_MAX_CONNECTIONS"),
            sessions_max: self.whole("MCP_MAX_SESSIONS"),
            session_timeout: self.seconds("MCP_SESSION_TIMEOUT"),
            drain: self.seconds("MCP_DRAIN_TIMEOUT"),
        }
    }

    /// The text and the path of the file that a key names; the file is watched from now on.
    pub(super) fn file(&mut self, key: &'static str, files: &mut Files) -> Option<(String, PathBuf)> {
        let Chosen { text, origin, .. } = self.chosen.get(key)?;
        let path = self.folder.join(text);
        match files.text(&path, if origin == BY_FLAG { NamedBy::Flag } else { NamedBy::Setting }) {
            Ok(text) => Some((text, path)),
            Err(why) => {
                self.problems.push(format!("{key} is {} ({origin}): it cannot be read: {why}", shown(&path)));
                None
            }
        }
    }

    /// The value of a key that need not be set.
    fn if_set<T>(&mut self, key: &'static str, value: impl Fn(&mut Self, &'static str) -> T) -> Option<T> {
        self.chosen.contains_key(key).then(|| value(self, key))
    }

    fn pool_fits(&mut self, postgres: &PostgresSettings) {
        let origin = |key| self.chosen.get(key).map_or("", |chosen| chosen.origin.as_str());
        let (hosts, ports) = (postgres.target.hosts.len(), postgres.target.ports.len());
        if !self.problems.is_empty() {
            // A refused value was replaced by another one, so this check would report a consequence.
        } else if ports > 1 && ports != hosts {
            self.problems.push(format!(
                "POSTGRES_PORT ({}) has {ports} ports for {hosts} hosts: it must be one for all, or one for each",
                origin("POSTGRES_PORT"),
            ));
        } else if !postgres.target.addresses.is_empty() && postgres.target.addresses.len() != hosts {
            self.problems.push(format!(
                "POSTGRES_HOSTADDR ({}) has {} addresses for {hosts} hosts: it must be one for each",
                origin("POSTGRES_HOSTADDR"),
                postgres.target.addresses.len(),
            ));
        } else if postgres.pool.min_size > postgres.pool.size {
            self.problems.push(format!(
                "POSTGRES_POOL_MIN_SIZE is {} ({}): it must not be more than POSTGRES_POOL_SIZE, {} ({})",
                postgres.pool.min_size,
                origin("POSTGRES_POOL_MIN_SIZE"),
                postgres.pool.size,
                origin("POSTGRES_POOL_SIZE"),
            ));
        }
    }

    fn effective(&self) -> Vec<Effective> {
        // A URL is shown as the keys that it sets.
        let keys = KEYS.iter().filter(|key| key.name != keys::DATABASE_URL);
        keys.map(|key| match self.chosen.get(key.name) {
            None => Effective { key: key.name.to_owned(), value: String::new(), source: "not set".to_owned() },
            Some(chosen) => {
                Effective { key: key.name.to_owned(), value: printable(key, chosen), source: chosen.origin.clone() }
            }
        })
        .collect()
    }
}
