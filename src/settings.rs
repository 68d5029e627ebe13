//! The settings that an operator can choose: plain data, loaded in layers, checked once, passed down.
//!
//! The layers, each with priority over the ones before it: defaults, a `.env` file that nobody has named (it may set only
//! little, see [`Class`]), libpq's `PG*` variables, the TOML file, the `--env-file`, the environment of the process, flags.
//!
//! [`KEYS`] is the one table of all settings: the flags, the checks and the report are made from it, and tests compare
//! `.env.example` and the documentation with it. Nothing is global, and no secret is ever printed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use read::Files;

mod choices;
mod database;
mod encryption;
mod http;
mod keys;
mod kind;
mod layers;
pub mod libpq;
mod names;
mod near_miss;
mod password;
mod placeholder;
mod read;
mod report;
mod secret;
mod url;
mod values;

pub use database::{
    ChannelBinding, ClientCertificate, ClockSettings, PasswordCommand, PasswordSource, PoolSettings, Pooler,
    PostgresSettings, SslNegotiation, TargetSessionAttrs, TargetSettings, TcpSettings,
};
pub use http::{Address, HttpSettings, TlsSettings, Token, is_token_name};
pub use keys::{Class, KEYS, Key, flags};
pub use kind::Kind;
pub use names::{canonical_host, is_this_machine};
pub use password::without_line_end;
pub use read::Pipes;
pub use report::{changed, report};
pub use secret::{Secret, without_passwords};

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
    /// Whether answers also have their rows as structured content, for programs. See [`Settings::answers_are_structured`].
    pub structured: bool,
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

    /// Whether answers have structured content. With a boundary they never have: a host that shows a model only the
    /// structured part would not show the boundary.
    pub fn answers_are_structured(&self) -> bool {
        self.structured && !self.data_boundary
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

/// What happens if the role has too many rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleCheck {
    /// A warning is logged, and operators see it on the page.
    Warn,
    /// As `Warn`; and no statement runs while there is a severe finding or the check has not succeeded.
    Enforce,
    /// The role is not checked.
    Off,
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
    /// The texts that were read from pipes which flags name. It is empty at first.
    pub pipes: Pipes,
    /// Folders in which a PostgreSQL on this machine may have its socket, for a URL without a host.
    pub socket_folders: Vec<PathBuf>,
}

impl Inputs {
    /// The user of this process, from the environment.
    fn system_user(&self) -> Option<String> {
        let variable = |name| self.environment.iter().find(|(known, text)| known == name && !text.is_empty());
        variable("USER").or_else(|| variable("LOGNAME")).map(|(_, text)| text.clone())
    }
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
    /// The lines that were ignored, of a `.env` file that nobody has named.
    pub ignored: Vec<IgnoredLine>,
}

/// A line that was ignored although its name is the name of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoredLine {
    /// The name as it is written in the file.
    pub name: String,
    /// 1 for the first line.
    pub line: usize,
    /// Why; the end of a sentence.
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
    /// Whether the operator has named the file. The settings stay as they are while such a file is missing.
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
        && layers.ignore_found_file(problems)
    {
        files.followed.truncate(named);
        checked = values::check(layers.merge(), &inputs.folder, &mut files);
    }
    let files = files.followed;
    let (settings, origins, warnings) = checked.map_err(|problems| {
        let files = files.iter().map(|file| file.path.clone()).collect();
        SettingsError { problems, files }
    })?;
    Ok(Loaded { settings, warnings, origins, files, ignored: layers.ignored })
}
