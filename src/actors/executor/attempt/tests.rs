use std::time::Duration;

use super::Next::{Fail, RunAgain};
use super::Reason::{ConnectionLost, Outgrown, Writes};
use super::*;
use crate::postgres::error::{Clock, Phase, Rejection};
use crate::progress::Progress;

const READ_ONLY: Kind = Kind::Statement(AccessMode::ReadOnly);
const READ_WRITE: Kind = Kind::Statement(AccessMode::ReadWrite);

/// The name of the case, what runs, and each run with the next step that it must lead to.
type Case<'a> = (&'a str, Kind, &'a [(Run, Next)]);

/// The progress of a run: it has begun, it only reads, its first row has arrived.
const NOT_BEGUN: [bool; 3] = [false, false, false];
const READS: [bool; 3] = [true, true, false];
const READS_WITH_ROWS: [bool; 3] = [true, true, true];
const WRITES: [bool; 3] = [true, false, false];

fn rejected(sqlstate: &str, severity: &str) -> QueryError {
    let (detail, hint, position, internal_position, context) = Default::default();
    let (schema, table, column, constraint) = Default::default();
    QueryError::Rejected(Box::new(Rejection {
        sqlstate: sqlstate.to_owned(),
        severity: severity.to_owned(),
        message: "no".to_owned(),
        phase: Phase::Execute,
        detail,
        hint,
        position,
        internal_position,
        context,
        schema,
        table,
        column,
        constraint,
        is_interrupt: false,
        notices: Default::default(),
    }))
}

fn unavailable(outcome_unknown: bool) -> QueryError {
    let (why, target) = ("connection closed".to_owned(), "somewhere".to_owned());
    QueryError::Unavailable { why, phase: Phase::Execute, target, outcome_unknown }
}

fn failed(error: &QueryError, [begun, only_reads, rows_came]: [bool; 3]) -> Run {
    let progress = RunProgress::new(Progress::default());
    progress.begun.set(begun);
    progress.only_reads.set(only_reads);
    progress.rows_came.set(rows_came);
    Run::Failed(Failure::of(error, &progress))
}

