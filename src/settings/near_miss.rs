//! Names that are not keys of this server: whether they belong to another program or are misspelled keys.

use super::keys::{DATABASE_URL, KEYS};

/// The prefixes of this server's keys, except DATABASE_URL.
const PREFIXES: [&str; 2] = ["POSTGRES_", "MCP_"];

/// Usual mistakes that have too many wrong letters to be recognised by their number.
const ALIASES: &[(&str, &str)] = &[
    ("POSTGRES_DBNAME", "POSTGRES_DB"),
    ("POSTGRES_NAME", "POSTGRES_DB"),
    ("POSTGRES_HOSTNAME", "POSTGRES_HOST"),
    ("POSTGRES_SERVER", "POSTGRES_HOST"),
    ("POSTGRES_USERNAME", "POSTGRES_USER"),
    ("POSTGRES_PASS", "POSTGRES_PASSWORD"),
    ("POSTGRES_PASSWORD_CMD", "POSTGRES_PASSWORD_COMMAND"),
    ("POSTGRES_SSLMODE", "POSTGRES_SSL_MODE"),
    ("POSTGRES_SSLROOTCERT", "POSTGRES_SSL_ROOT_CERT"),
    ("POSTGRES_SSLCERT", "POSTGRES_SSL_CERT"),
    ("POSTGRES_SSLKEY", "POSTGRES_SSL_KEY"),
    ("POSTGRES_SSLNEGOTIATION", "POSTGRES_SSL_NEGOTIATION"),
    ("POSTGRES_MAX_POOL_SIZE", "POSTGRES_POOL_SIZE"),
    ("POSTGRES_POOL_MAX_SIZE", "POSTGRES_POOL_SIZE"),
    ("POSTGRES_MIN_POOL_SIZE", "POSTGRES_POOL_MIN_SIZE"),
    ("POSTGRES_STATEMENT_TIMEOUT", "POSTGRES_COMMAND_TIMEOUT"),
    ("MCP_ACCESS", "MCP_ACCESS_MODE"),
    ("MCP_MODE", "MCP_ACCESS_MODE"),
    ("MCP_LOGFILE", "MCP_LOG_FILE"),
];

/// Names for the same things in other servers, in libraries and at providers.
const OTHERS: &[(&str, &str)] = &[
    ("DATABASE_URI", DATABASE_URL),
    ("DATABASE_DSN", DATABASE_URL),
    ("DATABASE_CONNECTION_STRING", DATABASE_URL),
    ("DATABASE_URL_UNPOOLED", DATABASE_URL),
    ("DB_URL", DATABASE_URL),
    ("DB_URI", DATABASE_URL),
    ("DB_DSN", DATABASE_URL),
    ("DB_CONNECTION_STRING", DATABASE_URL),
    ("CONNECTION_STRING", DATABASE_URL),
    ("DSN", DATABASE_URL),
    ("POSTGRES_URL", DATABASE_URL),
    ("POSTGRES_URI", DATABASE_URL),
    ("POSTGRES_DSN", DATABASE_URL),
    ("POSTGRES_CONNECTION", DATABASE_URL),
    ("POSTGRES_CONNECTION_STRING", DATABASE_URL),
    ("POSTGRES_CONNECTION_URL", DATABASE_URL),
    ("POSTGRES_DATABASE_URL", DATABASE_URL),
    ("POSTGRES_PRISMA_URL", DATABASE_URL),
    ("POSTGRES_URL_NON_POOLING", DATABASE_URL),
    ("POSTGRES_URL_NO_SSL", DATABASE_URL),
    ("POSTGRESQL_URL", DATABASE_URL),
    ("POSTGRESQL_CONNECTION_STRING", DATABASE_URL),
    ("PG_URL", DATABASE_URL),
    ("PG_CONNECTION_STRING", DATABASE_URL),
    ("PGURL", DATABASE_URL),
    ("SUPABASE_DB_URL", DATABASE_URL),
    ("NEON_DATABASE_URL", DATABASE_URL),
    ("DB_HOST", "POSTGRES_HOST"),
    ("PG_HOST", "POSTGRES_HOST"),
    ("POSTGRESQL_HOST", "POSTGRES_HOST"),
    ("DB_NAME", "POSTGRES_DB"),
    ("DB_DATABASE", "POSTGRES_DB"),
    ("PG_DATABASE", "POSTGRES_DB"),
    ("POSTGRES_DATABASE", "POSTGRES_DB"),
    ("DB_USER", "POSTGRES_USER"),
    ("PG_USER", "POSTGRES_USER"),
    ("DB_PASSWORD", "POSTGRES_PASSWORD"),
    ("PG_PASSWORD", "POSTGRES_PASSWORD"),
];

