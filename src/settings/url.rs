//! `DATABASE_URL`: one text that sets several keys. It is a URL or a list of keywords and values (PostgreSQL manual,
//! section 34.1.1, Connection Strings), also in the spellings of providers and other programs.

use std::str::FromStr;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

use parameters::{Effect, PARAMETERS};

mod parameters;
mod spelling;

const FORM: &str = "postgres://user:password@host:port/database";

/// The longest name of a parameter that is shown, in characters.
const NAME_BYTES_MAX: usize = 40;

/// The content of a connection string.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// The keys that it sets, each once, with their values.
    pub(super) keys: Vec<(&'static str, String)>,
    /// The parameters that have no effect.
    pub(super) ignored: Vec<String>,
}

/// Reads a connection string. As in libpq, a parameter replaces the same value before the `?`. The driver is not used
/// for the parameters: it supports only three of the six modes of TLS, and would read an `@` in a parameter as the end
/// of the password.
///
/// # Errors
/// What is wrong. It contains no part of the text that could be a password.
pub(super) fn parts(text: &str) -> Result<Parts, String> {
    let text = spelling::bare(text);
    let Some((scheme, rest)) = text.split_once("://") else {
        let pairs = spelling::keywords(text).filter(|pairs| pairs.iter().all(|(name, _)| effect(name).is_some()));
        return obey(Vec::new(), &pairs.ok_or_else(|| format!("it must be like {FORM}"))?);
    };
    spelling::check_scheme(scheme).map_err(|why| format!("{why}; it must be like {FORM}"))?;
    let (base, query) = split_query(rest);
    let keys = before_the_query(base)?;
    let mut parameters = Vec::new();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').ok_or("a parameter after the ? has no =")?;
        // If an `@` follows, the `?` may be part of the password, and so may the name.
        if effect(name).is_none() && (query.contains('@') || !is_showable(name)) {
            return Err(
                "after the ? there is a parameter that is not known; a ? in the password is written %3F".to_owned()
            );
        }
        let value = percent_decode_str(value).decode_utf8();
        let value = value.map_err(|_| format!("its parameter {name} is not UTF-8"))?;
        parameters.push((name.to_owned(), value.into_owned()));
    }
    obey(keys, &parameters)
}

/// The key that a parameter of libpq sets; `None` if it sets none.
pub(super) fn key_of(parameter: &str) -> Option<&'static str> {
    match effect(parameter)? {
        Effect::Sets(key) | Effect::Word(key, _) => Some(key),
        _ => None,
    }
}

fn effect(name: &str) -> Option<&'static Effect> {
    PARAMETERS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, effect)| effect)
}

fn is_showable(name: &str) -> bool {
    let is_inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.chars().all(is_inside)
}

/// Adds the effects of the parameters to `keys`.
fn obey(mut keys: Vec<(&'static str, String)>, parameters: &[(String, String)]) -> Result<Parts, String> {
    let mut ignored = Vec::new();
    for (name, _) in parameters.iter().filter(|(name, _)| effect(name).is_none()) {
        if parameters::may_protect(name) {
            return Err(format!(
                "its parameter {name} is not known here, and may ask for a protection that is not there"
            ));
        }
        ignored.push(name.clone());
    }
    let mut session = String::new();
    for (known, effect) in PARAMETERS {
        let given = parameters.iter().rfind(|(name, _)| known.eq_ignore_ascii_case(name));
        let Some((name, value)) = given else { continue };
        let mut set = |key: &'static str, text: &str| {
            keys.retain(|(set, _)| *set != key);
            keys.push((key, text.to_owned()));
        };
        match effect {
            Effect::Sets(key) => set(key, value),
            Effect::Word(key, words) => match words.iter().find(|(word, _)| word.eq_ignore_ascii_case(value)) {
                Some((_, "")) => {}
                Some((_, meaning)) => set(key, meaning),
                None => set(key, value),
            },
            Effect::Session(setting) => session.push_str(&format!(" -c {setting}={}", for_options(value))),
            Effect::Schema => session.push_str(&format!(" -c search_path={}", for_options(&identifier(value)))),
            Effect::Nothing => ignored.push(name.clone()),
            Effect::Only(harmless, why) => {
                if !value.is_empty() && !harmless.iter().any(|one| one.eq_ignore_ascii_case(value)) {
                    return Err(format!("its parameter {name} asks for what cannot be had: {why}"));
                }
            }
        }
    }
    if !session.is_empty() {
        let options = keys.iter().position(|(key, _)| *key == OPTIONS).map(|at| keys.remove(at).1).unwrap_or_default();
        keys.push((OPTIONS, format!("{options}{session}").trim_start().to_owned()));
    }
    keys.retain(|(_, text)| !text.is_empty());
    Ok(Parts { keys, ignored })
}

const OPTIONS: &str = "POSTGRES_OPTIONS";

/// A value in the options for a backend, where white space separates options (manual, `options` of libpq).
fn for_options(value: &str) -> String {
    let is_special = |c: char| c.is_whitespace() || c == '\\';
    value.chars().flat_map(|c| is_special(c).then_some('\\').into_iter().chain([c])).collect()
}

/// A name as SQL writes it.
fn identifier(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    match name.chars().all(is_plain) && !name.starts_with(|c: char| c.is_ascii_digit()) {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

/// Splits into `user:password@host:port/database` and `name=value&…`. A `?` in the user or the password does not begin
/// the parameters: as in libpq, the user and the password end at an `@` that is before any `/`.
fn split_query(rest: &str) -> (&str, &str) {
    let authority = rest.find('/').unwrap_or(rest.len());
    let from = rest[..authority].find('@').unwrap_or(0);
    match rest[from..].find('?') {
        Some(at) => (&rest[..from + at], &rest[from + at + 1..]),
        None => (rest, ""),
    }
}

fn before_the_query(base: &str) -> Result<Vec<(&'static str, String)>, String> {
    // With the wrong `@`, a part of the password would be taken for the host, which is printed and logged.
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
