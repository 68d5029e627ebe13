//! Events: who is told that a statement began and ended, in which order, and of what is refused.

use super::*;
use mcp_server_postgres::messages::events::{StatementBegan, StatementOutcome};

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