#[test]
fn each_result_of_a_run_has_its_next_step() {
    let lost = |progress| failed(&unavailable(false), progress);
    let shut_down = |progress| failed(&rejected("57P01", "FATAL"), progress);
    let terminated = |[begun, only_reads, rows_came]: [bool; 3]| {
        let progress = RunProgress::new(Progress::default());
        progress.begun.set(begun);
        progress.only_reads.set(only_reads);
        progress.bound.set(true);
        progress.rows_came.set(rows_came);
        Run::Failed(Failure::of(&rejected("57P01", "FATAL"), &progress))
    };
    let silent = failed(&QueryError::NoAnswer { clock: Clock::Command, after: Duration::from_secs(1) }, READS);
    let read_only = |progress| failed(&rejected("25006", "ERROR"), progress);
    let wrong = failed(&rejected("42P01", "ERROR"), READS);
    let timed_out = |clock| failed(&QueryError::TimedOut { clock, after: Duration::from_secs(1) }, READS);
    let cases: &[Case] = &[
        ("what is outgrown is read from a portal", READ_ONLY, &[(Run::Outgrown, RunAgain(Outgrown))]),
        (
            "a read through a portal may be lost once",
            READ_ONLY,
            &[(Run::Outgrown, RunAgain(Outgrown)), (lost(READS), RunAgain(ConnectionLost)), (lost(READS), Fail)],
        ),
        ("a statement that PostgreSQL refuses fails", READ_WRITE, &[(wrong, Fail)]),
        (
            "a read that is lost before its first row is sent once more",
            READ_ONLY,
            &[(lost(READS), RunAgain(ConnectionLost))],
        ),
        ("so it is when its backend has said why", READ_WRITE, &[(shut_down(READS), RunAgain(ConnectionLost))]),
        ("a read that is lost twice fails", READ_ONLY, &[(lost(READS), RunAgain(ConnectionLost)), (lost(READS), Fail)]),
        ("a read that is lost after its first row fails", READ_ONLY, &[(lost(READS_WITH_ROWS), Fail)]),
        ("a write that is lost fails", READ_WRITE, &[(lost(WRITES), Fail)]),
        ("a write whose backend is shut down fails", READ_WRITE, &[(shut_down(WRITES), Fail)]),
        (
            "a write that is lost in COMMIT may have committed, and fails",
            READ_WRITE,
            &[(failed(&unavailable(true), WRITES), Fail)],
        ),
        (
            "a supposed read that is lost in COMMIT may have committed, and fails",
            READ_WRITE,
            &[(failed(&unavailable(true), READS), Fail)],
        ),
        (
            "a loss before the transaction has begun does not count, however often it happens",
            READ_WRITE,
            &[
                (lost(NOT_BEGUN), RunAgain(ConnectionLost)),
                (shut_down(NOT_BEGUN), RunAgain(ConnectionLost)),
                (lost(NOT_BEGUN), RunAgain(ConnectionLost)),
                (lost(READS), RunAgain(ConnectionLost)),
                (lost(NOT_BEGUN), RunAgain(ConnectionLost)),
                (lost(READS), Fail),
            ],
        ),
        (
            "a supposed read that writes is run again as a write",
            READ_WRITE,
            &[(read_only(READS), RunAgain(Writes)), (lost(WRITES), Fail)],
        ),
        (
            "a supposed read that was lost and then writes is run again as a write",
            READ_WRITE,
            &[(lost(READS), RunAgain(ConnectionLost)), (read_only(READS), RunAgain(Writes))],
        ),
        ("a write that a standby refuses fails", READ_WRITE, &[(read_only(WRITES), Fail)]),
        ("in read-only mode a write fails", READ_ONLY, &[(read_only(READS), Fail)]),
        (
            "a batch whose connection had died in the pool is sent again, however often",
            Kind::Batch,
            &[(lost(NOT_BEGUN), RunAgain(ConnectionLost)), (lost(NOT_BEGUN), RunAgain(ConnectionLost))],
        ),
        ("what an administrator has ended while it ran is not sent again", READ_ONLY, &[(terminated(READS), Fail)]),
        ("nor is a question of our own", Kind::Inspection, &[(terminated(READS), Fail)]),
        (
            "of a server that does not answer another connection is tried once",
            READ_ONLY,
            &[(silent, RunAgain(ConnectionLost)), (silent, Fail)],
        ),
        ("a batch that has begun is not sent again, though it reads", Kind::Batch, &[(lost(READS), Fail)]),
        ("a batch that has begun and writes is not sent again", Kind::Batch, &[(lost(WRITES), Fail)]),
        (
            "a batch that has to write in a READ ONLY transaction is not sent again",
            Kind::Batch,
            &[(read_only(READS), Fail)],
        ),
        (
            "a catalog query that is lost before its first row is sent once more",
            Kind::Inspection,
            &[
                (lost(NOT_BEGUN), RunAgain(ConnectionLost)),
                (lost(READS), RunAgain(ConnectionLost)),
                (lost(READS), Fail),
            ],
        ),
        ("a catalog query that is lost after its first row fails", Kind::Inspection, &[(lost(READS_WITH_ROWS), Fail)]),
        ("the command timeout ends it", READ_ONLY, &[(timed_out(Clock::Command), Fail)]),
        ("the timeout of the call ends it", READ_ONLY, &[(timed_out(Clock::Call { during: Phase::Fetch }), Fail)]),
        ("an operator ends it", READ_ONLY, &[(failed(&QueryError::Cancelled { phase: Phase::Execute }, READS), Fail)]),
        ("the guard's refusal ends it", READ_WRITE, &[(failed(&QueryError::refused("no"), READS), Fail)]),
    ];
    for (what, kind, runs) in cases {
        let mut attempt = Attempt::new(*kind);
        for (at, (run, next)) in runs.iter().enumerate() {
            assert_eq!(attempt.after(*run), *next, "{what}, run {at}");
        }
    }
}

#[test]
fn the_first_run_waits_behind_its_client_s_calls_and_the_others_go_before_them() {
    let lost = failed(&unavailable(false), NOT_BEGUN);
    let read_only = failed(&rejected("25006", "ERROR"), READS);
    for (run, fetch_mode, retries) in [
        (Run::Outgrown, FetchMode::Portal, 0),
        (lost, FetchMode::Portal, 1),
        (read_only, FetchMode::RunToEndIfSmall, 0),
    ] {
        let mut attempt = Attempt::of_statement(AccessMode::ReadWrite);
        let first = (attempt.fetch_mode(), attempt.admission(), attempt.retries());
        assert_eq!(first, (FetchMode::RunToEndIfSmall, Admission::Normal, 0));
        attempt.after(run);
        assert_eq!(
            (attempt.fetch_mode(), attempt.admission(), attempt.retries()),
            (fetch_mode, Admission::Retry, retries)
        );
    }
}

#[test]
fn a_catalog_query_is_an_internal_one_in_every_run() {
    let mut attempt = Attempt::of_inspection(Admission::Internal);
    attempt.after(failed(&unavailable(false), NOT_BEGUN));
    assert_eq!((attempt.admission(), attempt.retries()), (Admission::Internal, 1));
}

#[test]
fn each_lost_connection_is_counted() {
    let mut attempt = Attempt::of_batch();
    for _ in 0..3 {
        attempt.after(failed(&unavailable(false), NOT_BEGUN));
    }
    assert_eq!(attempt.retries(), 3);
}
