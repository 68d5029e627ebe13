//! The calls in flight, and how an operator cancels one.

use mcp_server_postgres::messages::admin::{CallInFlight, CallPhase, CallsInFlight, CancelCall};
use mcp_server_postgres::messages::events::StatementOutcome;
use mcp_server_postgres::postgres::error::Phase;

use super::*;

impl World {
    async fn calls(&self) -> Vec<CallInFlight> {
        self.executor.send(CallsInFlight).await.unwrap()
    }

    async fn cancel(&self, id: u64) -> bool {
        self.executor.send(CancelCall { id }).await.unwrap()
    }
}

fn client(name: &str) -> Caller {
    Caller { name: name.into(), ..Caller::stdio() }
}

#[actix_rt::test]
async fn each_call_is_listed_with_its_statement_but_without_literals() {
    let world = World::with(Options::new(), |settings| settings.postgres.pool.size = 1).await;
    assert_eq!(world.calls().await, []);
    let running = actix_rt::spawn(world.ask_as(client("alice"), "select 'secret', pg_sleep(60)", json!([])));
    world.until_asleep(1).await;
    let waiting = actix_rt::spawn(world.ask_as(client("bob"), "table pg_class", json!([])));
    until("it waits", async || world.status().await.waiting == 1).await;
    let calls = world.calls().await;
    let shown: Vec<_> =
        calls.iter().map(|call| (&*call.client, call.tool, call.operation, &*call.sql, call.phase)).collect();
    assert_eq!(
        shown,
        [
            ("alice", "a test", "SELECT", "select ?, pg_sleep(?)", CallPhase::Running),
            ("bob", "a test", "TABLE", "table pg_class", CallPhase::Waiting),
        ]
    );
    assert!(calls[0].id < calls[1].id && calls[0].elapsed >= calls[1].elapsed);
    let json = serde_json::to_value(&calls[1]).unwrap();
    let members: Vec<_> = json.as_object().unwrap().keys().collect();
    assert_eq!(
        members,
        ["id", "database", "client", "tool", "operation", "sql", "phase", "elapsed_ms", "rows", "bytes"]
    );
    assert_eq!(json["phase"], "waiting");
    waiting.abort();
    running.abort();
    until("a call that nobody wants is none", async || world.calls().await.is_empty()).await;
}

#[actix_rt::test]
async fn rows_are_counted_although_the_client_has_not_asked_for_progress() {
    let world = World::with(Options::new(), |settings| settings.postgres.pool.size = 1).await;
    let gate = connect(&world.cluster.url()).await;
    gate.batch_execute("select pg_advisory_lock(7)").await.unwrap();
    // The first fetch requests fewer rows than there are before the lock.
    let sql = "select case when n = 500 then pg_advisory_xact_lock_shared(7)::text else 'x' end \
               from generate_series(1, 500) n";
    let call = actix_rt::spawn(world.ask(sql, json!([])));
    until("rows have come", async || world.calls().await.iter().any(|call| call.rows >= 128 && call.bytes > 128)).await;
    gate.batch_execute("select pg_advisory_unlock(7)").await.unwrap();
    call.await.unwrap().unwrap().unwrap();
    until("it is over", async || world.calls().await.is_empty()).await;
}

#[actix_rt::test]
async fn a_call_that_an_operator_cancels_stops_in_postgresql_and_its_error_says_so() {
    let mut world = World::with(Options::new(), |settings| settings.postgres.pool.size = 1).await;
    let running = actix_rt::spawn(world.ask_as(client("alice"), "select pg_sleep(60)", json!([])));
    world.until_asleep(1).await;
    let waiting = actix_rt::spawn(world.ask_as(client("bob"), "select 2", json!([])));
    until("it waits", async || world.status().await.waiting == 1).await;
    let [alice, bob] = [0, 1].map(async |at: usize| world.calls().await[at].id);
    let (alice, bob) = (alice.await, bob.await);
    for (id, call, sql, phase) in
        [(bob, waiting, "select 2", Phase::Wait), (alice, running, "select pg_sleep(60)", Phase::Execute)]
    {
        assert!(world.cancel(id).await);
        let error = call.await.unwrap().unwrap().unwrap_err();
        assert_eq!(error, QueryError::Cancelled { phase });
        assert!(error.for_model().contains("cancelled by an operator") && !error.is_retryable());
        let event = world.finished.next().await.message;
        assert_eq!((&*event.sql, event.outcome), (sql, StatementOutcome::Cancelled));
        assert!(!world.cancel(id).await, "there is no such call any more");
    }
    world.until_backends("active", 0).await;
    assert!(world.log.of("call cancelled by an operator")[0].contains("client=bob"));
    assert_eq!(world.rows("select 3").await, "[[3]]");
}

#[actix_rt::test]
async fn a_batch_is_listed_with_its_current_statement_and_cancelled_as_a_whole() {
    let mut world = World::read_write().await;
    world.prepare("create table t (n int)").await;
    let statements = ["insert into t values (1)", "select pg_sleep(60)", "select 3"].map(|sql| (sql, json!([])));
    let batch = actix_rt::spawn(world.ask_batch(&statements));
    world.until_asleep(1).await;
    let calls = world.calls().await;
    assert_eq!((calls.len(), &*calls[0].sql, calls[0].operation), (1, "select pg_sleep(?)", "SELECT"));
    assert!(world.cancel(calls[0].id).await);
    assert_eq!(
        batch.await.unwrap().unwrap().unwrap_err(),
        BatchError { statement: None, error: QueryError::Cancelled { phase: Phase::Execute } }
    );
    world.until_backends("active", 0).await;
    for outcome in [StatementOutcome::Done, StatementOutcome::Cancelled] {
        assert_eq!(world.finished.next().await.message.outcome, outcome);
    }
    assert_eq!(world.observed::<i64>("select count(*) from t").await, 0);
}

#[actix_rt::test]
async fn a_cancelled_fetch_closes_its_cursor() {
    let world = World::with(Options::new(), |settings| settings.limits.cursors_max = 1).await;
    let sql = "select case when n = 20 then pg_sleep(60)::text else 'x' end from generate_series(1, 20) n";
    // With a portal that is read row by row, the sleep is in a later page.
    let sql = format!("select * from ({sql}) s union all select repeat('x', 1000) from generate_series(1, 500)");
    let (_, cursor) = world.first(&format!("{} offset 0", sql.replace("n = 20", "n = 15")), 2).await;
    let fetch = actix_rt::spawn(world.fetch(&cursor, 400));
    world.until_asleep(1).await;
    let calls = world.calls().await;
    assert_eq!((calls.len(), calls[0].phase), (1, CallPhase::Running));
    assert!(world.cancel(calls[0].id).await);
    assert_eq!(fetch.await.unwrap().unwrap().unwrap_err(), QueryError::Cancelled { phase: Phase::Fetch });
    assert!(world.no_next(&cursor).await.contains("was cancelled"));
    world.until_backends("active", 0).await;
}
