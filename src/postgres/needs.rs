//! The settings that this server needs in PostgreSQL, for a session of its own or for one transaction in a session that
//! a pooler lends.

use std::time::Duration;

use crate::settings::AccessMode;

/// A setting that this server needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    name: String,
    /// `None` means the value of a new session.
    value: Option<String>,
    pub purpose: Purpose,
}

/// What a setting is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Transactions are READ ONLY by default.
    ReadOnly,
    /// The guard and PostgreSQL must agree where a string ends. The guard reads only standard conforming strings.
    Strings,
    /// The form of values, and timeouts. Without the setting, values may look different.
    Values,
}

impl Need {
    fn new(name: &str, value: &str, purpose: Purpose) -> Self {
        Self { name: name.to_owned(), value: Some(value.to_owned()), purpose }
    }

    fn default_of(name: &str) -> Self {
        Self { name: name.to_owned(), value: None, purpose: Purpose::Values }
    }

    /// The SQL that sets it for the session.
    pub fn in_session(&self) -> String {
        format!("SET {} {}", self.name, self.to_value())
    }

    /// The SQL that sets it for the transaction.
    pub fn in_transaction(&self) -> String {
        format!("SET LOCAL {} {}", self.name, self.to_value())
    }

    fn to_value(&self) -> String {
        match &self.value {
            Some(value) => format!("TO {value}"),
            None if self.name == SESSION_AUTHORIZATION => "DEFAULT".to_owned(),
            None => "TO DEFAULT".to_owned(),
        }
    }
}

/// PostgreSQL's own timeouts. A stricter limit of the role, the database, the server or POSTGRES_OPTIONS stays in force: a
/// limit of a DBA is never raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerTimeouts {
    pub statement: Duration,
    pub idle_in_transaction: Duration,
}

impl ServerTimeouts {
    /// The SQL that sets them for the session.
    pub fn in_session(self) -> String {
        self.to_sql("SET", false)
    }

    /// The SQL that sets them for the transaction.
    pub fn in_transaction(self) -> String {
        self.to_sql("SET LOCAL", true)
    }

    fn to_sql(self, set: &str, is_local: bool) -> String {
        let limits =
            [("statement_timeout", self.statement), ("idle_in_transaction_session_timeout", self.idle_in_transaction)];
        let sql = limits.map(|(name, limit)| {
            let ms = limit.as_millis();
            format!(
                "{set} {name} TO DEFAULT; SELECT pg_catalog.set_config('{name}', '{ms}', {is_local}) \
                 FROM (SELECT pg_catalog.interval_in(pg_catalog.textout(pg_catalog.current_setting('{name}')), '0', -1)) AS theirs (limit_) \
                 WHERE limit_ = interval '0' OR limit_ > interval '{ms} milliseconds'"
            )
        });
        sql.join("; ")
    }
}

/// It has a syntax of its own.
const SESSION_AUTHORIZATION: &str = "SESSION AUTHORIZATION";

/// The settings that make PostgreSQL's texts equal to those of this server's own encoder, and strings equal to those of
/// the guard.
fn formats() -> impl Iterator<Item = Need> {
    let values =
        [("DateStyle", "ISO"), ("IntervalStyle", "postgres"), ("bytea_output", "hex"), ("extra_float_digits", "1")];
    let values = values.into_iter().map(|(name, value)| Need::new(name, value, Purpose::Values));
    values.chain([Need::new("standard_conforming_strings", "on", Purpose::Strings)])
}

/// What a session needs, besides the timeouts.
pub fn of_session(access: AccessMode) -> Vec<Need> {
    let read_only = Need::new("default_transaction_read_only", "on", Purpose::ReadOnly);
    (access == AccessMode::ReadOnly).then_some(read_only).into_iter().chain(formats()).collect()
}

/// Settings that other clients may have changed in a session that a pooler lends, and that affect statements, values or
/// timeouts. Settings that only a superuser can change are not included, because resetting them would fail too.
const OF_OTHERS: &[&str] = &[
    SESSION_AUTHORIZATION,
    "role",
    "search_path",
    // It includes the order of day and month, which the format does not change.
    "DateStyle",
    "TimeZone",
    "timezone_abbreviations",
    "row_security",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "xmlbinary",
    "xmloption",
    "array_nulls",
    "backslash_quote",
    "quote_all_identifiers",
    "transform_null_equals",
    "default_text_search_config",
    "gin_fuzzy_search_limit",
    "lock_timeout",
    "exit_on_error",
    "client_min_messages",
    "synchronous_commit",
    "check_function_bodies",
    "default_tablespace",
    "default_table_access_method",
    "default_transaction_read_only",
];

/// The settings of a transaction in a session that a pooler lends, besides the timeouts. `options` are those of the
/// operator.
pub fn of_transaction(options: &[(String, String)]) -> Vec<Need> {
    let of_others = OF_OTHERS.iter().map(|name| Need::default_of(name));
    let encoding = Need::new("client_encoding", "UTF8", Purpose::Values);
    let options = options.iter().map(|(name, value)| {
        let value = list(name, value);
        Need { name: name.clone(), value: Some(value), purpose: Purpose::Values }
    });
    of_others.chain([encoding]).chain(options).chain(formats()).collect()
}

/// A value as SQL. The elements of a list are quoted separately.
fn list(name: &str, value: &str) -> String {
    // An escape string has the same meaning for every value of standard_conforming_strings.
    let quoted = |value: &str| format!("E'{}'", value.replace('\\', r"\\").replace('\'', "''"));
    let is_list = ["search_path", "temp_tablespaces", "local_preload_libraries", "session_preload_libraries"];
    match is_list.iter().any(|list| list.eq_ignore_ascii_case(name)) {
        true => value.split(',').map(|part| quoted(part.trim().trim_matches('"'))).collect::<Vec<_>>().join(", "),
        false => quoted(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_of_a_transaction_end_with_it() {
        let timeouts =
            ServerTimeouts { statement: Duration::from_secs(31), idle_in_transaction: Duration::from_secs(90) };
        let (session, transaction) = (timeouts.in_session(), timeouts.in_transaction());
        assert!(session.starts_with("SET statement_timeout TO DEFAULT; ") && session.contains("'31000', false)"));
        assert!(transaction.starts_with("SET LOCAL statement_timeout TO DEFAULT; "));
        assert_eq!((transaction.matches("SET ").count(), transaction.matches("SET LOCAL ").count()), (2, 2));
        assert_eq!((transaction.matches(", true)").count(), transaction.matches(", false)").count()), (2, 0));
    }

    #[test]
    fn a_need_is_sql_for_a_session_and_for_a_transaction() {
        let needs = of_session(AccessMode::ReadOnly);
        assert_eq!(needs[0].in_session(), "SET default_transaction_read_only TO on");
        assert_eq!(of_session(AccessMode::ReadWrite).len() + 1, needs.len());
        let options = [("search_path", "app, \"$user\""), ("x.y", r"it's\")];
        let options = options.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let needs: Vec<_> = of_transaction(&options).iter().map(Need::in_transaction).collect();
        for expected in [
            "SET LOCAL SESSION AUTHORIZATION DEFAULT",
            "SET LOCAL search_path TO DEFAULT",
            "SET LOCAL search_path TO E'app', E'$user'",
            r"SET LOCAL x.y TO E'it''s\\'",
            "SET LOCAL DateStyle TO ISO",
        ] {
            assert!(needs.iter().any(|need| need == expected), "{expected}: {needs:?}");
        }
    }
}
