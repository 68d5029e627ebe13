//! What an operator can choose: plain data, loaded in layers, checked once, passed down.
//!
//! The layers, each over the one before it: defaults, libpq's `PG*` variables, the TOML file, the `.env` file, the
//! process's environment, flags. [`KEYS`] is the one table of what can be set; the flags, the checks and the report
//! come from it, and tests hold `.env.example` and the README to it. Nothing is global, and no secret is ever printed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

mod choices;
mod http;
mod keys;
mod layers;
mod report;
mod secret;
mod url;
mod values;

pub use http::{Address, HttpSettings, TlsSettings, Token, is_token_name};
pub use keys::{KEYS, Key, Kind, flags};
pub use report::{changed, report};
pub use secret::Secret;

pub use crate::tls::client::SslMode;
pub use pg_guard::{AccessMode, Policy};

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Where the database is and how many connections go there.
    pub postgres: PostgresSettings,
    /// Whether statements may write.
    pub access: AccessMode,
    /// The databases beside that one, by the names that calls give.
    pub more_databases: BTreeMap<String, DatabaseSettings>,
    /// What the guard lets through in read-only mode, beside what it knows.
    pub policy: Policy,
    /// What is done about a role that may do too much.
    pub role_check: RoleCheck,
    /// Whether an answer's text stands within a boundary that no row can forge.
    pub data_boundary: bool,
    /// How much of anything there may be.
    pub limits: Limits,
    /// What is remembered of finished statements.
    pub metrics: MetricsSettings,
    /// What is logged, and where.
    pub log: LogSettings,
    /// How files are followed.
    pub reload: ReloadSettings,
    /// What the daemon listens on, and whom it lets in.
    pub http: HttpSettings,
}

/// What calls that name no database mean, and what this database is called where one is named.
pub const MAIN_DATABASE: &str = "main";

impl Settings {
    /// Where the database of that name is, and whether statements may write there.
    pub fn database(&self, name: &str) -> Option<(&PostgresSettings, AccessMode)> {
        match name {
            MAIN_DATABASE => Some((&self.postgres, self.access)),
            name => self.more_databases.get(name).map(|database| (&database.postgres, database.access)),
        }
    }

    /// The names of all databases, the main one first.
    pub fn databases(&self) -> impl Iterator<Item = &str> {
        std::iter::once(MAIN_DATABASE).chain(self.more_databases.keys().map(String::as_str))
    }
}

/// One more database.
#[derive(Clone, Debug, PartialEq)]
pub struct DatabaseSettings {
    /// Where it is and how many connections go there.
    pub postgres: PostgresSettings,
    /// Whether statements may write.
    pub access: AccessMode,
}

/// A database's pool of connections.
#[derive(Clone, Debug, PartialEq)]
pub struct PostgresSettings {
    /// Where they lead. A change makes a new pool.
    pub target: TargetSettings,
    /// How many there are. A change keeps those that are open.
    pub pool: PoolSettings,
    /// How long anything may take. A change holds for what begins after it.
    pub clocks: ClockSettings,
}

/// Where the database is, and who we are there.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetSettings {
    /// Names, addresses, or (with a leading `/`) folders of Unix sockets, tried in this order.
    pub hosts: Vec<String>,
    /// One for all hosts, or one for each.
    pub ports: Vec<u16>,
    pub database: String,
    pub user: String,
    /// From POSTGRES_PASSWORD, the password file, or the URL.
    pub password: Option<Secret>,
    /// With libpq's meanings.
    pub ssl_mode: SslMode,
    /// A PEM file of certificates to trust, or `system`.
    pub ssl_root_cert: Option<PathBuf>,
    /// What `pg_stat_activity` calls us.
    pub application_name: String,
    /// Command-line options for the backend, such as `-c search_path=app`.
    pub options: Option<String>,
    /// Which of several hosts will do.
    pub target_session_attrs: TargetSessionAttrs,
}

/// How many connections there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSettings {
    /// Connections at most.
    pub size: usize,
    /// Connections opened at once by a start or a reload.
    pub min_size: usize,
}

/// How long anything may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockSettings {
    /// Opening one connection may take this long.
    pub connect_timeout: Duration,
    /// One statement, or one batch, may take this long.
    pub command_timeout: Duration,
    /// A call may wait this long for a connection.
    pub pool_wait_timeout: Duration,
    /// A cursor may wait this long for the next page.
    pub cursor_lifetime: Duration,
}

