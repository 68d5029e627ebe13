//! The executor with a real PostgreSQL. The test sends it messages and plays the metrics.

use std::sync::Arc;
use std::time::Duration;

use actix::dev::Request;
use actix::prelude::*;
use mcp_server_postgres::actors::executor::Executor;
use mcp_server_postgres::caller::Caller;
use mcp_server_postgres::messages::admin::{DatabaseStatus, Status};
use mcp_server_postgres::messages::call::CallContext;
use mcp_server_postgres::messages::events::{Events, PoolRebuilt, SettingsChanged, StatementEnded};
use mcp_server_postgres::messages::statements::{Answered, Batch, BatchError, Cursor, Fetch, Query};
use mcp_server_postgres::postgres::error::QueryError;
use mcp_server_postgres::postgres::pool::PoolStatus;
use mcp_server_postgres::postgres::statement::{Format, Limits, Outcome, Reading};
use mcp_server_postgres::settings::{AccessMode, MAIN_DATABASE, Secret, Settings};
use pg_guard::parser::Parser;
use pg_guard::{Policy, Statement};
use pg_private::{Options, PrivateCluster};
use serde_json::{Value, json};
use tokio_postgres::{Client, NoTls};
use tokio_util::task::TaskTracker;

mod absence;
mod access;
mod again;
mod answers;
mod batch;
mod calls;
mod cancel;
mod causes;
mod connection;
mod cursors;
mod dialect;
mod encryption;
mod engines;
mod events;
mod facts;
mod fair;
mod guard;
mod health;
mod hosts;
mod inspect;
mod limits;
mod login;
mod notices;
mod pooler;
mod reads;
mod rejections;
mod reload;
mod resize;
mod role;
mod tls;
mod values;

use crate::common::heard::{Lines, heard};
use crate::common::scripted::{Script, scripted};
use crate::common::{PATIENCE, settings_with, until};

/// An executor, its PostgreSQL, and what the executor reports.
struct World {
    /// Dropped first, so that its connections end before their server.
    executor: Addr<Executor>,
    finished: Script<StatementEnded>,
    rebuilt: Script<PoolRebuilt>,
    log: Lines,
    settings: Arc<Settings>,
    reading: Reading,
    /// A direct connection to the same database.
    observer: Client,
    cluster: PrivateCluster,
}

impl World {
    /// In read-only mode, the default.
    async fn new() -> Self {
        Self::with(Options::new(), |_| {}).await
    }

    async fn read_write() -> Self {
        Self::with(Options::new(), |settings| settings.access = AccessMode::ReadWrite).await
    }

    async fn with(options: Options, change: impl FnOnce(&mut Settings)) -> Self {
        let cluster = options.start().unwrap();
        let observer = connect(&cluster.url()).await;
        let settings = settings_of(&cluster, change);
        let (executor, (finished, rebuilt), log) = start(&settings);
        let limits = Limits { rows_max: settings.limits.rows_max, bytes_max: settings.limits.bytes_max };
        let reading = Reading { limits, format: Format::Table, cell_offset: 0 };
        Self { executor, finished, rebuilt, log, settings: Arc::new(settings), reading, observer, cluster }
    }

    /// Runs SQL on the direct connection.
    async fn prepare(&self, sql: &str) {
        self.observer.batch_execute(sql).await.unwrap();
    }

