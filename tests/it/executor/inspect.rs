//! Catalog queries of this server, sent as messages.

use mcp_server_postgres::messages::database::Database;
use mcp_server_postgres::messages::events::StatementOutcome;
use mcp_server_postgres::messages::inspect::Inspect;
use mcp_server_postgres::postgres::catalog::role::RoleRights;
use mcp_server_postgres::postgres::catalog::{CatalogQuery, CatalogRow, CatalogRows, TypedParameter};
use mcp_server_postgres::postgres::error::{Clock, Phase};
use mcp_server_postgres::settings::RoleCheck;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::*;

/// A query whose row has one number.
#[derive(Debug, PartialEq, Eq)]
struct Number(i32);

impl CatalogRow for Number {
    fn read(row: &Row) -> Result<Self, tokio_postgres::Error> {
        row.try_get("n").map(Self)
    }
}

macro_rules! questions {
    ($($name:ident $sql:literal)*) => {$(
        /// A query with one parameter, a number.
        struct $name(i64);

        impl CatalogQuery for $name {
            const NAME: &'static str = stringify!($name);
            const SQL: &'static str = $sql;
            type Row = Number;

            fn parameters(&self) -> Vec<TypedParameter> {
                vec![(Box::new(self.0), Type::INT8)]
            }
        }
    )*};
}

questions! {
    Numbers "SELECT n::int4 AS n FROM pg_catalog.generate_series(1, $1) n"
    Sleeps "SELECT 1 AS n FROM pg_catalog.pg_sleep($1)"
    Writes "INSERT INTO t SELECT $1 RETURNING 1 AS n"
    IsReadOnly "SELECT (pg_catalog.current_setting('transaction_read_only') = 'on' AND $1 = 1)::int4 AS n"
    OtherwiseTyped "SELECT $1 AS n"
    Backend "SELECT pg_catalog.pg_backend_pid() AS n WHERE $1 = 1"
}

impl World {
    fn inspect_as<Q: CatalogQuery>(&self, caller: Caller, question: &Q, rows_max: usize) -> Request<Executor, Inspect> {
        let limits = Limits { rows_max, ..self.reading.limits };
        self.executor.send(Inspect::new(CallContext::new("a test", caller), question, limits))
    }

    /// Sends the query and does not wait for the answer.
    fn inspect<Q: CatalogQuery>(&self, question: &Q) -> Request<Executor, Inspect> {
        self.inspect_as(Caller::stdio(), question, 100)
    }

    async fn numbers<Q: CatalogQuery<Row = Number>>(&self, question: &Q) -> Result<Vec<i32>, QueryError> {
        let rows = self.inspect(question).await.unwrap()?.typed::<Q>()?;
        Ok(rows.answer.into_iter().map(|Number(n)| n).collect())
    }
}

#[actix_rt::test]
async fn the_rows_have_the_type_of_the_query_and_its_end_is_reported_once() {
    let mut world = World::new().await;
    assert_eq!(world.numbers(&Numbers(3)).await, Ok(vec![1, 2, 3]));
    let event = world.finished.next().await.message;
    assert_eq!((event.tool, &*event.client, event.operation.as_str()), ("a test", "stdio", "SELECT"));
    assert!(event.sql.contains("generate_series") && event.bytes > 0, "{event:?}");
    assert_eq!((event.outcome, event.rows, event.retries), (StatementOutcome::Done, 3, 0));
    assert!(world.finished.is_silent());
    // A row of another type leads to an error and not to a panic.
    let error = world.numbers(&OtherwiseTyped(1)).await.unwrap_err();
    assert_eq!(error.phase(), Phase::Encode, "{error}");
}

#[actix_rt::test]
async fn a_catalog_query_runs_in_a_read_only_transaction_in_both_modes() {
    for world in [World::new().await, World::read_write().await] {
        world.prepare("create table t (n bigint)").await;
        assert_eq!(world.numbers(&IsReadOnly(1)).await, Ok(vec![1]));
        let error = world.numbers(&Writes(1)).await.unwrap_err();
        assert_eq!(error.sqlstate(), Some("25006"), "{error}");
        assert_eq!(world.observed::<i64>("select count(*) from t").await, 0);
        world.until_backends("idle in transaction%", 0).await;
    }
}

#[actix_rt::test]
async fn no_more_rows_are_read_than_the_limits_allow() {
    let world = World::new().await;
    let answered = world.inspect_as(Caller::stdio(), &Numbers(1_000_000), 3).await.unwrap().unwrap();
    let CatalogRows { rows, is_cut, .. } = &answered.answer;
    assert_eq!((rows.len(), *is_cut), (3, true));
    world.until_backends("active", 0).await;
    let limits = Limits { bytes_max: 40, ..world.reading.limits };
    let inspect = Inspect::new(CallContext::new("a test", Caller::stdio()), &Numbers(100), limits);
    let CatalogRows { rows, bytes, is_cut } = world.executor.send(inspect).await.unwrap().unwrap().answer;
    assert!(is_cut && !rows.is_empty() && bytes <= 40, "{bytes}");
    assert_eq!(world.numbers(&Numbers(100)).await.unwrap().len(), 100);
}

