//! Calls in flight: how many, in what order, and what becomes of one that nobody wants.

use mcp_server_postgres::caller::Caller;
use mcp_server_postgres::messages::call::CallError;
use mcp_server_postgres::messages::events::CallOutcome;
use mcp_server_postgres::messages::in_flight::Busy;
use mcp_server_postgres::messages::statements::CloseCursorsOf;
use mcp_server_postgres::postgres::error::{Phase, QueryError};
use mcp_server_postgres::postgres::statement::Outcome;
use mcp_server_postgres::settings::MAIN_DATABASE;

use crate::common::{settings, settings_with, until};
use crate::session::world::{BATCH, FETCH, QUERY, SLOW, SUMMARY, World, answer_of, answered, done, page};

#[actix_rt::test]
async fn two_calls_are_in_flight_at_once_and_are_answered_in_either_order() {
    for first_answered in [0, 1] {
        let mut world = World::new(settings());
        let calls = [world.query("select 0"), world.query("select 1")];
        let mut asked = Vec::new();
        for number in 0..2 {
            let query = world.queries.next().await;
            assert_eq!(&**query.message.statement.sql(), format!("select {number}"));
            assert_eq!(query.message.call.tool, QUERY);
            asked.push(query);
        }
        let mut pairs: Vec<_> = asked.into_iter().zip(calls).enumerate().collect();
        pairs.rotate_left(first_answered);
        for (number, (query, call)) in pairs {
            query.answer(Ok(answered(Outcome {
                page: page(&[number as i32], None),
                rows_affected: None,
                ..Outcome::default()
            })));
            let answer = answer_of(call).await;
            assert_eq!(answer.whole_text(), format!("1 row\nn\n-\n{number}\n"));
        }
    }
}

#[actix_rt::test]
async fn a_call_past_the_limit_is_refused_at_once_and_one_after_the_end_of_another_is_not() {
    let mut world = World::new(settings_with(|settings| settings.limits.in_flight_max = 2));
    let first = world.query("select 1");
    let _second = world.query("select 2");
    let asked = world.queries.next().await;
    let _asked_second = world.queries.next().await;
    for _ in 0..3 {
        assert_eq!(world.query("select 3").await.unwrap(), Err(CallError::Busy(Busy { in_flight_max: 2 })));
        assert!(world.queries.is_silent());
    }
    asked.answer(done());
    assert!(!answer_of(first).await.is_error);
    let fourth = world.query("select 4");
    world.queries.next().await.answer(done());
    assert!(!answer_of(fourth).await.is_error);
}

