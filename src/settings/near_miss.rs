//! Names that are no keys of this server: whether they belong to another program or are misspelt keys.

use super::keys::{DATABASE_URL, KEYS};

/// The prefixes of this server's keys, except DATABASE_URL.
const PREFIXES: [&str; 2] = ["POSTGRES_", "MCP_"];

/// Usual mistakes for a key that have too many wrong letters to be found by their number.
const ALIASES: &[(&str, &str)] = &[
    ("POSTGRES_DATABASE", "POSTGRES_DB"),
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
    ("POSTGRES_URL", DATABASE_URL),
    ("POSTGRES_DATABASE_URL", DATABASE_URL),
    ("MCP_ACCESS", "MCP_ACCESS_MODE"),
    ("MCP_MODE", "MCP_ACCESS_MODE"),
    ("MCP_LOGFILE", "MCP_LOG_FILE"),
];

/// How many letters of a misspelt key may be wrong.
const WRONG_LETTERS_MAX: usize = 2;

/// What a name is that is no key.
#[derive(Debug, PartialEq)]
pub(super) enum UnknownName {
    /// It has nothing to do with this server.
    NotOurs,
    /// It has a prefix of this server and may belong to another program: `POSTGRES_INITDB_ARGS`.
    Unknown,
    /// It is probably this key, misspelt.
    NearMiss(&'static str),
}

/// Classifies a name that is no key.
pub(super) fn classify(name: &str) -> UnknownName {
    let upper = name.to_ascii_uppercase();
    let stem = |name: &str| PREFIXES.iter().find_map(|prefix| Some(name.strip_prefix(prefix)?.len()));
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
            ("POSTGRES_DATABASE", UnknownName::NearMiss("POSTGRES_DB")),
            ("postgres_password", UnknownName::NearMiss("POSTGRES_PASSWORD")),
            ("MCP_LOG_LEVL", UnknownName::NearMiss("MCP_LOG_LEVEL")),
            ("DATABASE_URI", UnknownName::NearMiss("DATABASE_URL")),
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
