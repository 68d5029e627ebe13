//! The server under test, from the tool on, with a PostgreSQL. It is in read-only mode and connects as superuser.

use actix::prelude::*;
use mcp_server_postgres::actors::executor::Executor;
use mcp_server_postgres::caller::Caller;
use mcp_server_postgres::messages::answer::{Answer, Reply};
use mcp_server_postgres::messages::call::CallContext;
use mcp_server_postgres::messages::database::ClientDatabases;
use mcp_server_postgres::messages::events::Events;
use mcp_server_postgres::messages::metrics::{MetricsHandle, SlowQueries, Summary};
use mcp_server_postgres::settings::{AccessMode, MAIN_DATABASE, Settings};
use mcp_server_postgres::tools::{self, Defaults, ToolContext};
use pg_guard::parser::Parser;
use serde_json::{Value, json};
use tokio_util::task::TaskTracker;

use std::sync::Arc;
use std::time::Duration;

use crate::common::databases::set_of;
use crate::common::scripted::{Script, scripted};
use crate::common::{no_log, settings_with};

/// An executor, and the context of a tool that uses it.
pub struct Served {
    context: ToolContext,
    defaults: Defaults,
    /// The messages to the metrics, which no test reads.
    _unread: (Script<Summary>, Script<SlowQueries>),
}

impl Served {
    /// The pool has one connection, so that the next call would see what a call leaves on it.
    pub fn start(port: u16, database: &str) -> Self {
        Self::within(port, database, Duration::from_secs(3))
    }

    /// The same with this timeout for statements.
    pub fn within(port: u16, database: &str, command_timeout: Duration) -> Self {
        Self::with(port, database, |settings| settings.postgres.clocks.command_timeout = command_timeout)
    }

    /// The same in this access mode.
    pub fn in_mode(port: u16, database: &str, access: AccessMode) -> Self {
        Self::with(port, database, |settings| settings.access = access)
    }

    /// The same as this user.
    pub fn as_user(port: u16, database: &str, user: &str) -> Self {
        Self::with(port, database, |settings| settings.postgres.target.user = user.to_owned())
    }

    fn with(port: u16, database: &str, change: impl FnOnce(&mut Settings)) -> Self {
        let settings: Settings = settings_with(|settings| {
            settings.postgres.target.ports = vec![port];
            settings.postgres.target.database = database.to_owned();
            settings.postgres.target.user = "postgres".to_owned();
            settings.postgres.pool.size = 1;
            change(settings);
        });
        let parser = || Arc::new(Parser::new(env!("CARGO_BIN_EXE_mcp-server-postgres").into(), &no_log()));
        let (summary, summaries) = scripted();
        let (slow_queries, slow_lists) = scripted();
        let events = Events::default();
        let executor =
            Executor::new(MAIN_DATABASE, &settings, parser(), events, TaskTracker::new(), &no_log()).unwrap();
        let (database, _) = executor.into_database(Actor::start);
        let set = set_of([database]);
        let context = ToolContext {
            call: CallContext::new("async_query_execute", Caller::stdio()),
            database: set.borrow().served[0].clone(),
            may_name_database: false,
            databases: Arc::new(ClientDatabases::all(set.subscribe())),
            metrics: Arc::new(MetricsHandle { summary, slow_queries }),
        };
        Self { context, defaults: Defaults::of(&settings), _unread: (summaries, slow_lists) }
    }

    /// The answer of the tool.
    pub async fn answer(&self, sql: &str, parameters: &[&str]) -> Answer {
        let arguments = json!({"query": sql, "parameters": parameters});
        let Value::Object(arguments) = arguments else { unreachable!() };
        let mut context = self.context.clone();
        context.call.arguments = Arc::new(arguments.into());
        let work = (tools::find("async_query_execute").unwrap().call)(context, self.defaults);
        let Reply::Answer(answer) = work.await else { panic!("this tool asks nothing") };
        answer
    }

    /// The rows as compact JSON, or the text of the failure.
    pub async fn rows(&self, sql: &str) -> Result<String, String> {
        let answer = self.answer(sql, &[]).await;
        match &answer.structured {
            Some(structured) => Ok(serde_json::from_str::<Value>(&structured.to_string()).unwrap()["rows"].to_string()),
            None => Err(answer.whole_text()),
        }
    }
}
