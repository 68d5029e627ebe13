//! The table of all settings, and what is made from it: flags and TOML names.

use clap::Arg;

use super::choices::{
    ACCESS_MODE, CHANNEL_BINDING, LOAD_BALANCE_HOSTS, LOG_FILE_MODE, LOG_LEVEL, POOLER, ROLE_CHECK, SENSITIVE_CATALOGS,
    SSL_MODE, SSL_NEGOTIATION, STRUCTURED, TARGET_SESSION_ATTRS,
};
use super::kind::Kind;

/// One setting.
#[derive(Debug)]
pub struct Key {
    /// The name in `.env` files and in the environment.
    pub name: &'static str,
    pub kind: Kind,
    pub class: Class,
    /// The value if no source sets it; empty for none.
    pub default: &'static str,
    /// Its description, in one line.
    pub what: &'static str,
}

/// What a setting decides. So this says whether a file that nobody has named may set it ([`super::Inputs::env_file`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// What the server may do, which clients it accepts, what it trusts, and which files and programs it uses. Only an
    /// operator may set it. This is the class of every setting that names no other class.
    Protects,
    /// The database of the connection, and its user. A file that nobody has named sets all of it or nothing.
    Connects,
    /// Limits, and how much is logged.
    Limits,
}

/// The connection as one URL, which sets several keys of its layer.
pub(super) const DATABASE_URL: &str = "DATABASE_URL";

/// A source of the password. Only one of them can be used.
pub(super) const PASSWORD_KEYS: [&str; 3] =
    ["POSTGRES_PASSWORD", "POSTGRES_PASSWORD_FILE", "POSTGRES_PASSWORD_COMMAND"];

/// A section of libpq's service file, which sets several keys of its layer.
pub(super) const SERVICE: &str = "POSTGRES_SERVICE";

/// A day: longer than any sensible timeout.
const WAIT_MAX_S: f64 = 86_400.0;

/// The largest number of seconds that Linux accepts for keepalives (tcp(7)).
const KEEPALIVES_MAX: u64 = 32_767;

const fn key(name: &'static str, kind: Kind, default: &'static str, what: &'static str) -> Key {
    Key { name, kind, class: Class::Protects, default, what }
}

impl Key {
    const fn connects(self) -> Self {
        Self { class: Class::Connects, ..self }
    }

    const fn limits(self) -> Self {
        Self { class: Class::Limits, ..self }
    }

    /// Whether a source that sets it has named a connection. Then no weaker source may add to that connection.
    pub(super) fn is_of_a_connection(&self) -> bool {
        self.class == Class::Connects || (self.class == Class::Protects && self.name.starts_with("POSTGRES_"))
    }
}