#[actix_rt::test]
async fn a_call_that_is_no_longer_wanted_is_dropped_at_the_executor_and_frees_its_place() {
    let mut world = World::new(settings_with(|settings| settings.limits.in_flight_max = 1));
    let call = world.query("select pg_sleep(60)");
    let asked = world.queries.next().await;
    drop(call);
    asked.dropped().await;
    let next = world.query("select 1");
    world.queries.next().await.answer(done());
    assert!(next.await.unwrap().is_ok());

    let call = world.call(BATCH, r#"{"queries":[{"query":"select pg_sleep(60)"}]}"#);
    let asked = world.batches.next().await;
    drop(call);
    asked.dropped().await;
    let next = world.query("select 1");
    world.queries.next().await.answer(done());
    assert!(next.await.unwrap().is_ok());
}

#[actix_rt::test]
async fn a_call_refused_for_its_arguments_frees_its_place() {
    let mut world = World::new(settings_with(|settings| settings.limits.in_flight_max = 1));
    assert!(answer_of(world.query("")).await.is_error);
    let next = world.query("select 1");
    world.queries.next().await.answer(done());
    assert!(next.await.unwrap().is_ok());
}

#[actix_rt::test]
async fn an_executor_that_is_gone_is_an_answer() {
    let mut world = World::new(settings());
    let call = world.query("select 1");
    drop(world.queries.next().await);
    let answer = answer_of(call).await;
    assert!(answer.is_error);
    assert!(answer.whole_text().starts_with("The server is ending and did not run this: "), "{}", answer.whole_text());
}

#[actix_rt::test]
async fn a_tool_that_is_not_there_is_named() {
    let world = World::new(settings());
    for name in ["drop_everything", "", "ASYNC_QUERY_EXECUTE"] {
        let unknown = CallError::UnknownTool { name: name.to_owned() };
        assert_eq!(world.call(name, "{}").await.unwrap(), Err(unknown));
    }
}

/// What is told of calls: which tool, and what became of them.
async fn told(world: &mut World) -> (&'static str, CallOutcome) {
    let told = world.finished.next().await.message;
    (told.tool, told.outcome)
}

#[actix_rt::test]
async fn every_way_out_of_a_call_is_told_to_the_metrics_once() {
    let mut world = World::new(settings_with(|settings| settings.limits.in_flight_max = 1));
    let refusal = QueryError::refused("Not accepted.");
    let (why, target) = Default::default();
    let unavailable = QueryError::Unavailable { why, phase: Phase::Connect, target, outcome_unknown: false };
    for (reply, outcome) in [
        (done(), CallOutcome::Successful),
        (Err(refusal), CallOutcome::Refused),
        (Err(QueryError::Busy { waiting_max: 1 }), CallOutcome::Busy),
        (Err(unavailable), CallOutcome::Failed),
    ] {
        let call = world.query("select 1");
        world.queries.next().await.answer(reply);
        answer_of(call).await;
        assert_eq!(told(&mut world).await, (QUERY, outcome));
    }
    // The executor is gone.
    let call = world.query("select 1");
    drop(world.queries.next().await);
    answer_of(call).await;
    assert_eq!(told(&mut world).await, (QUERY, CallOutcome::Failed));
    // It never came to the executor.
    for (tool, arguments, outcome) in [
        (QUERY, r#"{"query":"","max_rows":1}"#, CallOutcome::Refused),
        (QUERY, r#"{"sql":"select 1"}"#, CallOutcome::InvalidArguments),
        (FETCH, r#"{"cursor":"strange:1"}"#, CallOutcome::InvalidArguments),
        (SLOW, r#"{"limit":0}"#, CallOutcome::InvalidArguments),
    ] {
        answer_of(world.call(tool, arguments)).await;
        assert_eq!(told(&mut world).await, (tool, outcome), "{arguments}");
    }
    assert!(world.call("no such tool", "{}").await.unwrap().is_err());
    assert_eq!(told(&mut world).await, ("unknown", CallOutcome::UnknownTool));
    // One is in flight, the next is one too many, and nobody waits for the first any more.
    let mut first = Box::pin(world.query("select pg_sleep(1)"));
    assert!(futures_util::poll!(&mut first).is_pending());
    let asked = world.queries.next().await;
    assert!(world.query("select 2").await.unwrap().is_err());
    assert_eq!(told(&mut world).await, (QUERY, CallOutcome::Busy));
    drop(first);
    asked.dropped().await;
    assert_eq!(told(&mut world).await, (QUERY, CallOutcome::Cancelled));
    assert!(world.finished.is_silent());
}

#[actix_rt::test]
async fn the_metrics_are_asked_for_the_clients_databases_alone() {
    let mut world = World::new(settings());
    let summary = world.call(SUMMARY, "{}");
    assert_eq!(*world.summaries.next().await.message.databases, [MAIN_DATABASE.into()]);
    assert!(answer_of(summary).await.is_error);
    let slow = world.call(SLOW, "{}");
    assert_eq!(*world.slow_lists.next().await.message.databases, [MAIN_DATABASE.into()]);
    assert!(answer_of(slow).await.is_error);
}

#[actix_rt::test]
async fn a_session_that_ends_has_the_cursors_of_its_client_closed() {
    let World { session, mut cursors_closed, .. } = World::new(settings());
    drop(session);
    let closed = cursors_closed.next().await;
    assert_eq!(closed.message.client, Caller::stdio().name);
}

#[actix_rt::test]
async fn the_cursors_of_an_anonymous_client_outlive_its_session() {
    let anonymous = Caller { name: "client 1".into(), is_anonymous: true, ..Caller::stdio() };
    let World { session, mut cursors_closed, _set: set, .. } = World::of(anonymous, settings());
    let close = set.borrow().served[0].close_cursors.clone();
    drop(session);
    until("the session is gone", async || set.receiver_count() == 0).await;
    // The first that is heard is the test's own.
    close.do_send(CloseCursorsOf { client: "the test".into() });
    assert_eq!(&*cursors_closed.next().await.message.client, "the test");
}
