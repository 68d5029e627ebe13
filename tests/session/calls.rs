//! Calls in flight: how many, in what order, and what becomes of one that nobody wants.

use mcp_server_postgres::actors::session::CallError;
use mcp_server_postgres::postgres::run::Outcome;

use crate::common::{settings, settings_with};
use crate::world::{BATCH, QUERY, World, answer_of, answered, done, page};

#[actix_rt::test]
async fn two_calls_are_in_flight_at_once_and_are_answered_in_either_order() {
    for first_answered in [0, 1] {
        let mut world = World::new(settings());
        let calls = [world.query("select 0"), world.query("select 1")];
        let mut asked = Vec::new();
        for number in 0..2 {
            let query = world.queries.next().await;
            assert_eq!(&*query.message.statement.sql, format!("select {number}"));
            assert_eq!(query.message.tool, QUERY);
            asked.push(query);
        }
        let mut pairs: Vec<_> = asked.into_iter().zip(calls).enumerate().collect();
        pairs.rotate_left(first_answered);
        for (number, (query, call)) in pairs {
            query.answer(Ok(answered(Outcome { page: page(&[number as i32], None), rows_affected: None })));
            let answer = answer_of(call).await;
            assert_eq!(answer.text, format!("1 row\nn\n-\n{number}\n"));
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
        assert_eq!(world.query("select 3").await.unwrap(), Err(CallError::Busy { in_flight_max: 2 }));
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
    assert!(answer.text.starts_with("The server is ending and did not run this: "), "{}", answer.text);
}

#[actix_rt::test]
async fn a_tool_that_is_not_there_is_named() {
    let world = World::new(settings());
    for name in ["drop_everything", "", "ASYNC_QUERY_EXECUTE"] {
        let unknown = CallError::UnknownTool { name: name.to_owned() };
        assert_eq!(world.call(name, "{}").await.unwrap(), Err(unknown));
    }
}
