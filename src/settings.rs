//! The settings that an operator can choose: plain data, loaded in layers, checked once, passed down.
//!
//! The layers, each with priority over the ones before it: defaults, a `.env` that nobody has named (it sets little, see
//! [`Class`]), libpq's `PG*` variables, the TOML file, the `--env-file`, the environment of the process, flags. [`KEYS`] is the one table of all settings: the flags, the checks and
//! the report are made from it, and tests compare `.env.example` and the documentation with it. Nothing is global, and
//! no secret is ever printed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use read::Files;

mod choices;
mod http;
mod keys;
mod kind;
mod layers;
mod names;
mod near_miss;
mod read;
mod report;
mod secret;
mod url;
mod values;

pub use http::{Address, HttpSettings, TlsSettings, Token, is_token_name};
pub use keys::{Class, KEYS, Key, flags};
pub use kind::Kind;
pub use names::canonical_host;
pub use read::Pipes;
pub use report::{changed, report};
pub use secret::Secret;

pub use crate::tls::client::SslMode;
pub use pg_guard::{AccessMode, Policy};

/// All settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The main database and its connections.
    pub postgres: PostgresSettings,
    /// Whether statements may write in the main database.
    pub access: AccessMode,
    /// The further databases, by the names that calls use.
    pub more_databases: BTreeMap<String, DatabaseSettings>,
    /// What the guard accepts in read-only mode in addition to its own rules.
    pub policy: Policy,
    /// What happens if the role has too many rights.
    pub role_check: RoleCheck,
    /// Whether the text of an answer is between two boundary lines that no row can forge.
    pub data_boundary: bool,
    /// The limits of calls and answers.
    pub limits: Limits,
    /// The history of finished statements.
    pub metrics: MetricsSettings,
    /// The log.
    pub log: LogSettings,
    /// How changed files are read again.
    pub reload: ReloadSettings,
    /// The daemon: its addresses and its clients.
    pub http: HttpSettings,
}

/// The name of the main database. Calls that name no database use it.
pub const MAIN_DATABASE: &str = "main";

impl Settings {
    /// The connection settings and the access mode of the database with that name.
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

/// A further database.
#[derive(Clone, Debug, PartialEq)]
pub struct DatabaseSettings {
    /// The database and its connections.
    pub postgres: PostgresSettings,
    /// Whether statements may write.
    pub access: AccessMode,
}

/// The settings of the connections to one database.
#[derive(Clone, Debug, PartialEq)]
pub struct PostgresSettings {
    /// The server and user of the connections. A change creates a new pool.
    pub target: TargetSettings,
    /// The number of connections. A change keeps the open ones.
    pub pool: PoolSettings,
    /// The timeouts. A change is valid for statements that begin after it.
    pub clocks: ClockSettings,
}

/// The server, the database and the user.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetSettings {
    /// Names, addresses, or (with a leading `/`) folders of Unix sockets, tried in this order.
    pub hosts: Vec<String>,
    /// One port for all hosts, or one for each host.
    pub ports: Vec<u16>,
    pub database: String,
    pub user: String,
    /// From POSTGRES_PASSWORD, the password file, or the URL.
    pub password: Option<Secret>,
    /// The values have libpq's meanings.
    pub ssl_mode: SslMode,
    /// A PEM file of certificates to trust, or `system`.
    pub ssl_root_cert: Option<PathBuf>,
    /// The name of this server in `pg_stat_activity`.
    pub application_name: String,
    /// Command-line options for the backend, such as `-c search_path=app`.
    pub options: Option<String>,
    /// Which one of several hosts is acceptable.
    pub target_session_attrs: TargetSessionAttrs,
}

/// The size of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSettings {
    /// The largest number of connections.
    pub size: usize,
    /// How many connections a start or a reload opens.
    pub min_size: usize,
}

/// The timeouts of calls on one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockSettings {
    /// The timeout of opening a connection.
    pub connect_timeout: Duration,
    /// The timeout of a statement or a batch.
    pub command_timeout: Duration,
    /// How long a call may wait for a free connection.
    pub pool_wait_timeout: Duration,
    /// How long a cursor stays open without being read.
    pub cursor_lifetime: Duration,
}

/// What happens if the role has too many rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleCheck {
    /// A warning is logged, and the instructions for the model mention it.
    Warn,
    /// As `Warn`; and no statement runs while there is a severe finding or the check has not succeeded.
    Enforce,
    /// The role is not checked.
    Off,
}

/// libpq's `target_session_attrs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetSessionAttrs {
    /// The first host that answers.
    Any,
    /// The first host that accepts writes.
    ReadWrite,
    /// The first host that does not accept writes.
    ReadOnly,
}

