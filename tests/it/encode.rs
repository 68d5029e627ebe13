//! Compares the texts that the encoder writes from binary values with those of the server's output functions: for every
//! built-in type, for the types of the packaged extensions, and for thousands of pseudo-random values.
//!
//! The expected texts come by the simple query protocol, which sends all values as texts (PostgreSQL manual, section
//! 55.2.2). No server sends malformed bytes; the unit tests of pg-render have those.

mod extensions;
mod json;
mod nested;
mod numbers;
mod page;
mod random;
mod round_trip;
mod server_text;
mod shapes;
mod texts;
mod times;

use std::collections::BTreeSet;
use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use std::sync::Arc;

use mcp_server_postgres::postgres::cancel::{Canceller, Tls};
use mcp_server_postgres::postgres::connection::{Connection, Dialled, ExecTarget, Wanted};
use mcp_server_postgres::postgres::error::QueryError;
use mcp_server_postgres::postgres::needs::{self, ServerTimeouts};
use mcp_server_postgres::postgres::run::{self, FetchMode, RunProgress, RunResult};
use mcp_server_postgres::postgres::statement::{Format, Limits, Outcome, Reading};
use mcp_server_postgres::progress::Progress;
use mcp_server_postgres::settings::{AccessMode, SslMode};
use mcp_server_postgres::tls;
use pg_guard::parser::Parser;
use pg_guard::{Guard, Policy};
use pg_private::PrivateCluster;
use pg_render::{Codec, DecodeError};
use serde_json::Value;
use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::common::versions::version;

/// The settings under which the server's texts are those of the encoder.
const USUAL: &str = "set TimeZone = 'UTC'; set DateStyle = 'ISO'; set IntervalStyle = 'postgres'; \
                        set bytea_output = 'hex'; set extra_float_digits = 1";

/// Settings that change the server's texts.
const OTHER: &str = "set TimeZone = 'Asia/Kathmandu'; set DateStyle = 'SQL, DMY'; \
                        set IntervalStyle = 'sql_standard'; set bytea_output = 'escape'; set extra_float_digits = -10";

/// A cluster for one test, and a session.
pub struct Server {
    connection: Connection,
    version: u32,
    _cluster: PrivateCluster,
}

/// A value in binary form.
struct BinaryValue(Vec<u8>);

impl<'a> FromSql<'a> for BinaryValue {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(BinaryValue(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A column in binary form.
pub struct Column {
    pub type_: Type,
    pub values: Vec<Option<Vec<u8>>>,
}

impl Column {
    pub fn text(&self, row: usize) -> Result<Option<String>, DecodeError> {
        self.written(row, Codec::write_text)
    }

    pub fn json(&self, row: usize) -> Result<Option<String>, DecodeError> {
        self.written(row, Codec::write_json)
    }

    fn written(
        &self,
        row: usize,
        write: impl Fn(&Codec, &[u8], &mut Vec<u8>) -> Result<(), DecodeError>,
    ) -> Result<Option<String>, DecodeError> {
        let Some(raw) = &self.values[row] else { return Ok(None) };
        let mut out = Vec::new();
        write(&Codec::of(&self.type_), raw, &mut out)?;
        Ok(Some(String::from_utf8(out).unwrap()))
    }
}

impl Server {
    pub async fn start() -> Server {
        let cluster = PrivateCluster::start().unwrap();
        let (client, connection) = tokio_postgres::connect(&cluster.url(), NoTls).await.unwrap();
        let client = ClientWrapper::new(client, tokio::spawn(async { drop(connection.await) }));
        let access = AccessMode::ReadWrite;
        let needs = needs::of_session(access);
        let minute = Duration::from_secs(60);
        let server_timeouts = ServerTimeouts { statement: minute, idle_in_transaction: minute };
        let wanted = Wanted { access, needs: &needs, server_timeouts, history: Arc::default() };
        let version = version(&client).await;
        let no_tls = MakeRustlsConnect::new(tls::client::for_postgres(SslMode::Disable, None, None).unwrap());
        let canceller = Arc::new(Canceller::new(cluster.url().parse().unwrap(), Tls::Direct(no_tls)));
        let dialled = Dialled { client, inbox: Arc::default(), canceller };
        let connection = Connection::open(dialled, wanted, true).await.unwrap();
        connection.client().batch_execute(USUAL).await.unwrap();
        Server { version, connection, _cluster: cluster }
    }

    pub fn client(&self) -> &Client {
        self.connection.client()
    }

    /// The expressions that the version of this server supports.
    pub fn supported(&self, expressions: &'static [&'static str]) -> impl Iterator<Item = &'static str> {
        let version = self.version;
        let is_known =
            move |expression: &&str| SINCE.iter().all(|(later, since)| later != expression || *since <= version);
        expressions.iter().copied().filter(is_known)
    }

    pub async fn run(&self, sql: &str) {
        self.client().batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    pub async fn prepare(&self, sql: &str) -> Statement {
        self.client().prepare(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    }

    pub async fn execute(&self, statement: &Statement) -> Column {
        let type_ = statement.columns()[0].type_().clone();
        let rows = self.client().query(statement, &[]).await.unwrap_or_else(|error| panic!("{type_}: {error:?}"));
        let values = rows.iter().map(|row| row.get::<_, Option<BinaryValue>>(0).map(|value| value.0)).collect();
        Column { type_, values }
    }

    /// The texts of the first column from PostgreSQL.
    pub async fn texts(&self, sql: &str) -> Vec<Option<String>> {
        let messages = self.client().simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let text = |message| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0).map(str::to_owned)),
            _ => None,
        };
        messages.into_iter().filter_map(text).collect()
    }

