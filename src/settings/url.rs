//! `DATABASE_URL`: one text that stands for several keys (manual, section 34.1.1.2, Connection URIs).

use std::str::FromStr;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, TargetSessionAttrs};

/// Parameters after the `?` that mean something here. libpq has more; one that would be ignored is refused.
const PARAMETERS: [&str; 11] = [
    "application_name",
    "connect_timeout",
    "dbname",
    "host",
    "options",
    "password",
    "port",
    "sslmode",
    "sslrootcert",
    "target_session_attrs",
    "user",
];

/// The keys that `url` sets, and their values.
///
/// # Errors
/// What is wrong, without any part of the URL that could be a password.
pub(super) fn parts(url: &str) -> Result<Vec<(&'static str, String)>, String> {
    const FORM: &str = "postgres://user:password@host:port/database";
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(format!("it must be like {FORM}"));
    }
    let is_hex = |pair: &str| pair.get(..2).is_some_and(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit()));
    if !url.split('%').skip(1).all(is_hex) {
        return Err("a % in it is not followed by two hexadecimal digits; write a percent sign as %25".to_owned());
    }
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    if query.contains('@') {
        // Not a parameter then, and not to be shown.
        return Err(
            "it has an @ after a ?; in the user and the password write ? as %3F, in a parameter @ as %40".to_owned()
        );
    }
    let mut parts = Vec::new();
    let mut for_the_driver = Vec::new();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').ok_or("a parameter after the ? has no =")?;
        if !PARAMETERS.contains(&name) {
            let all = PARAMETERS.join(", ");
            let shown: String = name.chars().take(40).collect();
            return Err(format!("its parameter `{shown}` is not known here; there are {all}"));
        }
        let decoded = || {
            let text = percent_decode_str(value).decode_utf8();
            text.map(String::from).map_err(|_| format!("its parameter {name} is not UTF-8"))
        };
        match name {
            // The driver knows three of the modes, and no root certificate.
            "sslmode" => parts.push(("POSTGRES_SSL_MODE", decoded()?)),
            "sslrootcert" => parts.push(("POSTGRES_SSL_ROOT_CERT", decoded()?)),
            _ => for_the_driver.push(parameter),
        }
    }
    let rest = format!("{base}?{}", for_the_driver.join("&"));
    let config = Config::from_str(&rest).map_err(|error| {
        let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        format!("{why}; it must be like {FORM}, with %XX for special characters in the user and the password")
    })?;

    let hosts: Vec<String> = config.get_hosts().iter().map(host).collect();
    if !hosts.is_empty() {
        parts.push(("POSTGRES_HOST", hosts.join(",")));
    }
    let ports: Vec<String> = config.get_ports().iter().map(ToString::to_string).collect();
    if !ports.is_empty() {
        parts.push(("POSTGRES_PORT", ports.join(",")));
    }
    let password = config.get_password().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let given = [
        ("POSTGRES_DB", config.get_dbname().map(str::to_owned)),
        ("POSTGRES_USER", config.get_user().map(str::to_owned)),
        ("POSTGRES_PASSWORD", password),
        ("POSTGRES_APPLICATION_NAME", config.get_application_name().map(str::to_owned)),
        ("POSTGRES_OPTIONS", config.get_options().map(str::to_owned)),
        ("POSTGRES_CONNECT_TIMEOUT", config.get_connect_timeout().map(|time| time.as_secs().to_string())),
        ("POSTGRES_TARGET_SESSION_ATTRS", session_attrs(config.get_target_session_attrs())),
    ];
    parts.extend(given.into_iter().filter_map(|(key, text)| Some((key, text.filter(|text| !text.is_empty())?))));
    Ok(parts)
}

fn host(host: &Host) -> String {
    match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(folder) => folder.display().to_string(),
    }
}

fn session_attrs(attrs: TargetSessionAttrs) -> Option<String> {
    match attrs {
        TargetSessionAttrs::ReadWrite => Some("read-write".to_owned()),
        TargetSessionAttrs::ReadOnly => Some("read-only".to_owned()),
        _ => None,
    }
}