#[actix_rt::test]
async fn a_catalog_query_ends_if_nobody_waits_for_it_or_its_timeout_passes() {
    let mut world = World::with(Options::new(), |settings| {
        settings.postgres.pool.size = 1;
        settings.postgres.clocks.command_timeout = seconds(1);
    })
    .await;
    let call = actix_rt::spawn(world.inspect(&Sleeps(60)));
    world.until_asleep(1).await;
    call.abort();
    world.until_backends("active", 0).await;
    assert_eq!(world.finished.next().await.message.outcome, StatementOutcome::Cancelled);
    let error = world.inspect(&Sleeps(60)).await.unwrap().unwrap_err();
    assert_eq!(error, QueryError::TimedOut { clock: Clock::Command, after: seconds(1) });
    world.until_backends("active", 0).await;
    assert_eq!(world.numbers(&Numbers(1)).await, Ok(vec![1]));
}

/// A tool has the database and the context of its call with a timeout.
#[actix_rt::test]
async fn the_catalog_query_of_a_tool_has_the_timeout_of_its_call_and_is_counted_under_its_name() {
    let cluster = Options::new().start().unwrap();
    let settings = settings_of(&cluster, |settings| settings.postgres.pool.size = 1);
    let (log, _) = heard();
    let (ended, mut ends) = scripted();
    let events = Events { statement_ended: ended.into(), ..Events::default() };
    let executor = Executor::new(MAIN_DATABASE, &settings, parser(&log), events, TaskTracker::new(), &log).unwrap();
    let (database, _): (Database, _) = executor.into_database(Executor::start);
    let limits = Limits { rows_max: 10, bytes_max: 1000 };
    let call = CallContext { timeout: Some(seconds(1)), ..CallContext::new("explore", Caller::stdio()) };

    let answered = database.inspect.send(Inspect::new(call.clone(), &Numbers(2), limits)).await.unwrap().unwrap();
    assert_eq!(answered.typed::<Numbers>().unwrap().answer, [Number(1), Number(2)]);
    let event = ends.next().await.message;
    assert_eq!((event.tool, event.rows, event.outcome), ("explore", 2, StatementOutcome::Done));

    let error = database.inspect.send(Inspect::new(call.clone(), &Sleeps(60), limits)).await.unwrap().unwrap_err();
    let clock = Clock::Call { during: Phase::Execute };
    assert_eq!(error, QueryError::TimedOut { clock, after: seconds(1) });
    let event = ends.next().await.message;
    assert!(matches!(event.outcome, StatementOutcome::Failed { sqlstate: None, .. }), "{event:?}");

    let observer = connect(&cluster.url()).await;
    let active = async |count: i64| {
        let sql = "select count(*) from pg_stat_activity where application_name = 'test' and state = 'active'";
        until(&format!("{count} active"), async || {
            observer.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == count
        })
        .await;
    };
    active(0).await;
    let call = CallContext::new("explore", Caller::stdio());
    let asked = actix_rt::spawn(database.inspect.send(Inspect::new(call, &Sleeps(60), limits)));
    active(1).await;
    asked.abort();
    active(0).await;
    let event = ends.next().await.message;
    assert_eq!((event.tool, event.outcome), ("explore", StatementOutcome::Cancelled));
    assert!(ends.is_silent());
}

#[actix_rt::test]
async fn a_catalog_query_waits_in_the_queue_like_the_calls_of_its_client() {
    let mut world = World::with(Options::new(), |settings| {
        settings.postgres.pool.size = 1;
        settings.limits.waiting_max = 1;
    })
    .await;
    let first = actix_rt::spawn(world.ask("select pg_sleep(60)", json!([])));
    world.until_asleep(1).await;
    let second = actix_rt::spawn(world.inspect(&Numbers(1)));
    until("it waits", async || world.status().await.waiting == 1).await;
    let third = world.inspect(&Numbers(2)).await.unwrap().unwrap_err();
    assert_eq!(third, QueryError::Busy { waiting_max: 1 });
    first.abort();
    assert_eq!(second.await.unwrap().unwrap().unwrap().answer.rows.len(), 1);
    // Both are counted, and so is the third.
    let mut outcomes = Vec::new();
    for _ in 0..3 {
        outcomes.push(world.finished.next().await.message.rows);
    }
    outcomes.sort_unstable();
    assert_eq!(outcomes, [0, 0, 1]);
}

#[actix_rt::test]
async fn a_connection_that_died_in_the_pool_fails_no_catalog_query() {
    let mut world = World::with(Options::new(), |settings| settings.postgres.pool.size = 1).await;
    let [pid] = world.numbers(&Backend(1)).await.unwrap()[..] else { panic!("one row") };
    world.until_backends("idle", 1).await;
    world.prepare(&format!("select pg_terminate_backend({pid})")).await;
    world.until_backends("%", 0).await;
    let [other] = world.numbers(&Backend(1)).await.unwrap()[..] else { panic!("one row") };
    assert_ne!(pid, other);
    world.finished.next().await;
    assert_eq!(world.finished.next().await.message.outcome, StatementOutcome::Done);
}

#[actix_rt::test]
async fn the_check_of_the_role_is_a_catalog_query_and_is_counted_under_its_name() {
    let mut world = World::with(Options::new(), |settings| settings.role_check = RoleCheck::Warn).await;
    assert_eq!(world.rows("select 1").await, "[[1]]");
    let mut tools = [world.finished.next().await.message.tool, world.finished.next().await.message.tool];
    tools.sort_unstable();
    assert_eq!(tools, ["a test", RoleRights::NAME]);
}

#[actix_rt::test]
async fn an_enforced_role_check_refuses_catalog_queries_too() {
    let world = World::with(Options::new(), |settings| settings.role_check = RoleCheck::Enforce).await;
    let error = world.numbers(&Numbers(1)).await.unwrap_err();
    assert!(error.for_model().contains("MCP_ROLE_CHECK=enforce"), "{error}");
}
