//! The table of all settings, and what is made from it: flags and TOML names.

use clap::Arg;

use super::choices::{ACCESS_MODE, LOG_LEVEL, POOLER, ROLE_CHECK, SENSITIVE_CATALOGS, SSL_MODE, TARGET_SESSION_ATTRS};

/// One setting.
#[derive(Debug)]
pub struct Key {
    /// The name in `.env` files and in the environment.
    pub name: &'static str,
    pub kind: Kind,
    /// The value if no source sets it; empty for none.
    pub default: &'static str,
    /// Its description, in one line.
    pub what: &'static str,
}

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Text,
    /// A text that is never printed.
    Secret,
    Path,
    /// Port numbers, separated by commas.
    Ports,
    /// A whole number within these bounds.
    Whole(u64, u64),
    /// Seconds, decimals allowed, within these bounds.
    Seconds(f64, f64),
    /// Whole milliseconds within these bounds.
    Milliseconds(u64, u64),
    /// One of these words, in upper or lower case.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Switch,
    /// Addresses to listen on, separated by commas.
    Addresses,
}

/// The connection as one URL, which sets several keys of its layer.
pub(super) const DATABASE_URL: &str = "DATABASE_URL";

/// A day: longer than any sensible timeout.
const WAIT_MAX_S: f64 = 86_400.0;

const fn key(name: &'static str, kind: Kind, default: &'static str, what: &'static str) -> Key {
    Key { name, kind, default, what }
}

