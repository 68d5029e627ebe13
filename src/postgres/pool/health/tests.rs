use super::*;
use crate::postgres::error::{Clock, Phase, Rejection};
use crate::settings::{self, Inputs};

fn target() -> TargetSettings {
    let mut target = settings::load(&Inputs::default()).unwrap().settings.postgres.target;
    target.hosts = vec!["db.example".to_owned()];
    target
}

fn health() -> Health {
    Health::new("clerk@db.example:5432/shop".to_owned(), &Logger::root(slog::Discard, slog::o!()))
}

fn unreachable() -> QueryError {
    QueryError::Unavailable {
        why: "could not connect to PostgreSQL: db.example does not resolve".to_owned(),
        phase: Phase::Connect,
        target: "clerk@db.example:5432/shop".to_owned(),
        outcome_unknown: false,
    }
}

fn rejected(sqlstate: &str) -> QueryError {
    let (detail, hint, position, internal_position, context, schema, table, column, constraint) = Default::default();
    QueryError::Rejected(Box::new(Rejection {
        sqlstate: sqlstate.to_owned(),
        severity: "FATAL".to_owned(),
        message: "no entry for host \"10.0.0.1\", user \"clerk\", database \"shop\"".to_owned(),
        detail,
        hint,
        position,
        internal_position,
        context,
        schema,
        table,
        column,
        constraint,
        phase: Phase::Connect,
    }))
}

/// The events in their order, and the state after each.
#[tokio::test(start_paused = true)]
async fn what_is_found_out_last_says_how_it_is() {
    enum Event {
        Opened,
        Answered,
        NotOpened { open: usize },
        NotAnswered,
        Seconds(u64),
    }
    use Event::{Answered, NotAnswered, NotOpened, Opened, Seconds};
    use HealthState::{Degraded, Down, Up};
    for story in [
        &[(NotOpened { open: 0 }, Down), (NotOpened { open: 0 }, Down), (Opened, Up), (Answered, Up)][..],
        // Another connection answers, before and after.
        &[(Opened, Up), (NotOpened { open: 1 }, Degraded), (Answered, Degraded), (Opened, Up)],
        &[(Opened, Up), (Seconds(1), Up), (NotOpened { open: 0 }, Down), (Answered, Degraded)],
        // The other connections have not answered for a while.
        &[(Opened, Up), (Seconds(3), Up), (NotOpened { open: 1 }, Down), (Answered, Degraded), (Opened, Up)],
        &[(Opened, Up), (NotOpened { open: 1 }, Degraded), (Seconds(3), Degraded), (NotOpened { open: 1 }, Down)],
        &[(Opened, Up), (NotAnswered, Down), (Answered, Up)],
        &[(NotAnswered, Down), (NotOpened { open: 1 }, Down), (Answered, Degraded)],
    ] {
        let (health, settings) = (health(), target());
        for (at, (event, state)) in story.iter().enumerate() {
            match event {
                Opened => health.opened(),
                Answered => health.answered(),
                NotOpened { open } => health.failed_to_open(&unreachable(), &settings, *open),
                NotAnswered => health.failed_to_answer(),
                Seconds(seconds) => tokio::time::advance(Duration::from_secs(*seconds)).await,
            }
            let condition = health.condition();
            assert_eq!(condition.state, *state, "event {at}");
            assert_eq!(condition.why.is_none(), *state == Up, "event {at}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_known_grows_old_and_a_lost_connection_makes_it_doubtful() {
    let health = health();
    assert!(health.is_older_than(STALE), "nothing is known yet");
    health.opened();
    assert!(!health.is_older_than(STALE));
    tokio::time::advance(STALE).await;
    assert!(health.is_older_than(STALE));
    health.answered();
    assert!(!health.is_older_than(STALE));
    health.mark_stale();
    assert!(health.is_older_than(STALE));
    health.failed_to_open(&unreachable(), &target(), 0);
    assert!(!health.is_older_than(STALE), "that it cannot be reached is known too");
}

#[tokio::test(start_paused = true)]
async fn it_is_tried_again_only_while_it_is_not_up_and_seldom_where_it_refuses() {
    let (health, settings) = (health(), target());
    health.opened();
    assert_eq!((health.retry_in(RETRY.0), health.condition().next_try), (None, None));
    health.failed_to_open(&unreachable(), &settings, 0);
    assert_eq!(health.retry_in(RETRY.0), Some(RETRY.0));
    tokio::time::advance(RETRY.0 / 4).await;
    assert_eq!(health.condition().next_try, Some(RETRY.0 * 3 / 4));
    tokio::time::advance(RETRY.0).await;
    assert_eq!(health.condition().next_try, Some(Duration::ZERO), "it is being tried");
    for (error, pause) in [(rejected("28P01"), RETRY_REFUSED), (rejected("53300"), RETRY.0)] {
        health.failed_to_open(&error, &settings, 0);
        assert_eq!(health.retry_in(RETRY.0), Some(pause), "{error}");
        assert_eq!(health.is_refused(), pause == RETRY_REFUSED);
    }
    health.opened();
    assert_eq!(health.condition().next_try, None);
}

#[test]
fn why_it_is_not_up_names_no_host_user_or_database() {
    let settings = target();
    let after = Duration::from_secs(10);
    for (error, expected) in [
        (unreachable(), "could not connect to PostgreSQL: the host does not resolve"),
        (QueryError::TimedOut { clock: Clock::Connect, after }, "no connection within 10s (POSTGRES_CONNECT_TIMEOUT)"),
        (rejected("28P01"), "the login was refused (SQLSTATE 28P01)"),
        (rejected("28000"), "the login was refused (SQLSTATE 28000)"),
        (rejected("3D000"), "there is no such database (SQLSTATE 3D000)"),
        (rejected("53300"), "it takes no more connections (SQLSTATE 53300)"),
        (rejected("57P03"), "it is starting or stopping (SQLSTATE 57P03)"),
        (rejected("XX000"), "it has refused the connection (SQLSTATE XX000)"),
    ] {
        assert_eq!(why(&error, &settings), expected);
    }
}
