//! Events: which subscribers get a statement's begin, its refusal and its end, and in which order.

use super::*;
use mcp_server_postgres::messages::events::{StatementBegan, StatementOutcome, StatementRefused};

#[actix_rt::test]
async fn each_subscriber_is_told_that_a_statement_began_and_then_how_it_ended_and_what_is_refused_by_its_text_never_began()
 {
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

/// Refused by its text, by what the catalogs say of a function, and both in a batch; and what no rule of the guard refuses.
#[actix_rt::test]
async fn a_refused_statement_is_an_event_of_its_own_once_with_the_rule() {
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

        // It is the second of a batch, of which the first has its end in the counts.
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
