//! Decides whether a statement is sent to PostgreSQL again, and how.
//!
//! [`Attempt`] is a state machine: it is given the result of each run and returns the next step. It does no input or
//! output and reads no clock. `query`, `batch` and `inspect` run the statements.

use std::time::Duration;

use crate::postgres::error::QueryError;
use crate::postgres::pool::Admission;
use crate::postgres::run::{FetchMode, RunProgress};
use crate::settings::AccessMode;

/// The runs of one statement, of one batch, or of one catalog query of this server.
#[derive(Debug)]
pub(super) struct Attempt {
    kind: Kind,
    fetch_mode: FetchMode,
    admission: Admission,
    /// The connection was lost once already after the transaction had begun.
    was_lost: bool,
    /// How many times it was sent again because its connection was lost.
    retries: u32,
}

/// A backend that has ended while it was idle has said so within this time after a statement was sent to it.
const LAST_WORDS_MAX: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Statement(AccessMode),
    Batch,
    Inspection,
}

/// What a run came to that gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Run {
    /// It was to give little, and gave more than the page takes: it has to be read from a portal.
    Outgrown,
    /// It returned an error.
    Failed(Failure),
}

/// The facts about an error, and about the progress of the statement before it, that decide whether it is sent again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Failure {
    /// The connection is lost.
    pub(super) connection_lost: bool,
    /// PostgreSQL has refused a write because the transaction is READ ONLY.
    pub(super) needs_to_write: bool,
    /// The connection was lost during COMMIT.
    pub(super) outcome_unknown: bool,
    /// An administrator has ended its connection (57P01) while it ran.
    pub(super) terminated: bool,
    /// Its transaction has begun.
    pub(super) begun: bool,
    /// The statement only reads.
    pub(super) only_reads: bool,
    /// The first row had arrived.
    pub(super) rows_came: bool,
}

/// The next step after a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Its error is the answer.
    Fail,
    /// Run it again, with [`Attempt::fetch_mode`] and [`Attempt::admission`].
    RunAgain(Reason),
}

/// Why a statement runs again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// The answer is larger than expected. The statement that still runs must be cancelled.
    Outgrown,
    /// It was expected only to read, and it writes.
    Writes,
    /// Its connection was lost before it changed anything.
    ConnectionLost,
}

impl Attempt {
    /// The attempt of one statement in this access mode.
    pub(super) fn of_statement(access: AccessMode) -> Self {
        Self::new(Kind::Statement(access))
    }

    /// The attempt of a batch: all of its statements are sent again, or none.
    pub(super) fn of_batch() -> Self {
        Self::new(Kind::Batch)
    }

    /// The attempt of a catalog query, which only reads. `admission` is how it waits for its first connection.
    pub(super) fn of_inspection(admission: Admission) -> Self {
        Self { admission, ..Self::new(Kind::Inspection) }
    }

    fn new(kind: Kind) -> Self {
        let fetch_mode = FetchMode::RunToEndIfSmall;
        Self { kind, fetch_mode, admission: Admission::Normal, was_lost: false, retries: 0 }
    }

    /// How the next run fetches its rows.
    pub(super) fn fetch_mode(&self) -> FetchMode {
        self.fetch_mode
    }

    /// How the next run waits for its connection.
    pub(super) fn admission(&self) -> Admission {
        self.admission
    }

    /// How many times it was sent again because its connection was lost.
    pub(super) fn retries(&self) -> u32 {
        self.retries
    }

    /// The next step after a run with this result.
    pub(super) fn after(&mut self, run: Run) -> Next {
        let reason = match run {
            Run::Outgrown => Reason::Outgrown,
            Run::Failed(failure) => match self.reason(failure) {
                Some(reason) => reason,
                None => return Next::Fail,
            },
        };
        if self.admission == Admission::Normal {
            self.admission = Admission::Retry;
        }
        match reason {
            Reason::Outgrown => self.fetch_mode = FetchMode::Portal,
            Reason::Writes => {}
            Reason::ConnectionLost => {
                // With a portal it is known whether the statement has begun.
                self.fetch_mode = FetchMode::Portal;
                self.retries += 1;
            }
        }
        Next::RunAgain(reason)
    }

    /// Why a statement with this failure runs again; `None` if it does not.
    fn reason(&mut self, failure: Failure) -> Option<Reason> {
        if self.kind == Kind::Statement(AccessMode::ReadWrite) && failure.only_reads && failure.needs_to_write {
            return Some(Reason::Writes);
        }
        if !failure.connection_lost || failure.outcome_unknown {
            return None;
        }
        if failure.begun {
            // Of a read nothing is lost but its time. But once only: it may be what the server dies of.
            let may_repeat = self.kind != Kind::Batch && failure.only_reads && !failure.rows_came && !self.was_lost;
            // Whoever has ended it does not want it to run.
            let may_repeat = may_repeat && !failure.terminated;
            if !may_repeat {
                return None;
            }
            self.was_lost = true;
        }
        Some(Reason::ConnectionLost)
    }
}

impl Failure {
    /// The facts about `error`, after a run with this progress.
    pub(super) fn of(error: &QueryError, progress: &RunProgress) -> Self {
        Self {
            connection_lost: error.is_lost_connection(),
            needs_to_write: error.needs_to_write(),
            outcome_unknown: matches!(error, QueryError::Unavailable { outcome_unknown: true, .. }),
            terminated: error.is_termination() && (progress.bound.get() || progress.since.elapsed() > LAST_WORDS_MAX),
            begun: progress.begun.get(),
            only_reads: progress.only_reads.get(),
            rows_came: progress.rows_came.get(),
        }
    }
}

#[cfg(test)]
mod tests;
