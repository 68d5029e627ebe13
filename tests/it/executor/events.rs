//! The events of a statement: which subscribers receive its begin, its refusal and its end, and in which order.

use super::*;
use mcp_server_postgres::messages::events::{StatementBegan, StatementOutcome, StatementRefused};

#[actix_rt::test]
async fn each_subscriber_gets_the_begin_and_the_end_of_a_statement_and_a_refused_text_has_no_begin() {
    let cluster = Options::new().start().unwrap();
    let settings = settings_of(&cluster, |_| {});
    let (log, _) = heard();
    let (one, mut ones) = scripted::<StatementBegan>();
    let (other, mut others) = scripted::<StatementBegan>();
    let (ended, mut ends) = scripted::<StatementEnded>();
    let events = Events {
        statement_began: [one, other].into_iter().collect(),
        statement_ended: ended.into(),
        ..Events::default()
    };
    let executor = Executor::new(MAIN_DATABASE, &settings, parser(&log), events, TaskTracker::new(), &log).unwrap();
    let executor = executor.start();
    let query = |sql: &str| Query {
        call: CallContext::new("a test", Caller::stdio()),
        statement: statement(sql, json!([])),
        reading: Reading { limits: Limits { rows_max: 10, bytes_max: 1000 }, format: Format::Table, cell_offset: 0 },
    };

    executor.send(query("select 1")).await.unwrap().unwrap();
    for subscriber in [&mut ones, &mut others] {
        let began = subscriber.next().await.message;
        assert_eq!((began.tool, &*began.client, &*began.sql, began.generation), ("a test", "stdio", "select 1", 1));
        assert_eq!(began.operation.as_str(), "SELECT");
    }
    assert_eq!(ends.next().await.message.outcome, StatementOutcome::Done);

    executor.send(query("drop table a")).await.unwrap().unwrap_err();
    assert!(matches!(ends.next().await.message.outcome, StatementOutcome::Refused { .. }));
    assert!(ones.is_silent() && others.is_silent());
}

/// Statements that are refused because of their text, because of a function in the catalogs, and in a batch; and
/// statements that no rule of the guard refuses.
#[actix_rt::test]
async fn a_refusal_is_one_event_with_its_rule() {
    let world = World::new().await;
    world.prepare("create function tricky() returns int volatile language sql as 'select 1'").await;
    let (log, _) = heard();
    let ((refused, mut refusals), (ended, mut ends)) = (scripted::<StatementRefused>(), scripted::<StatementEnded>());
    let events = Events { statement_refused: refused.into(), statement_ended: ended.into(), ..Events::default() };
    let executor = Executor::new(MAIN_DATABASE, &world.settings, parser(&log), events, TaskTracker::new(), &log);
    let executor = executor.unwrap().start();
    let call = || CallContext::new("a test", Caller::stdio());
    let is_refused = |outcome: StatementOutcome| matches!(outcome, StatementOutcome::Refused { .. });
    for (sql, rule) in [("drop table a", "statement-kind"), ("select tricky()", "function-volatile")] {
        let query = Query { call: call(), statement: statement(sql, json!([])), reading: world.reading };
        let error = executor.send(query).await.unwrap().unwrap_err();
        let event = refusals.next().await.message;
        assert_eq!((event.tool, &*event.client, &*event.database), ("a test", "stdio", MAIN_DATABASE), "{sql}");
        assert_eq!((&*event.sql, event.rule.as_str(), event.why), (sql, rule, error.for_model()));
        assert!(is_refused(ends.next().await.message.outcome), "{sql}");

        // It is the second statement of a batch. The end of the first is reported too.
        let statements = vec![statement("select 1", json!([])), statement(sql, json!([]))];
        let batch = Batch { call: call(), statements, reading: world.reading };
        let error = executor.send(batch).await.unwrap().unwrap_err();
        assert_eq!(error.statement, Some(2), "{sql}");
        let event = refusals.next().await.message;
        assert_eq!((&*event.sql, event.rule.as_str(), event.why), (sql, rule, error.error.for_model()));
        let mut end = ends.next().await.message;
        if end.outcome == StatementOutcome::Done {
            end = ends.next().await.message;
        }
        assert!(is_refused(end.outcome), "{sql}");
        assert!(refusals.is_silent() && ends.is_silent(), "{sql}");
    }
    let query = Query { call: call(), statement: statement("select $1", json!([])), reading: world.reading };
    executor.send(query).await.unwrap().unwrap_err();
    assert_eq!(
        ends.next().await.message.outcome.clone(),
        StatementOutcome::Refused {
            rule: None,
            why: "The statement takes 1 parameter ($1 text), but `parameters` has 0.".to_owned()
        }
    );
    assert!(refusals.is_silent());
}
