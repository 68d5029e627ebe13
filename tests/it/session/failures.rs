//! What a model reads and what a program gets of a failure of the database.

use std::time::Duration;

use mcp_server_postgres::messages::answer::Answer;
use mcp_server_postgres::messages::statements::BatchError;
use mcp_server_postgres::postgres::error::{Clock, Phase, Position, QueryError, Rejection};
use mcp_server_postgres::postgres::inbox::{Notice, Notices};

use pg_guard::Rule;

use crate::common::settings;
use crate::session::world::{BATCH, World, answer_of};

fn rejection() -> Rejection {
    Rejection {
        sqlstate: "42703".to_owned(),
        severity: "ERROR".to_owned(),
        message: "column \"nme\" does not exist".to_owned(),
        detail: None,
        hint: Some("Perhaps you meant \"name\".".to_owned()),
        internal_position: None,
        position: Some(Position { character: 8, line: 1, column: 8, text: "select nme from t".to_owned(), caret: 7 }),
        context: None,
        schema: None,
        table: None,
        column: None,
        constraint: None,
        phase: Phase::Parse,
        notices: Notices::default(),
    }
}

fn notices() -> Notices {
    let (detail, hint) = Default::default();
    let (sqlstate, message) = ("01000".to_owned(), "careful".to_owned());
    Notices { shown: vec![Notice { severity: "WARNING", sqlstate, message, detail, hint }], omitted: 2 }
}

/// An error, and what the model reads. No host, user or database is in it.
fn errors() -> Vec<(QueryError, &'static str)> {
    let timed_out = |clock, ms| QueryError::TimedOut { clock, after: Duration::from_millis(ms) };
    let unavailable = |outcome_unknown| QueryError::Unavailable {
        why: "could not connect: connection refused".to_owned(),
        phase: Phase::Connect,
        target: "clerk@db.internal:5432/shop".to_owned(),
        outcome_unknown,
    };
    vec![
        (
            QueryError::refused("The query has 2 parameters ($1 … $2), and 1 value was given."),
            "The query has 2 parameters ($1 … $2), and 1 value was given.",
        ),
        (
            QueryError::Rejected(Box::new(rejection())),
            "ERROR 42703: column \"nme\" does not exist\nLINE 1: select nme from t\n               ^\n\
             HINT: Perhaps you meant \"name\".",
        ),
        (
            QueryError::Rejected(Box::new(Rejection {
                sqlstate: "23505".to_owned(),
                message: "duplicate key value violates unique constraint \"t_pkey\"".to_owned(),
                detail: Some("Key (id)=(1) already exists.".to_owned()),
                hint: None,
                position: None,
                context: Some("SQL function \"f\" statement 1".to_owned()),
                constraint: Some("t_pkey".to_owned()),
                ..rejection()
            })),
            "ERROR 23505: duplicate key value violates unique constraint \"t_pkey\"\n\
             DETAIL: Key (id)=(1) already exists.\nCONTEXT: SQL function \"f\" statement 1",
        ),
        (
            QueryError::Rejected(Box::new(Rejection { hint: None, position: None, notices: notices(), ..rejection() })),
            "ERROR 42703: column \"nme\" does not exist\nWARNING 01000: careful\n\
             2 more messages of PostgreSQL are not shown.",
        ),
        (
            timed_out(Clock::PoolWait, 5000),
            "No connection of the pool became free within 5s (POSTGRES_POOL_WAIT_TIMEOUT). Try again in 1s with \
             fewer calls at once; the operator can raise POSTGRES_POOL_SIZE.",
        ),
        (
            timed_out(Clock::Connect, 2500),
            "The database did not accept a connection within 2.5s (POSTGRES_CONNECT_TIMEOUT). Try again later; if it \
             lasts, the operator should look at host, port and network.",
        ),
        (
            timed_out(Clock::Command, 30_000),
            "The statement did not finish within 30s (POSTGRES_COMMAND_TIMEOUT) and was cancelled in PostgreSQL. \
             Narrow it (WHERE, LIMIT, an index).",
        ),
        (
            unavailable(false),
            "The database is not available: could not connect: connection refused. Nothing was changed by this call; \
             it can be tried again.",
        ),
        (
            unavailable(true),
            "The call was ended while its changes were being made to last: could not connect: connection refused. \
             Whether they were made is unknown: look before doing it again.",
        ),
    ]
}

#[actix_rt::test]
async fn a_statement_that_fails_is_answered_with_what_can_be_done_about_it() {
    let mut world = World::new(settings());
    for (error, text) in errors() {
        let call = world.query("select nme from t");
        world.queries.next().await.answer(Err(error));
        let answer = answer_of(call).await;
        assert!(answer.failure.is_some());
        assert_eq!(Answer { failure: None, ..answer }, Answer::error(text));
    }
}