/// The limits of calls and answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The number of rows of an answer.
    pub rows_max: usize,
    /// The size of an answer's rows as JSON, in bytes.
    pub bytes_max: usize,
    /// The largest number of rows that a call may request, if that is more than `rows_max`.
    pub rows_ceiling: usize,
    /// The largest number of bytes that a call may request, if that is more than `bytes_max`.
    pub bytes_ceiling: usize,
    /// The number of calls that wait for a connection.
    pub waiting_max: usize,
    /// The number of open cursors; always less than the number of connections.
    pub cursors_max: usize,
    /// The number of calls in flight in one session.
    pub in_flight_max: usize,
    /// The length of a line of stdin, in bytes.
    pub line_bytes_max: usize,
}

/// The history of finished statements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsSettings {
    /// How many statements are remembered.
    pub history_max: usize,
    /// A statement that takes at least this long is slow.
    pub slow_query_threshold: Duration,
}

/// The log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// The least severe level that is logged.
    pub level: slog::Level,
    /// A file to write to besides stderr.
    pub file: Option<PathBuf>,
    /// Who may read that file. It contains the model's SQL.
    pub file_mode: LogFileMode,
    /// Whether the values of `$1 … $n` are logged with a statement.
    pub parameters: bool,
}

/// Who may read the log file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFileMode {
    /// Its owner.
    Private,
    /// Its owner and its group.
    Group,
}

impl LogFileMode {
    /// The bits of the file's mode.
    pub const fn bits(self) -> u32 {
        match self {
            Self::Private => 0o600,
            Self::Group => 0o640,
        }
    }
}

/// How changed files are read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadSettings {
    /// A file must be quiet for this long before it is read.
    pub debounce: Duration,
}

/// Where settings may come from: everything that [`load`] reads.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// The TOML file, if it was named; then it must exist.
    pub config_file: Option<PathBuf>,
    /// The `.env` file, if it was named; then it must exist. Otherwise `.env` in `folder` is read if it exists, and sets
    /// nothing that protects.
    pub env_file: Option<PathBuf>,
    pub environment: Vec<(String, String)>,
    /// The flags: the key that each one sets, and its value.
    pub flags: Vec<(String, String)>,
    /// The folder of relative paths.
    pub folder: PathBuf,
    /// What the pipes said that flags name; empty at first.
    pub pipes: Pipes,
}

/// The settings, and where they come from.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub settings: Settings,
    /// Warnings for the operator, one sentence each.
    pub warnings: Vec<String>,
    /// Each key with its printable value and the source of the value, in the order of [`KEYS`].
    pub origins: Vec<Effective>,
    /// The files that may change the settings, whether they exist or not.
    pub files: Vec<WatchedFile>,
    /// What is not used of a `.env` that nobody has named.
    pub not_taken: Vec<NotTaken>,
}

/// A line of a `.env` that nobody has named, which sets nothing though its name is a setting's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotTaken {
    /// As it is written there.
    pub name: String,
    /// 1 for the first line.
    pub line: usize,
    /// The end of a sentence.
    pub why: String,
}

/// A key and its value, for a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// The name in [`KEYS`]; for a further database with ` of ` and its name.
    pub key: String,
    /// The value; stars instead of a secret, empty if there is none.
    pub value: String,
    /// `default`, `the environment`, `/etc/app/.env line 3` …
    pub source: String,
}

/// A file and its content.
#[derive(Clone, PartialEq, Eq)]
pub struct WatchedFile {
    /// An absolute path.
    pub path: PathBuf,
    /// `None` if the file does not exist.
    pub text: Option<String>,
    /// Whether the operator has named it. Settings stay as they are while such a file is gone.
    pub is_named: bool,
}

impl fmt::Debug for WatchedFile {
    /// Without the text, which may contain a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedFile")
            .field("path", &self.path)
            .field("bytes", &self.text.as_ref().map(String::len))
            .finish()
    }
}

/// All problems of the settings. Each one names the key, the source, and what would be correct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    /// One sentence each; never empty.
    pub problems: Vec<String>,
    /// The files by which the problems can be solved, whether they exist or not.
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
/// All problems that were found, not only the first.
pub fn load(inputs: &Inputs) -> Result<Loaded, SettingsError> {
    let mut files = Files::new(&inputs.pipes);
    let mut layers = layers::read(inputs, &mut files);
    let named = files.followed.len();
    let mut checked = values::check(layers.merge(), &inputs.folder, &mut files);
    if let Err(problems) = &checked
        && layers.drop_found(problems)
    {
        files.followed.truncate(named);
        checked = values::check(layers.merge(), &inputs.folder, &mut files);
    }
    let files = files.followed;
    let (settings, origins, warnings) = checked.map_err(|problems| {
        let files = files.iter().map(|file| file.path.clone()).collect();
        SettingsError { problems, files }
    })?;
    Ok(Loaded { settings, warnings, origins, files, not_taken: layers.not_taken })
}
