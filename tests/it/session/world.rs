//! A session whose neighbours are the test, and what these answer.

use std::sync::Arc;
use std::time::Duration;

use actix::dev::Request;
use actix::prelude::*;
use mcp_server_postgres::actors::session::Session;
use mcp_server_postgres::caller::Caller;
use mcp_server_postgres::messages::answer::{Answer, Reply};
use mcp_server_postgres::messages::ask::CannotAsk;
use mcp_server_postgres::messages::call::Call;
use mcp_server_postgres::messages::database::{ClientDatabases, Database, DatabaseSet, DatabaseSummary};
use mcp_server_postgres::messages::events::{CallEnded, Events, SettingsChanged};
use mcp_server_postgres::messages::metrics::{MetricsHandle, SlowQueries, Summary};
use mcp_server_postgres::messages::statements::{Answered, Batch, CloseCursorsOf, Fetch, Query};
use mcp_server_postgres::postgres::error::QueryError;
use mcp_server_postgres::postgres::statement::{ColumnInfo, Cut, FinishedPage, Outcome};
use mcp_server_postgres::progress::Progress;
use mcp_server_postgres::settings::{MAIN_DATABASE, Settings};
use tokio::sync::watch;

use crate::common::databases::set_of;
use crate::common::scripted::{Script, scripted};
use crate::common::{no_log, settings_with};

pub const QUERY: &str = "async_query_execute";
pub const FETCH: &str = "fetch_rows";
pub const BATCH: &str = "batch_query_execute";
pub const SUMMARY: &str = "performance_summary";
pub const SLOW: &str = "slow_queries";

/// A session whose neighbours are the test.
pub struct World {
    pub session: Addr<Session>,
    pub queries: Script<Query>,
    pub fetches: Script<Fetch>,
    pub batches: Script<Batch>,
    pub cursors_closed: Script<CloseCursorsOf>,
    pub summaries: Script<Summary>,
    pub slow_lists: Script<SlowQueries>,
    pub finished: Script<CallEnded>,
    pub _set: watch::Sender<Arc<DatabaseSet>>,
    /// What the database shows.
    pub _show: watch::Sender<DatabaseSummary>,
    pub settings: Arc<Settings>,
}

impl World {
    pub fn new(settings: Settings) -> Self {
        Self::of(Caller::stdio(), settings)
    }

    pub fn of(caller: Caller, settings: Settings) -> Self {
        let (query, queries) = scripted();
        let (fetch, fetches) = scripted();
        let (batch, batches) = scripted();
        let (close_cursors, cursors_closed) = scripted();
        let (summary, summaries) = scripted();
        let (slow_queries, slow_lists) = scripted();
        let (finished, finishes) = scripted();
        let (show, shown) = watch::channel(DatabaseSummary { access: settings.access, findings: [].into() });
        let database = Database {
            name: MAIN_DATABASE.into(),
            query,
            fetch,
            batch,
            inspect: scripted().0,
            close_cursors,
            summary: shown,
        };
        let metrics = MetricsHandle { summary, slow_queries };
        let events = Events { call_ended: finished.into(), ..Events::default() };
        let set = set_of([database]);
        let databases = ClientDatabases::all(set.subscribe());
        let session = Session::new(&settings, caller, databases, metrics, events, &no_log()).start();
        Self {
            session,
            queries,
            fetches,
            batches,
            cursors_closed,
            summaries,
            slow_lists,
            finished: finishes,
            _set: set,
            _show: show,
            settings: Arc::new(settings),
        }
    }

    pub fn call(&self, tool: &str, arguments: &str) -> Request<Session, Call> {
        let arguments = serde_json::from_str(arguments).unwrap();
        self.session.send(Call {
            tool: tool.to_owned(),
            arguments,
            progress: Progress::default(),
            trace: None,
            permit: None,
            client: Arc::new(CannotAsk::NoClient),
        })
    }

    /// A call of the query tool with this text.
    pub fn query(&self, sql: &str) -> Request<Session, Call> {
        self.call(QUERY, &serde_json::json!({ "query": sql }).to_string())
    }

    /// The operator's next settings: the usual ones with a change.
    pub async fn change(&mut self, change: impl FnOnce(&mut Settings)) {
        let old = self.settings.clone();
        let new = Arc::new(settings_with(change));
        self.settings = new.clone();
        self.session.send(SettingsChanged { old, new }).await.unwrap();
    }
}

pub fn answered<T>(answer: T) -> Answered<T> {
    Answered { answer, took: Duration::from_micros(1500), generation: 3, cursor: None }
}

/// What a statement without rows did.
pub fn done() -> Result<Answered<Outcome>, QueryError> {
    Ok(answered(Outcome::default()))
}

/// The page of a column `n` with these rows.
pub fn page(rows: &[i32], cut: Option<Cut>) -> FinishedPage {
    let texts: Vec<String> = rows.iter().map(i32::to_string).collect();
    FinishedPage {
        columns: [ColumnInfo { name: "n".to_owned(), type_name: "integer".to_owned() }].into(),
        json: texts.iter().map(|text| format!("[{text}]")).collect::<Vec<_>>().join(","),
        text: format!("n\n-\n{}", texts.iter().map(|text| format!("{text}\n")).collect::<String>()),
        rows_in_text: None,
        rows: rows.len(),
        json_cells: Vec::new(),
        cut_cells: Vec::new(),
        cut,
    }
}

/// The answer of a call that was let begin.
pub async fn answer_of(call: Request<Session, Call>) -> Answer {
    match call.await.unwrap().unwrap() {
        Reply::Answer(answer) => answer,
        Reply::InputRequired(input) => panic!("{input:?}"),
    }
}
