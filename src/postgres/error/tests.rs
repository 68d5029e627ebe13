pub(in crate::postgres) mod backend;

use std::fmt;
use std::time::Duration;

use super::*;

/// An error of PostgreSQL with these fields, as the driver returns it.
async fn driver_error(fields: &[(char, &str)]) -> tokio_postgres::Error {
    let all = [('S', "ERROR"), ('V', "ERROR"), ('C', "XX000"), ('M', "no")];
    let defaults = all.iter().filter(|(kind, _)| !fields.iter().any(|(given, _)| given == kind));
    let mut body = Vec::new();
    for (kind, text) in defaults.chain(fields) {
        body.push(*kind as u8);
        body.extend_from_slice(text.as_bytes());
        body.push(0);
    }
    body.push(0);
    let answer = [backend::message(b'E', &body), backend::ready()].concat();
    let client = backend::client(move |_| Some(answer.clone())).await;
    client.batch_execute("").await.unwrap_err()
}

async fn rejection(sql: &str, fields: &[(char, &str)]) -> Rejection {
    Rejection::new(driver_error(fields).await.as_db_error().unwrap(), sql, Phase::Parse)
}

#[test]
fn a_position_is_a_line_a_column_and_a_caret_under_its_character() {
    for (sql, character, (line, column), text, under) in [
        ("select nme", 8, (1, 8), "select nme", Some('n')),
        ("nme", 1, (1, 1), "nme", Some('n')),
        ("select\n  é, nme\nfrom t", 13, (2, 6), "  é, nme", Some('n')),
        ("select\r\n  nme\r\nfrom t", 11, (2, 3), "  nme", Some('n')),
        ("select '日本語', nme", 15, (1, 15), "select '日本語', nme", Some('n')),
        ("select '🔑', nme", 13, (1, 13), "select '🔑', nme", Some('n')),
        ("\n\n\nnme", 4, (4, 1), "nme", Some('n')),
        ("\tselect\tnme", 9, (1, 9), " select nme", Some('n')),
        // At and past the end, as for "syntax error at end of input".
        ("select", 7, (1, 7), "select", None),
        ("select\n", 8, (2, 1), "", None),
        ("select", 100, (1, 7), "select", None),
        ("", 1, (1, 1), "", None),
    ] {
        let position = Position::of(sql, character).expect("from 1");
        assert_eq!((position.line, position.column), (line, column), "{sql:?}");
        assert_eq!(position.character, character, "{sql:?}");
        assert_eq!(position.text, text, "{sql:?}");
        assert_eq!(position.text.chars().nth(position.caret), under, "{sql:?}");
    }
    assert_eq!(Position::of("select", 0), None);
}

#[test]
fn a_position_in_a_long_line_is_shown_in_a_window() {
    for (before, after, chars) in [(5000, 5000, 120), (10, 5000, 70), (5000, 10, 70 + 3), (60, 0, 63), (61, 0, 63)] {
        let sql = format!("{}nme{}", "é".repeat(before), "y".repeat(after));
        let position = Position::of(&sql, before + 1).expect("within");
        assert_eq!(position.text.chars().count(), chars, "{before} {after}");
        assert_eq!(position.text.chars().nth(position.caret), Some('n'), "{before} {after}");
    }
}