    /// The first column in binary form.
    pub async fn column(&self, sql: &str) -> Column {
        self.execute(&self.prepare(sql).await).await
    }

    /// The rows as a client of the server under test receives them, as JSON.
    pub async fn answer(&self, sql: &str, parameters: Vec<Value>) -> Result<Outcome, QueryError> {
        let statement = pg_guard::Statement::new(sql, parameters).unwrap();
        let limits = Limits { rows_max: 2_000, bytes_max: 1 << 20 };
        let reading = Reading { limits, format: Format::Json, cell_offset: 0 };
        // These tests do not need the guard.
        let parser = Parser::new("nowhere".into(), &slog::Logger::root(slog::Discard, slog::o!()));
        let guard = Arc::new(Guard::new(parser.into(), Policy::default()));
        let statement = guard.without_review(statement);
        let access = AccessMode::ReadOnly;
        let target = ExecTarget { connection: &self.connection, access, name: "test" };
        let read =
            run::query(target, &statement, reading, FetchMode::Portal, &RunProgress::new(Progress::default())).await;
        self.client().batch_execute("ROLLBACK").await.unwrap();
        read.map(|read| match read {
            RunResult::FirstPage(answer) => answer.outcome,
            RunResult::Outgrown => unreachable!("a portal is used"),
        })
    }

    /// Checks both formats of each expression: the text is that of PostgreSQL, and the JSON is valid and on one line.
    pub async fn check(&self, expressions: &'static [&'static str]) {
        let mut failures = Vec::new();
        for expression in self.supported(expressions) {
            let sql = format!("select {expression}");
            let expected = self.texts(&sql).await.remove(0);
            failures.extend(compare(expression, &self.column(&sql).await, 0, &expected));
        }
        report(failures, expressions.len());
    }
}

/// The difference in a row of a column, if there is one.
pub fn compare(expression: &str, column: &Column, row: usize, expected: &Option<String>) -> Option<String> {
    let name = column.type_.name();
    match column.text(row) {
        Ok(actual) if actual == *expected => {}
        actual => return Some(format!("{expression} ({name})\n    actual {actual:?}\n  expected {expected:?}")),
    }
    match column.json(row) {
        Ok(None) => None,
        Ok(Some(json)) if is_consistent(&json, &column.type_, expected.as_deref()) => None,
        json => {
            Some(format!("{expression} ({name})\n    actual {json:?}\n  expected JSON on one line, of {expected:?}"))
        }
    }
}

