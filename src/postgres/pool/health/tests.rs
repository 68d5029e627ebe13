use super::*;
use crate::postgres::error::{Clock, Phase, Rejection};
use crate::settings::{self, Inputs};

fn target() -> TargetSettings {
    let mut target = settings::load(&Inputs::default()).unwrap().settings.postgres.target;
    target.hosts = vec!["db.example".to_owned()];
    target
}

/// Moments that are so many seconds after a first one.
fn moments() -> impl Fn(f64) -> Moment {
    let (instant, time) = (Instant::now(), SystemTime::UNIX_EPOCH);
    move |seconds| {
        let after = Duration::from_secs_f64(seconds);
        Moment { instant: instant + after, time: time + after }
    }
}

fn health() -> Health {
    Health::new(SystemTime::UNIX_EPOCH)
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
        notices: Default::default(),
    }))
}

/// Events one second after the other, and what is known after each.
#[test]
fn what_is_found_out_last_says_how_it_is() {
    enum Event {
        Opened,
        Answered,
        NotOpened { open: usize },
        NotAnswered,
        Nothing,
    }
    use Event::{Answered, NotAnswered, NotOpened, Nothing, Opened};
    use HealthState::{Degraded, Down, Up};
    for story in [
        &[(NotOpened { open: 0 }, Down), (NotOpened { open: 0 }, Down), (Opened, Up), (Answered, Up)][..],
        // Another connection answers, before and after.
        &[(Opened, Up), (NotOpened { open: 1 }, Degraded), (Answered, Degraded), (Opened, Up)],
        &[(Opened, Up), (NotOpened { open: 0 }, Down), (Answered, Degraded)],
        // The other connections have not answered for a while.
        &[(Opened, Up), (Nothing, Up), (NotOpened { open: 1 }, Down), (Answered, Degraded), (Opened, Up)],
        &[(Opened, Up), (NotOpened { open: 1 }, Degraded), (Nothing, Degraded), (NotOpened { open: 1 }, Down)],
        &[(Opened, Up), (NotAnswered, Down), (Answered, Up)],
        &[(NotAnswered, Down), (NotOpened { open: 1 }, Down), (Answered, Degraded)],
    ] {
        let (mut health, settings, moment) = (health(), target(), moments());
        let (mut before, mut since) = (health.state(), SystemTime::UNIX_EPOCH);
        for (at, (event, state)) in story.iter().enumerate() {
            let now = moment(at as f64);
            match event {
                Opened => health.opened(now),
                Answered => health.answered(now),
                NotOpened { open } => health.failed_to_open(&unreachable(), &settings, *open, now),
                NotAnswered => health.failed_to_answer(now),
                Nothing => {}
            }
            let condition = health.condition(now.instant);
            assert_eq!(condition.state, *state, "event {at}");
            assert_eq!(condition.why.is_none(), *state == Up, "event {at}");
            if std::mem::replace(&mut before, *state) != *state {
                since = now.time;
            }
            assert_eq!(condition.since, since, "event {at}");
        }
    }
}

#[test]
fn what_is_known_grows_old_and_a_lost_connection_makes_it_doubtful() {
    let (mut health, moment) = (health(), moments());
    let stale = STALE.as_secs_f64();
    let is_stale = |health: &Health, seconds| health.is_older_than(STALE, moment(seconds).instant);
    assert!(is_stale(&health, 0.0), "nothing is known yet");
    health.opened(moment(0.0));
    assert!(!is_stale(&health, stale - 0.1));
    assert!(is_stale(&health, stale));
    health.answered(moment(stale));
    assert!(!is_stale(&health, stale));
    health.mark_stale();
    assert!(is_stale(&health, stale));
    health.failed_to_open(&unreachable(), &target(), 0, moment(stale));
    assert!(!is_stale(&health, stale), "that it cannot be reached is known too");
}

#[test]
fn it_is_tried_again_only_while_it_is_not_up_and_seldom_where_it_refuses() {
    let (mut health, settings, moment) = (health(), target(), moments());
    let retry_in = |health: &mut Health| health.retry_in(RETRY.0, moment(0.0).instant);
    let next_try = |health: &Health, seconds| health.condition(moment(seconds).instant).next_try;
    health.opened(moment(0.0));
    assert_eq!((retry_in(&mut health), next_try(&health, 0.0)), (None, None));
    health.failed_to_open(&unreachable(), &settings, 0, moment(0.0));
    assert_eq!(retry_in(&mut health), Some(RETRY.0));
    let part = RETRY.0.as_secs_f64() / 4.0;
    assert_eq!(next_try(&health, part), Some(RETRY.0 * 3 / 4));
    assert_eq!(next_try(&health, 5.0 * part), Some(Duration::ZERO), "it is being tried");
    for (error, pause) in [(rejected("28P01"), RETRY_REFUSED), (rejected("53300"), RETRY.0)] {
        health.failed_to_open(&error, &settings, 0, moment(0.0));
        assert_eq!(retry_in(&mut health), Some(pause), "{error}");
        assert_eq!(health.is_refused(), pause == RETRY_REFUSED);
    }
    health.opened(moment(0.0));
    assert_eq!(next_try(&health, 0.0), None);
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