#[actix_rt::test]
async fn a_failure_is_told_to_programs_member_by_member() {
    let mut world = World::new(settings());
    let timed_out = |clock| QueryError::TimedOut { clock, after: Duration::from_millis(2500) };
    for (error, facts) in [
        (
            QueryError::Rejected(Box::new(rejection())),
            r#"{"kind":"rejected","phase":"parse","sqlstate":"42703","severity":"ERROR","message":"column \"nme\" does not exist","hint":"Perhaps you meant \"name\".","position":{"character":8,"line":1,"column":8,"text":"select nme from t","caret":7},"retryable":false}"#,
        ),
        (
            QueryError::Rejected(Box::new(Rejection {
                sqlstate: "40001".to_owned(),
                message: "could not serialize access".to_owned(),
                hint: None,
                position: None,
                schema: Some("public".to_owned()),
                table: Some("t".to_owned()),
                column: Some("n".to_owned()),
                constraint: Some("c".to_owned()),
                phase: Phase::End,
                ..rejection()
            })),
            r#"{"kind":"rejected","phase":"end","sqlstate":"40001","severity":"ERROR","message":"could not serialize access","schema":"public","table":"t","column":"n","constraint":"c","retryable":true}"#,
        ),
        (
            QueryError::Rejected(Box::new(Rejection {
                hint: None,
                position: None,
                internal_position: Some(Position {
                    character: 9,
                    line: 2,
                    column: 3,
                    text: "nme".to_owned(),
                    caret: 2,
                }),
                context: Some("PL/pgSQL function f() line 1".to_owned()),
                phase: Phase::Fetch,
                ..rejection()
            })),
            r#"{"kind":"rejected","phase":"fetch","sqlstate":"42703","severity":"ERROR","message":"column \"nme\" does not exist","context":"PL/pgSQL function f() line 1","internal_position":{"character":9,"line":2,"column":3,"text":"nme","caret":2},"retryable":false}"#,
        ),
        (
            QueryError::Rejected(Box::new(Rejection { hint: None, position: None, notices: notices(), ..rejection() })),
            r#"{"kind":"rejected","phase":"parse","sqlstate":"42703","severity":"ERROR","message":"column \"nme\" does not exist","notices":[{"severity":"WARNING","sqlstate":"01000","message":"careful"}],"notices_omitted":2,"retryable":false}"#,
        ),
        (
            QueryError::Unavailable {
                why: "refused".to_owned(),
                phase: Phase::Connect,
                target: "secret".to_owned(),
                outcome_unknown: false,
            },
            r#"{"kind":"unavailable","phase":"connect","outcome_unknown":false,"retryable":true}"#,
        ),
        (
            QueryError::Busy { waiting_max: 9 },
            r#"{"kind":"busy","phase":"wait","limit":"MCP_MAX_WAITING","limit_value":9,"retry_after_ms":1000,"retryable":true}"#,
        ),
        (
            timed_out(Clock::PoolWait),
            r#"{"kind":"timed_out","phase":"wait","clock":"POSTGRES_POOL_WAIT_TIMEOUT","after_ms":2500,"retry_after_ms":1000,"retryable":true}"#,
        ),
        (
            timed_out(Clock::Call { during: Phase::Wait }),
            r#"{"kind":"timed_out","phase":"wait","clock":"timeout_ms","after_ms":2500,"retry_after_ms":1000,"retryable":true}"#,
        ),
        (
            timed_out(Clock::Call { during: Phase::Connect }),
            r#"{"kind":"timed_out","phase":"connect","clock":"timeout_ms","after_ms":2500,"retryable":true}"#,
        ),
        (
            timed_out(Clock::Call { during: Phase::Execute }),
            r#"{"kind":"timed_out","phase":"execute","clock":"timeout_ms","after_ms":2500,"retryable":false}"#,
        ),
        (QueryError::Cancelled { phase: Phase::Fetch }, r#"{"kind":"cancelled","phase":"fetch","retryable":false}"#),
        (QueryError::refused("no"), r#"{"kind":"refused","phase":"check","retryable":false}"#),
        (
            QueryError::Refused { rule: Some(Rule::FunctionVolatile), why: "no".to_owned() },
            r#"{"kind":"refused","phase":"check","rule":"function-volatile","retryable":false}"#,
        ),
        (
            QueryError::Undecodable { why: "no".to_owned() },
            r#"{"kind":"undecodable","phase":"encode","retryable":false}"#,
        ),
    ] {
        let call = world.query("select nme from t");
        world.queries.next().await.answer(Err(error.clone()));
        assert_eq!(answer_of(call).await.failure.unwrap().to_string(), facts);

        let call = world.call(BATCH, r#"{"queries":[{"query":"select nme from t"}]}"#);
        world.batches.next().await.answer(Err(BatchError { statement: Some(1), error }));
        let facts = facts.strip_suffix('}').unwrap();
        assert_eq!(answer_of(call).await.failure.unwrap().to_string(), format!(r#"{facts},"statement":1}}"#));
    }
}

#[actix_rt::test]
async fn a_batch_that_fails_names_the_statement_and_says_that_nothing_was_changed() {
    let mut world = World::new(settings());
    for (error, text) in errors() {
        for statement in [Some(2), None] {
            let call = world.call(BATCH, r#"{"queries":[{"query":"select 1"},{"query":"select nme from t"}]}"#);
            world.batches.next().await.answer(Err(BatchError { statement, error: error.clone() }));
            let expected = match statement {
                Some(number) => format!(
                    "Statement {number} failed, and the whole batch was rolled back: nothing was changed.\n{text}"
                ),
                None => text.to_owned(),
            };
            let answer = answer_of(call).await;
            assert_eq!(Answer { failure: None, ..answer }, Answer::error(expected));
        }
    }
}