#[tokio::test]
async fn a_rejection_is_what_psql_would_show_and_its_sqlstate() {
    for (what, sql, fields, shown) in [
        (
            "the least",
            "select 1",
            &[('C', "42P01"), ('M', "relation \"t\" does not exist")][..],
            "ERROR 42P01: relation \"t\" does not exist",
        ),
        (
            "a place",
            "select\n  'é', nme\nfrom t",
            &[('C', "42703"), ('M', "column \"nme\" does not exist"), ('P', "15"), ('H', "Perhaps \"name\".")],
            "ERROR 42703: column \"nme\" does not exist\nLINE 2:   'é', nme\n               ^\nHINT: Perhaps \"name\".",
        ),
        (
            "everything",
            "insert into t values (1)",
            &[
                ('S', "FATALE"),
                ('V', "FATAL"),
                ('C', "23505"),
                ('M', "duplicate"),
                ('D', "Key (id)=(1) already exists."),
                ('H', "Take another."),
                ('W', "PL/pgSQL function f() line 1\nat RAISE"),
                ('n', "t_pkey"),
            ],
            "FATAL 23505: duplicate\nDETAIL: Key (id)=(1) already exists.\nHINT: Take another.\n\
             CONTEXT: PL/pgSQL function f() line 1\nat RAISE",
        ),
        (
            "a place in a statement of a function",
            "select f()",
            &[
                ('C', "42601"),
                ('M', "syntax error"),
                ('H', "No."),
                ('p', "13"),
                ('q', "select 1,\n  frm t"),
                ('W', "PL/pgSQL function f() line 1"),
            ],
            "ERROR 42601: syntax error\nQUERY: LINE 2:   frm t\n                 ^\nHINT: No.\n\
             CONTEXT: PL/pgSQL function f() line 1",
        ),
        ("a place out of the statement", "é", &[('M', "no"), ('P', "9")], "ERROR XX000: no\nLINE 1: é\n         ^"),
    ] {
        let error = QueryError::of(&driver_error(fields).await, sql, Phase::Execute, "db.example.org:5432");
        assert_eq!(error.for_model(), shown, "{what}");
        assert_eq!(error.to_string(), shown, "{what}: the log has the same words");
        let code = fields.iter().find(|(kind, _)| *kind == 'C').map_or("XX000", |(_, code)| code);
        assert_eq!(error.sqlstate(), Some(code), "{what}");
    }
    let constrained = rejection("", &[('n', "t_pkey"), ('D', "d"), ('W', "w"), ('P', "0")]).await;
    assert_eq!(constrained.constraint.as_deref(), Some("t_pkey"));
    assert_eq!((constrained.detail.as_deref(), constrained.context.as_deref()), (Some("d"), Some("w")));
    assert_eq!(constrained.position, None);
}

#[tokio::test]
async fn a_hint_is_postgresqls_own_or_ours_where_it_has_none() {
    // The message is in whatever language the server has; the routine is not.
    for (code, routine, message, words) in [
        ("25006", "", "cannot execute INSERT in a read-only transaction", Some("MCP_ACCESS_MODE=read-write")),
        (
            "42601",
            "exec_parse_message",
            "kann nicht mehrere Befehle in vorbereitete Anweisung einfügen",
            Some("batch_query_execute"),
        ),
        ("42601", "scanner_yyerror", "syntax error at or near \"x\"", None),
        (
            "42883",
            "getTypeBinaryOutputInfo",
            "keine binäre Ausgabefunktion verfügbar für Typ aclitem",
            Some("cast that column to text"),
        ),
        ("42883", "ParseFuncOrColumn", "function f() does not exist", None),
        ("42P18", "", "could not determine data type of parameter $1", Some("$1::int")),
        ("57014", "", "canceling statement due to statement timeout", Some("POSTGRES_COMMAND_TIMEOUT")),
        ("40001", "", "could not serialize access", Some("Run it again")),
        ("55P03", "", "could not obtain lock", Some("Try again later")),
        ("57P01", "", "terminating connection", Some("pg_terminate_backend")),
        ("25001", "", "VACUUM cannot run inside a transaction block", Some("alone")),
        ("22012", "", "division by zero", None),
    ] {
        let ours = rejection("", &[('C', code), ('M', message), ('R', routine)]).await.hint;
        assert_eq!(ours.is_some(), words.is_some(), "{message}: {ours:?}");
        assert!(ours.unwrap_or_default().contains(words.unwrap_or_default()), "{message}");
        let theirs = rejection("", &[('C', code), ('M', message), ('H', "theirs")]).await.hint;
        assert_eq!(theirs.as_deref(), Some("theirs"), "{message}");
    }
}

#[tokio::test]
async fn what_a_server_says_in_another_encoding_before_the_login_comes_after_our_words() {
    for (code, words) in [
        ("28P01", "the password was not accepted"),
        ("3D000", "there is no such database"),
        ("53300", "the server takes no more connections"),
        ("XX000", "the server has refused the connection"),
    ] {
        let fields = [('V', "FATAL"), ('C', code), ('M', "f\u{fffd}r Benutzer \u{bb}clerk\u{ab}")];
        let error = QueryError::of(&driver_error(&fields).await, "", Phase::Connect, "");
        assert!(error.for_model().starts_with(&format!("FATAL {code}: {words} (the server says")), "{error}");
        // Later it is in UTF-8, and the character is one of the text.
        let error = QueryError::of(&driver_error(&fields).await, "", Phase::Execute, "");
        assert!(error.for_model().starts_with(&format!("FATAL {code}: f\u{fffd}r")), "{error}");
    }
}