/// The largest number of wrong letters in a misspelled key.
const WRONG_LETTERS_MAX: usize = 2;

/// What a name means that is not a key.
#[derive(Debug, PartialEq)]
pub(super) enum UnknownName {
    /// It is unrelated to this server.
    NotOurs,
    /// Other programs use it for this key.
    Others(&'static str),
    /// It has a prefix of this server and may belong to another program: `POSTGRES_INITDB_ARGS`.
    Unknown,
    /// It is probably this key, misspelled.
    NearMiss(&'static str),
}

/// Classifies a name that is not a key.
pub(super) fn classify(name: &str) -> UnknownName {
    let upper = name.to_ascii_uppercase();
    let stem = |name: &str| PREFIXES.iter().find_map(|prefix| Some(name.strip_prefix(prefix)?.len()));
    if let Some((_, right)) = OTHERS.iter().find(|(other, _)| *other == name) {
        return UnknownName::Others(right);
    }
    if let Some((_, right)) = ALIASES.iter().find(|(alias, _)| *alias == upper) {
        return UnknownName::NearMiss(right);
    }
    let near = KEYS
        .iter()
        .map(|key| (strsim::damerau_levenshtein(&upper, key.name), key.name))
        .min()
        // In a short word, two wrong letters make another word.
        .filter(|&(wrong, right)| wrong <= WRONG_LETTERS_MAX && wrong * 3 <= stem(right).unwrap_or(right.len()));
    match near {
        Some((_, right)) => UnknownName::NearMiss(right),
        None if stem(&upper).is_some() => UnknownName::Unknown,
        None => UnknownName::NotOurs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_is_distinguished_from_a_variable_of_another_program() {
        for (name, expected) in [
            ("POSTGRES_POOOL_SIZE", UnknownName::NearMiss("POSTGRES_POOL_SIZE")),
            ("POSTGRES_POOLSIZE", UnknownName::NearMiss("POSTGRES_POOL_SIZE")),
            ("POSTGRES_HSOT", UnknownName::NearMiss("POSTGRES_HOST")),
            ("POSTGRES_HOSTNAME", UnknownName::NearMiss("POSTGRES_HOST")),
            ("POSTGRES_DATABASE", UnknownName::Others("POSTGRES_DB")),
            ("POSTGRES_URL", UnknownName::Others("DATABASE_URL")),
            ("postgres_password", UnknownName::NearMiss("POSTGRES_PASSWORD")),
            ("MCP_LOG_LEVL", UnknownName::NearMiss("MCP_LOG_LEVEL")),
            ("DATABASE_URI", UnknownName::Others("DATABASE_URL")),
            ("DATABSE_URL", UnknownName::NearMiss("DATABASE_URL")),
            ("POSTGRES_INITDB_ARGS", UnknownName::Unknown),
            ("POSTGRES_HOST_AUTH_METHOD", UnknownName::Unknown),
            ("MCP_TRANSPORT", UnknownName::Unknown),
            ("DATABASE_PASSWORD", UnknownName::NotOurs),
            ("PATH", UnknownName::NotOurs),
        ] {
            assert_eq!(classify(name), expected, "{name}");
        }
    }
}