/// All settings, in the order in which they are reported.
pub const KEYS: &[Key] = &[
    key(
        DATABASE_URL,
        Kind::Secret,
        "",
        "postgres://user:password@host:port/database?sslmode=…, instead of the keys for these",
    ),
    key(
        "POSTGRES_HOST",
        Kind::Text,
        "localhost",
        "Host, or several separated by commas; a leading / is the folder of a Unix socket",
    ),
    key("POSTGRES_PORT", Kind::Ports, "5432", "Port: one for all hosts, or one for each"),
    key("POSTGRES_DB", Kind::Text, "", "Database; without one, the database named like the user"),
    key("POSTGRES_USER", Kind::Text, "postgres", "User"),
    key("POSTGRES_PASSWORD", Kind::Secret, "", "Password"),
    key(
        "POSTGRES_PASSWORD_FILE",
        Kind::Path,
        "",
        "File that holds the password, instead of POSTGRES_PASSWORD; it is followed",
    ),
    key(SSL_MODE.name, Kind::Choice(&SSL_MODE.names()), "prefer", "TLS, with libpq's meanings"),
    key(
        "POSTGRES_SSL_ROOT_CERT",
        Kind::Path,
        "",
        "PEM file of certificates to trust; without one, or as `system`, the system's",
    ),
    key("POSTGRES_APPLICATION_NAME", Kind::Text, "mcp-server-postgres", "What pg_stat_activity calls this server"),
    key("POSTGRES_OPTIONS", Kind::Text, "", "Options for the backend, such as -c search_path=app"),
    key(
        TARGET_SESSION_ATTRS.name,
        Kind::Choice(&TARGET_SESSION_ATTRS.names()),
        "any",
        "Which of several hosts will do",
    ),
    key(
        POOLER.name,
        Kind::Choice(&POOLER.names()),
        "auto",
        "Whether a pooler lends connections for a transaction each; auto finds it out, none is also for session pooling",
    ),
    key("POSTGRES_POOL_SIZE", Kind::Whole(1, 500), "5", "Connections at most"),
    key("POSTGRES_POOL_MIN_SIZE", Kind::Whole(0, 500), "1", "Connections opened at once by a start or a reload"),
    key("POSTGRES_CONNECT_TIMEOUT", Kind::Seconds(0.1, WAIT_MAX_S), "10", "Seconds to open a connection"),
    key("POSTGRES_COMMAND_TIMEOUT", Kind::Seconds(0.1, WAIT_MAX_S), "30", "Seconds for a statement, or a whole batch"),
    key("POSTGRES_POOL_WAIT_TIMEOUT", Kind::Seconds(0.1, WAIT_MAX_S), "10", "Seconds to wait for a free connection"),
    key(ACCESS_MODE.name, Kind::Choice(&ACCESS_MODE.names()), "read-only", "Whether statements may write"),
    key(
        "MCP_FUNCTIONS_ALLOW",
        Kind::Text,
        "",
        "Functions that may run in read-only mode though the guard would refuse them, separated by commas: name or schema.name",
    ),
    key(
        "MCP_FUNCTIONS_DENY",
        Kind::Text,
        "",
        "Functions that may not run in read-only mode, likewise; it goes before MCP_FUNCTIONS_ALLOW",
    ),
    key(
        SENSITIVE_CATALOGS.name,
        Kind::Choice(&SENSITIVE_CATALOGS.names()),
        "deny",
        "Whether password hashes, other sessions' SQL and the like may be read in read-only mode",
    ),
    key(
        ROLE_CHECK.name,
        Kind::Choice(&ROLE_CHECK.names()),
        "warn",
        "What a role that may do too much means: a warning, or also that nothing runs; the check is made at start and at each reload",
    ),
    key(
        "MCP_DATA_BOUNDARY",
        Kind::Switch,
        "false",
        "Whether the text of an answer stands between two lines that no row can forge, and that say that it is data",
    ),
    key("MCP_MAX_ROWS", Kind::Whole(1, 1_000_000), "1000", "Rows of an answer at most"),
    key("MCP_MAX_BYTES", Kind::Whole(1_000, 100_000_000), "102400", "Bytes of an answer's rows at most"),
    key(
        "MCP_MAX_ROWS_CEILING",
        Kind::Whole(1, 1_000_000),
        "100000",
        "Rows that a call may ask for by max_rows; never less than MCP_MAX_ROWS",
    ),
    key(
        "MCP_MAX_BYTES_CEILING",
        Kind::Whole(1_000, 100_000_000),
        "10485760",
        "Bytes that a call may ask for by max_bytes; never less than MCP_MAX_BYTES",
    ),
    key("MCP_MAX_IN_FLIGHT", Kind::Whole(1, 100_000), "1024", "Calls in flight at most; the next is refused at once"),
    key(
        "MCP_MAX_WAITING",
        Kind::Whole(0, 100_000),
        "1000",
        "Calls waiting for a connection at most; past that, one of the client that has the most is refused at once",
    ),
    key(
        "MCP_MAX_CURSORS",
        Kind::Whole(0, 500),
        "2",
        "Answers that can be read on at a time; each holds a connection, and one is always left for calls",
    ),
    key("MCP_CURSOR_LIFETIME", Kind::Seconds(0.1, WAIT_MAX_S), "60", "Seconds that a cursor waits to be read on"),
    key("MCP_MAX_LINE_BYTES", Kind::Whole(10_000, 1_000_000_000), "16777216", "Bytes of one request at most"),
    key("MCP_METRICS_HISTORY", Kind::Whole(1, 1_000_000), "1000", "Finished statements remembered"),
    key(
        "MCP_SLOW_QUERY_THRESHOLD_MS",
        Kind::Milliseconds(0, 86_400_000),
        "1000",
        "Milliseconds from which a statement is slow",
    ),
    key(LOG_LEVEL.name, Kind::Choice(&LOG_LEVEL.names()), "info", "This and what is more severe is logged"),
    key("MCP_LOG_FILE", Kind::Path, "", "File to log to, beside stderr"),
    key("MCP_LOG_PARAMETERS", Kind::Switch, "false", "Whether values of $1 … $n are logged"),
    key(
        "MCP_RELOAD_DEBOUNCE_MS",
        Kind::Milliseconds(10, 60_000),
        "1000",
        "Milliseconds for which a file must be quiet before it is read",
    ),
    key(
        "MCP_HTTP_ADDR",
        Kind::Addresses,
        "127.0.0.1:8808",
        "Where `serve` listens: host:port or unix:/path, several separated by commas; beyond this machine only with MCP_TOKENS_FILE",
    ),
    key(
        "MCP_TOKENS_FILE",
        Kind::Path,
        "",
        "TOML file of bearer tokens' hashes and what each may do; without one everybody on this machine is let in; it is followed",
    ),
    key(
        "MCP_TLS_CERT",
        Kind::Path,
        "",
        "PEM file of the certificate chain that `serve` shows, and of its key unless MCP_TLS_KEY has that; it is followed",
    ),
    key("MCP_TLS_KEY", Kind::Path, "", "PEM file of that certificate's private key; it is followed"),
    key(
        "MCP_ALLOWED_HOSTS",
        Kind::Text,
        "",
        "Names that clients call `serve` by in Host, beside localhost, 127.0.0.1 and ::1, separated by commas",
    ),
    key(
        "MCP_ALLOWED_ORIGINS",
        Kind::Text,
        "",
        "Web pages' origins that may call `serve`, beside its own, such as https://app.example, separated by commas",
    ),
    key(
        "MCP_CLIENT_RATE",
        Kind::Whole(0, 1_000_000),
        "100",
        "Requests of one client of `serve` a second, twice as many at once; 0 for any number",
    ),
    key(
        "MCP_CLIENT_TIMEOUT",
        Kind::Seconds(0.1, WAIT_MAX_S),
        "30",
        "Seconds for a client of `serve` to send a request, or to take a part of an answer",
    ),
    key("MCP_MAX_CONNECTIONS", Kind::Whole(1, 1_000_000), "4096", "Connections of clients of `serve` at most"),
    key(
        "MCP_MAX_SESSIONS",
        Kind::Whole(0, 1_000_000),
        "4096",
        "Sessions of `serve` at most, which revisions before 2026-07-28 have",
    ),
    key(
        "MCP_SESSION_TIMEOUT",
        Kind::Seconds(1.0, WAIT_MAX_S),
        "3600",
        "Seconds after which such a session ends from which nothing comes and that waits for nothing",
    ),
    key(
        "MCP_DRAIN_TIMEOUT",
        Kind::Seconds(0.1, WAIT_MAX_S),
        "10",
        "Seconds for calls in flight when `serve` is to end",
    ),
];

pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The key of a TOML name: `pool_size` of `[postgres]` is POSTGRES_POOL_SIZE.
pub(super) fn of_toml(table: &str, name: &str) -> String {
    match table {
        "" => name.to_ascii_uppercase(),
        table => format!("{table}_{name}").to_ascii_uppercase(),
    }
}

/// The TOML name of a key: the table (empty for none) and the name in it.
pub(super) fn in_toml(name: &str) -> (String, String) {
    let lower = name.to_ascii_lowercase();
    match lower.split_once('_') {
        Some((table @ ("postgres" | "mcp"), rest)) => (table.to_owned(), rest.to_owned()),
        _ => (String::new(), lower),
    }
}

/// A flag for each key except secrets, since every user of the machine can read command lines: `--postgres-host`,
/// `--access-mode`. The id of a flag is the name of its key.
pub fn flags() -> Vec<Arg> {
    KEYS.iter()
        .filter(|key| key.kind != Kind::Secret)
        .map(|key| {
            let long = key.name.strip_prefix("MCP_").unwrap_or(key.name).to_ascii_lowercase().replace('_', "-");
            let heading = if key.name.starts_with("MCP_") { "Server" } else { "PostgreSQL" };
            let help = match key.default {
                "" => key.what.to_owned(),
                default => format!("{} [default: {default}]", key.what),
            };
            Arg::new(key.name)
                .long(long)
                .value_name(key.kind.value_name())
                .help(help)
                .help_heading(heading)
                // Its value often begins with a hyphen: -c search_path=app.
                .allow_hyphen_values(key.name == "POSTGRES_OPTIONS")
        })
        .collect()
}

impl Kind {
    fn value_name(self) -> &'static str {
        match self {
            Self::Text | Self::Secret => "TEXT",
            Self::Path => "FILE",
            Self::Ports => "PORT",
            Self::Whole(..) => "N",
            Self::Seconds(..) => "SECONDS",
            Self::Milliseconds(..) => "MS",
            Self::Choice(_) => "WORD",
            Self::Switch => "BOOL",
            Self::Addresses => "ADDRESS",
        }
    }

    /// What a correct value is, to follow "it must be".
    pub fn requirement(self) -> String {
        match self {
            Self::Text | Self::Secret => "a text".to_owned(),
            Self::Path => "a file".to_owned(),
            Self::Ports => "a port from 1 to 65535, or several separated by commas".to_owned(),
            Self::Whole(min, max) => format!("a whole number from {min} to {max}"),
            Self::Seconds(min, max) => format!("seconds from {min} to {max}"),
            Self::Milliseconds(min, max) => format!("whole milliseconds from {min} to {max}"),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Switch => "true or false".to_owned(),
            Self::Addresses => {
                "an address such as 127.0.0.1:8808, [::1]:8808 or unix:/run/mcp.sock, or several separated by commas"
                    .to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_flag_but_the_secrets_and_a_name_in_toml() {
        let flags = flags();
        assert_eq!(flags.len(), KEYS.len() - 2);
        for key in KEYS {
            let (table, name) = in_toml(key.name);
            assert_eq!(of_toml(&table, &name), key.name);
        }
    }
}