#[tokio::test]
async fn a_conflict_with_recovery_is_told_as_one_whatever_postgresql_says_of_connections() {
    for (severity, routine) in [("ERROR", "ProcessInterrupts"), ("FATAL", "ProcessRecoveryConflictInterrupt")] {
        let hint = "In a moment you should be able to reconnect to the database and repeat your command.";
        let fields = [('V', severity), ('C', "40001"), ('M', "conflict"), ('R', routine), ('H', hint)];
        let ours = rejection("", &fields).await.hint.unwrap();
        assert!(ours.contains("standby") && ours.contains("max_standby_streaming_delay"), "{ours}");
    }
}

#[tokio::test]
async fn a_cursor_that_has_ended_tells_its_cause_and_is_not_to_be_fetched_again() {
    let rejected = QueryError::Rejected(Box::new(rejection("", &[('C', "40001"), ('M', "conflict")]).await));
    let (clock, after) = (Clock::Command, Duration::from_secs(1));
    let lost = QueryError::Unavailable {
        why: "connection closed".to_owned(),
        phase: Phase::Fetch,
        target: String::new(),
        outcome_unknown: false,
    };
    for (cause, begins) in [
        (rejected, "ERROR 40001: conflict\nHINT: Another transaction has changed the same rows at the same time."),
        (lost, "The connection of this cursor was lost: connection closed."),
        (QueryError::NoAnswer { clock, after }, "No answer from the server within 1s (POSTGRES_COMMAND_TIMEOUT)."),
    ] {
        assert!(cause.is_retryable());
        let (sqlstate, phase) = (cause.sqlstate().map(str::to_owned), cause.phase());
        let error = QueryError::CursorEnded(Box::new(cause));
        let text = error.for_model();
        assert!(text.starts_with(begins) && text.contains("run the query again"), "{text}");
        assert_eq!((error.sqlstate().map(str::to_owned), error.phase()), (sqlstate, phase));
        assert!(!error.is_retryable());
    }
}

#[tokio::test]
async fn a_lost_connection_is_unavailable_and_only_the_log_hears_where() {
    let client = backend::client(|_| None).await;
    let lost = client.batch_execute("").await.unwrap_err();
    let error = QueryError::of(&lost, "", Phase::Execute, "db.example.org:5432");
    assert_eq!(
        error.for_model(),
        "The database is not available: could not run the statement: connection closed. \
         Nothing was changed by this call; it can be tried again."
    );
    assert_eq!(error.to_string(), "db.example.org:5432: could not run the statement: connection closed");
    assert_eq!((error.sqlstate(), error.phase()), (None, Phase::Execute));
    assert_eq!(error.with_unknown_outcome("").phase(), Phase::Execute);
}

