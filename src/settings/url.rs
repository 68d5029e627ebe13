//! `DATABASE_URL`: one text that sets several keys (PostgreSQL's manual, "Connection URIs" in the chapter about libpq).

use std::str::FromStr;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

use super::keys::SERVICE;

/// The supported parameters after the `?`, and their keys. libpq has more; an unsupported one is refused and not ignored. The
/// driver does not read the parameters: it knows only three of the six modes of TLS, and would read an `@` in a parameter as
/// the end of the password.
const PARAMETERS: &[(&str, &str)] = &[
    ("application_name", "POSTGRES_APPLICATION_NAME"),
    ("channel_binding", "POSTGRES_CHANNEL_BINDING"),
    ("connect_timeout", "POSTGRES_CONNECT_TIMEOUT"),
    ("dbname", "POSTGRES_DB"),
    ("host", "POSTGRES_HOST"),
    ("options", "POSTGRES_OPTIONS"),
    ("passfile", "POSTGRES_PASSFILE"),
    ("password", "POSTGRES_PASSWORD"),
    ("port", "POSTGRES_PORT"),
    ("service", SERVICE),
    ("sslcert", "POSTGRES_SSL_CERT"),
    ("sslkey", "POSTGRES_SSL_KEY"),
    ("sslmode", "POSTGRES_SSL_MODE"),
    ("sslnegotiation", "POSTGRES_SSL_NEGOTIATION"),
    ("sslrootcert", "POSTGRES_SSL_ROOT_CERT"),
    ("target_session_attrs", "POSTGRES_TARGET_SESSION_ATTRS"),
    ("user", "POSTGRES_USER"),
];

/// The key of a parameter of libpq.
pub(super) fn key_of(parameter: &str) -> Option<&'static str> {
    PARAMETERS.iter().find(|(known, _)| *known == parameter).map(|(_, key)| *key)
}

const FORM: &str = "postgres://user:password@host:port/database";

/// The keys that `url` sets, each once, and their values. As in libpq, a parameter replaces the same value before the `?`.
///
/// # Errors
/// What is wrong. It contains no part of the URL that could be a password.
pub(super) fn parts(url: &str) -> Result<Vec<(&'static str, String)>, String> {
    let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"));
    let rest = rest.ok_or_else(|| format!("it must be like {FORM}"))?;
    let (base, query) = split_query(rest);
    let mut parts = before_the_query(base)?;
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').ok_or("a parameter after the ? has no =")?;
        let Some(key) = key_of(name) else {
            let all = PARAMETERS.iter().map(|(known, _)| *known).collect::<Vec<_>>().join(", ");
            // If an @ follows, the ? may be in a password, and the name a part of it.
            let quoted = if query.contains('@') {
                String::new()
            } else {
                format!(" `{}`", name.chars().take(40).collect::<String>())
            };
            return Err(format!("its parameter{quoted} is not known here; there are {all}"));
        };
        let value = percent_decode_str(value).decode_utf8();
        let value = value.map_err(|_| format!("its parameter {name} is not UTF-8"))?;
        parts.retain(|(set, _)| *set != key);
        parts.push((key, value.into_owned()));
    }
    parts.retain(|(_, text)| !text.is_empty());
    Ok(parts)
}

/// Splits into `user:password@host:port/database` and `name=value&…`. A `?` in the user or the password does not begin the
/// parameters: as in libpq, these two end at an `@` that is before any `/`.
fn split_query(rest: &str) -> (&str, &str) {
    let authority = rest.find('/').unwrap_or(rest.len());
    let from = rest[..authority].find('@').unwrap_or(0);
    match rest[from..].find('?') {
        Some(at) => (&rest[..from + at], &rest[from + at + 1..]),
        None => (rest, ""),
    }
}

fn before_the_query(base: &str) -> Result<Vec<(&'static str, String)>, String> {
    // With the wrong @ a part of the password would be read as the host, which is printed and logged.
    let authority = base.find('/').unwrap_or(base.len());
    if base.matches('@').count() > 1 || base[authority..].contains('@') {
        return Err(format!(
            "it is ambiguous: @ is written %40 and / is written %2F in the user, the password and the database; it must \
             be like {FORM}"
        ));
    }
    let config = Config::from_str(&format!("postgres://{}", base.replace('?', "%3F"))).map_err(|error| {
        let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        format!("{why}; it must be like {FORM}, with %XX for special characters in the user and the password")
    })?;
    let password = config.get_password().map(|bytes| String::from_utf8(bytes.to_vec()));
    let password = password.transpose().map_err(|_| "its password is not UTF-8".to_owned())?;
    let list = |texts: Vec<String>| (!texts.is_empty()).then(|| texts.join(","));
    let given = [
        ("POSTGRES_HOST", list(config.get_hosts().iter().map(host).collect())),
        ("POSTGRES_PORT", list(config.get_ports().iter().map(ToString::to_string).collect())),
        ("POSTGRES_DB", config.get_dbname().map(str::to_owned)),
        ("POSTGRES_USER", config.get_user().map(str::to_owned)),
        ("POSTGRES_PASSWORD", password),
    ];
    Ok(given.into_iter().filter_map(|(key, text)| Some((key, text?))).collect())
}

fn host(host: &Host) -> String {
    match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(folder) => folder.display().to_string(),
    }
}
