//! The encoder against PostgreSQL itself: what it writes from a binary value is what the server's own output function
//! writes, for every built-in type, for those of the packaged extensions, and for thousands of pseudo-random values.
//!
//! The oracle is the simple query protocol, whose values are always texts (manual, section 55.2.2). Malformed bytes,
//! which no server sends, are the unit tests' matter.

mod extensions;
mod foreign;
mod json;
mod nested;
mod numbers;
mod page;
mod random;
mod round_trip;
mod shapes;
mod texts;
mod times;

use std::collections::BTreeSet;

use deadpool_postgres::ClientWrapper;
use std::sync::Arc;

use mcp_server_postgres::postgres::connection::{Connection, ExecTarget};
use mcp_server_postgres::postgres::error::QueryError;
use mcp_server_postgres::postgres::run::{self, FetchMode, RunProgress, RunResult};
use mcp_server_postgres::postgres::statement::{Format, Limits, Outcome, Reading};
use mcp_server_postgres::progress::Progress;
use mcp_server_postgres::settings::AccessMode;
use pg_guard::parser::Parser;
use pg_guard::{Guard, Policy};
use pg_private::PrivateCluster;
use pg_render::{Codec, DecodeError};
use serde_json::Value;
use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage, Statement};

use crate::common::versions::version;

/// The settings under which the server's text is the one that the encoder promises.
const PROMISED: &str = "set TimeZone = 'UTC'; set DateStyle = 'ISO'; set IntervalStyle = 'postgres'; \
                        set bytea_output = 'hex'; set extra_float_digits = 1";

/// Settings that change the server's texts of the same values.
const CONTRARY: &str = "set TimeZone = 'Asia/Kathmandu'; set DateStyle = 'SQL, DMY'; \
                        set IntervalStyle = 'sql_standard'; set bytea_output = 'escape'; set extra_float_digits = -10";

/// A cluster of one test's own, and a session on it.
pub struct Server {
    connection: Connection,
    version: u32,
    _cluster: PrivateCluster,
}

/// A value as it came.
struct Wire(Vec<u8>);

impl<'a> FromSql<'a> for Wire {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Wire(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A column by the extended protocol, in binary.
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
        Server {
            version: version(&client).await,
            connection: Connection::open(client, PROMISED, "".into(), Arc::default()).await.unwrap(),
            _cluster: cluster,
        }
    }

    pub fn client(&self) -> &Client {
        self.connection.client()
    }

    /// Those of the expressions that the server's version has.
    pub fn known(&self, expressions: &'static [&'static str]) -> impl Iterator<Item = &'static str> {
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
        let values = rows.iter().map(|row| row.get::<_, Option<Wire>>(0).map(|wire| wire.0)).collect();
        Column { type_, values }
    }

    /// The first column's texts, by PostgreSQL.
    pub async fn texts(&self, sql: &str) -> Vec<Option<String>> {
        let messages = self.client().simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let text = |message| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0).map(str::to_owned)),
            _ => None,
        };
        messages.into_iter().filter_map(text).collect()
    }

    /// The first column in binary.
    pub async fn column(&self, sql: &str) -> Column {
        self.execute(&self.prepare(sql).await).await
    }

    /// The rows that a client of ours gets, as JSON.
    pub async fn answer(&self, sql: &str, parameters: Vec<Value>) -> Result<Outcome, QueryError> {
        let statement = pg_guard::Statement::new(sql, parameters).unwrap();
        let limits = Limits { rows_max: 2_000, bytes_max: 1 << 20 };
        let reading = Reading { limits, format: Format::Json, cell_offset: 0 };
        // What the guard thinks of it is not asked here.
        let parser = Parser::new("nowhere".into(), &slog::Logger::root(slog::Discard, slog::o!()));
        let guard = Arc::new(Guard::new(parser.into(), Policy::default()));
        let statement = guard.without_review(statement);
        let access = AccessMode::ReadOnly;
        let place = ExecTarget { connection: &self.connection, access, default_read_only: false, name: "test" };
        let read =
            run::query(place, &statement, reading, FetchMode::Portal, &RunProgress::new(Progress::default())).await;
        self.client().batch_execute("ROLLBACK").await.unwrap();
        read.map(|read| match read {
            RunResult::FirstPage(answer) => answer.outcome,
            RunResult::Outgrown => unreachable!("it is held"),
        })
    }

    /// Both writers on each expression: the text is PostgreSQL's, and the JSON is JSON on one line.
    pub async fn check(&self, expressions: &'static [&'static str]) {
        let mut failures = Vec::new();
        for expression in self.known(expressions) {
            let sql = format!("select {expression}");
            let wanted = self.texts(&sql).await.remove(0);
            failures.extend(compare(expression, &self.column(&sql).await, 0, &wanted));
        }
        report(failures, expressions.len());
    }
}