#[test]
fn every_other_error_says_what_to_do() {
    let timed_out = |clock| QueryError::TimedOut { clock, after: Duration::from_millis(1500) };
    let unavailable = |outcome_unknown| QueryError::Unavailable {
        why: "it is down".to_owned(),
        phase: Phase::Connect,
        target: "alice@db.example.org:5432".to_owned(),
        outcome_unknown,
    };
    for (error, retryable, text) in [
        (QueryError::refused("Not so."), false, "Not so."),
        (QueryError::Undecodable { why: "Not so.".to_owned() }, false, "Not so."),
        (
            timed_out(Clock::PoolWait),
            true,
            "No connection of the pool became free within 1.5s (POSTGRES_POOL_WAIT_TIMEOUT). \
             Try again in 1s with fewer calls at once; the operator can raise POSTGRES_POOL_SIZE.",
        ),
        (
            timed_out(Clock::Connect),
            true,
            "The database did not accept a connection within 1.5s (POSTGRES_CONNECT_TIMEOUT). \
             Try again later; if it lasts, the operator should look at host, port and network.",
        ),
        (
            timed_out(Clock::Command),
            false,
            "The statement did not finish within 1.5s (POSTGRES_COMMAND_TIMEOUT) and was cancelled in PostgreSQL. \
             Narrow it (WHERE, LIMIT, an index).",
        ),
        (
            timed_out(Clock::Call { during: Phase::Wait }),
            true,
            "The call's 1.5s (timeout_ms) ran out while it waited for a connection, and it changed nothing. \
             Try again in 1s with fewer calls at once, or give it more time.",
        ),
        (
            timed_out(Clock::Call { during: Phase::Connect }),
            true,
            "The call's 1.5s (timeout_ms) ran out before the database had accepted a connection, and it changed nothing. \
             Give it more time, or try again later.",
        ),
        (
            timed_out(Clock::Call { during: Phase::Execute }),
            false,
            "The call did not finish within 1.5s (its timeout_ms) and was cancelled, in PostgreSQL too. \
             Give it more time, or narrow it (WHERE, LIMIT, an index).",
        ),
        (
            QueryError::Blocked {
                clock: Clock::Command,
                after: Duration::from_millis(1500),
                by: vec![
                    Blocker { pid: 7, state: Some("active".to_owned()), seconds: Some(90) },
                    Blocker { pid: 8, state: None, seconds: None },
                    Blocker { pid: 0, state: None, seconds: None },
                ],
            },
            true,
            "The statement did not finish within 1.5s (POSTGRES_COMMAND_TIMEOUT): it was waiting for a lock that \
             pid 7 (active for 90s), pid 8, a prepared transaction holds. It was cancelled in PostgreSQL, and changed \
             nothing. Try again when that transaction has ended.",
        ),
        (
            QueryError::NoAnswer { clock: Clock::Command, after: Duration::from_millis(1500) },
            true,
            "No answer from the server within 1.5s (POSTGRES_COMMAND_TIMEOUT), nor to the request to cancel the statement: \
             whether it was cancelled is not known. Its connection was given up; nothing of it was committed. It can be \
             tried again.",
        ),
        (
            QueryError::Busy { waiting_max: 9 },
            true,
            "Busy: 9 calls are waiting for a connection already (MCP_MAX_WAITING). \
             Try again in 1s, with fewer calls at once.",
        ),
        (
            QueryError::Cancelled { phase: Phase::Wait },
            false,
            "The call was cancelled by an operator of this server before it had a connection. \
             Do not repeat it as it was: ask the operator.",
        ),
        (
            QueryError::Cancelled { phase: Phase::Fetch },
            false,
            "The call was cancelled by an operator of this server, in PostgreSQL too. \
             Do not repeat it as it was: narrow it, or ask the operator.",
        ),
        (
            unavailable(false),
            true,
            "The database is not available: it is down. Nothing was changed by this call; it can be tried again.",
        ),
        (
            unavailable(true),
            false,
            "The call was ended while its changes were being made to last: it is down. \
             Whether they were made is unknown: look before doing it again.",
        ),
    ] {
        assert_eq!(error.for_model(), text);
        assert_eq!(error.is_retryable(), retryable, "{text}");
        assert_eq!(error.sqlstate(), None, "{text}");
        assert!(!error.for_model().contains("example.org"), "{text}");
    }
    // Each clock names a setting that there is.
    for clock in [Clock::PoolWait, Clock::Connect, Clock::Command] {
        assert!(crate::settings::KEYS.iter().any(|key| key.name == clock.setting()));
    }
}

#[tokio::test]
async fn a_rejection_is_retryable_if_the_same_statement_may_succeed_later() {
    for (code, retryable) in [
        ("08006", true),
        ("40001", true),
        ("40P01", true),
        ("55P03", true),
        ("53300", true),
        ("57P01", true),
        ("57P03", true),
        ("57014", false),
        ("42601", false),
        ("23505", false),
        ("25006", false),
        ("XX000", false),
    ] {
        let error = QueryError::Rejected(Box::new(rejection("", &[('C', code)]).await));
        assert_eq!(error.is_retryable(), retryable, "{code}");
    }
}

#[test]
fn causes_are_one_line_and_none_is_said_twice() {
    #[derive(Debug)]
    struct Because(&'static str, Option<Box<Because>>);
    impl fmt::Display for Because {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }
    impl std::error::Error for Because {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            self.1.as_deref().map(|cause| cause as _)
        }
    }
    let chain =
        |texts: &[&'static str]| texts.iter().rev().fold(None, |cause, text| Some(Box::new(Because(text, cause))));
    for (texts, line) in [
        (&["alone"][..], "alone"),
        (&["outer", "middle", "inner"], "outer: middle: inner"),
        (&["outer: inner", "inner"], "outer: inner"),
        (&["same", "same", "other"], "same: other"),
    ] {
        assert_eq!(causes(chain(texts).unwrap().as_ref()), line);
    }
}
