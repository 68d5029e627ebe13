//! The parameters of a connection string: those of libpq, and those that other programs add. A supported parameter sets
//! a key. A parameter without a meaning here is ignored with a warning. A parameter that asks for a protection which
//! this server cannot give is refused.

use super::super::keys::SERVICE;

/// The effect of a parameter.
pub(super) enum Effect {
    /// Its value is the value of this key.
    Sets(&'static str),
    /// Each of these words sets the key to the word beside it; `""` means that it sets nothing. Any other word is the
    /// value of the key.
    Word(&'static str, &'static [(&'static str, &'static str)]),
    /// It is a setting of the session, and becomes an option for the backend.
    Session(&'static str),
    /// It is the schema in which names are looked up.
    Schema,
    /// It has no effect here, and none is needed.
    Nothing,
    /// These values have no effect. Any other value asks for a protection, and the text says why it is not possible.
    Only(&'static [&'static str], &'static str),
}

use Effect::{Nothing, Only, Schema, Session, Sets, Word};

const APPLICATION_NAME: &str = "POSTGRES_APPLICATION_NAME";
const CONNECT_TIMEOUT: &str = "POSTGRES_CONNECT_TIMEOUT";
const DATABASE: &str = "POSTGRES_DB";
const KEEPALIVES: &str = "POSTGRES_KEEPALIVES";
const LOAD_BALANCE: &str = "POSTGRES_LOAD_BALANCE_HOSTS";
const SSL_MODE: &str = "POSTGRES_SSL_MODE";
const TARGET: &str = "POSTGRES_TARGET_SESSION_ATTRS";
const USER: &str = "POSTGRES_USER";

/// As in libpq, 0 means no limit; then the limit of this server is used.
const NO_TIME: &[(&str, &str)] = &[("0", ""), ("-1", "")];

/// Every parameter that has an effect. If two set the same key, the later row has priority.
pub(super) const PARAMETERS: &[(&str, Effect)] = &[
    ("fallback_application_name", Sets(APPLICATION_NAME)),
    ("applicationName", Sets(APPLICATION_NAME)),
    ("application_name", Sets(APPLICATION_NAME)),
    ("channel_binding", Sets("POSTGRES_CHANNEL_BINDING")),
    ("loginTimeout", Word(CONNECT_TIMEOUT, NO_TIME)),
    ("connectTimeout", Word(CONNECT_TIMEOUT, NO_TIME)),
    ("connect_timeout", Word(CONNECT_TIMEOUT, NO_TIME)),
    ("database", Sets(DATABASE)),
    ("dbname", Sets(DATABASE)),
    ("host", Sets("POSTGRES_HOST")),
    ("hostaddr", Sets("POSTGRES_HOSTADDR")),
    ("keepAlive", Sets(KEEPALIVES)),
    ("tcpKeepAlive", Sets(KEEPALIVES)),
    ("keepalives", Sets(KEEPALIVES)),
    ("keepalives_idle", Word("POSTGRES_KEEPALIVES_IDLE", NO_TIME)),
    ("keepalives_interval", Word("POSTGRES_KEEPALIVES_INTERVAL", NO_TIME)),
    ("keepalives_count", Word("POSTGRES_KEEPALIVES_COUNT", NO_TIME)),
    ("loadBalanceHosts", Word(LOAD_BALANCE, &[("true", "random"), ("false", "disable")])),
    ("load_balance_hosts", Sets(LOAD_BALANCE)),
    ("options", Sets("POSTGRES_OPTIONS")),
    ("password", Sets("POSTGRES_PASSWORD")),
    // Of Prisma and others: there is a pooler in transaction mode.
    ("pgbouncer", Word("POSTGRES_POOLER", &[("true", "transaction"), ("1", "transaction"), ("false", ""), ("0", "")])),
    ("port", Sets("POSTGRES_PORT")),
    ("passfile", Sets("POSTGRES_PASSFILE")),
    ("service", Sets(SERVICE)),
    ("sslcert", Sets("POSTGRES_SSL_CERT")),
    ("sslkey", Sets("POSTGRES_SSL_KEY")),
    // libpq accepts `ssl=true` of JDBC and treats it as `require`.
    ("ssl", Word(SSL_MODE, SSL_WORDS)),
    ("requiressl", Word(SSL_MODE, &[("1", "require"), ("0", "")])),
    ("sslmode", Sets(SSL_MODE)),
    ("sslaccept", Word(SSL_MODE, &[("strict", "verify-full"), ("accept_invalid_certs", "")])),
    ("sslnegotiation", Sets("POSTGRES_SSL_NEGOTIATION")),
    ("sslrootcert", Sets("POSTGRES_SSL_ROOT_CERT")),
    ("targetServerType", Sets(TARGET)),
    ("target_session_attrs", Sets(TARGET)),
    ("tcp_user_timeout", Word("POSTGRES_TCP_USER_TIMEOUT", NO_TIME)),
    ("username", Sets(USER)),
    ("user", Sets(USER)),
    // Settings of the session.
    ("idle_in_transaction_session_timeout", Session("idle_in_transaction_session_timeout")),
    ("lock_timeout", Session("lock_timeout")),
    ("statement_timeout", Session("statement_timeout")),
    ("currentSchema", Session("search_path")),
    ("search_path", Session("search_path")),
    ("schema", Schema),
    // Protections that this server does not have.
    ("gssencmode", Only(&["disable", "prefer"], "the connection can be encrypted by TLS, and not by GSSAPI")),
    ("min_protocol_version", Only(&["3.0"], "the protocol's version is 3.0")),
    ("replication", Only(&["false", "off", "no", "0"], "connections for replication run no queries")),
    (
        "require_auth",
        Only(&[], "which way of login is taken cannot be chosen; channel_binding=require takes SCRAM only"),
    ),
    ("requirepeer", Only(&[], "the owner of a socket's other end is not checked")),
    ("sslcertmode", Only(&["disable", "allow"], "whether the server asks for a certificate is not checked")),
    ("sslcrl", Only(&[], "certificates are not looked up in lists of those called back")),
    ("sslcrldir", Only(&[], "certificates are not looked up in lists of those called back")),
    ("sslidentity", Only(&[], "a certificate and its key are PEM files: sslcert and sslkey")),
    ("sslpassword", Only(&[], "the key of sslkey cannot have a passphrase")),
    ("ssl_min_protocol_version", Only(&["TLSv1", "TLSv1.1", "TLSv1.2"], "TLS 1.2 and 1.3 are both taken")),
    // Names that look like a protection, but ask for none that is missing.
    ("sslcompression", Nothing),
    ("sslfactory", Nothing),
    ("sslkeylogfile", Nothing),
    ("sslResponseTimeout", Nothing),
    ("sslsni", Nothing),
    ("ssl_max_protocol_version", Nothing),
];

const SSL_WORDS: &[(&str, &str)] = &[
    ("true", "require"),
    ("1", "require"),
    ("on", "require"),
    ("yes", "require"),
    ("false", "disable"),
    ("0", "disable"),
    ("off", "disable"),
    ("no", "disable"),
];

/// Whether an unknown parameter may ask for a protection.
pub(super) fn may_protect(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["ssl", "tls", "gss", "auth", "cert"].iter().any(|part| name.contains(part))
}