    /// The first column of the first row, read on the direct connection.
    async fn observed<T: for<'a> tokio_postgres::types::FromSql<'a>>(&self, sql: &str) -> T {
        self.observer.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// Sends a query and does not wait for the answer.
    fn ask(&self, sql: &str, parameters: Value) -> Request<Executor, Query> {
        self.ask_as(Caller::stdio(), sql, parameters)
    }

    /// The same for another client.
    fn ask_as(&self, caller: Caller, sql: &str, parameters: Value) -> Request<Executor, Query> {
        let statement = statement(sql, parameters);
        self.executor.send(Query { call: CallContext::new("a test", caller), statement, reading: self.reading })
    }

    async fn query(&self, sql: &str) -> Result<Answered<Outcome>, QueryError> {
        self.ask(sql, json!([])).await.unwrap()
    }

    /// The rows of the answer as JSON.
    async fn rows(&self, sql: &str) -> String {
        format!("[{}]", self.query(sql).await.unwrap().answer.page.json)
    }

    async fn refusal(&self, sql: &str) -> String {
        self.query(sql).await.map(|answered| answered.answer).expect_err(sql).for_model()
    }

    /// Runs a query with a limit of rows. The answer must have a cursor.
    async fn first(&self, sql: &str, rows_max: usize) -> (String, Cursor) {
        let reading = Reading { limits: Limits { rows_max, ..self.reading.limits }, ..self.reading };
        let query =
            Query { call: CallContext::new("a test", Caller::stdio()), statement: statement(sql, json!([])), reading };
        let answered = self.executor.send(query).await.unwrap().unwrap();
        (format!("[{}]", answered.answer.page.json), answered.cursor.unwrap())
    }

    /// Fetches the next page and does not wait for it.
    fn fetch(&self, cursor: &Cursor, rows_max: usize) -> Request<Executor, Fetch> {
        let limits = Limits { rows_max, ..self.reading.limits };
        let cursor = cursor.handle.clone();
        self.executor.send(Fetch { call: CallContext::new("a test", Caller::stdio()), cursor, limits, format: None })
    }

    /// The next rows as JSON, and the cursor for the page after them.
    async fn next(&self, cursor: &Cursor, rows_max: usize) -> (String, Option<Cursor>) {
        let answered = self.fetch(cursor, rows_max).await.unwrap().unwrap();
        (format!("[{}]", answered.answer.page.json), answered.cursor)
    }

    /// The error instead of the next rows.
    async fn no_next(&self, cursor: &Cursor) -> String {
        self.fetch(cursor, 1).await.unwrap().unwrap_err().for_model()
    }

    fn ask_batch(&self, statements: &[(&str, Value)]) -> Request<Executor, Batch> {
        let statements = statements.iter().map(|(sql, parameters)| statement(sql, parameters.clone())).collect();
        self.executor.send(Batch {
            call: CallContext::new("a test", Caller::stdio()),
            statements,
            reading: self.reading,
        })
    }

    async fn batch(&self, statements: &[(&str, Value)]) -> Result<Answered<Vec<Outcome>>, BatchError> {
        self.ask_batch(statements).await.unwrap()
    }

    async fn change(&mut self, change: impl FnOnce(&mut Settings)) {
        let old = self.settings.clone();
        let mut new = (*old).clone();
        change(&mut new);
        let new = Arc::new(new);
        self.settings = new.clone();
        self.executor.send(SettingsChanged { old, new }).await.unwrap();
    }

    async fn status(&self) -> PoolStatus {
        self.health().await.pool
    }

    async fn health(&self) -> DatabaseStatus {
        self.executor.send(Status).await.unwrap()
    }

    /// How many backends of the executor are in this state; `%` for any state.
    async fn backends(&self, state: &str) -> i64 {
        let sql = "select count(*) from pg_stat_activity where application_name = 'test' and state like $1";
        self.observer.query_one(sql, &[&state]).await.unwrap().get(0)
    }

    /// Waits until this number of backends are in `pg_sleep`. The statement before it on the same connection has then
    /// ended.
    async fn until_asleep(&self, count: i64) {
        let sql = "select count(*) from pg_stat_activity where application_name = 'test' and wait_event = 'PgSleep'";
        let asleep = async || self.observer.query_one(sql, &[]).await.unwrap().get::<_, i64>(0);
        until(&format!("{count} backends asleep"), async || asleep().await == count).await;
    }

    async fn until_backends(&self, state: &str, count: i64) {
        until(&format!("{count} backends {state}"), async || self.backends(state).await == count).await;
    }
}

fn settings_of(cluster: &PrivateCluster, change: impl FnOnce(&mut Settings)) -> Settings {
    settings_with(|settings| {
        settings.postgres.target.ports = vec![cluster.port()];
        settings.postgres.target.database = "postgres".to_owned();
        settings.postgres.target.user = "postgres".to_owned();
        // Functions that these tests use for long statements, for ending connections and for session state. With them
        // only PostgreSQL protects the database.
        settings.policy.allow = [
            "pg_sleep",
            "pg_terminate_backend",
            "set_config",
            "pg_advisory_lock",
            "pg_advisory_lock_shared",
            "pg_advisory_xact_lock_shared",
            "mischief",
        ]
        .map(str::to_owned)
        .into();
        change(settings);
    })
}

fn start(settings: &Settings) -> (Addr<Executor>, (Script<StatementEnded>, Script<PoolRebuilt>), Lines) {
    let (log, lines) = heard();
    let ((finished, finishes), (rebuilt, rebuilds)) = (scripted(), scripted());
    let events = Events { statement_ended: finished.into(), pool_rebuilt: rebuilt.into(), ..Events::default() };
    let executor = Executor::new(MAIN_DATABASE, settings, parser(&log), events, TaskTracker::new(), &log).unwrap();
    (executor.start(), (finishes, rebuilds), lines)
}

fn parser(log: &slog::Logger) -> Arc<Parser> {
    Arc::new(Parser::new(env!("CARGO_BIN_EXE_mcp-server-postgres").into(), log))
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    actix_rt::spawn(connection);
    client
}

fn statement(sql: &str, parameters: Value) -> Statement {
    let Value::Array(parameters) = parameters else { panic!("parameters are a list here") };
    Statement::new(sql, parameters).unwrap()
}

fn password(text: &str) -> Option<Secret> {
    Some(Secret::new(text))
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