/// What is wrong with a row of a column.
pub fn compare(expression: &str, column: &Column, row: usize, wanted: &Option<String>) -> Option<String> {
    let name = column.type_.name();
    match column.text(row) {
        Ok(got) if got == *wanted => {}
        got => return Some(format!("{expression} ({name})\n     got {got:?}\n  wanted {wanted:?}")),
    }
    match column.json(row) {
        Ok(None) => None,
        Ok(Some(json)) if agrees(&json, &column.type_, wanted.as_deref()) => None,
        json => Some(format!("{expression} ({name})\n     got {json:?}\n  wanted JSON on one line, of {wanted:?}")),
    }
}

/// Whether it is JSON on one line, and a scalar that is not PostgreSQL's own JSON has the text's characters.
fn agrees(json: &str, type_: &Type, text: Option<&str>) -> bool {
    let is_own = matches!(*type_, Type::JSON | Type::JSONB);
    let agrees = match serde_json::from_str(json) {
        Err(_) => false,
        Ok(Value::String(string)) if !is_own => text == Some(&string),
        // -0 would be an integer to some readers.
        Ok(Value::Number(_)) if !is_own => text == Some(if json == "-0.0" { "-0" } else { json }),
        Ok(Value::Bool(truth)) if !is_own => text == Some(if truth { "t" } else { "f" }),
        Ok(_) => true,
    };
    agrees && !json.contains(['\n', '\r'])
}

pub fn report(failures: Vec<String>, cases: usize) {
    assert!(failures.is_empty(), "{} of {cases} are wrong:\n{}", failures.len(), failures.join("\n"));
}

/// Every table of expressions whose values the encoder writes, with what must exist before.
const TABLES: &[(&str, &[&str])] = &[
    ("", numbers::EXPRESSIONS),
    ("", times::EXPRESSIONS),
    ("", texts::EXPRESSIONS),
    ("", shapes::EXPRESSIONS),
    (nested::SETUP, nested::EXPRESSIONS),
    (extensions::SETUP, extensions::EXPRESSIONS),
];

/// Expressions that earlier versions refuse.
const SINCE: &[(&str, u32)] = &[
    ("12345::numeric(3, -2)", 15),
    ("interval '2562047788:00:54.775807'", 15),
    ("interval '-2562047788:00:54.775807'", 15),
];

/// These, and the one of the types that only PostgreSQL can show.
fn every_table() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    TABLES.iter().copied().chain([(foreign::SETUP, foreign::EXPRESSIONS)])
}

#[tokio::test]
async fn every_text_is_the_one_that_postgresql_writes() {
    let server = Server::start().await;
    for (setup, expressions) in TABLES {
        server.run(setup).await;
        server.check(expressions).await;
    }
    assert!(TABLES.iter().map(|(_, expressions)| expressions.len()).sum::<usize>() >= 250);
}

#[tokio::test]
async fn no_setting_of_the_session_changes_a_text() {
    let server = Server::start().await;
    let mut failures = Vec::new();
    // The types of the other tables are made of these.
    let expressions = [numbers::EXPRESSIONS, times::EXPRESSIONS, texts::EXPRESSIONS];
    for expression in expressions.into_iter().flat_map(|expressions| server.known(expressions)) {
        let sql = format!("select {expression}");
        let wanted = server.texts(&sql).await.remove(0);
        // Parsed under the promised settings, so that only the value's way to the client can differ.
        let statement = server.prepare(&sql).await;
        server.run(CONTRARY).await;
        failures.extend(compare(expression, &server.execute(&statement).await, 0, &wanted));
        server.run(PROMISED).await;
    }
    report(failures, expressions.concat().len());
}

#[tokio::test]
async fn every_built_in_type_that_a_column_can_have_is_in_one_of_the_tables() {
    let server = Server::start().await;
    let mut seen = BTreeSet::new();
    for (setup, expressions) in every_table() {
        server.run(setup).await;
        for expression in server.known(expressions) {
            seen.insert(server.prepare(&format!("select {expression}")).await.columns()[0].type_().oid());
        }
    }
    // Base types, ranges and multiranges of initdb; arrays go by their elements, the catalogues' rows by their columns.
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