/// Whether `json` is valid and on one line. A scalar that is not of type json must have the characters of the text.
fn is_consistent(json: &str, type_: &Type, text: Option<&str>) -> bool {
    let is_own = matches!(*type_, Type::JSON | Type::JSONB);
    let is_same = match serde_json::from_str(json) {
        Err(_) => false,
        Ok(Value::String(string)) if !is_own => text == Some(&string),
        // Some readers would read -0 as an integer.
        Ok(Value::Number(_)) if !is_own => text == Some(if json == "-0.0" { "-0" } else { json }),
        Ok(Value::Bool(truth)) if !is_own => text == Some(if truth { "t" } else { "f" }),
        Ok(_) => true,
    };
    is_same && !json.contains(['\n', '\r'])
}

pub fn report(failures: Vec<String>, cases: usize) {
    assert!(failures.is_empty(), "{} of {cases} are wrong:\n{}", failures.len(), failures.join("\n"));
}

/// The tables of expressions, each with the SQL that prepares it.
const TABLES: &[(&str, &[&str])] = &[
    ("", numbers::EXPRESSIONS),
    ("", times::EXPRESSIONS),
    ("", texts::EXPRESSIONS),
    ("", shapes::EXPRESSIONS),
    (nested::SETUP, nested::EXPRESSIONS),
    (extensions::SETUP, extensions::EXPRESSIONS),
];

/// Expressions that only this version and later ones support.
const SINCE: &[(&str, u32)] = &[
    ("12345::numeric(3, -2)", 15),
    ("interval '2562047788:00:54.775807'", 15),
    ("interval '-2562047788:00:54.775807'", 15),
];

/// All of these tables, and the table of types that only PostgreSQL can show.
fn every_table() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    TABLES.iter().copied().chain([(server_text::SETUP, server_text::EXPRESSIONS)])
}

#[tokio::test]
async fn every_text_is_that_of_postgresql() {
    let server = Server::start().await;
    for (setup, expressions) in TABLES {
        server.run(setup).await;
        server.check(expressions).await;
    }
    assert!(TABLES.iter().map(|(_, expressions)| expressions.len()).sum::<usize>() >= 250);
}

#[tokio::test]
async fn the_settings_of_the_session_change_no_text() {
    let server = Server::start().await;
    let mut failures = Vec::new();
    // The types of the other tables consist of these.
    let expressions = [numbers::EXPRESSIONS, times::EXPRESSIONS, texts::EXPRESSIONS];
    for expression in expressions.into_iter().flat_map(|expressions| server.supported(expressions)) {
        let sql = format!("select {expression}");
        let expected = server.texts(&sql).await.remove(0);
        // Prepared with the usual settings, so that only the output of the value can differ.
        let statement = server.prepare(&sql).await;
        server.run(OTHER).await;
        failures.extend(compare(expression, &server.execute(&statement).await, 0, &expected));
        server.run(USUAL).await;
    }
    report(failures, expressions.concat().len());
}

#[tokio::test]
async fn every_built_in_type_of_a_column_is_in_a_table() {
    let server = Server::start().await;
    let mut seen = BTreeSet::new();
    for (setup, expressions) in every_table() {
        server.run(setup).await;
        for expression in server.supported(expressions) {
            seen.insert(server.prepare(&format!("select {expression}")).await.columns()[0].type_().oid());
        }
    }
    // Base types, ranges and multiranges that are built in. Arrays are tested by their elements, and rows of catalogs
    // by their columns.
    let sql = "select oid from pg_type where oid < 10000 and typtype in ('b', 'r', 'm') and typcategory <> 'A' \
               and typsend <> 0 order by 1";
    let all = server.client().query(sql, &[]).await.unwrap();
    let missing: Vec<_> = all
        .iter()
        .map(|row| row.get::<_, u32>(0))
        .filter(|oid| !seen.contains(oid))
        .map(|oid| Type::from_oid(oid).map_or_else(|| oid.to_string(), |type_| type_.name().to_owned()))
        .collect();
    assert!(missing.is_empty(), "no row shows {missing:?}");
}