/// All settings, in the order in which they are reported.
pub const KEYS: &[Key] = &[
    key(
        DATABASE_URL,
        Kind::Secret,
        "",
        "postgres://user:password@host:port/database?sslmode=…, instead of the keys for these",
    )
    .connects(),
    key(
        "POSTGRES_HOST",
        Kind::Servers,
        "localhost",
        "Host, or several separated by commas; a leading / is the folder of a Unix socket",
    )
    .connects(),
    key(
        "POSTGRES_HOSTADDR",
        Kind::Text,
        "",
        "IP address of each host, so that its name is not looked up; the certificate still has to be for the name",
    )
    .connects(),
    key("POSTGRES_PORT", Kind::Ports, "5432", "Port: one for all hosts, or one for each").connects(),
    key("POSTGRES_DB", Kind::Text, "", "Database; without one, the database named like the user").connects(),
    key("POSTGRES_USER", Kind::Text, "postgres", "User").connects(),
    key("POSTGRES_PASSWORD", Kind::Secret, "", "Password").connects(),
    key(
        "POSTGRES_PASSWORD_FILE",
        Kind::Path,
        "",
        "File that holds the password, instead of POSTGRES_PASSWORD; it is followed",
    ),
    key(
        "POSTGRES_PASSWORD_COMMAND",
        Kind::Text,
        "",
        "Program that prints the password, instead of POSTGRES_PASSWORD, with its arguments: words, quoted as for a shell, or a JSON array; run without a shell for each new connection",
    ),
    key(
        "POSTGRES_PASSFILE",
        Kind::Path,
        "",
        "libpq's password file, for a login that has no other password; without one, .pgpass in the home folder",
    ),
    key(
        SERVICE,
        Kind::Text,
        "",
        "Section of libpq's service file (PGSERVICEFILE, .pg_service.conf in the home folder) that sets what is not set beside it",
    ),
    key(SSL_MODE.name, Kind::Choice(&SSL_MODE.names()), "prefer", "TLS, with libpq's meanings"),
    key(
        "POSTGRES_SSL_ROOT_CERT",
        Kind::Path,
        "",
        "PEM file of certificates to trust; without one, .postgresql/root.crt in the home folder, otherwise or as `system` the system's",
    ),
    key(
        "POSTGRES_SSL_CERT",
        Kind::Path,
        "",
        "PEM file of the certificate that is shown to a PostgreSQL that asks for one; without one, .postgresql/postgresql.crt in the home folder; it is followed",
    ),
    key(
        "POSTGRES_SSL_KEY",
        Kind::Path,
        "",
        "PEM file of that certificate's private key, which nobody else may be able to read; without one, .postgresql/postgresql.key in the home folder; it is followed",
    ),
    key(
        CHANNEL_BINDING.name,
        Kind::Choice(&CHANNEL_BINDING.names()),
        "prefer",
        "Whether the login is bound to the TLS connection, with libpq's meanings",
    ),
    key(
        SSL_NEGOTIATION.name,
        Kind::Choice(&SSL_NEGOTIATION.names()),
        "postgres",
        "How TLS begins; direct, from PostgreSQL 17 on, saves a round trip and needs at least POSTGRES_SSL_MODE=require",
    ),
    key("POSTGRES_APPLICATION_NAME", Kind::Text, "mcp-server-postgres", "What pg_stat_activity calls this server")
        .connects(),
    key("POSTGRES_OPTIONS", Kind::Text, "", "Options for the backend, such as -c search_path=app").connects(),
    key(
        TARGET_SESSION_ATTRS.name,
        Kind::Choice(&TARGET_SESSION_ATTRS.names()),
        "any",
        "Which of several hosts will do",
    )
    .connects(),
    key(
        POOLER.name,
        Kind::Choice(&POOLER.names()),
        "auto",
        "Whether a pooler lends connections for a transaction each; auto finds it out, none is also for session pooling",
    )
    .connects(),
    key(
        LOAD_BALANCE_HOSTS.name,
        Kind::Choice(&LOAD_BALANCE_HOSTS.names()),
        "disable",
        "Order in which several hosts, or the addresses of one, are tried",
    )
    .connects(),
    key("POSTGRES_KEEPALIVES", Kind::Switch, "true", "Whether TCP notices a lost connection on which nothing comes")
        .connects(),
    key(
        "POSTGRES_KEEPALIVES_IDLE",
        Kind::Whole(1, KEEPALIVES_MAX),
        "30",
        "Seconds in which nothing comes before TCP asks",
    )
    .connects(),
    key(
        "POSTGRES_KEEPALIVES_INTERVAL",
        Kind::Whole(1, KEEPALIVES_MAX),
        "",
        "Seconds before TCP asks again; without it, the system's",
    )
    .connects(),
    key(
        "POSTGRES_KEEPALIVES_COUNT",
        Kind::Whole(1, 127),
        "",
        "How often TCP asks before the connection counts as lost; without it, the system's",
    )
    .connects(),
    key(
        "POSTGRES_TCP_USER_TIMEOUT",
        Kind::Milliseconds(1, 86_400_000),
        "",
        "Milliseconds for which sent data may stay unacknowledged; without it, POSTGRES_CONNECT_TIMEOUT",
    )
    .connects(),
    key("POSTGRES_POOL_SIZE", Kind::Whole(1, 500), "5", "Connections at most").limits(),
    key("POSTGRES_POOL_MIN_SIZE", Kind::Whole(0, 500), "1", "Connections opened at once by a start or a reload")
        .limits(),
    key("POSTGRES_CONNECT_TIMEOUT", Kind::Seconds(0.1, WAIT_MAX_S), "10", "Seconds to open a connection").limits(),
    key("POSTGRES_COMMAND_TIMEOUT", Kind::Seconds(0.1, WAIT_MAX_S), "30", "Seconds for a statement, or a whole batch")
        .limits(),
    key("POSTGRES_POOL_WAIT_TIMEOUT", Kind::Seconds(0.1, WAIT_MAX_S), "10", "Seconds to wait for a free connection")
        .limits(),
    key(ACCESS_MODE.name, Kind::Choice(&ACCESS_MODE.names()), "read-only", "Whether statements may write"),
    key(
        "MCP_FUNCTIONS_ALLOW",
        Kind::Text,
        "",
        "Functions that may run in read-only mode though the guard would refuse them, separated by commas: name, schema.name, schema.*, name(argument types)",
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
    key(
        STRUCTURED.name,
        Kind::Choice(&STRUCTURED.names()),
        "off",
        "Whether an answer has its rows a second time, as structuredContent for programs; never beside MCP_DATA_BOUNDARY",
    ),
    key("MCP_MAX_ROWS", Kind::Whole(1, 1_000_000), "1000", "Rows of an answer at most").limits(),
    key("MCP_MAX_BYTES", Kind::Whole(1_000, 100_000_000), "40000", "Bytes of an answer's rows at most").limits(),
    key(
        "MCP_MAX_ROWS_CEILING",
        Kind::Whole(1, 1_000_000),
        "100000",
        "Rows that a call may ask for by max_rows; never less than MCP_MAX_ROWS",
    )
    .limits(),
    key(
        "MCP_MAX_BYTES_CEILING",
        Kind::Whole(1_000, 100_000_000),
        "10485760",
        "Bytes that a call may ask for by max_bytes; never less than MCP_MAX_BYTES",
    )
    .limits(),
    key("MCP_MAX_IN_FLIGHT", Kind::Whole(1, 100_000), "1024", "Calls in flight at most; the next is refused at once")
        .limits(),
    key(
        "MCP_MAX_WAITING",
        Kind::Whole(0, 100_000),
        "1000",
        "Calls waiting for a connection at most; past that, one of the client that has the most is refused at once",
    )
    .limits(),
    key(
        "MCP_MAX_CURSORS",
        Kind::Whole(0, 500),
        "2",
        "Answers that can be read on at a time; each holds a connection, and one is always left for calls",
    )
    .limits(),
    key("MCP_CURSOR_LIFETIME", Kind::Seconds(0.1, WAIT_MAX_S), "60", "Seconds that a cursor waits to be read on")
        .limits(),
    key("MCP_MAX_LINE_BYTES", Kind::Whole(10_000, 1_000_000_000), "16777216", "Bytes of one request at most").limits(),
    key("MCP_METRICS_HISTORY", Kind::Whole(1, 1_000_000), "1000", "Finished statements remembered").limits(),
    key(
        "MCP_SLOW_QUERY_THRESHOLD_MS",
        Kind::Milliseconds(0, 86_400_000),
        "1000",
        "Milliseconds from which a statement is slow",
    )
    .limits(),
    key(LOG_LEVEL.name, Kind::Choice(&LOG_LEVEL.names()), "info", "This and what is more severe is logged").limits(),
    key(
        "MCP_LOG_FILE",
        Kind::Path,
        "",
        "File to log to, beside stderr; if it is moved or removed, the next line goes to a new one of this name",
    ),
    key(
        LOG_FILE_MODE.name,
        Kind::Choice(&LOG_FILE_MODE.names()),
        "private",
        "Who may read MCP_LOG_FILE: its owner (mode 0600), or also its group (0640); a file that exists gets that mode too",
    ),
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
        Kind::Hosts,
        "",
        "Names that clients call `serve` by in Host, beside localhost, the loopback addresses and what it listens on, separated by commas",
    ),
    key(
        "MCP_ALLOWED_ORIGINS",
        Kind::Origins,
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

/// A flag for each key except passwords, because every user of the machine can read command lines: `--postgres-host`,
/// `--access-mode`. A URL does not have to contain a password. The id of a flag is the name of its key.
pub fn flags() -> Vec<Arg> {
    KEYS.iter()
        .filter(|key| key.kind != Kind::Secret || key.name == DATABASE_URL)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_flag_but_passwords_and_a_name_in_toml() {
        let flags = flags();
        assert_eq!(flags.len(), KEYS.len() - 1);
        for key in KEYS {
            let (table, name) = in_toml(key.name);
            assert_eq!(of_toml(&table, &name), key.name);
        }
    }
}