/// What is done about a role that may do too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleCheck {
    /// It is logged, and said in the instructions.
    Warn,
    /// Nothing runs, too, while something severe is found or nobody could look.
    Enforce,
    /// Nobody looks.
    Off,
}

/// libpq's `target_session_attrs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetSessionAttrs {
    /// The first host that answers.
    Any,
    /// The first that takes writes.
    ReadWrite,
    /// The first that does not.
    ReadOnly,
}

/// How much of anything there may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Rows of an answer.
    pub rows_max: usize,
    /// Bytes of an answer's rows, as JSON.
    pub bytes_max: usize,
    /// Rows that a call may ask for, if that is more than `rows_max`.
    pub rows_ceiling: usize,
    /// Bytes that a call may ask for, if that is more than `bytes_max`.
    pub bytes_ceiling: usize,
    /// Calls that wait for a connection.
    pub waiting_max: usize,
    /// Cursors open; never as many as the pool has connections.
    pub cursors_max: usize,
    /// Calls of one session in flight.
    pub in_flight_max: usize,
    /// Bytes of one line of stdin.
    pub line_bytes_max: usize,
}

/// What is remembered of finished statements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsSettings {
    /// So many statements.
    pub history_max: usize,
    /// A statement that takes at least this long is slow.
    pub slow_query_threshold: Duration,
}

/// What is logged, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// This and what is more severe.
    pub level: slog::Level,
    /// A file beside stderr.
    pub file: Option<PathBuf>,
    /// Whether the values of `$1 … $n` are logged with a statement.
    pub parameters: bool,
}

/// How files are followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadSettings {
    /// A file must be quiet for this long before it is read.
    pub debounce: Duration,
}

/// Where settings may come from: all that [`load`] looks at.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// The TOML file, if one is named. It must exist.
    pub config_file: Option<PathBuf>,
    /// The `.env` file, if one is named. It must exist; without a name, `.env` in `folder` may.
    pub env_file: Option<PathBuf>,
    pub environment: Vec<(String, String)>,
    /// Flags, by the key that each one sets.
    pub flags: Vec<(String, String)>,
    /// What relative paths start from.
    pub folder: PathBuf,
}

/// Settings, and how they came about.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What is in force.
    pub settings: Settings,
    /// What an operator ought to know, a sentence each.
    pub warnings: Vec<String>,
    /// Each key, its value as it may be shown, and where that came from; in the order of [`KEYS`].
    pub origins: Vec<Effective>,
    /// The files whose change may change the settings, present or not.
    pub files: Vec<WatchedFile>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// As in [`KEYS`]; of a further database with ` of ` and its name.
    pub key: String,
    /// Stars in place of a secret; empty if there is none.
    pub value: String,
    /// `default`, `the environment`, `/etc/app/.env line 3` …
    pub source: String,
}

/// A file, and what was in it.
#[derive(Clone, PartialEq, Eq)]
pub struct WatchedFile {
    /// Absolute.
    pub path: PathBuf,
    /// `None` if it is not there.
    pub text: Option<String>,
}

impl fmt::Debug for WatchedFile {
    /// Without the text, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedFile")
            .field("path", &self.path)
            .field("bytes", &self.text.as_ref().map(String::len))
            .finish()
    }
}

/// Everything that is wrong with the settings: each problem names the key, where it stands, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    /// One sentence each; never empty.
    pub problems: Vec<String>,
    /// The files whose change may mend it, present or not.
    pub files: Vec<PathBuf>,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [one] => f.write_str(one),
            all => {
                write!(f, "{} settings cannot be used:", all.len())?;
                all.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
            }
        }
    }
}

impl std::error::Error for SettingsError {}

/// Load and check the settings. Blocks: it reads files.
///
/// # Errors
/// Every problem that was found, not only the first.
pub fn load(inputs: &Inputs) -> Result<Loaded, SettingsError> {
    let layers = layers::read(inputs);
    let merged = layers.merge();
    let mut files = layers.files;
    let checked = values::check(merged, &inputs.folder, &mut files);
    let (settings, origins, warnings) = checked.map_err(|problems| {
        let files = files.iter().map(|file| file.path.clone()).collect();
        SettingsError { problems, files }
    })?;
    Ok(Loaded { settings, warnings, origins, files })
}
